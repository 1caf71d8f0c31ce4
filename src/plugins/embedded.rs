//! The demo plugins that travel inside the binary.
//!
//! Knows no discovery: it only puts them where they can be run.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use include_dir::{Dir, include_dir};
use tempfile::TempDir;

static DEMO: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/plugins");

/// Unpacks them into a private directory, which is removed when the returned value is dropped.
pub fn unpack() -> std::io::Result<TempDir> {
    let directory = tempfile::Builder::new()
        .prefix("smcp-demo-")
        .permissions(std::fs::Permissions::from_mode(0o700))
        .tempdir()?;
    for plugin in DEMO.dirs() {
        for file in plugin.files().filter(|file| {
            file.path()
                .extension()
                .is_some_and(|extension| extension == "py")
        }) {
            write(directory.path(), file)?;
        }
    }
    Ok(directory)
}

fn write(below: &Path, file: &include_dir::File<'_>) -> std::io::Result<()> {
    let path = below.join(file.path());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(&path, file.contents())?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
}
