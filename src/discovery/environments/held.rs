//! Environments that are in use, held by those who serve plugins with them: none is removed meanwhile.
//!
//! A lock of the system, on a file in the environment: shared by all that use it, taken alone by whoever removes it. The
//! system gives it back when a server ends, however it does, and no program that is run gets it.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use rustix::fs::{FlockOperation, flock};

use super::key::is_environment;

/// The file in an environment that is locked.
const IN_USE: &str = "smcp-in-use";

/// Those that are held, by interpreter: one descriptor for each that is served.
#[derive(Debug, Default)]
pub(super) struct Holds(HashMap<PathBuf, Weak<File>>);

impl Holds {
    /// The lock on the environment of this interpreter: `None` where that is no environment, or one that cannot be held,
    /// as one that is being removed. Opens a file.
    pub(super) fn hold(&mut self, python: &Path) -> Option<Arc<File>> {
        if !is_environment(python) {
            return None;
        }
        self.0.retain(|_, held| held.strong_count() > 0);
        if let Some(held) = self.0.get(python).and_then(Weak::upgrade) {
            return Some(held);
        }
        let held = Arc::new(shared(python.ancestors().nth(2)?)?);
        self.0.insert(python.to_owned(), Arc::downgrade(&held));
        Some(held)
    }
}

fn shared(environment: &Path) -> Option<File> {
    let path = environment.join(IN_USE);
    let file = opened(&path, true).ok()?;
    flock(&file, FlockOperation::NonBlockingLockShared).ok()?;
    // Whoever has removed the environment meanwhile has removed the file that is locked.
    let (held, there) = (file.metadata().ok()?, std::fs::metadata(&path).ok()?);
    (held.ino() == there.ino()).then_some(file)
}

/// Takes an environment for its removal: nobody holds it until what is returned is dropped. `Err` while somebody does.
pub(super) fn alone(environment: &Path) -> Result<Option<File>, ()> {
    // One that was never held has no such file.
    let Ok(file) = opened(&environment.join(IN_USE), false) else {
        return Ok(None);
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => Err(()),
        _ => Ok(Some(file)),
    }
}

/// Opened so that no program gets it.
fn opened(path: &Path, makes: bool) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(makes).truncate(false);
    options.mode(0o600).open(path)
}
