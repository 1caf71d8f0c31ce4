//! What the watcher finds in argparse programs, the same under each Python.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::asking::{ask, fixture, payload, python3, say_skipped, shown};

/// The Pythons that introspection promises to work with.
const VERSIONS: [&str; 6] = ["3.8", "3.9", "3.10", "3.11", "3.12", "3.13"];

#[test]
fn every_kind_of_argparse_option_becomes_a_typed_parameter() {
    insta::assert_snapshot!(shown(&payload(&python3(), &fixture("kitchen"))));
}

#[test]
fn nested_sub_parsers_become_commands_named_by_their_path() {
    insta::assert_snapshot!(shown(&payload(&python3(), &fixture("branches"))));
}

#[test]
fn the_second_of_two_parsers_is_the_one_that_is_meant() {
    insta::assert_snapshot!(shown(&payload(&python3(), &fixture("two_parsers"))));
}

#[test]
fn what_introspection_gives_keeps_the_published_contract() {
    let text = include_str!("../../../docs/plugin-contract/v1.1.json");
    let contract: Value = serde_json::from_str(text).expect("it is JSON");
    let validator = jsonschema::validator_for(&contract).expect("it is a schema");
    for name in ["kitchen", "branches", "two_parsers", "forgives_refusal"] {
        let found = payload(&python3(), &fixture(name));
        let faults: Vec<String> = validator
            .iter_errors(&found)
            .map(|fault| format!("{fault} at {}", fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{name}: {faults:#?}");
    }
}

#[test]
fn a_program_that_prints_its_help_by_itself_is_read_there() {
    let found = payload(&python3(), &fixture("no_arguments"));
    assert_eq!(found["commands"][0]["name"], "no_arguments");
    assert_eq!(found["commands"][0]["invoke"], json!([]));
    assert_eq!(found["commands"][0]["parameters"][0]["name"], "name");
}

#[test]
fn a_default_that_the_environment_gave_stays_here() {
    let text = payload(&python3(), &fixture("kitchen")).to_string();
    assert!(!text.contains("a-secret-of-the-environment"), "{text}");
}

#[test]
fn every_python_from_3_8_to_3_13_gives_the_same_payload() {
    let mut compared = 0;
    let expected = without_dashes(payload(&python3(), &fixture("kitchen")));
    for version in VERSIONS {
        let Some(python) = installed(version) else {
            say_skipped(&format!(
                "python{version} is not installed, so introspection was not tried under it"
            ));
            continue;
        };
        assert_eq!(
            without_dashes(payload(&python, &fixture("kitchen"))),
            expected,
            "python{version}"
        );
        assert_eq!(
            shown(&payload(&python, &fixture("branches"))),
            shown(&payload(&python3(), &fixture("branches"))),
            "python{version}"
        );
        compared += 1;
    }
    assert!(compared > 0, "no Python of {VERSIONS:?} was found");
}

#[test]
fn a_python_that_is_too_old_says_so() {
    let Some(python) = ["3.7", "3.6"].into_iter().find_map(installed) else {
        say_skipped("neither python3.7 nor python3.6 is installed, so their refusal was not tried");
        return;
    };
    let answer = ask(&python, &fixture("kitchen"));
    assert_eq!(answer.status, smcp::discovery::introspect::TOO_OLD);
    assert!(
        answer.reason.contains("needs Python 3.8 or newer"),
        "{}",
        answer.reason
    );
}

/// Whether `--` is lost differs between the releases of one version.
fn without_dashes(mut payload: Value) -> Value {
    for command in payload["commands"].as_array_mut().into_iter().flatten() {
        command
            .as_object_mut()
            .expect("commands are objects")
            .remove("refuse_words");
    }
    payload
}

/// An interpreter of that version: in the search path, or among pyenv's.
fn installed(version: &str) -> Option<PathBuf> {
    let named = PathBuf::from(format!("python{version}"));
    let pyenv = std::env::var_os("PYENV_ROOT")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".pyenv")))?;
    let kept = std::fs::read_dir(pyenv.join("versions"))
        .into_iter()
        .flatten()
        .flatten();
    let mut candidates: Vec<PathBuf> = kept
        .filter(|entry| {
            entry
                .file_name()
                .to_string_lossy()
                .starts_with(&format!("{version}."))
        })
        .map(|entry| entry.path().join("bin/python3"))
        .collect();
    candidates.push(named);
    candidates.into_iter().find(|python| {
        let said = Command::new(python)
            .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
            .output();
        said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim() == version)
    })
}
