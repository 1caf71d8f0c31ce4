//! The plugins in `docs/examples`: what one command offers, another must accept.

use std::fs;
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::pages::{entries, root};
use crate::support::commands::output_within;
use crate::support::{s, until};

#[test]
fn the_examples_are_as_the_check_wants_plugins() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
    command.args(["check", "--strict"]);
    command.arg(root().join("docs/examples"));
    let output = output_within(s(120), &mut command);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("0 not served"), "{said}");
}

#[test]
fn every_name_that_is_suggested_can_be_read() {
    let suggested = machine(&["limits", "--argument", "name", "--value", ""]);
    let names = String::from_utf8(suggested.stdout).expect("names are text");
    assert!(names.lines().count() > 5, "only {names:?} are suggested");
    for name in names.lines() {
        let uri = format!("machine://limit/{name}");
        let read = machine(&["limit", "--uri", &uri, "--name", name]);
        assert!(read.status.success(), "{name} cannot be read");
    }
}

#[test]
fn suggestions_begin_with_what_was_typed() {
    let suggested = machine(&["limits", "--argument", "name", "--value", "OPEN_"]);
    let names = String::from_utf8(suggested.stdout).expect("names are text");
    assert!(names.lines().any(|name| name == "OPEN_MAX"), "{names:?}");
    assert!(
        names.lines().all(|name| name.starts_with("OPEN_")),
        "{names:?}"
    );
}

#[test]
fn a_shell_example_reads_a_value_that_begins_with_a_dash_as_well_as_any_other() {
    for (written, wanted) in [
        (vec!["--symptom", "noise"], "noise"),
        (vec!["--symptom=-v"], "-v"),
    ] {
        let text = machine(&[vec!["diagnose"], written].concat());
        let text = String::from_utf8(text.stdout).expect("a prompt is text");
        assert!(
            text.starts_with(&format!("This machine shows: {wanted}.")),
            "{text}"
        );
    }
    let badge = run("pictures", &["badge", "--label=--value", "--value", "a=b"]);
    let result: Value = serde_json::from_slice(&badge.stdout).expect("a result is JSON");
    let drawing = result["content"][0]["data"].as_str().expect("a picture");
    let drawing = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, drawing);
    let drawing = String::from_utf8(drawing.expect("it is base64")).expect("it is SVG");
    for text in [">--value<", ">a=b<"] {
        assert!(drawing.contains(text), "{drawing}");
    }
}

#[test]
fn the_long_job_removes_what_it_began_when_it_is_ended() {
    let work = tempfile::tempdir().expect("a directory for temporary files");
    let folder = work.path().join("in");
    fs::create_dir(&folder).expect("a new directory");
    fs::write(folder.join("file"), vec![0; 1 << 20]).expect("there is room");
    let mut job = Command::new("python3")
        .arg(root().join("docs/examples/archive/cli.py"))
        .args([
            "pack",
            "--rate",
            "0.01",
            "--target",
            "out.tar.gz",
            "--folder",
            "in",
        ])
        .current_dir(&work)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("Python 3 is installed");
    let count = || entries(work.path()).len();
    until("the archive is begun", s(60), || {
        (count() > 1).then_some(())
    });
    let id = Pid::from_raw(job.id() as i32).expect("a child has a number");
    kill_process(id, Signal::TERM).expect("it runs");
    let ended = until("the job ends", s(60), || {
        job.try_wait().expect("a child of ours")
    });
    assert!(!ended.success());
    assert_eq!(entries(work.path()), [folder]);
}

fn machine(words: &[&str]) -> Output {
    run("machine", words)
}

fn run(plugin: &str, words: &[&str]) -> Output {
    let program = root().join("docs/examples").join(plugin).join("cli");
    Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("sh is there")
}
