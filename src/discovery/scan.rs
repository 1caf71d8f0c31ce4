//! The plugin directories, found by looking: nothing is run here.

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, OFlags};

use super::unserved::Unserved;
use super::writable::WriteGuard;
use crate::text::shown;

/// What a plugin's program is called: in Python, or in any language where there is none.
pub const PROGRAMS: [&str; 2] = ["cli.py", "cli"];

/// A directory with a program in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The directory's name: the namespace of its tools.
    pub name: String,
    /// Its path.
    pub directory: PathBuf,
    /// Its program.
    pub program: Program,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A `cli.py`, for an interpreter.
    Python(PathBuf),
    /// An executable `cli`.
    Executable(PathBuf),
}

/// What a look at the plugins directory gave, sorted by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The plugins.
    pub found: Vec<Found>,
    /// What is no plugin, by name, and why.
    pub rejected: Vec<(String, Unserved)>,
    /// What is served although it should not be as it is.
    pub warnings: Vec<String>,
}

/// Looks at every subdirectory of `plugins`. Opens no program: what only looks like one may never answer. With
/// `allow_writable`, what anybody may write to is served with a warning.
///
/// # Errors
/// Why nothing can be said of any plugin.
pub fn look(plugins: &Path, allow_writable: bool) -> Result<Look, Unserved> {
    let mut look = Look::default();
    let mut guard = WriteGuard::new(allow_writable);
    for (name, path) in subdirectories(plugins, &mut guard)? {
        match plugin(&name, path, &mut guard) {
            Ok(Some(found)) => look.found.push(found),
            Ok(None) => {}
            Err(reason) => look.rejected.push((shown(&name, 100), reason)),
        }
    }
    look.warnings.extend(guard.warning());
    Ok(look)
}

fn subdirectories(
    plugins: &Path,
    guard: &mut WriteGuard,
) -> Result<Vec<(String, PathBuf)>, Unserved> {
    let unreadable = |fault| Unserved::of_system("the plugins directory cannot be read", &fault);
    let metadata = std::fs::metadata(plugins).map_err(|fault| match unreadable(fault) {
        Unserved::Plugin(text) => {
            Unserved::Plugin(format!("{text}; set MCP_PLUGINS_DIR to one that can"))
        }
        passing => passing,
    })?;
    if !metadata.is_dir() {
        let text = "the plugins directory is no directory; set MCP_PLUGINS_DIR to one";
        return Err(Unserved::Plugin(text.to_owned()));
    }
    guard.check(plugins, &metadata)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(plugins).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && name != "__pycache__" {
            names.push((name, entry.path()));
        }
    }
    names.sort();
    Ok(names)
}

/// The plugin at `path`; `None` for what does not look like one.
fn plugin(name: &str, path: PathBuf, guard: &mut WriteGuard) -> Result<Option<Found>, Unserved> {
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(fault) if path.is_symlink() => {
            return Err(Unserved::of_system("its link leads nowhere", &fault));
        }
        Err(fault) => return Err(Unserved::of_system("it cannot be looked at", &fault)),
    };
    if !metadata.is_dir() {
        return Ok(None);
    }
    let Some(program) = program(&path, guard)? else {
        return Ok(None);
    };
    check_name(name)?;
    guard.check(&path, &metadata)?;
    Ok(Some(Found {
        name: name.to_owned(),
        directory: path,
        program,
    }))
}

fn program(directory: &Path, guard: &mut WriteGuard) -> Result<Option<Program>, Unserved> {
    let [python, executable] = PROGRAMS.map(|name| directory.join(name));
    if exists(&python) {
        check_file(
            &python,
            Access::READ_OK,
            "is not readable; chmod +r it",
            guard,
        )?;
        return Ok(Some(Program::Python(python)));
    }
    if exists(&executable) {
        check_file(
            &executable,
            Access::EXEC_OK,
            "is not executable; chmod +x it",
            guard,
        )?;
        return Ok(Some(Program::Executable(executable)));
    }
    // Without the right to search it, nothing can be said of what is in it.
    match std::fs::metadata(directory.join(".")) {
        Err(fault) if fault.kind() == io::ErrorKind::PermissionDenied => {
            Err(Unserved::of_system("its directory cannot be read", &fault))
        }
        _ => match MISNAMED.iter().find(|name| exists(&directory.join(name))) {
            Some(name) => Err(Unserved::Plugin(format!(
                "it has a {name} and no cli.py, which is the program that smcp runs; rename it, or: ln -s {name} cli.py"
            ))),
            None => Ok(None),
        },
    }
}

/// Names that programs often have elsewhere: a directory with one of them was most likely meant to be a plugin.
const MISNAMED: [&str; 2] = ["main.py", "__main__.py"];

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

fn check_file(
    path: &Path,
    access: Access,
    otherwise: &str,
    guard: &mut WriteGuard,
) -> Result<(), Unserved> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let metadata = std::fs::metadata(path)
        .map_err(|fault| Unserved::of_system(&format!("its {name} cannot be looked at"), &fault))?;
    if let Some(kind) = irregular(&metadata) {
        return Err(Unserved::Plugin(format!("its {name} is {kind}")));
    }
    if rustix::fs::access(path, access).is_err() {
        return Err(Unserved::Plugin(format!("its {name} {otherwise}")));
    }
    guard.check(path, &metadata)
}

/// What a file is instead of a regular one.
pub fn irregular(metadata: &Metadata) -> Option<&'static str> {
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a pipe and no regular file")
    } else {
        Some("no regular file")
    }
}

/// Reads a regular file, as far as `limit` bytes of it; nothing of anything else. Opening never waits, whatever the
/// path has become since somebody looked at it.
///
/// # Errors
/// The system's error.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::options()
        .read(true)
        .custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32)
        .open(path)?;
    let mut bytes = Vec::new();
    if file.metadata()?.is_file() {
        file.take(limit).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn check_name(name: &str) -> Result<(), Unserved> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if !name.chars().all(allowed) {
        let text = "its name has characters other than a-z, A-Z, 0-9, '_', '-' and '.', which tool names cannot have; rename the directory";
        return Err(Unserved::Plugin(text.to_owned()));
    }
    if name.starts_with('-') {
        let text = "its name begins with '-'; rename the directory";
        return Err(Unserved::Plugin(text.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    struct Plugins(tempfile::TempDir);

    impl Plugins {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("there is room"))
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn file(&self, name: &str, mode: u32) -> &Self {
            let path = self.path(name);
            fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
            fs::write(&path, "print()").expect("there is room");
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("it is ours");
            self
        }

        fn look(&self) -> Look {
            look(self.0.path(), false).expect("it can be looked at")
        }

        fn reason(&self, name: &str) -> String {
            let rejected = self.look().rejected;
            let found = rejected.iter().find(|(known, _)| known == name);
            found
                .unwrap_or_else(|| panic!("{name} is not rejected: {rejected:?}"))
                .1
                .to_string()
        }
    }

    #[test]
    fn directories_with_a_program_are_found_in_the_order_of_their_names() {
        let plugins = Plugins::new();
        plugins
            .file("b/cli.py", 0o644)
            .file("a/cli", 0o755)
            .file("c/cli.py", 0o644)
            .file("c/cli", 0o755);
        fs::create_dir(plugins.path("elsewhere")).expect("there is room");
        plugins
            .file(".hidden/cli.py", 0o644)
            .file("__pycache__/cli.py", 0o644)
            .file("file.py", 0o644);
        plugins.file("no_program/readme.txt", 0o644);
        symlink(plugins.path("b"), plugins.path("linked")).expect("there is room");
        let look = plugins.look();
        let names: Vec<_> = look.found.iter().map(|found| found.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "c", "linked"]);
        assert_eq!(
            look.found[0].program,
            Program::Executable(plugins.path("a/cli"))
        );
        assert_eq!(
            look.found[2].program,
            Program::Python(plugins.path("c/cli.py"))
        );
        assert_eq!(look.rejected, []);
    }

    #[test]
    fn what_only_looks_like_a_plugin_is_rejected_with_its_reason() {
        let plugins = Plugins::new();
        fs::create_dir_all(plugins.path("folder/cli.py")).expect("there is room");
        fs::create_dir_all(plugins.path("pipe")).expect("there is room");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            plugins.path("pipe/cli.py"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .expect("there is room");
        fs::create_dir_all(plugins.path("loop")).expect("there is room");
        symlink("cli.py", plugins.path("loop/cli.py")).expect("there is room");
        symlink("itself", plugins.path("itself")).expect("there is room");
        symlink("gone", plugins.path("dangling")).expect("there is room");
        plugins
            .file("shared/cli.py", 0o666)
            .file("plain/cli", 0o644)
            .file("ünï/cli.py", 0o644);
        plugins
            .file("-dash/cli.py", 0o644)
            .file("bad name/cli.py", 0o644)
            .file("open/cli.py", 0o644)
            .file("misnamed/main.py", 0o644);
        fs::set_permissions(plugins.path("open"), Permissions::from_mode(0o777))
            .expect("it is ours");
        let cases = [
            ("folder", "is a directory"),
            ("pipe", "no regular file"),
            ("loop", "cannot be looked at"),
            ("itself", "leads nowhere"),
            ("dangling", "leads nowhere"),
            ("shared", "anybody may write"),
            ("plain", "chmod +x"),
            ("ünï", "rename the directory"),
            ("-dash", "begins with '-'"),
            ("bad name", "rename the directory"),
            ("open", "anybody may write"),
            ("misnamed", "main.py and no cli.py"),
        ];
        for (name, expected) in cases {
            assert!(
                plugins.reason(name).contains(expected),
                "{name}: {}",
                plugins.reason(name)
            );
        }
        assert_eq!(plugins.look().found, []);
    }

    #[test]
    fn a_plugins_directory_that_cannot_be_trusted_or_read_is_rejected_as_a_whole() {
        let plugins = Plugins::new();
        plugins.file("a/cli.py", 0o644);
        fs::set_permissions(plugins.0.path(), Permissions::from_mode(0o777)).expect("it is ours");
        let refused = |path: &Path| look(path, false).expect_err("it is refused").to_string();
        assert!(refused(plugins.0.path()).contains("anybody may write"));
        assert!(refused(plugins.0.path()).contains("MCP_ALLOW_WRITABLE_PLUGINS=1"));
        assert!(refused(&plugins.path("missing")).contains("MCP_PLUGINS_DIR"));
        assert!(refused(&plugins.path("a/cli.py")).contains("no directory"));
    }

    #[test]
    fn what_anybody_may_write_to_is_served_with_one_warning_where_that_is_allowed() {
        let plugins = Plugins::new();
        plugins.file("a/cli.py", 0o666).file("b/cli.py", 0o644);
        fs::set_permissions(plugins.path("b"), Permissions::from_mode(0o777)).expect("it is ours");
        let look = look(plugins.0.path(), true).expect("it can be looked at");
        assert_eq!((look.found.len(), look.rejected.len()), (2, 0));
        let [warning] = look.warnings.as_slice() else {
            panic!("not one warning: {:?}", look.warnings);
        };
        let first = plugins.path("a/cli.py").display().to_string();
        for words in [first.as_str(), "1 more", "chmod o-w"] {
            assert!(warning.contains(words), "no {words:?} in {warning}");
        }
    }

    #[test]
    fn a_pipe_is_read_as_nothing_and_nobody_waits_for_its_writer() {
        let plugins = Plugins::new();
        let pipe = plugins.path("pipe");
        let made = rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        );
        made.expect("there is room");
        assert_eq!(read_regular(&pipe, 10).expect("it opens at once"), b"");
        plugins.file("file/text", 0o644);
        let beginning = read_regular(&plugins.path("file/text"), 5);
        assert_eq!(beginning.expect("it is readable"), b"print");
    }
}
