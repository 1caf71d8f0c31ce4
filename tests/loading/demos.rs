//! The demo plugins and the directory that they are unpacked to.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::kit::{Running, live};

#[test]
fn demo_plugins_that_a_cleaner_took_are_called_all_the_same() {
    live(async {
        let running = Running::of(None).complete().await;
        let _closing = running.catalog.close_on_drop();
        let directory = running.snapshot().plugins[0].directory.clone();
        let directory = directory.parent().expect("it has one");
        std::fs::remove_dir_all(directory).expect("it is ours");
        let call = || running.call("demo_text__echo", "{\"message\":\"abc\"}");
        // One of them has the demos unpacked again, and the others wait for that as well.
        let (first, second, third) = tokio::join!(call(), call(), call());
        for answer in [first, second, third] {
            assert!(
                answer.as_ref().is_ok_and(|text| text.contains("abc")),
                "{answer:?}"
            );
        }
    });
}

/// The program with no plugins directory, so that it serves its demos, and with temporary files of its own.
fn smcp(words: &[&str], temporary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_smcp"));
    command
        .args(words)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("TMPDIR", temporary)
        .env("MCP_PORT", "0")
        .current_dir(temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn left_in(temporary: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(temporary).expect("it is there").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names
        .filter(|name| name.starts_with("smcp-plugins-"))
        .collect()
}

#[test]
fn nothing_is_left_of_the_demo_plugins_when_a_command_ends() {
    let temporary = tempfile::tempdir().expect("there is room");
    let nothing = [""; 0];
    for words in [
        &["tools"][..],
        &["check"],
        &["call", "demo_text__echo", "message=abc"],
        &["call", "demo_text__unknown"],
        &["stdio"],
    ] {
        let output = smcp(words, temporary.path()).stdin(Stdio::null()).output();
        output.expect("it runs to its end");
        assert_eq!(left_in(temporary.path()), nothing, "{words:?}");
    }
}

#[test]
fn nothing_is_left_of_the_demo_plugins_when_a_signal_ends_the_server() {
    let temporary = tempfile::tempdir().expect("there is room");
    let mut server = smcp(&["serve"], temporary.path())
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    let output = BufReader::new(server.stdout.take().expect("it is piped"));
    let is_ready = output
        .lines()
        .map_while(Result::ok)
        .any(|line| line.starts_with("try:"));
    let was_there = left_in(temporary.path());
    let pid = rustix::process::Pid::from_child(&server);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let status = server.wait().expect("it ends");
    assert!(
        is_ready && status.success() && was_there.len() == 1,
        "{status} {was_there:?}"
    );
    assert_eq!(left_in(temporary.path()), [""; 0]);
}
