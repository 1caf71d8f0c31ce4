//! Whoever ends a command need not wait for it, whatever it waits for itself, and half of its work is not left.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::strangers::mcp;
use super::terminal::AtTerminal;
use super::{program, smcp, stderr, stdout};
use crate::support::commands::{Watchdog, output_within};
use crate::support::hangups;
use crate::support::http::PATIENCE;
use crate::support::plugins::Folder;
use crate::support::until;

/// A command that is still there then is not going to end.
const LIMIT: Duration = Duration::from_secs(180);

/// Starts it with an input that never ends.
fn started(words: &[&str], home: &Path) -> (Child, Watchdog) {
    let child = smcp(words)
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let watchdog = Watchdog::of(child.id(), LIMIT);
    (child, watchdog)
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().expect("it is small"));
    kill_process(pid.expect("it is not zero"), signal).expect("nobody has waited for it");
}

/// What it says in the end, with its input open until then. What it had printed before, nobody reads.
fn ended(mut child: Child) -> Output {
    let _input = child.stdin.take();
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let status = child.wait().expect("it is ours");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let read = out.as_mut().expect("a pipe").read_to_end(&mut stdout);
    read.expect("it is open");
    let read = err.as_mut().expect("a pipe").read_to_end(&mut stderr);
    read.expect("it is open");
    Output {
        status,
        stdout,
        stderr,
    }
}

/// The signals that ask for the end; a hang-up does where whoever started this test has not ignored it.
fn ends() -> Vec<Signal> {
    let mut signals = vec![Signal::INT, Signal::TERM];
    if !hangups::are_ignored() {
        signals.push(Signal::HUP);
    }
    signals
}

#[track_caller]
fn is_interrupted(output: &Output) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(1), "{}: {said}", output.status);
    assert!(said.contains("interrupted"), "{said}");
}

#[test]
fn a_call_that_waits_for_its_arguments_ends_with_the_first_signal() {
    let home = tempfile::tempdir().expect("there is room");
    let pipe = home.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("there is a mkfifo").success());
    let call = |arguments: &str| {
        let words = ["call", "--url", "http://127.0.0.1:9", "t", arguments];
        started(&words, home.path())
    };
    for signal in ends() {
        let (mut child, _watchdog) = call("-");
        // More than a pipe holds: once it is written, some of it has been read.
        let input = child.stdin.as_mut().expect("a pipe");
        input.write_all(&[b' '; 300_000]).expect("it is read");
        send(&child, signal);
        is_interrupted(&ended(child));
    }
    let (child, _watchdog) = call(&format!("@{}", pipe.display()));
    let _writer = until("the file is opened", PATIENCE, || {
        let mut options = File::options();
        let flags = OFlags::NONBLOCK.bits() as i32;
        options.write(true).custom_flags(flags).open(&pipe).ok()
    });
    send(&child, Signal::INT);
    is_interrupted(&ended(child));
}

#[test]
fn a_call_of_a_server_that_says_nothing_ends_with_the_first_signal() {
    let home = tempfile::tempdir().expect("there is room");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a socket of ours");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    for signal in ends() {
        let (child, _watchdog) = started(&["call", "--url", &url, "t"], home.path());
        let (mut asked, _) = until("it comes", PATIENCE, || listener.accept().ok());
        asked.set_nonblocking(false).expect("a socket of ours");
        assert_eq!(asked.read(&mut [0; 1]).expect("it asks"), 1);
        send(&child, signal);
        is_interrupted(&ended(child));
    }
}

#[test]
fn a_result_that_nobody_reads_ends_with_the_first_signal() {
    // More than a pipe holds.
    const LONG: usize = 300_000;
    let work = format!("head -c {LONG} /dev/zero | tr '\\0' x");
    let folder = Folder::new();
    folder.add_executable("walker", &program(&work));
    let server = mcp(|method, id| {
        let text = "x".repeat(LONG);
        let result = match method {
            "tools/call" => json!({"content": [{"type": "text", "text": text}]}),
            _ => json!({"protocolVersion": "2025-11-25", "capabilities": {},
                "tools": [{"name": "walker__go", "inputSchema": {"type": "object"}}]}),
        };
        json!({"jsonrpc": "2.0", "id": id, "result": result})
    });
    let url = format!("http://{server}");
    let plugins = folder.path().to_str().expect("it is ASCII");
    let home = tempfile::tempdir().expect("there is room");
    let ways = [["--plugins-dir", plugins], ["--url", &url]];
    for (way, signal) in ways.into_iter().zip(ends().into_iter().rev()) {
        let words = [&["call", "walker__go"][..], &way].concat();
        let (mut child, _watchdog) = started(&words, home.path());
        let out = child.stdout.as_mut().expect("a pipe");
        assert_eq!(out.read(&mut [0; 1]).expect("it is open"), 1, "{way:?}");
        send(&child, signal);
        is_interrupted(&ended(child));
    }
}

#[test]
fn a_result_of_many_files_is_not_saved_on_after_a_signal() {
    const FILES: usize = 8_000;
    let server = mcp(|method, id| {
        let file = json!({"type": "image", "data": "aGk=", "mimeType": "image/png"});
        let result: Value = match method {
            "tools/call" => json!({"content": vec![file; FILES]}),
            _ => json!({"protocolVersion": "2025-11-25", "capabilities": {},
                "tools": [{"name": "draw", "inputSchema": {"type": "object"}}]}),
        };
        json!({"jsonrpc": "2.0", "id": id, "result": result})
    });
    let url = format!("http://{server}");
    let home = tempfile::tempdir().expect("there is room");
    let place = home.path().join("saved");
    let save = place.to_str().expect("it is ASCII");
    let words = ["call", "draw", "--url", &url, "--save", save];
    let (mut child, _watchdog) = started(&words, home.path());
    // The names of the files are more than a pipe holds, so it cannot come to its end.
    let out = child.stdout.as_mut().expect("a pipe");
    assert_eq!(out.read(&mut [0; 1]).expect("it is open"), 1);
    send(&child, Signal::TERM);
    is_interrupted(&ended(child));
    let saved = std::fs::read_dir(&place).expect("it is made");
    assert!((1..FILES).contains(&saved.count()));
}

#[test]
fn a_question_that_nobody_answers_ends_with_the_first_signal() {
    let folder = Folder::new();
    folder.add_executable("walker", &program("echo gone"));
    let plugins = folder.path().to_str().expect("it is ASCII");
    let home = tempfile::tempdir().expect("there is room");
    let words = ["plugins", "remove", "walker", "--plugins-dir", plugins];
    for signal in ends() {
        let mut command = AtTerminal::start(&words, home.path(), &[]);
        command.answer("[y/N] ", "");
        command.signal(signal);
        let (printed, succeeded) = command.end();
        assert_eq!((printed.as_str(), succeeded), ("", false), "{signal:?}");
        let shown = command.shown();
        assert!(shown.contains("smcp: interrupted"), "{signal:?}: {shown}");
        assert!(folder.path().join("walker").is_dir(), "{signal:?}");
    }
    let mut command = AtTerminal::start(&words, home.path(), &[]);
    command.answer("[y/N] ", "y\n");
    assert!(command.end().1, "{}", command.shown());
    assert!(!folder.path().join("walker").exists());
}

#[test]
fn a_file_that_there_is_no_room_for_is_not_left_as_half_of_one() {
    let server = mcp(|method, id| {
        let file =
            json!({"type": "image", "data": "aGk".repeat(3_000) + "aGk=", "mimeType": "image/png"});
        let result: Value = match method {
            "tools/call" => json!({"content": [file]}),
            _ => json!({"protocolVersion": "2025-11-25", "capabilities": {},
                "tools": [{"name": "draw", "inputSchema": {"type": "object"}}]}),
        };
        json!({"jsonrpc": "2.0", "id": id, "result": result})
    });
    let home = tempfile::tempdir().expect("there is room");
    let place = home.path().join("saved");
    let script = "trap '' XFSZ; ulimit -f 2; exec \"$0\" call draw --url \"$1\" --save \"$2\"";
    let mut command = Command::new("bash");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_smcp")])
        .arg(format!("http://{server}"))
        .arg(&place);
    let output = output_within(LIMIT, &mut command);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("writing "), "{said}");
    let left = std::fs::read_dir(&place).expect("it is made").count();
    assert_eq!(left, 0, "{said}");
}

#[test]
fn a_plugin_whose_copying_is_ended_is_not_there() {
    const FILES: usize = 10_000;
    let home = tempfile::tempdir().expect("there is room");
    let (from, plugins) = (home.path().join("large"), home.path().join("plugins"));
    for directory in [&from, &plugins] {
        std::fs::create_dir(directory).expect("there is room");
    }
    std::fs::write(from.join("cli.py"), "print(1)\n").expect("there is room");
    for number in 0..FILES {
        std::fs::write(from.join(number.to_string()), "x").expect("there is room");
    }
    let entries = |directory: &Path| std::fs::read_dir(directory).into_iter().flatten().flatten();
    let source = from.to_str().expect("it is ASCII");
    let place = plugins.to_str().expect("it is ASCII");
    let words = ["plugins", "add", source, "--plugins-dir", place];
    // True once the signal has come before the last file was copied.
    let is_in_time = |_| {
        let (mut child, _watchdog) = started(&words, home.path());
        until("it copies", PATIENCE, || {
            let mut made = entries(&plugins).map(|staging| staging.path().join("large"));
            let has_begun = made.any(|made| entries(&made).next().is_some());
            let is_over = child.try_wait().expect("it is ours").is_some();
            (has_begun || is_over || plugins.join("large").exists()).then_some(())
        });
        send(&child, Signal::INT);
        let output = ended(child);
        if stdout(&output).contains("added") {
            std::fs::remove_dir_all(plugins.join("large")).expect("it is ours");
            return false;
        }
        is_interrupted(&output);
        let left: Vec<_> = entries(&plugins).map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "{left:?}: {}", stderr(&output));
        true
    };
    assert!((0..4).any(is_in_time), "it is added all the same");
}
