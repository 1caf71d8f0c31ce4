//! HTTP+SSE: the stream, the endpoint that it names, and the handshake.

use serde_json::json;

use crate::support::http::{PATIENCE, exchange, header, post};
use crate::support::server::{Server, Setup};
use crate::support::session::{Event, Session};
use crate::support::streamable::Stream;
use crate::support::wire;

#[test]
fn the_stream_begins_at_once_with_the_endpoint_and_no_proxy_may_keep_it_back() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let request = format!("GET /sse HTTP/1.1\r\nHost: {at}\r\nAccept: text/event-stream\r\n\r\n");
    let stream = Stream::begin(at, request.as_bytes()).expect("a stream");
    let header = |name: &str| header(&stream.head, name).map(str::to_owned);
    assert_eq!(
        header("cache-control").as_deref(),
        Some("no-cache, no-transform")
    );
    assert_eq!(header("x-accel-buffering").as_deref(), Some("no"));
    // Opening asserts that the endpoint is the first event.
    let session = Session::open(at);
    let id = session.id();
    assert!(
        id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()),
        "{id}"
    );
    assert_eq!(session.endpoint(), format!("/messages/?session_id={id}"));
}

#[test]
fn the_response_comes_on_the_stream_as_one_event_of_one_line() {
    let server = Server::start(&Setup::new());
    let mut session = Session::ready(server.address());
    let answer = session.post(br#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#);
    assert_eq!((answer.status, answer.text().as_str()), (202, "Accepted"));
    let expected = r#"{"jsonrpc":"2.0","id":"a","result":{}}"#;
    let message = Event::Named("message".to_owned(), expected.to_owned());
    assert_eq!(session.event(PATIENCE), Ok(message));
}

#[test]
fn every_name_of_the_endpoint_leads_to_the_session() {
    let server = Server::start(&Setup::new());
    let mut session = Session::ready(server.address());
    let id = session.id().to_owned();
    for (number, name) in ["/messages/", "/messages", "/message"]
        .into_iter()
        .enumerate()
    {
        let request = json!(format!("ping-{number}"));
        session.expects(&request, "ping");
        let path = format!("{name}?session_id={id}");
        let body = json!({"jsonrpc": "2.0", "id": request, "method": "ping"}).to_string();
        let answer = exchange(
            server.address(),
            &post(server.address(), &path, "", body.as_bytes()),
        );
        assert_eq!(answer.status, 202, "{name}: {}", answer.text());
        assert_eq!(answer.text(), "Accepted", "{name}");
        session.response(&request, PATIENCE);
    }
}

#[test]
fn a_request_before_the_handshake_is_refused_and_a_ping_answered() {
    let server = Server::start(&Setup::new());
    let mut session = Session::open(server.address());
    let pong = session.ask("ping", json!({}));
    assert_eq!(pong["result"], json!({}), "{pong}");
    for method in ["tools/list", "tools/call"] {
        let refused = session.ask(method, json!({"name": "health"}));
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
    session.initialize(wire::NEWEST);
    let listed = session.ask("tools/list", json!({}));
    assert!(listed["result"]["tools"].is_array(), "{listed}");
}

#[test]
fn every_revision_with_a_handshake_is_spoken_and_an_unknown_one_gets_the_newest() {
    let server = Server::start(&Setup::new());
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut session = Session::open(server.address());
        let result = session.initialize(revision);
        assert_eq!(
            result["serverInfo"]["name"], "sanctum-letta-mcp",
            "{result}"
        );
        session.ask("tools/list", json!({}));
        session.call("health", json!({}));
    }
    for unknown in ["1999-01-01", "2026-07-28", "nonsense"] {
        let mut session = Session::open(server.address());
        let answer = session.ask(
            "initialize",
            json!({"protocolVersion": unknown, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
        );
        assert_eq!(
            answer["result"]["protocolVersion"], "2025-11-25",
            "{answer}"
        );
    }
}
