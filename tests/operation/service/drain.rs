//! The time between the wish to end and the end, in which whoever sends clients here can see it.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::{Notices, plugin};
use crate::support::http::{Connection, PATIENCE, exchange, get};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup, run};
use crate::support::session::Session;
use crate::support::{s, until};

#[test]
fn a_server_that_leaves_says_so_and_serves_until_its_delay_is_over() {
    let folder = Folder::new();
    plugin(&folder, "walker", "", "echo went");
    let notices = Notices::new();
    let setup = notices
        .setup(folder.path())
        .variable("MCP_DRAIN_DELAY", "10m");
    let mut server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let status = |path: &str| exchange(at, &get(at, path, "")).status;
    server.signal(Signal::TERM);
    until("a balancer sees it", PATIENCE, || {
        (status("/readyz") == 503).then_some(())
    });
    let health = exchange(at, &get(at, "/health", "")).text();
    assert!(health.contains("draining"), "{health}");
    assert_eq!(status("/healthz"), 200);
    // What the end itself may take comes on top.
    let most = (s(600) + smcp::app::END_LIMIT).as_micros();
    notices.message(0, &["STOPPING=1", &format!("EXTEND_TIMEOUT_USEC={most}")]);
    // Nobody who was sent here before is refused.
    let went = Session::ready(at).call("walker__go", json!({}));
    assert!(went.to_string().contains("went"), "{went}");
    server.signal(Signal::TERM);
    server.ends_within(s(30));
}

/// How a connection ends on which a request follows each answer after a moment, when the server is told to end.
fn end_of_a_kept_connection() -> Option<String> {
    let mut server = Server::start(&Setup::new());
    server.ready();
    let mut connection = Connection::open(server.address());
    let request = format!(
        "GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n",
        server.address()
    );
    let mut last = None;
    for round in 0.. {
        if round == 5 {
            server.signal(Signal::TERM);
        }
        let sent = connection.send(request.as_bytes());
        let Ok(answer) = sent
            .map_err(drop)
            .and_then(|()| connection.answer(PATIENCE).map_err(drop))
        else {
            break;
        };
        last = answer.header("connection").map(str::to_owned);
        if last.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    server.ends_within(PATIENCE);
    last
}

#[test]
fn a_kept_connection_in_use_ends_with_an_answer_that_says_so() {
    // A busy machine may keep the client from sending in time.
    let clean = (0..5).any(|_| end_of_a_kept_connection().as_deref() == Some("close"));
    assert!(
        clean,
        "a request that was sent as the server ended had no answer"
    );
}

#[test]
fn a_server_that_no_balancer_asks_ends_without_a_delay() {
    let folder = Folder::new();
    plugin(&folder, "walker", "", "echo went");
    let notices = Notices::new();
    let setup = notices
        .setup(folder.path())
        .variable("MCP_DRAIN_DELAY", "10m");
    let mut server = Server::start(&setup);
    notices.message(0, &["READY=1"]);
    let at = server.address();
    assert_eq!(exchange(at, &get(at, "/healthz", "")).status, 200);
    server.signal(Signal::TERM);
    assert!(server.ends_within(s(60)).success());
}

#[test]
fn a_delay_that_is_none_is_refused_with_what_its_zero_means() {
    let refused = run(&Setup::new().variable("MCP_DRAIN_DELAY", "x"));
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("MCP_DRAIN_DELAY: 'x'"), "{said}");
    assert!(said.contains("0 is no delay"), "{said}");
    assert!(!said.contains("no limit"), "{said}");
}
