//! The demo plugins that travel inside the binary.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use include_dir::{Dir, DirEntry, include_dir};
use tempfile::TempDir;

/// The other bundled plugins act on machines and accounts: a server that nobody has set up must not offer them.
static DEMOS: [(&str, Dir<'_>); 2] = [
    (
        "demo_math",
        include_dir!("$CARGO_MANIFEST_DIR/plugins/demo_math"),
    ),
    (
        "demo_text",
        include_dir!("$CARGO_MANIFEST_DIR/plugins/demo_text"),
    ),
];

/// Writes the demo plugins to a directory of this user alone, which is removed with the value.
///
/// # Errors
/// What the system says when there is no place for them.
pub fn unpack() -> io::Result<TempDir> {
    let directory = tempfile::Builder::new()
        .prefix("smcp-plugins-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir()?;
    for (name, plugin) in &DEMOS {
        let place = directory.path().join(name);
        std::fs::create_dir(&place)?;
        write(plugin, &place)?;
    }
    Ok(directory)
}

/// Whether all files of the demo plugins are in `directory`: cleaners of temporary directories take what is old.
pub fn is_whole(directory: &Path) -> bool {
    DEMOS
        .iter()
        .all(|(name, plugin)| has_all(plugin, &directory.join(name)))
}

fn has_all(wanted: &Dir<'_>, directory: &Path) -> bool {
    wanted.entries().iter().all(|entry| match entry {
        DirEntry::Dir(inner) => is_left_behind(inner) || has_all(inner, directory),
        DirEntry::File(file) => {
            let found = std::fs::symlink_metadata(directory.join(file.path()));
            let size = file.contents().len() as u64;
            found.is_ok_and(|found| found.is_file() && found.len() == size)
        }
    })
}

/// What an interpreter left beside the sources of the build is none of the plugin.
fn is_left_behind(directory: &Dir<'_>) -> bool {
    directory.path().ends_with("__pycache__")
}

fn write(from: &Dir<'_>, to: &Path) -> io::Result<()> {
    for entry in from.entries() {
        match entry {
            DirEntry::Dir(inner) if is_left_behind(inner) => {}
            DirEntry::Dir(inner) => {
                std::fs::create_dir_all(to.join(inner.path()))?;
                write(inner, to)?;
            }
            DirEntry::File(file) => std::fs::write(to.join(file.path()), file.contents())?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_plugins_are_unpacked_for_this_user_alone_and_removed_again() {
        let directory = unpack().expect("there is room");
        let path = directory.path().to_owned();
        for plugin in ["demo_math", "demo_text"] {
            assert!(path.join(plugin).join("cli.py").is_file(), "{plugin}");
        }
        let mut served: Vec<_> = std::fs::read_dir(&path)
            .expect("it is there")
            .map(|entry| entry.expect("it can be read").file_name())
            .collect();
        served.sort();
        assert_eq!(served, ["demo_math", "demo_text"]);
        let mode = std::fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(is_whole(&path));
        std::fs::remove_file(path.join("demo_math/cli.py")).expect("it is ours");
        assert!(!is_whole(&path));
        drop(directory);
        assert!(!path.exists());
    }
}
