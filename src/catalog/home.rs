//! The directory that is scanned: the user's, or the demo plugins unpacked.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use crate::discovery::{Unserved, demo};

/// Where plugins are looked for.
#[derive(Debug)]
pub struct Home(Mutex<State>);

#[derive(Debug)]
enum State {
    /// One of the user's.
    Own(PathBuf),
    /// The demo plugins, as soon as somebody asks for them.
    Demo(Option<TempDir>),
    /// The server ends.
    Closed,
}

impl Home {
    /// The given directory; without one, that of the demo plugins.
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self(Mutex::new(directory.map_or(State::Demo(None), State::Own)))
    }

    /// Its path. The demo plugins are unpacked, and once more when some of their files are gone: into a directory
    /// of a new name, for the old one may be somebody else's by then. Reads and writes files.
    ///
    /// # Errors
    /// Why there is none.
    pub fn path(&self) -> Result<PathBuf, Unserved> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *state {
            State::Own(path) => Ok(path.clone()),
            State::Demo(Some(directory)) if demo::is_whole(directory.path()) => {
                Ok(directory.path().to_owned())
            }
            State::Demo(unpacked) => {
                let words = "the demo plugins cannot be unpacked; set TMPDIR or MCP_PLUGINS_DIR";
                let fresh = demo::unpack().map_err(|fault| Unserved::of_system(words, &fault))?;
                Ok(unpacked.insert(fresh).path().to_owned())
            }
            State::Closed => Err(Unserved::Plugin("the server stops".to_owned())),
        }
    }

    /// The name that messages call it by.
    pub fn name(&self) -> String {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Own(path) => path.display().to_string(),
            State::Demo(_) | State::Closed => "the demo plugins".to_owned(),
        }
    }

    /// Removes what was unpacked; nothing is unpacked any more.
    pub fn close(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::Closed;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn demo_plugins_that_a_cleaner_took_are_unpacked_again_and_the_end_removes_them() {
        let home = Home::new(None);
        let first = home.path().expect("there is room");
        assert_eq!(home.path().as_ref(), Ok(&first), "nothing is missing");
        std::fs::remove_dir_all(&first).expect("it is ours");
        let second = home.path().expect("there is room");
        assert!(demo::is_whole(&second) && second != first);
        home.close();
        assert!(!second.exists());
        assert!(home.path().is_err());
    }
}
