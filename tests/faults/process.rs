//! Rows 41 to 48: the end of the process, and what the log may say.

use std::io::Read;

use rustix::process::Signal;
use serde_json::json;

use crate::served::{GONE, found_soon, gone_within, served};
use crate::support::http::{Connection, PATIENCE, Silence, exchange, get, post};
use crate::support::plugins::{Folder, fixtures};
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, code_of, text_of};
use crate::support::witness::Witness;
use crate::support::{processes, s, until};

/// Goes on until there is the file `end` in its directory.
const GATED: &str = r#"#!/bin/sh
case "$1" in
--describe) echo '{"contract_version":"1.1","commands":[{"name":"wait","description":"d"}]}' ;;
wait) : > "$SMCP_PLUGIN_DIR/begun"; until [ -e "$SMCP_PLUGIN_DIR/end" ]; do sleep 0.05; done; echo done ;;
esac
"#;

#[test]
fn sigterm_lets_running_calls_finish_and_takes_no_new_work() {
    let folder = Folder::new();
    let gate = folder.add_executable("gated", GATED);
    let mut server = Server::start(&Setup::new().plugins(folder.path()));
    server.ready();
    let at = server.address();
    let mut session = Session::ready(at);
    let mut idle = Session::ready(at);
    let running = session.begin("gated__wait", json!({}));
    until("row 41: the call runs", PATIENCE, || {
        gate.join("begun").exists().then_some(())
    });
    server.signal(Signal::TERM);
    until("row 41: the server drains", PATIENCE, || {
        let mut connection = Connection::open(at);
        let _ = connection.send(&get(at, "/readyz", ""));
        connection
            .answer(PATIENCE)
            .ok()
            .filter(|answer| answer.status == 503)
    });
    let refused = Session::try_open(at, "/sse", "").expect_err("row 41: a new session");
    assert_eq!(refused.status, 503, "row 41");
    let id = idle.begin("gated__wait", json!({}));
    let late = idle.response(&id, PATIENCE);
    let works = late["result"]["isError"] == false;
    assert!(!works, "row 41: new work is taken: {late}");
    std::fs::write(gate.join("end"), "").expect("a directory of our own");
    let result = session.result(&running, PATIENCE);
    assert_eq!(result["isError"], false, "row 41: {result}");
    assert!(text_of(&result).ends_with("done"), "row 41: {result}");
    let status = server.ends_within(s(40));
    assert!(status.success(), "row 41: {status}");
    server.leaves_nothing_within(GONE);
}

/// Takes fifteen seconds: the ten that running calls get, and the five of grace for the deaf one.
#[test]
fn sigterm_ends_what_does_not_end_with_a_stalled_reader_too() {
    let mut server = served();
    let mut stalled = Session::ready(server.address());
    for _ in 0..30 {
        stalled.begin("floods__stdout", json!({"bytes": 2_000_000}));
    }
    let mut session = Session::ready(server.address());
    session.begin("lingers__deaf", json!({"mark": "row-41-deaf"}));
    session.begin("lingers__daemon", json!({"mark": "row-41-daemon"}));
    found_soon("row-41-deaf");
    found_soon("row-41-daemon");
    server.signal(Signal::TERM);
    let status = server.ends_within(s(40));
    assert!(status.success(), "row 41: {status}");
    server.leaves_nothing_within(GONE);
}

#[test]
fn a_second_signal_forces_the_end() {
    let mut server = served();
    let mut session = Session::ready(server.address());
    session.begin("lingers__sleep", json!({"mark": "row-41-forced"}));
    found_soon("row-41-forced");
    server.signal(Signal::TERM);
    until("row 41: the server drains", PATIENCE, || {
        let answer = exchange(server.address(), &get(server.address(), "/readyz", ""));
        (answer.status == 503).then_some(())
    });
    server.signal(Signal::INT);
    // Less than the ten seconds that a running call gets otherwise.
    server.ends_within(s(8));
    server.leaves_nothing_within(GONE);
}

#[test]
fn an_idle_server_ends_without_the_grace_of_running_calls() {
    let mut server = served();
    let mut session = Session::ready(server.address());
    server.signal(Signal::TERM);
    assert!(session.ends_within(s(8)), "row 41: the stream stays open");
    // Less than the ten seconds that a running call would get.
    let status = server.ends_within(s(8));
    assert!(status.success(), "row 41: {status}");
    server.leaves_nothing_within(GONE);
}

#[test]
fn a_call_fails_when_its_supervisor_is_killed_and_nothing_is_left() {
    let server = served();
    for command in ["sleep", "deaf", "daemon"] {
        let witness = Witness::of(server.address(), "");
        let mark = format!("row-42-{command}");
        let mut session = Session::ready(server.address());
        let id = session.begin(&format!("lingers__{command}"), json!({"mark": mark}));
        found_soon(&mark);
        let supervisor = supervisor_of(&server, &mark);
        rustix::process::kill_process(supervisor, Signal::KILL).expect("it is there");
        let result = session.result(&id, GONE);
        assert!(
            ["internal_error", "plugin_error", "spawn_failed"].contains(&code_of(&result)),
            "row 42: {result}"
        );
        gone_within(&mark, GONE);
        witness.must_be_served();
    }
}

/// The process of the server's own program that the marked program is below of.
#[track_caller]
fn supervisor_of(server: &Server, mark: &str) -> rustix::process::Pid {
    let program = server.program();
    processes::with_argument(mark)
        .into_iter()
        .flat_map(processes::ancestors)
        .find(|pid| {
            *pid != server.pid()
                && std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
        })
        .expect("every call has a supervisor")
}

#[test]
fn a_log_that_cannot_be_written_stops_nobody() {
    if !std::path::Path::new("/dev/full").exists() {
        return;
    }
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .with_log_file()
        .variable("MCP_LOG_FILE", "/dev/full")
        .variable("MCP_LOG_ROTATION", "none");
    let server = Server::start(&setup);
    server.ready();
    let mut session = Session::ready(server.address());
    let result = session.call("args__show", json!({"text": "a"}));
    assert_eq!(result["isError"], false, "row 43: {result}");
    Witness::of(server.address(), "").must_be_served();
}

#[test]
fn a_log_directory_that_is_read_only_stops_nobody() {
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .with_log_file()
        .variable("MCP_LOG_DIR", "/proc/self");
    let server = Server::start(&setup);
    server.ready();
    let mut session = Session::ready(server.address());
    let result = session.call("args__show", json!({"text": "a"}));
    assert_eq!(result["isError"], false, "row 43: {result}");
    Witness::of(server.address(), "").must_be_served();
}

#[test]
fn every_log_line_is_one_line_and_no_value_is_in_it() {
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .with_log_file()
        .variable("MCP_LOG_LEVEL", "DEBUG");
    let server = Server::start(&setup);
    server.ready();
    let witness = Witness::of(server.address(), "");
    let forged = "x\n2026-01-01T00:00:00Z  INFO smcp: forged\u{1b}[31m\r\u{8}\u{85}\u{2028}";
    let secret = "the-value-that-nobody-may-log";
    let agent = "X-Agent-Id: agent-1\r\n";
    let mut session = Session::open_with(server.address(), "/sse", agent);
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": forged, "version": forged}});
    session.ask("initialize", hello);
    session.call("args__show", json!({"text": secret}));
    session.call("args__show", json!({"text": format!("{forged}{secret}")}));
    session.call(
        "args__show",
        json!({"undeclared": secret, "number": secret}),
    );
    session.call(&format!("args__{forged}"), json!({"text": secret}));
    session.call(forged, json!({forged: secret}));
    session.ask(&format!("no/such/{forged}"), json!({"a": secret}));
    session.call("ends__fails-on-stderr", json!({}));
    exchange(
        server.address(),
        &post(
            server.address(),
            "/messages/",
            "X-API-Key: a-key-nobody-may-log\r\n",
            b"{}",
        ),
    );
    let at_end = "row-44-the-end";
    session.call(at_end, json!({}));
    let file = server.directory().join("logs/mcp_server.log");
    let written = || {
        let mut text = Vec::new();
        std::fs::File::open(&file)
            .and_then(|mut file| file.read_to_end(&mut text))
            .expect("row 44: the log file is there");
        String::from_utf8(text).expect("row 44: a log is UTF-8")
    };
    until("row 44: the last line is written", PATIENCE, || {
        (written().contains(at_end) && server.log().contains(at_end)).then_some(())
    });
    for log in [written(), server.log()] {
        for forbidden in [
            secret,
            "a-key-nobody-may-log",
            "\u{1b}",
            "\u{8}",
            "\r",
            "\u{85}",
            "\u{2028}",
        ] {
            assert!(
                !log.contains(forbidden),
                "row 44: {forbidden:?} is in the log"
            );
        }
        assert!(
            log.lines().all(|line| !line.starts_with("2026-01-01")),
            "row 44: a forged line"
        );
        assert!(
            log.contains("undeclared"),
            "row 44: the names of arguments are logged"
        );
    }
    witness.must_be_served();
}

#[test]
fn a_killed_server_leaves_nothing() {
    let mut server = served();
    let mut session = Session::ready(server.address());
    for command in ["sleep", "deaf", "daemon"] {
        let mark = format!("row-42-server-{command}");
        session.begin(&format!("lingers__{command}"), json!({"mark": mark}));
        found_soon(&mark);
    }
    server.signal(Signal::KILL);
    server.ends_within(GONE);
    server.leaves_nothing_within(GONE);
    let silence = session.take(GONE, |_| true);
    assert_eq!(silence.err(), Some(Silence::Closed), "row 42");
}
