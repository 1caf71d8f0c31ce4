//! Streamable HTTP with sessions: `Mcp-Session-Id`, the kinds of answer, and streams that are taken up again.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::http::exchange;
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::streamable::{BOTH, Client, Event, post};
use crate::support::wire;

/// Tells one step, waits until there is the file that it is given, tells another step and ends.
const STEPS: &str = r#"#!/bin/sh
case "$1" in
--describe) echo '{"contract_version":"1.1","commands":[
    {"name":"steps","description":"d","parameters":[{"name":"gate","type":"string"}]}]}' ;;
steps)
    echo '{"progress":1,"total":2}' >&3
    until [ -e "$3" ]; do sleep 0.05; done
    echo '{"progress":2,"total":2}' >&3
    echo done ;;
esac
"#;

fn server() -> (Server, Folder) {
    let plugins = Folder::new();
    plugins.add_executable("tool", STEPS);
    let server = Server::start(&Setup::new().plugins(plugins.path()));
    server.ready();
    (server, plugins)
}

/// A call that goes on until there is the file, and tells its steps.
fn steps(gate: &Path) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
        "name": "tool__steps", "arguments": {"gate": gate}, "_meta": {"progressToken": "t"}}})
}

fn ping() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})
}

/// A message in few words: the step that it tells, or the text that it answers with.
#[track_caller]
fn told(event: &Event, revision: &str) -> String {
    let data = event.data.as_deref().expect("a message");
    let message = wire::message(data, Some("tools/call"), revision);
    match message["params"]["progress"].as_f64() {
        Some(step) => format!("step {step}"),
        None => message["result"]["content"][0]["text"].to_string(),
    }
}

#[track_caller]
fn open_gate(gate: &Path) {
    std::fs::write(gate, "").expect("a directory of our own");
}

#[test]
fn the_answer_to_a_handshake_names_the_session_and_every_later_request_must() {
    let (server, _plugins) = server();
    let at = server.address();
    let client = Client::open(at, wire::NEWEST);
    assert_eq!(client.id().len(), 32, "{}", client.id());
    assert_eq!(client.post(&ping()).json()["result"], json!({}));
    let nameless = exchange(at, &post(at, BOTH, &ping()));
    assert_eq!(nameless.status, 400, "{}", nameless.text());
    let other = Client::open(at, wire::NEWEST);
    assert_ne!(client.id(), other.id());
}

#[test]
fn a_session_that_its_client_has_ended_is_unknown() {
    let (server, _plugins) = server();
    let client = Client::open(server.address(), wire::NEWEST);
    assert_eq!(client.delete(), 204);
    assert_eq!(client.post(&ping()).status, 404);
    assert_eq!(
        client.listen(None).map_err(|answer| answer.status).err(),
        Some(404)
    );
    assert_eq!(client.delete(), 404);
}

#[test]
fn the_version_header_of_a_session_names_a_revision_that_has_sessions() {
    let (server, _plugins) = server();
    let at = server.address();
    let client = Client::open(at, wire::NEWEST);
    for (version, status) in [("2025-06-18", 200), ("1999-01-01", 400), ("nonsense", 400)] {
        let headers = format!(
            "Mcp-Session-Id: {}\r\nMCP-Protocol-Version: {version}\r\n{BOTH}",
            client.id()
        );
        let answer = exchange(at, &post(at, &headers, &ping()));
        assert_eq!(answer.status, status, "{version}: {}", answer.text());
    }
    // Clients of the first revision with sessions send no such header.
    let headers = format!("Mcp-Session-Id: {}\r\n{BOTH}", client.id());
    assert_eq!(exchange(at, &post(at, &headers, &ping())).status, 200);
}

#[test]
fn an_answer_is_of_a_kind_that_the_client_takes() {
    let (server, plugins) = server();
    let gate = plugins.path().join("gate");
    open_gate(&gate);
    let client = Client::open(server.address(), wire::NEWEST);
    for (accept, kind) in [
        (BOTH, "text/event-stream"),
        ("Accept: text/event-stream\r\n", "text/event-stream"),
        ("Accept: application/json\r\n", "application/json"),
    ] {
        let answer = client.post_with(accept, &steps(&gate));
        assert_eq!(answer.status, 200, "{accept}: {}", answer.text());
        assert_eq!(answer.header("content-type"), Some(kind), "{accept}");
        assert!(
            answer.text().contains("done"),
            "{accept}: {}",
            answer.text()
        );
    }
    let neither = client.post_with("Accept: text/html\r\n", &ping());
    assert_eq!(neither.status, 406, "{}", neither.text());
}

#[test]
fn a_stream_that_broke_off_goes_on_after_the_last_event_that_was_received() {
    let (server, plugins) = server();
    let gate = plugins.path().join("gate");
    let client = Client::open(server.address(), wire::NEWEST);
    let mut stream = client.stream(&steps(&gate));
    let greeting = stream.event().expect("an event to come back to");
    assert_eq!(greeting.data.as_deref(), Some(""));
    assert!(greeting.retry.is_some(), "{greeting:?}");
    let first = stream.event().expect("the first step");
    assert_eq!(told(&first, wire::NEWEST), "step 1");
    // A connection that is lost is no cancellation: the call goes on with nobody there.
    drop(stream);
    open_gate(&gate);
    let resumed = client.listen(first.id.as_deref()).expect("a stream");
    let rest: Vec<_> = resumed
        .rest()
        .iter()
        .map(|event| told(event, wire::NEWEST))
        .collect();
    assert_eq!(rest, ["step 2", r#""done""#]);
}

#[test]
fn events_that_were_sent_and_not_received_are_sent_again() {
    let (server, plugins) = server();
    let gate = plugins.path().join("gate");
    open_gate(&gate);
    let client = Client::open(server.address(), wire::NEWEST);
    let sent = client.stream(&steps(&gate)).rest();
    let [greeting, messages @ ..] = sent.as_slice() else {
        panic!("an empty stream")
    };
    assert_eq!(messages.len(), 3, "{sent:?}");
    for received in 0..sent.len() {
        let last = sent[received].id.as_deref();
        let again = client.listen(last).expect("the stream is kept").rest();
        assert_eq!(again, sent[received + 1..], "after {last:?}");
    }
    let mut ids: Vec<_> = sent.iter().map(|event| event.id.as_deref()).collect();
    assert!(!ids.contains(&None), "{sent:?}");
    ids.dedup();
    assert_eq!(ids.len(), sent.len(), "an id is one event's: {sent:?}");
    assert!(greeting.id.is_some());
}

#[test]
fn two_streams_of_a_session_are_told_apart_by_the_ids_of_their_events() {
    let (server, plugins) = server();
    let gates = ["one", "two"].map(|name| plugins.path().join(name));
    let client = Client::open(server.address(), wire::NEWEST);
    let mut last = Vec::new();
    for gate in &gates {
        let mut call = steps(gate);
        call["id"] = json!(gate);
        let mut stream = client.stream(&call);
        stream.event().expect("an event to come back to");
        last.push(stream.event().expect("the first step").id);
    }
    gates.iter().for_each(|gate| open_gate(gate));
    for (gate, last) in gates.iter().zip(last) {
        let rest = client.listen(last.as_deref()).expect("a stream").rest();
        let response = rest.last().expect("a response").message();
        assert_eq!(response["id"], json!(gate), "{rest:?}");
    }
}

#[test]
fn the_stream_of_a_session_is_taken_up_again_too() {
    let (server, _plugins) = server();
    let client = Client::open(server.address(), wire::NEWEST);
    let mut stream = client.listen(None).expect("the session's stream");
    let greeting = stream.event().expect("an event to come back to");
    drop(stream);
    let detach = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
        "name": "sanctum__tools", "arguments": {"action": "detach", "tool": "tool__steps"}}});
    assert_eq!(client.post(&detach).json()["result"]["isError"], false);
    let mut again = client.listen(greeting.id.as_deref()).expect("a stream");
    let event = again.event().expect("what happened meanwhile");
    let message = wire::message(
        event.data.as_deref().unwrap_or_default(),
        None,
        wire::NEWEST,
    );
    assert_eq!(message["method"], "notifications/tools/list_changed");
    assert!(event.id.is_some_and(|id| Some(id) != greeting.id));
}

#[test]
fn events_have_ids_in_the_revision_that_knows_them_alone() {
    let (server, plugins) = server();
    let gate = plugins.path().join("gate");
    open_gate(&gate);
    for (revision, has_ids) in [
        ("2025-03-26", false),
        ("2025-06-18", false),
        ("2025-11-25", true),
    ] {
        let client = Client::open(server.address(), revision);
        let events = client.stream(&steps(&gate)).rest();
        // The empty event at the start has nothing but an id, so there is none of it either.
        assert_eq!(
            events.len(),
            if has_ids { 4 } else { 3 },
            "{revision}: {events:?}"
        );
        let with_id = |event: &Event| event.id.is_some();
        assert_eq!(
            events.iter().all(with_id),
            has_ids,
            "{revision}: {events:?}"
        );
        assert_eq!(
            events.iter().any(with_id),
            has_ids,
            "{revision}: {events:?}"
        );
    }
}
