//! Programs of the package index that nobody here wrote, each a plugin by a cli.py of two lines.
//!
//! `tests/fixtures/programs/calls.json` has the calls: the tool, its arguments, and what must stand in the result
//! (`shows`) or in the failure (`fails`); DIR is a copy of `tests/fixtures/programs/files`.
//!
//! They need their packages: `tests/fixtures/programs/install DIRECTORY`, and that directory in SMCP_TEST_PROGRAMS.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use smcp::call::types::CallError;

use super::asking::{fixture, payload, say_skipped, shown};
use super::serving::served;
use crate::catalog::{live, text};

pub const PROGRAMS: [&str; 17] = [
    "black",
    "check-jsonschema",
    "codespell",
    "csvcut",
    "csvstat",
    "dotenv",
    "flask",
    "http",
    "isort",
    "mdformat",
    "pip-licenses",
    "pygmentize",
    "slugify",
    "sqlite-utils",
    "toml",
    "typer",
    "yamllint",
];

/// The interpreter that has the packages; `None`, and a word about it, where they are not installed.
pub fn interpreter() -> Option<PathBuf> {
    let Some(venv) = std::env::var_os("SMCP_TEST_PROGRAMS") else {
        say_skipped(
            "SMCP_TEST_PROGRAMS is not set, so the programs of the package index were not tried",
        );
        return None;
    };
    Some(Path::new(&venv).join("bin/python3"))
}

/// Where the two-line plugins are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/programs")
}

#[test]
fn programs_that_nobody_here_wrote_have_the_schemas_that_were_looked_at() {
    let Some(python) = interpreter() else { return };
    for program in PROGRAMS {
        let mut found = payload(&python, &directory().join(program).join("cli.py"));
        forget_this_machine(&mut found);
        insta::assert_snapshot!(program, shown(&found));
    }
}

#[test]
fn click_and_typer_parameters_of_every_kind_become_typed_ones() {
    let Some(python) = interpreter() else { return };
    for program in ["click_kitchen", "typer_kitchen"] {
        insta::assert_snapshot!(program, shown(&payload(&python, &fixture(program))));
    }
}

#[test]
fn programs_that_nobody_here_wrote_do_real_work_when_they_are_called() {
    let Some(python) = interpreter() else { return };
    let files = tempfile::tempdir().expect("there is room for small files");
    copy_files(files.path());
    let mut called: BTreeMap<String, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    live(async {
        let running = served(&directory(), python).await;
        for call in calls(files.path()) {
            let tool = call["tool"].as_str().expect("each call has its tool");
            let (program, _) = tool
                .split_once("__")
                .expect("tools are named plugin__command");
            *called.entry(program.to_owned()).or_default() += 1;
            let expected = call
                .get("shows")
                .or(call.get("fails"))
                .and_then(Value::as_str);
            let expected = expected.expect("each call has what is to be seen");
            let outcome = running.call(tool, call["arguments"].clone()).await;
            let seen = match &outcome {
                Ok(result) => call.get("shows").is_some() && text(result).contains(expected),
                Err(CallError::Plugin(message)) => {
                    call.get("fails").is_some() && message.contains(expected)
                }
                Err(_) => false,
            };
            if !seen {
                faults.push(format!("{call}\n  gave {outcome:?}"));
            }
        }
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    for program in PROGRAMS {
        assert!(
            called.get(program) >= Some(&3),
            "{program} has fewer than three calls"
        );
    }
}

/// The calls of `calls.json`, with their files in `files`.
fn calls(files: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory().join("calls.json"))
        .expect("it is part of the repository");
    let text = text.replace(
        "DIR",
        files
            .to_str()
            .expect("temporary directories have plain names"),
    );
    serde_json::from_str(&text).expect("it is JSON")
}

fn copy_files(to: &Path) {
    let files = std::fs::read_dir(directory().join("files")).expect("it is part of the repository");
    for file in files.map(|file| file.expect("it can be listed")) {
        std::fs::copy(file.path(), to.join(file.file_name()))
            .expect("there is room for small files");
    }
}

/// Help texts that list what this machine's libraries have.
fn forget_this_machine(payload: &mut Value) {
    for command in payload["commands"].as_array_mut().into_iter().flatten() {
        for parameter in command["parameters"].as_array_mut().into_iter().flatten() {
            if parameter["name"] == "ciphers" || parameter["name"] == "ssl" {
                parameter["description"] = "(names what the installed OpenSSL has)".into();
                parameter
                    .as_object_mut()
                    .expect("parameters are objects")
                    .remove("enum");
            }
        }
    }
}
