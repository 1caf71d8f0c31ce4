//! The directory that a watched program's writes are led into: private, and removed with the value.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

/// Where one watched program writes before its parser is asked. It is removed with everything in it when this is
/// dropped, however the program ended.
#[derive(Debug)]
pub struct PrivateCopy(Option<TempDir>);

impl PrivateCopy {
    /// An empty directory of this user alone. Where there is no room for one, what the program writes is refused.
    pub fn new() -> Self {
        let made = tempfile::Builder::new()
            .prefix("smcp-asked-")
            .permissions(Permissions::from_mode(0o700))
            .tempdir();
        Self(made.ok())
    }

    /// Where it is; empty where there is none.
    pub fn path(&self) -> &Path {
        self.0.as_ref().map_or(Path::new(""), TempDir::path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_gone_with_its_value_whatever_is_in_it() {
        let copy = PrivateCopy::new();
        let path = copy.path().to_owned();
        let mode = std::fs::metadata(&path).expect("it is there").permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
        std::fs::create_dir_all(path.join("a/b")).expect("it is ours");
        std::fs::write(path.join("a/b/c"), "text").expect("it is ours");
        drop(copy);
        assert!(!path.exists());
    }
}
