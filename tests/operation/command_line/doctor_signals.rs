//! `smcp doctor` when somebody has had enough of it: what it has opened is ended, and what it has found is said.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::doctor::stranger;
use crate::support::commands::Watchdog;
use crate::support::http::PATIENCE;
use crate::support::{COVERAGE, s, until};

const ID: &str = "a-session";
/// So often is looked: the end of a session has a second, which a busy machine may need for something else.
const ATTEMPTS: u32 = 5;
/// Longer than a doctor that is interrupted takes, however busy the machine, and less than `--wait` here.
const LIMIT: Duration = s(120);

/// What the server does with a request that it keeps waiting, and with the end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keeps {
    /// It does not answer to the first message of a session.
    AMessage,
    /// It answers to `initialize` once the signal was sent.
    TheSession,
    /// As the first, and it does not answer to the end of a session either.
    TheEnd,
}

/// What a test sees of the server.
struct Seen {
    at: SocketAddr,
    /// A request is kept.
    kept: Receiver<()>,
    /// Lets it be answered.
    go: Sender<()>,
    /// The sessions whose end was asked for.
    ended: Arc<Mutex<Vec<String>>>,
}

/// A server of Streamable HTTP that keeps a request waiting.
fn server(keeps: Keeps) -> Seen {
    let (keep, kept) = channel();
    let (go, gone) = channel::<()>();
    let gone = Arc::new(Mutex::new(gone));
    let ended: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = Arc::clone(&ended);
    let at = stranger(move |mut stream, head, body| {
        let message: Value = serde_json::from_slice(body).unwrap_or_default();
        let hold = |stream: TcpStream| {
            let _ = keep.send(());
            std::thread::sleep(LIMIT * 2);
            drop(stream);
        };
        let line = head.lines().next().unwrap_or_default();
        match (line, message["method"].as_str()) {
            ("GET /readyz HTTP/1.1", _) => reply(&mut stream, "200 OK", "", "ready\n"),
            ("DELETE /mcp HTTP/1.1", _) => {
                let id = head
                    .lines()
                    .find_map(|line| line.strip_prefix("mcp-session-id: "));
                let id = id.unwrap_or_default().to_owned();
                seen.lock().expect("nobody panics here").push(id);
                match keeps {
                    Keeps::TheEnd => hold(stream),
                    _ => reply(&mut stream, "204 No Content", "", ""),
                }
            }
            ("POST /mcp HTTP/1.1", Some("initialize")) => {
                if keeps == Keeps::TheSession {
                    let _ = keep.send(());
                    let _ = gone.lock().expect("nobody panics here").recv();
                }
                let result = json!({
                    "protocolVersion": message["params"]["protocolVersion"],
                    "capabilities": {},
                    "serverInfo": {"name": "sanctum-letta-mcp", "version": "4.0.0"},
                });
                let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
                let header = format!("Mcp-Session-Id: {ID}\r\n");
                reply(&mut stream, "200 OK", &header, &answer.to_string());
            }
            ("POST /mcp HTTP/1.1", Some("notifications/initialized")) => hold(stream),
            ("POST /mcp HTTP/1.1", _) => {
                let error = json!({"code": -32600, "message": "send initialize first"});
                let answer = json!({"jsonrpc": "2.0", "id": 1, "error": error});
                reply(&mut stream, "400 Bad Request", "", &answer.to_string());
            }
            _ => reply(&mut stream, "404 Not Found", "", ""),
        }
    });
    Seen {
        at,
        kept,
        go,
        ended,
    }
}

fn reply(stream: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\n{headers}Content-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    );
    let _ = stream.write_all(format!("{head}{body}").as_bytes());
}

/// No signal is ignored, whatever these tests were started with.
const NONE_IGNORED: &str = "--default-signal=INT,TERM,HUP";

/// A doctor that waits for any answer longer than a test does.
fn doctor(words: &[&str], at: SocketAddr, signals: &str, stdout: Stdio) -> Child {
    let mut command = Command::new("/usr/bin/env");
    command.args([signals, env!("CARGO_BIN_EXE_smcp"), "doctor"]);
    command.args(["--wait", "300"]).args(words);
    command.arg(at.to_string()).env_clear().envs(COVERAGE);
    command.stdin(Stdio::null()).stdout(stdout);
    let child = command.stderr(Stdio::piped()).spawn();
    child.expect("the binary is built")
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().try_into().expect("a small number"));
    kill_process(pid.expect("above zero"), signal).expect("it is ours");
}

/// What a doctor says that gets this signal while the server keeps a request of it waiting.
fn interrupted(seen: &Seen, words: &[&str], signal: Signal) -> Output {
    let child = doctor(words, seen.at, NONE_IGNORED, Stdio::piped());
    let _watch = Watchdog::of(child.id(), LIMIT);
    let kept = seen.kept.recv_timeout(PATIENCE);
    kept.expect("a request is kept waiting");
    send(&child, signal);
    let _ = seen.go.send(());
    child.wait_with_output().expect("its output can be read")
}

#[test]
fn a_session_that_is_open_or_being_opened_when_a_signal_comes_is_ended() {
    for keeps in [Keeps::AMessage, Keeps::TheSession] {
        let is_ended = |_| {
            let seen = server(keeps);
            interrupted(&seen, &[], Signal::INT);
            let ended = seen.ended.lock().expect("nobody panics here");
            ended.iter().any(|id| id == ID)
        };
        assert!((0..ATTEMPTS).any(is_ended), "{keeps:?}");
    }
}

#[test]
fn a_doctor_that_is_interrupted_says_what_it_knows_and_ends_with_the_status_of_the_signal() {
    for (signal, name, status) in [
        (Signal::INT, "SIGINT", 130),
        (Signal::TERM, "SIGTERM", 143),
        (Signal::HUP, "SIGHUP", 129),
    ] {
        let output = interrupted(&server(Keeps::AMessage), &["--json"], signal);
        assert_eq!(output.status.code(), Some(status), "{output:?}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("whole JSON");
        assert_eq!(report["interrupted"], name, "{report:#}");
        assert_eq!(report["ok"], false, "{report:#}");
        let left_out = report["not_looked_at"].to_string();
        let part = "the handshakes at /mcp: interrupted";
        assert!(left_out.contains(part), "{report:#}");
        let passed = report["passed"].to_string();
        assert!(passed.contains("and ready"), "{report:#}");
    }
    let output = interrupted(&server(Keeps::AMessage), &[], Signal::INT);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("ok: reached in "), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.starts_with("ended by SIGINT; until then "), "{said}");
}

#[test]
fn a_server_that_does_not_end_its_session_does_not_hold_a_doctor_that_is_interrupted() {
    let output = interrupted(&server(Keeps::TheEnd), &[], Signal::TERM);
    assert_eq!(output.status.code(), Some(143), "{output:?}");
}

#[test]
fn a_reader_that_has_stopped_reading_does_not_hold_a_doctor_that_is_interrupted() {
    let (mut full, _reader) = UnixStream::pair().expect("two sockets");
    full.set_nonblocking(true).expect("a socket of ours");
    let why = loop {
        if let Err(why) = full.write(&[b'x'; 4096]) {
            break why;
        }
    };
    assert_eq!(why.kind(), ErrorKind::WouldBlock);
    full.set_nonblocking(false).expect("a socket of ours");
    let seen = server(Keeps::AMessage);
    let mut child = doctor(&[], seen.at, NONE_IGNORED, OwnedFd::from(full).into());
    let _watch = Watchdog::of(child.id(), LIMIT);
    let kept = seen.kept.recv_timeout(PATIENCE);
    kept.expect("a request is kept waiting");
    let ended = until("it ends", LIMIT, || {
        send(&child, Signal::INT);
        child.try_wait().expect("a child of ours")
    });
    assert_eq!(ended.code(), Some(130));
}

#[test]
fn a_signal_that_was_ignored_before_the_start_ends_nothing() {
    let seen = server(Keeps::TheSession);
    let child = doctor(&["--json"], seen.at, "--ignore-signal=INT", Stdio::piped());
    let _watch = Watchdog::of(child.id(), LIMIT);
    let kept = || seen.kept.recv_timeout(PATIENCE);
    kept().expect("the session is kept waiting");
    send(&child, Signal::INT);
    let _ = seen.go.send(());
    kept().expect("the examination goes on to the next message");
    send(&child, Signal::TERM);
    let output = child.wait_with_output().expect("its output can be read");
    assert_eq!(output.status.code(), Some(143), "{output:?}");
    let report: Value = serde_json::from_slice(&output.stdout).expect("whole JSON");
    assert_eq!(report["interrupted"], "SIGTERM", "{report:#}");
}
