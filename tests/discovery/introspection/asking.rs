//! Runs the watcher as discovery does, and shows its payload so that a person can read it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::commands::output_within;
use serde_json::Value;
use smcp::discovery::introspect::{self, PrivateCopy};

/// What came back from one question.
#[derive(Debug)]
pub struct Answer {
    /// The exit status; -1 for a signal.
    pub status: i32,
    /// The payload, where there is one.
    pub payload: Option<Value>,
    /// All that is on stdout.
    pub printed: String,
    /// The last line of stderr.
    pub reason: String,
}

/// A plugin below `tests/fixtures/introspection`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/introspection")
        .join(name)
        .join("cli.py")
}

/// Asks `cli` with `python`. Of the variables that are set, the fixtures read the first alone.
pub fn ask(python: &Path, cli: &Path) -> Answer {
    ask_within(Duration::from_secs(100), python, cli)
}

/// Asks with a limit.
pub fn ask_within(limit: Duration, python: &Path, cli: &Path) -> Answer {
    let copy = PrivateCopy::new();
    let argv = introspect::argv(python, cli, limit, copy.path());
    let mut command = Command::new(&argv[0]);
    command
        .args(&argv[1..])
        .env("INTROSPECTION_TEST_SECRET", "a-secret-of-the-environment")
        .env("INTROSPECTION_TEST_OTHER", "kitchen.txt");
    // The watcher keeps the limit itself; whether it does is one of the claims.
    let finished = output_within(limit + Duration::from_secs(60), &mut command);
    let stderr = String::from_utf8_lossy(&finished.stderr);
    Answer {
        status: finished.status.code().unwrap_or(-1),
        payload: serde_json::from_slice(&finished.stdout).ok(),
        printed: String::from_utf8_lossy(&finished.stdout).into_owned(),
        reason: stderr.lines().next_back().unwrap_or_default().to_owned(),
    }
}

/// The payload of a program that must give one.
pub fn payload(python: &Path, cli: &Path) -> Value {
    let answer = ask(python, cli);
    answer
        .payload
        .unwrap_or_else(|| panic!("{}: {} {}", cli.display(), answer.status, answer.reason))
}

/// The `python3` of the search path.
pub fn python3() -> PathBuf {
    PathBuf::from("python3")
}

/// Says on the terminal, past the test harness's capture, that something was not tested.
pub fn say_skipped(what: &str) {
    writeln!(std::io::stderr(), "SKIPPED: {what}").expect("stderr is open");
}

/// One line a parameter: what a person reviews, without what depends on the Python that ran it.
pub fn shown(payload: &Value) -> String {
    let mut page = String::new();
    for warning in payload["warnings"].as_array().into_iter().flatten() {
        writeln!(
            page,
            "warning: {}",
            warning.as_str().expect("warnings are texts")
        )
        .expect("strings grow");
    }
    for command in payload["commands"]
        .as_array()
        .expect("every payload has commands")
    {
        writeln!(page, "{} {}", command["name"], command["invoke"]).expect("strings grow");
        writeln!(page, "  {}", command["description"]).expect("strings grow");
        if let Some(groups) = command.get("one_of") {
            writeln!(page, "  one of {groups}").expect("strings grow");
        }
        for parameter in command["parameters"]
            .as_array()
            .expect("every command has parameters")
        {
            let mut rest = parameter
                .as_object()
                .expect("parameters are objects")
                .clone();
            let name = rest.shift_remove("name").expect("parameters have names");
            let required = rest.shift_remove("required") == Some(Value::Bool(true));
            let mark = if required { "!" } else { "" };
            writeln!(
                page,
                "  - {}{mark} {}",
                name.as_str().expect("names are texts"),
                Value::Object(rest)
            )
            .expect("strings grow");
        }
    }
    page
}
