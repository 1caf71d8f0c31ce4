//! Directories that commands have left which were killed: made under names that nobody looks at, beside the plugins.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::commands::diagnostics::warn;

/// What the name of a directory begins with in which a plugin is made.
pub(super) const ADDING: &str = ".smcp-adding-";

/// And of one in which a plugin is on its way out.
pub(super) const REMOVING: &str = ".smcp-removing-";

/// How old one is that nobody works in any more: all that is done in it is bounded by less.
const LEFT: Duration = Duration::from_secs(3600);

/// Removes those in `plugins` that are old. What cannot be removed is told, and left.
pub(super) fn clear(plugins: &Path, now: SystemTime) {
    let entries = fs::read_dir(plugins).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = name.starts_with(ADDING) || name.starts_with(REMOVING);
        // A link leads to what is somebody else's.
        let metadata = entry.metadata().ok().filter(fs::Metadata::is_dir);
        let changed = metadata.and_then(|metadata| metadata.modified().ok());
        let age = changed.and_then(|changed| now.duration_since(changed).ok());
        if is_ours
            && age.is_some_and(|age| age > LEFT)
            && let Err(fault) = fs::remove_dir_all(entry.path())
        {
            warn([format_args!(
                "{} is left of an earlier command and cannot be removed: {fault}",
                entry.path().display()
            )]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_old_and_ours_goes() {
        let plugins = tempfile::tempdir().expect("there is room");
        let names = [".smcp-adding-a", ".smcp-removing-b", ".smcp-other", "greet"];
        for name in names {
            fs::create_dir_all(plugins.path().join(name).join("x")).expect("there is room");
        }
        std::os::unix::fs::symlink("greet", plugins.path().join(".smcp-adding-link"))
            .expect("there is room");
        let left = || {
            let entries = fs::read_dir(plugins.path()).expect("it is ours").flatten();
            let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
            names.sort();
            names
        };
        clear(plugins.path(), SystemTime::now());
        assert_eq!(left().len(), 5);
        clear(plugins.path(), SystemTime::now() + LEFT * 2);
        assert_eq!(left(), [".smcp-adding-link", ".smcp-other", "greet"]);
    }
}
