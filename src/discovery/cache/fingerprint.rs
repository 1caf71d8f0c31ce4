//! What a plugin's answer depends on, as far as looking tells, as one digest.
//!
//! Nothing is run and no file of a plugin is opened: names, sizes, times and inode numbers are what counts.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::super::interpreter::is_script;
use super::super::question::Asker;
use super::super::scan::{Found, Program};
use crate::contract::environment::Variable;

/// The form of what is kept. Another one makes everything that was kept unknown.
const FORMAT: &str = "smcp description 1";

/// Answers of a plugin with more files in its directory are not kept.
const MAX_FILES: usize = 4096;

/// Answers of a plugin with directories deeper than this are not kept.
const MAX_DEPTH: usize = 16;

/// Directories of others' files and of files that running a program makes: what is in them is not looked at.
const PASSED_OVER: [&str; 11] = [
    ".git",
    ".hg",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".tox",
    ".venv",
    "__pycache__",
    "node_modules",
    "venv",
];

/// Variables that differ from one start or terminal to the next and say nothing of the work.
const PASSING: [&str; 11] = [
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MANAGERPID",
    "OLDPWD",
    "SHLVL",
    "SSH_CLIENT",
    "SSH_TTY",
    "SYSTEMD_EXEC_PID",
    "TERM_SESSION_ID",
    "WINDOWID",
    "_",
];

/// How exact the clocks of file systems without fractions of a second are.
const COARSE: Duration = Duration::from_secs(2);

/// The digest of all that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What the answers of all plugins depend on that are asked at one time. Each of it is looked at once.
#[derive(Debug)]
pub struct Surroundings {
    asker: Asker,
    /// Fed with what is the same for all plugins.
    common: Sha256,
    /// The environment of plugins that do not hold the reserved variables, and of those that do.
    environments: [OnceLock<[u8; 32]>; 2],
    interpreters: Mutex<HashMap<PathBuf, [u8; 32]>>,
}

impl Surroundings {
    /// Of plugins that `asker` asks. Looks at this program's file.
    pub fn new(asker: &Asker) -> Self {
        let mut common = Sha256::new();
        feed(&mut common, FORMAT);
        feed(&mut common, env!("CARGO_PKG_VERSION"));
        // Builds of one version differ too, for those who work on it.
        let own = std::env::current_exe().and_then(std::fs::metadata);
        if let Ok(own) = own {
            feed_numbers(&mut common, &[own.size().cast_signed(), own.mtime()]);
        }
        // Programs are asked in the server's working directory.
        feed(&mut common, std::env::current_dir().unwrap_or_default());
        Self {
            asker: asker.clone(),
            common,
            environments: Default::default(),
            interpreters: Mutex::default(),
        }
    }

    /// The fingerprint of the answer that `plugin` gives now, run by `interpreter`. `None` where looking cannot tell
    /// whether it is still the same later: for a directory that is too large or that cannot be read, and for files
    /// that were written a moment ago on a file system that knows no fractions of a second.
    pub fn of(&self, plugin: &Found, interpreter: Option<&Path>) -> Option<Fingerprint> {
        let mut digest = self.common.clone();
        let (Program::Python(program) | Program::Executable(program)) = &plugin.program;
        for text in [plugin.name.as_ref(), plugin.directory.as_os_str()] {
            feed(&mut digest, text);
        }
        feed(&mut digest, program);
        digest.update(self.environment(&plugin.directory));
        if let Some(interpreter) = interpreter {
            digest.update(self.interpreter(interpreter));
        }
        let mut files = Files::default();
        files.walk(&plugin.directory, OsStr::new(""), 0)?;
        // The order of a directory's entries is the file system's affair.
        files.found.sort_unstable();
        for (name, stat) in &files.found {
            feed(&mut digest, name);
            feed_numbers(&mut digest, stat);
        }
        Some(Fingerprint(hex(&digest.finalize())))
    }

    /// Secrets are among the values; nothing but their digest, mixed with all the rest, leaves this file.
    fn environment(&self, directory: &Path) -> &[u8; 32] {
        let environment = &self.asker.environment;
        let place = usize::from(environment.reaches_reserved(directory));
        self.environments[place].get_or_init(|| {
            let mut variables = environment.of_question(directory, &self.asker.variables);
            variables.retain(|(name, _)| counts(name));
            variables.sort_unstable();
            let mut digest = Sha256::new();
            for (name, value) in &variables {
                feed(&mut digest, name);
                feed(&mut digest, value);
            }
            for directory in library_path(&variables) {
                feed_directory(&mut digest, &directory);
            }
            digest.finalize().into()
        })
    }

    fn interpreter(&self, path: &Path) -> [u8; 32] {
        let mut known = self
            .interpreters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(digest) = known.get(path) {
            return *digest;
        }
        let digest = self.look_at_interpreter(path);
        known.insert(path.to_owned(), digest);
        digest
    }

    fn look_at_interpreter(&self, path: &Path) -> [u8; 32] {
        let mut digest = Sha256::new();
        feed(&mut digest, path);
        if let Ok(metadata) = std::fs::metadata(path) {
            feed_numbers(&mut digest, &stat_of(&metadata));
        }
        // What is behind a shim is not known by looking.
        if !is_script(path) {
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            feed(&mut digest, &real);
            let home = self
                .asker
                .environment
                .inherited()
                .iter()
                .find(|(name, _)| name == "HOME")
                .map(|(_, home)| Path::new(home).join(".local"));
            // A virtual environment's prefix is that of the path, its base that of the real file.
            let prefixes = [path, &real].map(|path| path.ancestors().nth(2).map(Path::to_owned));
            let prefixes: HashSet<PathBuf> = prefixes.into_iter().chain([home]).flatten().collect();
            let mut prefixes: Vec<_> = prefixes.into_iter().collect();
            prefixes.sort_unstable();
            for prefix in prefixes {
                feed_directory(&mut digest, &prefix.join("pyvenv.cfg"));
                for libraries in libraries(&prefix) {
                    feed_directory(&mut digest, &libraries);
                }
            }
        }
        digest.finalize().into()
    }
}

/// Where installed packages may be below `prefix`, such as `lib/python3.11/site-packages`.
fn libraries(prefix: &Path) -> Vec<PathBuf> {
    let places = ["lib", "lib64", "local/lib"].map(|lib| prefix.join(lib));
    let versions = places.iter().filter_map(|lib| std::fs::read_dir(lib).ok());
    let names = versions.flatten().flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.as_bytes();
        name.starts_with(b"python") || name.starts_with(b"pypy")
    });
    let mut found: Vec<PathBuf> = names
        .flat_map(|entry| ["site-packages", "dist-packages"].map(|kind| entry.path().join(kind)))
        .collect();
    found.sort_unstable();
    found
}

/// The directories of `PYTHONPATH`.
fn library_path(variables: &[Variable]) -> Vec<PathBuf> {
    let path = variables.iter().find(|(name, _)| name == "PYTHONPATH");
    let path = path.map(|(_, value)| std::env::split_paths(value));
    path.into_iter().flatten().collect()
}

/// Whether a variable of the question is no matter of this start alone. The plugin's own directory is in the
/// fingerprint anyway.
fn counts(name: &OsString) -> bool {
    name != "SMCP_PLUGIN_DIR" && name != "PWD" && PASSING.iter().all(|passing| name != passing)
}

/// The files of a plugin.
#[derive(Default)]
struct Files {
    found: Vec<(OsString, [i64; 7])>,
    /// Directories that were entered, by device and inode: links may lead back.
    entered: HashSet<(u64, u64)>,
}

impl Files {
    fn walk(&mut self, directory: &Path, below: &OsStr, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        for entry in std::fs::read_dir(directory).ok()? {
            let entry = entry.ok()?;
            let (name, path) = (entry.file_name(), entry.path());
            if PASSED_OVER.iter().any(|known| name == *known) {
                continue;
            }
            let mut relative = below.to_owned();
            relative.push("/");
            relative.push(&name);
            // Links are followed: what they lead to is what the program reads.
            let metadata = std::fs::metadata(&path);
            let metadata = metadata.or_else(|_| entry.metadata()).ok()?;
            if metadata.is_dir() {
                if self.entered.insert((metadata.dev(), metadata.ino())) {
                    self.walk(&path, &relative, depth + 1)?;
                }
                // Its own time changes with files that do not count.
                self.found.push((relative, [0; 7]));
            } else {
                if is_unsettled(&metadata) {
                    return None;
                }
                self.found.push((relative, stat_of(&metadata)));
            }
            if self.found.len() > MAX_FILES {
                return None;
            }
        }
        Some(())
    }
}

/// Whether the file may be written once more without a change of its times.
fn is_unsettled(metadata: &Metadata) -> bool {
    let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    metadata.mtime_nsec() == 0
        && SystemTime::now()
            .duration_since(written)
            .is_ok_and(|age| age <= COARSE)
}

fn stat_of(metadata: &Metadata) -> [i64; 7] {
    [
        i64::from(metadata.mode()),
        metadata.size().cast_signed(),
        metadata.ino().cast_signed(),
        metadata.mtime(),
        metadata.mtime_nsec(),
        metadata.ctime(),
        metadata.ctime_nsec(),
    ]
}

/// The length stands before each text, so that no two rows of texts are fed alike.
fn feed(digest: &mut Sha256, text: impl AsRef<OsStr>) {
    let bytes = text.as_ref().as_bytes();
    digest.update((bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}

fn feed_numbers(digest: &mut Sha256, numbers: &[i64]) {
    for number in numbers {
        digest.update(number.to_le_bytes());
    }
}

/// A place and when its entries changed last, if it is there.
fn feed_directory(digest: &mut Sha256, path: &Path) {
    if let Ok(metadata) = std::fs::metadata(path) {
        feed(digest, path);
        let times = [metadata.mtime(), metadata.mtime_nsec()];
        feed_numbers(digest, &times);
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15].map(|half| char::from(DIGITS[usize::from(half)])));
    digits.collect()
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    /// How many entries of a directory are found, if it can be told apart from what it will be.
    fn count(directory: &Path) -> Option<usize> {
        let mut files = Files::default();
        files.walk(directory, OsStr::new(""), 0)?;
        Some(files.found.len())
    }

    #[test]
    fn a_directory_is_looked_at_within_bounds() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path();
        for number in 0..MAX_FILES {
            File::create(path.join(number.to_string())).unwrap();
        }
        assert_eq!(count(path), Some(MAX_FILES));
        File::create(path.join("more")).unwrap();
        assert_eq!(count(path), None, "too many");
        let deep = tempfile::tempdir().expect("there is room");
        let levels = vec!["d"; MAX_DEPTH].join("/");
        fs::create_dir_all(deep.path().join(&levels)).unwrap();
        assert_eq!(count(deep.path()), Some(MAX_DEPTH));
        fs::create_dir(deep.path().join(levels).join("d")).unwrap();
        assert_eq!(count(deep.path()), None, "too deep");
        assert_eq!(count(Path::new("/nowhere")), None);
    }

    #[test]
    fn links_that_lead_back_or_nowhere_end() {
        let directory = tempfile::tempdir().expect("there is room");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("inner")).unwrap();
        symlink("..", at("inner/back")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("itself", at("itself")).unwrap();
        assert!(count(directory.path()).is_some());
    }

    #[test]
    fn a_file_that_was_just_written_where_times_are_coarse_tells_nothing() {
        let directory = tempfile::tempdir().expect("there is room");
        let file = File::create(directory.path().join("one")).unwrap();
        let second = |ago: u64| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            SystemTime::UNIX_EPOCH + Duration::from_secs(now.unwrap().as_secs() - ago)
        };
        // A machine that is busy may take more than the two seconds.
        let written = || {
            file.set_modified(second(0)).unwrap();
            count(directory.path())
        };
        assert!((0..100).any(|_| written().is_none()));
        file.set_modified(second(60)).unwrap();
        assert_eq!(count(directory.path()), Some(1));
    }

    #[test]
    fn rows_of_texts_are_fed_apart() {
        let of = |texts: &[&str]| {
            let mut digest = Sha256::new();
            texts.iter().for_each(|text| feed(&mut digest, text));
            hex(&digest.finalize())
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
        assert_eq!(of(&[]).len(), 64);
    }
}
