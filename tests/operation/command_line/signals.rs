//! Signals, and what a process inherits.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::folder;
use crate::support::hangups;
use crate::support::http::{Connection, PATIENCE, exchange, get, post};
use crate::support::plugins::{Folder, copy_program};
use crate::support::server::{Server, Setup, is_root};
use crate::support::session::Session;
use crate::support::{s, until};

#[test]
fn signals_without_a_meaning_end_nothing() {
    let mut server = Server::start(&Setup::new());
    for signal in [Signal::XFSZ, Signal::USR1, Signal::USR2, Signal::ALARM] {
        server.signal(signal);
        let health = exchange(server.address(), &get(server.address(), "/health", ""));
        assert_eq!(health.status, 200, "{signal:?}");
    }
    server.signal(Signal::TERM);
    assert!(server.ends_within(PATIENCE).success());
}

/// A plugin whose command does `work`, and before that says so by a file in the directory that its server has for a
/// home: that a server has processes says nothing of a call, for it has some in reserve.
fn telling(before: &str, work: &str) -> Folder {
    folder(&format!("{before}\n: >\"$HOME/begun\"\n{work}"))
}

#[track_caller]
fn until_the_call_runs(server: &Server) {
    let begun = server.directory().join("begun");
    until("the call runs", PATIENCE, || begun.exists().then_some(()));
}

/// Sends a call of `walker__go`, waits until it runs, and gives what it was answered after SIGTERM.
fn answers_at_the_end(folder: &Folder) -> Vec<(&'static str, String)> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let call = |meta: &serde_json::Value| {
        let params = json!({"name": "walker__go", "arguments": {}, "_meta": meta});
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string()
    };
    const ACCEPT: &str = "Accept: application/json, text/event-stream\r\n";
    const JSON: &str = "Accept: application/json\r\n";
    let stateless =
        "MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: walker__go\r\n";
    let plain = call(&json!({}));
    let cases = [
        ("direct", "/messages/", String::new(), &plain),
        (
            "stateless",
            "/mcp",
            format!("{ACCEPT}{stateless}"),
            &call(&meta),
        ),
        (
            "stateless JSON",
            "/mcp",
            format!("{JSON}{stateless}"),
            &call(&meta),
        ),
        ("Streamable HTTP", "/mcp", ACCEPT.to_owned(), &plain),
    ];
    let one = |(what, path, headers, call): (&'static str, &str, String, &String)| {
        let mut server = Server::start(&Setup::new().plugins(folder.path()));
        server.ready();
        let at = server.address();
        let headers = match what {
            "Streamable HTTP" => format!("{headers}{}", handshake(at, &headers)),
            _ => headers,
        };
        let request = post(at, path, &headers, call.as_bytes());
        let mut connection = Connection::open(at);
        connection.send(&request).expect("the server listens");
        until_the_call_runs(&server);
        server.signal(Signal::TERM);
        let answer = connection.answer(s(60));
        let answer = answer
            .unwrap_or_else(|silence| panic!("{what}: {silence:?}"))
            .text();
        assert!(server.ends_within(s(40)).success(), "{what}");
        server.leaves_nothing_within(s(10));
        (what, answer)
    };
    let over_sse = || {
        let mut server = Server::start(&Setup::new().plugins(folder.path()));
        server.ready();
        let mut session = Session::ready(server.address());
        let id = session.begin("walker__go", json!({}));
        until_the_call_runs(&server);
        server.signal(Signal::TERM);
        let answer = session.response(&id, s(60)).to_string();
        assert!(server.ends_within(s(40)).success(), "SSE");
        server.leaves_nothing_within(s(10));
        ("SSE", answer)
    };
    // Side by side: each takes as long as its call may.
    std::thread::scope(|scope| {
        let mut asking: Vec<_> = cases
            .into_iter()
            .map(|case| scope.spawn(|| one(case)))
            .collect();
        asking.push(scope.spawn(over_sse));
        let answers = asking.into_iter().map(|each| each.join());
        answers
            .map(|answer| answer.expect("it is answered"))
            .collect()
    })
}

#[test]
fn a_running_call_gets_its_grace_through_every_transport() {
    for (what, answer) in answers_at_the_end(&telling("", "sleep 3; echo done")) {
        assert!(answer.contains("done"), "{what}: {answer}");
    }
}

/// Takes more than ten seconds: the grace of running calls.
#[test]
fn a_call_that_outlasts_its_grace_is_told_so_through_every_transport() {
    for (what, answer) in answers_at_the_end(&telling("", "sleep 600")) {
        assert!(answer.contains("\"error\""), "{what}: {answer:?}");
        assert!(answer.contains("shutting down"), "{what}: {answer:?}");
        assert!(answer.contains("-32603"), "{what}: {answer:?}");
    }
}

/// Opens a session of Streamable HTTP; gives the headers that name it.
fn handshake(at: std::net::SocketAddr, headers: &str) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "test", "version": "1"}}});
    let answer = exchange(at, &post(at, "/mcp", headers, hello.to_string().as_bytes()));
    let session = answer
        .header("mcp-session-id")
        .expect("a session")
        .to_owned();
    let named = format!("Mcp-Session-Id: {session}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let headers = format!("{headers}{named}");
    exchange(
        at,
        &post(at, "/mcp", &headers, ready.to_string().as_bytes()),
    );
    named
}

#[test]
fn a_second_signal_ends_a_server_with_a_stubborn_call_at_once() {
    let folder = telling("trap '' TERM", "while :; do sleep 0.1; done");
    let mut server = Server::start(&Setup::new().plugins(folder.path()));
    server.ready();
    let mut session = Session::ready(server.address());
    session.begin("walker__go", json!({}));
    until_the_call_runs(&server);
    server.signal(Signal::TERM);
    // Two signals of one kind are one for the system as long as the first has not been taken.
    until("the first one is heard", s(8), || {
        let answer = exchange(server.address(), &get(server.address(), "/readyz", ""));
        (answer.status == 503).then_some(())
    });
    server.signal(Signal::TERM);
    // Without the ten seconds that a call has, and the five that a program has which was asked to end.
    server.ends_within(s(8));
    server.leaves_nothing_within(s(4));
}

/// The server in a shell that has done something before; ended with the value.
struct InShell(Child);

impl InShell {
    fn start(before: &str) -> Self {
        let script = format!("{before}; exec \"$0\" --port 0");
        let mut command = Command::new("bash");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_smcp")])
            .env("MCP_DISABLE_FILE_LOG", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Self(command.spawn().expect("there is a bash"))
    }

    fn pid(&self) -> Pid {
        let id = self.0.id().try_into().expect("process numbers are small");
        Pid::from_raw(id).expect("a child has a number above zero")
    }
}

impl Drop for InShell {
    fn drop(&mut self) {
        let _ = kill_process(self.pid(), Signal::TERM);
        let _ = self.0.wait();
    }
}

#[test]
fn an_ignored_hangup_stays_ignored() {
    for (before, ignored) in [("trap '' HUP", true), (":", hangups::are_ignored())] {
        let mut server = InShell::start(before);
        let printed = server.0.stdout.take().expect("it is a pipe");
        let mut first = String::new();
        BufReader::new(printed)
            .read_line(&mut first)
            .expect("it prints");
        assert!(first.contains("listens on"), "{first}");
        let path = format!("/proc/{}/status", server.0.id());
        let status = std::fs::read_to_string(path).expect("it runs");
        let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
        let mask = u64::from_str_radix(mask.expect("Linux says").trim(), 16).expect("hexadecimal");
        assert_eq!(mask & 1 == 1, ignored, "{before}");
    }
}

#[test]
fn a_system_without_threads_to_give_is_one_line_and_exit_code_1() {
    // Another user's processes do not count, and root has no such limit at all.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo provides it");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).expect("it is ours");
    let program = directory.path().join("smcp");
    copy_program(Path::new(env!("CARGO_BIN_EXE_smcp")), &program);
    for limit in 1..=3 {
        let script = format!("ulimit -u {limit}; exec \"$0\" --port 0");
        let mut command = Command::new("timeout");
        command
            .args(["-s", "KILL", "120", "bash", "-c", &script])
            .arg(&program)
            .current_dir("/")
            .env("MCP_DISABLE_FILE_LOG", "1");
        if is_root() {
            command.uid(54_321).gid(54_321);
        }
        let output = command.output().expect("there is a bash");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{limit}: {said}");
        assert_eq!(said.lines().count(), 1, "{limit}: {said}");
        assert!(
            said.contains("ulimit -u") && !said.contains("panicked"),
            "{said}"
        );
    }
}
