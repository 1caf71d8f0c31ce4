//! The files of a plugin, as far as looking tells: names, sizes, times and inode numbers. None is opened.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::{DirEntry, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A plugin with more files in its directory is not looked at whole.
const MAX_FILES: usize = 4096;

/// A plugin with directories deeper than this is not looked at whole.
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

/// By which a virtual environment is known that has another name: <https://peps.python.org/pep-0405/>.
const ENVIRONMENT: &str = "pyvenv.cfg";

/// Endings of the texts of programs. Programs keep their data in other files, and write those while they run.
const TEXTS: [&str; 11] = [
    "bash", "cjs", "js", "lua", "mjs", "php", "pl", "py", "rb", "sh", "ts",
];

/// How exact the clocks of file systems without fractions of a second are.
const COARSE: Duration = Duration::from_secs(2);

/// Why looking at a plugin's files does not tell whether they are the same later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blind {
    /// A file went away while they were looked at, or was written a moment ago on a file system that knows no fractions
    /// of a second. A later look tells.
    Unsettled,
    /// There are too many, or one cannot be looked at.
    Unseen,
}

/// What is known of one file: its mode, size, inode and times.
pub(super) type Stat = [i64; 7];

/// The files of a plugin.
#[derive(Default)]
pub(super) struct Files {
    /// Each with its name below the plugin's directory, which begins with a `/`. Directories have no facts: their own
    /// times change with files that do not count.
    pub(super) found: Vec<(OsString, Stat)>,
    /// The directories that were looked into.
    pub(super) directories: Vec<PathBuf>,
    /// The same by device and inode: links may lead back.
    entered: HashSet<(u64, u64)>,
    /// Whether some are not as they will be in a moment.
    is_unsettled: bool,
}

impl Files {
    /// Looks at everything below `plugin`. What went away meanwhile is not among what is found.
    ///
    /// # Errors
    /// Not everything could be seen, or some of it may be another without looking so; that is found all the same.
    pub(super) fn look(&mut self, plugin: &Path) -> Result<(), Blind> {
        self.walk(plugin, OsStr::new(""), 0)?;
        // The order of a directory's entries is the file system's affair.
        self.found.sort_unstable();
        match self.is_unsettled {
            true => Err(Blind::Unsettled),
            false => Ok(()),
        }
    }

    /// What was read, unless it went away meanwhile.
    fn there<T>(&mut self, read: io::Result<T>) -> Result<Option<T>, Blind> {
        match read {
            Ok(read) => Ok(Some(read)),
            Err(fault) if fault.kind() == ErrorKind::NotFound => {
                self.is_unsettled = true;
                Ok(None)
            }
            Err(_) => Err(Blind::Unseen),
        }
    }

    fn walk(&mut self, directory: &Path, below: &OsStr, depth: usize) -> Result<(), Blind> {
        if depth > MAX_DEPTH {
            return Err(Blind::Unseen);
        }
        self.directories.push(directory.to_owned());
        let Some(entries) = self.there(std::fs::read_dir(directory))? else {
            return Ok(());
        };
        // One that links lead to as well is found under the same name at each look. One more than may be found tells
        // that they are too many.
        let mut entries = entries.take(MAX_FILES + 1).collect::<Vec<_>>();
        entries.sort_unstable_by_key(|entry| entry.as_ref().ok().map(DirEntry::file_name));
        for entry in entries {
            let Some(entry) = self.there(entry)? else {
                continue;
            };
            let (name, path) = (entry.file_name(), entry.path());
            if PASSED_OVER.iter().any(|known| name == *known) {
                continue;
            }
            let mut relative = below.to_owned();
            relative.push("/");
            relative.push(&name);
            // Links are followed: what they lead to is what the program reads.
            let metadata = std::fs::metadata(&path);
            let metadata = metadata.or_else(|_| entry.metadata());
            let Some(metadata) = self.there(metadata)? else {
                continue;
            };
            if metadata.is_dir() {
                if path.join(ENVIRONMENT).exists() {
                    continue;
                }
                if self.entered.insert((metadata.dev(), metadata.ino())) {
                    self.walk(&path, &relative, depth + 1)?;
                }
                self.found.push((relative, [0; 7]));
            } else {
                self.is_unsettled |= is_unsettled(&metadata);
                self.found.push((relative, stat_of(&metadata)));
            }
            if self.found.len() > MAX_FILES {
                return Err(Blind::Unseen);
            }
        }
        Ok(())
    }
}

/// Whether a file of this name has the text of a program.
pub(super) fn is_text(name: &OsStr) -> bool {
    let ending = Path::new(name).extension();
    ending.is_some_and(|ending| TEXTS.iter().any(|known| ending == *known))
}

/// Whether the file may be written once more without a change of its times.
fn is_unsettled(metadata: &Metadata) -> bool {
    let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    metadata.mtime_nsec() == 0
        && SystemTime::now()
            .duration_since(written)
            .is_ok_and(|age| age <= COARSE)
}

pub(super) fn stat_of(metadata: &Metadata) -> Stat {
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

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;

    use super::*;

    /// How many entries of a directory are found, if it can be told apart from what it will be.
    fn count(directory: &Path) -> Result<usize, Blind> {
        let mut files = Files::default();
        files.look(directory)?;
        Ok(files.found.len())
    }

    #[test]
    fn a_directory_is_looked_at_within_bounds() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path();
        for number in 0..MAX_FILES {
            File::create(path.join(number.to_string())).unwrap();
        }
        assert_eq!(count(path), Ok(MAX_FILES));
        File::create(path.join("more")).unwrap();
        assert_eq!(count(path), Err(Blind::Unseen), "too many");
        let deep = tempfile::tempdir().expect("there is room");
        let levels = vec!["d"; MAX_DEPTH].join("/");
        fs::create_dir_all(deep.path().join(&levels)).unwrap();
        assert_eq!(count(deep.path()), Ok(MAX_DEPTH));
        fs::create_dir(deep.path().join(levels).join("d")).unwrap();
        assert_eq!(count(deep.path()), Err(Blind::Unseen), "too deep");
        let gone = count(Path::new("/nowhere"));
        assert_eq!(gone, Err(Blind::Unsettled), "it may come back");
    }

    #[test]
    fn a_directory_with_two_names_is_found_under_the_same_at_each_look() {
        // The order of a directory's entries is hardly the same twice.
        for number in 0..20 {
            let directory = tempfile::tempdir().expect("there is room");
            let at = |name: &str| directory.path().join(name);
            let target = at("m");
            fs::create_dir(&target).unwrap();
            File::create(target.join("file")).unwrap();
            for link in [format!("a{number}"), format!("z{number}")] {
                symlink("m", at(&link)).unwrap();
            }
            let mut files = Files::default();
            files.look(directory.path()).expect("it can be seen");
            let mut names = files.found.iter().map(|(name, _)| name.to_str().unwrap());
            let file = names.find(|name| name.ends_with("/file"));
            assert_eq!(file, Some(&*format!("/a{number}/file")));
        }
    }

    #[test]
    fn a_virtual_environment_is_passed_over_whatever_its_name() {
        let directory = tempfile::tempdir().expect("there is room");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("env/lib")).unwrap();
        for file in ["cli.py", "env/pyvenv.cfg", "env/lib/module.py"] {
            File::create(at(file)).unwrap();
        }
        assert_eq!(count(directory.path()), Ok(1), "cli.py");
        // A plugin that was put into one is a plugin all the same.
        File::create(at("pyvenv.cfg")).unwrap();
        assert_eq!(count(directory.path()), Ok(2));
    }

    #[test]
    fn links_that_lead_back_or_nowhere_end() {
        let directory = tempfile::tempdir().expect("there is room");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("inner")).unwrap();
        symlink("..", at("inner/back")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("itself", at("itself")).unwrap();
        assert!(count(directory.path()).is_ok());
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
        assert!((0..100).any(|_| written() == Err(Blind::Unsettled)));
        file.set_modified(second(60)).unwrap();
        assert_eq!(count(directory.path()), Ok(1));
    }
}
