//! The directory of environments: one for each key, taken for whole once its mark is there, and made by one server at
//! a time. Knows no installer.
//!
//! The scripts in an environment name its path, so it is made where it stays: in a directory with a name of its own,
//! which is taken for the environment once the mark beside it says so. A kill in the middle leaves a directory that no
//! mark names, and the next one to make it removes that. What a killed installer writes for another moment is lost with
//! it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::super::cache::open_directory;
use super::super::regular_file::read_regular;
use super::held::alone;
use super::key::{digest_of, key_of};
use super::packages::{contents, note_whole};

/// The directory in an environment with a file for each plugin that uses it.
const USERS: &str = "smcp-users";

/// The directory of notes that an interpreter has what is asked for.
const MET: &str = "met";

/// How many such notes there are before all are removed.
const MAX_NOTES: usize = 4096;

/// How much of one is read, in bytes.
const MAX_NOTE: u64 = 4096;

/// The directory of environments.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

/// What the mark says.
#[derive(Debug, Serialize, Deserialize)]
struct Mark {
    /// The key.
    of: String,
    /// The name of the directory.
    directory: String,
    /// What is to be known of it.
    #[serde(flatten)]
    about: About,
}

/// What is to be known of an environment beside its key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct About {
    /// What was asked for, for people.
    pub(super) requirements: Vec<String>,
    /// The name that it has in common with those that another file at its interpreter's path has made.
    #[serde(default)]
    pub(super) kin: String,
    /// What the author of a plugin that it runs should know.
    #[serde(default)]
    pub(super) warning: Option<String>,
    /// What it had when it was made.
    #[serde(default)]
    pub(super) contents: Vec<String>,
}

/// One environment being made by this process. Dropping it lets others make it.
#[derive(Debug)]
pub(super) struct Making {
    _lock: Held,
    place: Place,
    directory: PathBuf,
    key: String,
}

/// A file that is locked.
#[derive(Debug)]
struct Held(File);

/// An environment, and the plugins that have used it with the declaration that each had.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) key: String,
    pub(super) users: BTreeMap<PathBuf, String>,
}

impl Place {
    /// The directory at `path`, which need not be there.
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Whether it is there.
    pub(super) fn is_there(&self) -> bool {
        self.0.is_dir()
    }

    /// The interpreter of the environment `key`, if that is whole.
    pub(super) fn interpreter(&self, key: &str) -> Option<PathBuf> {
        self.whole(key).map(|(python, _)| python)
    }

    /// The same, with what is to be known of the environment.
    pub(super) fn whole(&self, key: &str) -> Option<(PathBuf, About)> {
        let mark = self.read(key)?;
        let python = self.0.join(mark.directory).join("bin/python");
        // The interpreter that it was made with may be gone.
        let is_there = rustix::fs::access(&python, rustix::fs::Access::EXEC_OK).is_ok();
        (is_there && self.is_ours()).then_some((python, mark.about))
    }

    /// The interpreter of the environment that was made last of those with the name `kin` in common.
    pub(super) fn last_of(&self, kin: &str) -> Option<PathBuf> {
        let marks = self.marks().into_iter().filter_map(|key| {
            let (python, about) = self.whole(&key)?;
            let made = std::fs::metadata(self.mark(&key)).ok()?.modified().ok()?;
            (about.kin == kin).then_some((made, python))
        });
        marks.max().map(|(_, python)| python)
    }

    /// The directory of the environment `key`, as its mark says.
    fn directory(&self, key: &str) -> Option<PathBuf> {
        self.read(key).map(|mark| self.0.join(mark.directory))
    }

    fn read(&self, key: &str) -> Option<Mark> {
        let mark = std::fs::read(self.mark(key)).ok()?;
        let mark: Mark = serde_json::from_slice(&mark).ok()?;
        // One that was made under another key is handed over where it stands.
        let is_its = mark.of == key && key_of(&mark.directory).is_some();
        is_its.then_some(mark)
    }

    /// The keys of all marks.
    fn marks(&self) -> Vec<String> {
        let names = self.names().into_iter();
        let names = names.filter(|name| name.ends_with(".json"));
        names
            .filter_map(|name| Some(key_of(&name)?.to_owned()))
            .collect()
    }

    /// The names of all directories that are environments.
    fn taken(&self) -> HashSet<OsString> {
        let marks = self.marks().into_iter();
        let directories = marks.filter_map(|key| self.directory(&key));
        directories
            .filter_map(|directory| Some(directory.file_name()?.to_owned()))
            .collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.collect()
    }

    /// Whether a plugin that is there, other than `plugin`, was run by the environment `key`.
    pub(super) fn is_shared(&self, key: &str, plugin: &Path) -> bool {
        let users = self.users(key);
        users.keys().any(|user| user != plugin && user.is_dir())
    }

    /// Gives the environment `from` to the key `to`, where it stands. False where there is none, or where it cannot be
    /// given away at this moment.
    ///
    /// # Errors
    /// What cannot be written.
    pub(super) fn hand_over(&self, from: &str, to: &str, about: About) -> Result<bool, String> {
        let (Some(_held), Some(making)) = (self.begin(from)?, self.begin(to)?) else {
            return Ok(false);
        };
        let Some(directory) = self.directory(from) else {
            return Ok(false);
        };
        if self.directory(to).is_some() {
            return Ok(false);
        }
        let making = Making {
            directory,
            ..making
        };
        making.finish(about)?;
        // Named twice for a moment: whoever finds it under either name finds it whole.
        let _ = std::fs::remove_file(self.mark(from));
        let _ = std::fs::remove_file(self.0.join(format!("{from}.lock")));
        Ok(true)
    }

    fn mark(&self, key: &str) -> PathBuf {
        self.0.join(format!("{key}.json"))
    }

    /// What others could write is not run.
    fn is_ours(&self) -> bool {
        std::fs::symlink_metadata(&self.0).is_ok_and(|metadata| {
            metadata.is_dir()
                && metadata.uid() == rustix::process::geteuid().as_raw()
                && metadata.mode() & 0o022 == 0
        })
    }

    /// Begins to make the environment `key`. `None` while another process makes it. The system gives the lock back when that process ends, however it does.
    ///
    /// # Errors
    /// Why nothing can be made there.
    pub(super) fn begin(&self, key: &str) -> Result<Option<Making>, String> {
        let _open: OwnedFd = open_directory(&self.0)?;
        let cannot =
            |fault: std::io::Error| format!("{} cannot be used: {fault}", self.0.display());
        let path = self.0.join(format!("{key}.lock"));
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(cannot)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(fault) => return Err(cannot(fault.into())),
        }
        // Whoever removed old environments may have removed the file that is locked.
        let same = |one: &std::fs::Metadata, other: &std::fs::Metadata| one.ino() == other.ino();
        match (lock.metadata(), std::fs::metadata(&path)) {
            (Ok(held), Ok(there)) if same(&held, &there) => {}
            _ => return Ok(None),
        }
        let own = uuid::Uuid::new_v4().simple().to_string();
        Ok(Some(Making {
            _lock: Held(lock),
            place: self.clone(),
            directory: self.0.join(format!("{key}-{}", &own[..8])),
            key: key.to_owned(),
        }))
    }

    /// Notes that a plugin uses an environment, with its declaration.
    pub(super) fn note_user(&self, key: &str, plugin: &Path, declaration: &str) {
        let (Some(directory), Ok(whole)) = (self.directory(key), std::path::absolute(plugin))
        else {
            return;
        };
        let users = directory.join(USERS);
        let file = users.join(digest_of(whole.as_os_str().as_bytes()));
        let mut text = declaration.as_bytes().to_vec();
        text.push(b'\n');
        text.extend_from_slice(whole.as_os_str().as_bytes());
        if std::fs::read(&file).is_ok_and(|known| known == text) {
            return;
        }
        let _ = DirBuilder::new().mode(0o700).create(&users);
        // A note that is lost makes an environment that is removed too early, and made again.
        let _ = std::fs::write(&file, text);
    }

    /// Whether it was noted that all that `note` stands for is met, and what the plugin's author should know.
    pub(super) fn met(&self, note: &str) -> Option<Option<String>> {
        let text = read_regular(&self.0.join(MET).join(note), MAX_NOTE);
        // What is no text is no note.
        let text = text.ok().and_then(|text| String::from_utf8(text).ok())?;
        self.is_ours()
            .then(|| Some(text).filter(|text| !text.is_empty()))
    }

    /// Notes that.
    pub(super) fn note_met(&self, note: &str, warning: Option<&str>) {
        let notes = self.0.join(MET);
        let Ok(open) = open_directory(&notes) else {
            return;
        };
        drop(open);
        let count = std::fs::read_dir(&notes).map_or(0, Iterator::count);
        if count >= MAX_NOTES {
            let _ = std::fs::remove_dir_all(&notes);
            let _ = DirBuilder::new().mode(0o700).create(&notes);
        }
        let _ = std::fs::write(notes.join(note), warning.unwrap_or_default());
    }

    /// All environments, those that are not whole without users.
    pub(super) fn all(&self) -> Vec<Kept> {
        // What is named by a mark counts by its mark.
        let taken = self.taken();
        let names = self.names().into_iter();
        let keys: BTreeSet<String> = names
            .filter(|name| !taken.contains(OsStr::new(name)))
            .filter_map(|name| key_of(&name).map(str::to_owned))
            .collect();
        let kept = keys.into_iter().map(|key| Kept {
            users: self.users(&key),
            key,
        });
        kept.collect()
    }

    fn users(&self, key: &str) -> BTreeMap<PathBuf, String> {
        let users = self.directory(key).map(|directory| directory.join(USERS));
        let entries = users.and_then(|users| std::fs::read_dir(users).ok());
        let entries = entries.into_iter().flatten().flatten();
        let texts = entries.filter_map(|entry| std::fs::read(entry.path()).ok());
        let pairs = texts.filter_map(|text| {
            let end = text.iter().position(|byte| *byte == b'\n')?;
            let declaration = String::from_utf8(text[..end].to_vec()).ok()?;
            let path = std::ffi::OsString::from_vec(text[end + 1..].to_vec());
            Some((PathBuf::from(path), declaration))
        });
        pairs.collect()
    }

    /// Removes an environment that nobody makes or holds at this moment, and what is left beside it. False where somebody
    /// does.
    ///
    /// # Errors
    /// What could not be removed.
    pub(super) fn remove(&self, key: &str) -> Result<bool, String> {
        let Some(making) = self.begin(key)? else {
            return Ok(false);
        };
        if !making.clear()? {
            return Ok(false);
        }
        let _ = std::fs::remove_file(self.0.join(format!("{key}.lock")));
        Ok(true)
    }

    /// Removes what is left beside the environment `key`: of attempts to make it, and of one whose place it has taken.
    /// Leaves what somebody holds, and all of it while somebody makes it.
    ///
    /// # Errors
    /// What could not be removed.
    pub(super) fn sweep(&self, key: &str) -> Result<(), String> {
        match self.begin(key)? {
            Some(making) => making.sweep().map(drop),
            None => Ok(()),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // To close the file is not enough: a process that is being started has it open for a moment, too.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Making {
    /// Where it is made.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether it is found.
    pub(super) fn is_whole(&self) -> bool {
        self.place.interpreter(&self.key).is_some()
    }

    /// Removes what there is, and what earlier attempts have left. False where somebody holds some of it.
    ///
    /// # Errors
    /// What could not be removed.
    pub(super) fn clear(&self) -> Result<bool, String> {
        let own = self.place.directory(&self.key);
        let Ok(alone) = own.as_deref().map(alone).transpose() else {
            return Ok(false);
        };
        // Without its mark it is nothing, however far the removal comes.
        let _ = std::fs::remove_file(self.place.mark(&self.key));
        if let Some(own) = own {
            removed(&own)?;
        }
        drop(alone);
        self.sweep()
    }

    /// Removes what earlier attempts have left: all that no mark names. False where somebody holds some of it, which stays.
    ///
    /// # Errors
    /// What could not be removed.
    pub(super) fn sweep(&self) -> Result<bool, String> {
        let taken = self.place.taken();
        let is_left = |name: &String| {
            name.contains('-')
                && key_of(name) == Some(&self.key)
                && !taken.contains(OsStr::new(name))
        };
        let mut is_all = true;
        for name in self.place.names().into_iter().filter(is_left) {
            let directory = self.place.0.join(name);
            // Plugins are served with it still.
            let Ok(_alone) = alone(&directory) else {
                is_all = false;
                continue;
            };
            removed(&directory)?;
        }
        Ok(is_all)
    }

    /// Says that it is whole.
    ///
    /// # Errors
    /// Why that cannot be written.
    pub(super) fn finish(&self, mut about: About) -> Result<(), String> {
        about.contents = contents(&self.directory);
        note_whole(&self.directory);
        // Who uses one that had lost something uses this one from now on.
        let users = self.place.users(&self.key);
        let name = self.directory.file_name().unwrap_or_default();
        let mark = Mark {
            of: self.key.clone(),
            directory: name.to_string_lossy().into_owned(),
            about,
        };
        let write = || -> std::io::Result<()> {
            let text = serde_json::to_vec(&mark)?;
            let new = self.directory.join("smcp-environment.json");
            let mut file = File::create(&new)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&new, self.place.mark(&self.key))
        };
        write()
            .map_err(|fault| format!("{} cannot be written: {fault}", self.directory.display()))?;
        for (user, declaration) in users {
            self.place.note_user(&self.key, &user, &declaration);
        }
        Ok(())
    }
}

fn removed(directory: &Path) -> Result<(), String> {
    match std::fs::remove_dir_all(directory) {
        Err(fault) if fault.kind() != ErrorKind::NotFound => Err(format!(
            "{} cannot be removed: {fault}",
            directory.display()
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
