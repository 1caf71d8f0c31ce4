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
    fs::set_permissions(plugins.path("open"), Permissions::from_mode(0o777)).expect("it is ours");
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
