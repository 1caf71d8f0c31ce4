//! `smcp new`: what it writes works at once, in every language.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use super::{line, stderr, stdout};
use crate::support::commands::output_within;
use crate::support::server::{Setup, run};

/// A first plugin in Rust is compiled twice, on a machine that may be busy.
const LIMIT: Duration = Duration::from_secs(300);

/// What `smcp check` says of a plugin that takes more than a second to start.
const SLOW: &str = "to say what it can do";

/// The command line, run in this directory, where toolchains find their own files.
fn within(directory: &Path, words: &str) -> Output {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let setup = line(words).directory(directory).variable("HOME", home);
    run(&setup.variable("MCP_CACHE", "off"))
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

#[test]
fn a_new_plugin_is_right_works_and_passes_its_own_test_in_every_language() {
    for (language, program) in [
        ("python", "python3"),
        ("sh", "sh"),
        ("node", "node"),
        ("rust", "cargo"),
    ] {
        if !is_there(program) {
            eprintln!("in part skipped: {program} is not installed");
            continue;
        }
        let work = tempfile::tempdir().expect("there is room");
        let made = within(work.path(), &format!("new my-first --lang {language}"));
        let said = stdout(&made);
        assert!(made.status.success(), "{language}: {}", stderr(&made));
        let next: Vec<&str> = said
            .lines()
            .skip_while(|line| *line != "next:")
            .skip(1)
            .map(str::trim)
            .collect();
        let [check, call, test] = next.as_slice() else {
            panic!("{language}: three commands come next: {said}")
        };

        let checked = within(work.path(), check.strip_prefix("smcp ").expect("ours"));
        let report = stdout(&checked);
        assert!(checked.status.success(), "{language}: {report}");
        // A machine that is busy makes every start slow.
        let mut lines = report.lines();
        let is_right = lines.all(|line| !line.contains("warning") || line.contains(SLOW));
        assert!(is_right, "{language}: {report}");

        let called = within(work.path(), call.strip_prefix("smcp ").expect("ours"));
        assert_eq!(stdout(&called), "Hello, Ada!\n", "{}", stderr(&called));
        let awkward = within(work.path(), "call my-first__hello name=-x times=2");
        assert_eq!(stdout(&awkward), "Hello, -x!\nHello, -x!\n", "{language}");

        let mut shell = Command::new("sh");
        shell.args(["-c", test]).current_dir(work.path());
        let tested = output_within(LIMIT, &mut shell);
        assert!(tested.status.success(), "{language}: {}", stderr(&tested));
        let readme = std::fs::read_to_string(work.path().join("plugins/my-first/README.md"));
        let readme = readme.expect("it has one");
        assert!(readme.contains("my-first__hello"), "{readme}");
        assert!(!readme.contains("{{"), "{readme}");
    }
}

#[test]
fn what_is_there_is_never_overwritten() {
    let work = tempfile::tempdir().expect("there is room");
    let taken = work.path().join("plugins/greet");
    std::fs::create_dir_all(&taken).expect("there is room");
    for prepare in [
        |_: &Path| {},
        |path: &Path| std::fs::write(path.join("cli.py"), "mine").expect("there is room"),
    ] {
        prepare(&taken);
        let refused = within(work.path(), "new greet");
        assert_eq!(refused.status.code(), Some(1));
        assert!(stderr(&refused).contains("is there already"));
        let left: Vec<OsString> = std::fs::read_dir(&taken)
            .expect("it is there")
            .map(|entry| entry.expect("it can be listed").file_name())
            .collect();
        assert!(left.len() <= 1, "{left:?}");
    }
    let text = std::fs::read_to_string(taken.join("cli.py")).expect("it is there");
    assert_eq!(text, "mine");
}

#[test]
fn a_new_plugin_goes_where_it_is_said_and_nobody_else_may_write_to_it() {
    let work = tempfile::tempdir().expect("there is room");
    let named = within(work.path(), "--plugins-dir one/two new a");
    let said = stdout(&named);
    assert!(
        said.contains("smcp check a --plugins-dir one/two"),
        "{said}"
    );
    let setup = Setup::new().argument("new").argument("b");
    let setup = setup.directory(work.path());
    let by_variable = run(&setup.variable("MCP_PLUGINS_DIR", "three"));
    assert!(!stdout(&by_variable).contains("--plugins-dir"));
    for path in ["one/two", "one/two/a/cli.py", "three/b", "three/b/cli.py"] {
        let metadata = std::fs::metadata(work.path().join(path)).expect("it was made");
        let mode = metadata.permissions().mode();
        assert_eq!(mode & 0o022, 0, "{path}: {mode:o}");
    }
}

#[test]
fn a_name_that_no_plugin_can_have_makes_nothing() {
    let work = tempfile::tempdir().expect("there is room");
    for name in ["../up", "a/b", ".hidden", "ünï", &"x".repeat(42)] {
        let refused = within(work.path(), &format!("new {name}"));
        assert_eq!(refused.status.code(), Some(2), "{name}");
        let said = stderr(&refused);
        assert!(
            said.contains("; use ") && !said.contains('\u{1b}'),
            "{said}"
        );
    }
    let made = std::fs::read_dir(work.path()).expect("it is ours").count();
    assert_eq!(made, 0);
}

#[test]
fn in_a_directory_of_plugins_a_new_one_is_made_beside_the_others() {
    let work = tempfile::tempdir().expect("there is room");
    let here = work.path().join("plugins");
    std::fs::create_dir(&here).expect("there is room");
    let made = within(&here, "new greet --lang sh");
    let said = stdout(&made);
    assert!(made.status.success(), "{}", stderr(&made));
    assert!(here.join("greet/cli").is_file(), "{said}");
    assert!(!here.join("plugins").exists(), "{said}");
    let next = said.lines().map(str::trim);
    let call = next
        .filter_map(|line| line.strip_prefix("smcp "))
        .find(|line| line.starts_with("call"));
    let called = within(&here, call.expect("a call comes next"));
    assert_eq!(stdout(&called), "Hello, Ada!\n", "{}", stderr(&called));
}
