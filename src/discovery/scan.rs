//! The plugin directories, found by looking: nothing is run here.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::text::shown;

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
    pub rejected: Vec<(String, String)>,
}

/// Looks at every subdirectory of `plugins`.
pub fn look(plugins: &Path) -> Look {
    let mut look = Look::default();
    let names = match subdirectories(plugins) {
        Ok(names) => names,
        Err(reason) => {
            look.rejected.push((plugins.display().to_string(), reason));
            return look;
        }
    };
    for (name, path) in names {
        match plugin(&name, path) {
            Ok(Some(found)) => look.found.push(found),
            Ok(None) => {}
            Err(reason) => look.rejected.push((shown(&name, 100), reason)),
        }
    }
    look
}

fn subdirectories(plugins: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let metadata = std::fs::metadata(plugins).map_err(|fault| {
        format!(
            "the plugins directory cannot be read: {fault}; set MCP_PLUGINS_DIR to one that can"
        )
    })?;
    if !metadata.is_dir() {
        return Err("the plugins directory is no directory; set MCP_PLUGINS_DIR to one".to_owned());
    }
    refuse_writable(plugins, &metadata)?;
    let entries = std::fs::read_dir(plugins)
        .map_err(|fault| format!("the plugins directory cannot be read: {fault}"))?;
    let mut names = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') && name != "__pycache__" {
            names.push((name, entry.path()));
        }
    }
    names.sort();
    Ok(names)
}

/// The plugin at `path`; `None` for what does not look like one.
fn plugin(name: &str, path: PathBuf) -> Result<Option<Found>, String> {
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(fault) if path.is_symlink() => return Err(format!("its link leads nowhere: {fault}")),
        Err(fault) => return Err(format!("it cannot be looked at: {fault}")),
    };
    if !metadata.is_dir() {
        return Ok(None);
    }
    let Some(program) = program(&path)? else {
        return Ok(None);
    };
    check_name(name)?;
    refuse_writable(&path, &metadata)?;
    Ok(Some(Found {
        name: name.to_owned(),
        directory: path,
        program,
    }))
}

fn program(directory: &Path) -> Result<Option<Program>, String> {
    let python = directory.join("cli.py");
    if exists(&python) {
        check_file(&python, Access::READ_OK, "is not readable")?;
        return Ok(Some(Program::Python(python)));
    }
    let executable = directory.join("cli");
    if exists(&executable) {
        check_file(
            &executable,
            Access::EXEC_OK,
            "is not executable; chmod +x it",
        )?;
        return Ok(Some(Program::Executable(executable)));
    }
    // Without the right to search it, nothing can be said of what is in it.
    match std::fs::metadata(directory.join(".")) {
        Err(fault) if fault.kind() == io::ErrorKind::PermissionDenied => {
            Err(format!("its directory cannot be read: {fault}"))
        }
        _ => Ok(None),
    }
}

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

fn check_file(path: &Path, access: Access, otherwise: &str) -> Result<(), String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let metadata = std::fs::metadata(path)
        .map_err(|fault| format!("its {name} cannot be looked at: {fault}"))?;
    if !metadata.is_file() {
        let kind = if metadata.is_dir() {
            "a directory"
        } else {
            "no regular file"
        };
        return Err(format!("its {name} is {kind}"));
    }
    if rustix::fs::access(path, access).is_err() {
        return Err(format!("its {name} {otherwise}"));
    }
    refuse_writable(path, &metadata)
}

/// Whoever may write there decides what this server runs.
fn refuse_writable(path: &Path, metadata: &Metadata) -> Result<(), String> {
    if metadata.permissions().mode() & 0o002 == 0 {
        return Ok(());
    }
    Err(format!(
        "anybody may write to {}; chmod o-w it",
        path.display()
    ))
}

fn check_name(name: &str) -> Result<(), String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if !name.chars().all(allowed) {
        return Err("its name has characters other than a-z, A-Z, 0-9, '_', '-' and '.', which tool names cannot have; rename the directory".to_owned());
    }
    if name.starts_with('-') {
        return Err("its name begins with '-'; rename the directory".to_owned());
    }
    Ok(())
}

/// Whether a Python plugin's own files have `--describe` as a text of the program, not of a comment.
///
/// A program that never heard of it would do its work when asked that way.
pub fn mentions_describe(directory: &Path) -> bool {
    const DEPTH: usize = 3;
    let mut left = Budget {
        files: 400,
        bytes: 16 << 20,
    };
    mentioned_below(directory, DEPTH, &mut left)
}

struct Budget {
    files: usize,
    bytes: u64,
}

fn mentioned_below(directory: &Path, depth: usize, left: &mut Budget) -> bool {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return false;
    };
    let mut inner = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let passed_over = ["venv", "__pycache__", "node_modules"]
            .iter()
            .any(|known| name == *known);
        let Ok(metadata) = std::fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() && !passed_over && !name.as_encoded_bytes().starts_with(b".") {
            inner.push(path);
        } else if metadata.is_file() && path.extension().is_some_and(|ending| ending == "py") {
            // Out of budget, the program is only asked under the guard.
            if left.files == 0 || metadata.len() > left.bytes {
                return false;
            }
            left.files -= 1;
            left.bytes -= metadata.len();
            let text = std::fs::read(&path).unwrap_or_default();
            let quoted = |window: &[u8]| {
                matches!(window[0], b'"' | b'\'')
                    && window[0] == window[11]
                    && &window[1..11] == b"--describe"
            };
            if text.windows(12).any(quoted) {
                return true;
            }
        }
    }
    depth > 0
        && inner
            .iter()
            .any(|path| mentioned_below(path, depth - 1, left))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::symlink;

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
            look(self.0.path())
        }

        fn reason(&self, name: &str) -> String {
            let rejected = self.look().rejected;
            let found = rejected.iter().find(|(known, _)| known == name);
            found
                .unwrap_or_else(|| panic!("{name} is not rejected: {rejected:?}"))
                .1
                .clone()
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
            .file("open/cli.py", 0o644);
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
        assert!(
            plugins
                .reason(&plugins.0.path().display().to_string())
                .contains("anybody may write")
        );
        let missing = look(&plugins.path("missing"));
        assert!(
            missing.rejected[0].1.contains("MCP_PLUGINS_DIR"),
            "{missing:?}"
        );
        let file = look(&plugins.path("a/cli.py"));
        assert!(file.rejected[0].1.contains("no directory"), "{file:?}");
    }

    #[test]
    fn a_program_knows_the_question_when_one_of_its_own_files_has_the_word() {
        let plugins = Plugins::new();
        plugins
            .file("silent/cli.py", 0o644)
            .file("helped/cli.py", 0o644)
            .file("foreign/cli.py", 0o644)
            .file("remarks/cli.py", 0o644);
        let remark = "# it does not know --describe\n";
        fs::write(plugins.path("remarks/cli.py"), remark).expect("it is ours");
        for path in ["helped/inner/deep.py", "foreign/.venv/lib.py"] {
            plugins.file(path, 0o644);
            fs::write(plugins.path(path), "if '--describe' in sys.argv: …").expect("it is ours");
        }
        let mentions = |name: &str| mentions_describe(&plugins.path(name));
        assert_eq!(
            (mentions("silent"), mentions("helped"), mentions("foreign")),
            (false, true, false)
        );
        assert!(!mentions("remarks"), "a comment is no program");
    }
}
