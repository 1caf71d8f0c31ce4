//! The plugins in `docs/examples`: what one command offers, another must accept.

use std::process::{Command, Output, Stdio};

use super::pages::root;

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

fn machine(words: &[&str]) -> Output {
    Command::new(root().join("docs/examples/machine/cli"))
        .args(words)
        .stdin(Stdio::null())
        .output()
        .expect("sh is there")
}
