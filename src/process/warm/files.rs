//! Whether files have changed that a warm interpreter was made of.
//!
//! Knows no interpreter: paths in, one number out. What a program is read from anew in each call does not matter here;
//! what decides which modules are found, and what those in site-packages hold, does.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tokio::task::{JoinError, spawn_blocking};

/// Directories that hold no module of the plugin's own.
const SKIPPED: [&str; 6] = [
    ".git",
    ".venv",
    "venv",
    "__pycache__",
    "node_modules",
    ".mypy_cache",
];

/// Endings of files that decide which modules are found. A plugin may keep data of its own beside them.
const MODULES: [&str; 5] = ["py", "pyc", "so", "pth", "cfg"];

/// How many entries of a plugin's directory are looked at.
const MAX_ENTRIES: usize = 4096;

/// How deep.
const MAX_DEPTH: usize = 8;

/// Files and directories that a warm interpreter was made of.
#[derive(Debug, Clone, Default)]
pub(super) struct Sources {
    /// The plugin's directory.
    pub(super) plugin: PathBuf,
    /// The interpreter.
    pub(super) interpreter: PathBuf,
    /// Where modules are looked for.
    pub(super) paths: Vec<PathBuf>,
    /// Where the modules that were imported come from.
    pub(super) origins: Vec<PathBuf>,
}

impl Sources {
    /// A number that changes with them. Reads file systems: not for the runtime's threads.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        let mut left = MAX_ENTRIES;
        walk(&self.plugin, MAX_DEPTH, &mut left, &mut hasher);
        stamp(&self.interpreter, &mut hasher);
        for path in self.paths.iter().filter(|path| **path != self.plugin) {
            stamp(path, &mut hasher);
        }
        for origin in &self.origins {
            stamp(origin, &mut hasher);
        }
        hasher.finish()
    }

    /// The same, on a thread that may wait for file systems.
    pub(super) async fn fingerprint_aside(self) -> Result<u64, JoinError> {
        spawn_blocking(move || self.fingerprint()).await
    }
}

fn walk(directory: &Path, depth: usize, left: &mut usize, hasher: &mut DefaultHasher) {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut entries: Vec<_> = entries.take(*left).collect();
    entries.sort_by_key(std::fs::DirEntry::file_name);
    *left = left.saturating_sub(entries.len());
    for entry in entries {
        let name = entry.file_name();
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let path = entry.path();
        if kind.is_dir() {
            if depth > 0 && *left > 0 && !SKIPPED.iter().any(|skipped| name == *skipped) {
                name.hash(hasher);
                walk(&path, depth - 1, left, hasher);
            }
        } else if path
            .extension()
            .is_some_and(|ending| MODULES.iter().any(|known| ending == *known))
        {
            stamp(&path, hasher);
        }
    }
}

/// The file that the path leads to, when it was changed, and how long it is.
fn stamp(path: &Path, hasher: &mut DefaultHasher) {
    path.hash(hasher);
    if let Ok(facts) = std::fs::metadata(path) {
        facts.dev().hash(hasher);
        facts.ino().hash(hasher);
        facts.mtime().hash(hasher);
        facts.mtime_nsec().hash(hasher);
        facts.len().hash(hasher);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_count_and_a_plugins_own_data_does_not() {
        let root = tempfile::tempdir().expect("there is room");
        let plugin = root.path().join("plugin");
        let packages = root.path().join("site-packages");
        for directory in [&plugin.join("inner"), &packages] {
            std::fs::create_dir_all(directory).expect("there is room");
        }
        let origin = packages.join("one.py");
        let write = |path: &Path, text: &str| std::fs::write(path, text).expect("there is room");
        write(&plugin.join("cli.py"), "");
        write(&origin, "");
        let sources = Sources {
            plugin: plugin.clone(),
            interpreter: "/bin/sh".into(),
            paths: vec![packages.clone()],
            origins: vec![origin.clone()],
        };
        let first = sources.fingerprint();
        assert_eq!(first, sources.fingerprint());
        write(&plugin.join("state.json"), "{}");
        write(&plugin.join("inner/data.db"), "x");
        assert_eq!(first, sources.fingerprint(), "data is no module");
        // Where the clock of a file system is coarse, what changes at once has one and the same time.
        let later = |path: &Path| {
            let time = |path: &Path| std::fs::metadata(path).and_then(|facts| facts.modified());
            let (before, probe) = (time(path).expect("it is there"), root.path().join("probe"));
            while {
                write(&probe, "x");
                time(&probe).expect("it is there") <= before
            } {}
        };
        let mut seen = vec![first];
        let mut changes = |what: &str| {
            let now = sources.fingerprint();
            assert!(!seen.contains(&now), "{what}");
            seen.push(now);
        };
        write(&plugin.join("inner/json.py"), "");
        changes("a module of the plugin");
        write(&plugin.join("cli.py"), "import json");
        changes("the program");
        later(&packages);
        write(&packages.join("two.py"), "");
        changes("an installed module");
        write(&origin, "x = 1");
        changes("the text of an installed module");
    }
}
