//! Where a plugin has come from: a note in its directory, made when it was added.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::discovery::regular_file::read_regular;
use crate::text::shown;

/// The note. Its name begins with a dot, so nobody takes it for a part of the plugin.
const NOTE: &str = ".smcp-added.json";

/// The largest note that is read, in bytes.
const MAX_NOTE: u64 = 16 << 10;

#[derive(Debug, Serialize, Deserialize)]
struct Note {
    from: String,
}

/// Writes where the plugin in `directory` comes from, in the place of whatever came with it under that name: a link is
/// not followed, for it may lead anywhere.
///
/// # Errors
/// The system's error.
pub(super) fn note(directory: &Path, from: &str) -> io::Result<()> {
    let note = Note {
        from: from.to_owned(),
    };
    let path = directory.join(NOTE);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::create_new(path)?;
    file.write_all(&serde_json::to_vec(&note)?)
}

/// Where it comes from, as far as that is known.
pub(super) fn of(directory: &Path) -> String {
    if let Ok(target) = fs::read_link(directory) {
        return format!("link to {}", shown(&target.to_string_lossy(), 200));
    }
    let text = read_regular(&directory.join(NOTE), MAX_NOTE).unwrap_or_default();
    let note: Option<Note> = serde_json::from_slice(&text).ok();
    note.map_or_else(|| "here".to_owned(), |note| shown(&note.from, 200))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_takes_the_place_of_what_came_and_no_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let precious = directory.path().join("precious");
        fs::write(&precious, "mine").unwrap();
        let plugin = directory.path().join("plugin");
        fs::create_dir(&plugin).unwrap();
        std::os::unix::fs::symlink(&precious, plugin.join(NOTE)).unwrap();
        for from in ["one", "two"] {
            note(&plugin, from).unwrap();
            assert_eq!(of(&plugin), from);
        }
        assert_eq!(fs::read_to_string(precious).unwrap(), "mine");
    }
}
