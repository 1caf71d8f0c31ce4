//! Folders of plugins for a server: fixtures, and programs written on the spot.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::executable::write_executable;

/// The fixtures of the tests of faults.
pub fn fixtures(group: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/faults")
        .join(group)
}

/// A folder of plugins of one test's own, gone with it.
#[derive(Debug)]
pub struct Folder {
    directory: tempfile::TempDir,
}

impl Folder {
    /// An empty folder that every user may read.
    pub fn new() -> Self {
        let directory = tempfile::Builder::new()
            .prefix("plugins-")
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir()
            .expect("a directory for temporary files");
        Self { directory }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// A plugin with this program as its `cli.py`.
    pub fn add(&self, name: &str, program: &str) -> PathBuf {
        let directory = self.path().join(name);
        std::fs::create_dir(&directory).expect("a new name");
        write_program(&directory.join("cli.py"), program);
        directory
    }

    /// A plugin with this executable as its `cli`.
    pub fn add_executable(&self, name: &str, program: &str) -> PathBuf {
        let directory = self.path().join(name);
        std::fs::create_dir(&directory).expect("a new name");
        write_program(&directory.join("cli"), program);
        directory
    }

    /// A copy of a fixture, under a name of its own.
    pub fn copy(&self, fixture: &Path, name: &str) -> PathBuf {
        let program = std::fs::read_to_string(fixture.join("cli.py")).expect("a fixture");
        self.add(name, &program)
    }
}

/// Writes a program that its owner may change and everybody may run, at once.
pub fn write_program(path: &Path, program: &str) {
    write_executable(path, &mut program.as_bytes());
    std::fs::set_permissions(path, Permissions::from_mode(0o755)).expect("a file of our own");
}

/// Copies a program with its permissions, so that it can be executed at once.
pub fn copy_program(from: &Path, to: &Path) {
    let mut original = File::open(from).expect("a program that is there");
    let permissions = original.metadata().expect("it is open").permissions();
    write_executable(to, &mut original);
    std::fs::set_permissions(to, permissions).expect("a file of our own");
}
