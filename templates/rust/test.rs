//! Runs the program as the server does.

use std::process::{Command, Output};

fn run(words: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_plugin");
    Command::new(program).args(words).output().expect("it was built")
}

#[test]
fn greets_as_often_as_it_is_told() {
    let done = run(&["hello", "--name", "Ada", "--times", "2"]);
    assert_eq!(done.stdout, b"Hello, Ada!\nHello, Ada!\n");
    assert!(done.status.success());
}

#[test]
fn takes_a_value_that_begins_with_a_hyphen() {
    assert_eq!(run(&["hello", "--name=-x-"]).stdout, b"Hello, -x-!\n");
}

#[test]
fn fails_without_a_name_and_says_so() {
    let done = run(&["hello"]);
    assert!(!done.status.success());
    assert_eq!(done.stderr, b"hello needs --name\n");
}
