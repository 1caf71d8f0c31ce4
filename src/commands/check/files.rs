//! Which files have come or changed in a directory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Files that are looked at in one directory. A larger one is looked at in part.
const MAX_FILES: usize = 10_000;
/// Names that are nobody's own: what interpreters, version control and build tools keep.
const OTHERS: [&str; 7] = [
    ".git",
    ".mypy_cache",
    ".venv",
    "__pycache__",
    "node_modules",
    "target",
    "venv",
];

/// What is in a directory at a moment.
#[derive(Debug, Default)]
pub(super) struct Listing(HashMap<PathBuf, (u64, Option<SystemTime>)>);

impl Listing {
    /// What is in `directory` now, and below it where it is `deep`.
    pub(super) fn of(directory: &Path, deep: bool) -> Self {
        let mut files = HashMap::new();
        let mut left = vec![directory.to_owned()];
        while let Some(directory) = left.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
                let name = entry.file_name();
                let Ok(known) = entry.metadata() else {
                    continue;
                };
                if OTHERS.iter().any(|other| name == *other) || files.len() >= MAX_FILES {
                    continue;
                }
                if known.is_file() {
                    files.insert(entry.path(), (known.len(), known.modified().ok()));
                } else if known.is_dir() {
                    // Its own times change with what is in it, which is looked at by itself.
                    files.insert(entry.path(), (0, None));
                    left.extend(deep.then(|| entry.path()));
                }
            }
        }
        Self(files)
    }

    /// What is in the working directory now. What this process itself keeps at `own` is left out.
    pub(super) fn of_working_directory(own: Option<&Path>) -> Self {
        let here = std::path::absolute(".").unwrap_or_default();
        let mut listing = Self::of(&here, false);
        if let Some(own) = own.and_then(|own| std::path::absolute(own).ok()) {
            listing.0.retain(|path, _| !own.starts_with(path));
        }
        listing
    }

    /// What is in `later` and was not here, or not so.
    pub(super) fn changed(&self, later: &Self) -> Vec<PathBuf> {
        let is_other = |(path, known): &(&PathBuf, &_)| self.0.get(*path) != Some(*known);
        let changed = later.0.iter().filter(is_other);
        let mut paths: Vec<PathBuf> = changed.map(|(path, _)| path.clone()).collect();
        paths.sort();
        paths
    }
}
