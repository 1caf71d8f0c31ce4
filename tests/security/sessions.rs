//! A session answers whoever opened it; for everybody else it does not exist.

use std::net::SocketAddr;

use serde_json::json;

use crate::support::http::{Answer, exchange, post};
use crate::support::server::{Server, Setup};
use crate::support::session::Session;

/// Nobody's, the first key's and the second key's requests.
const CALLERS: [&str; 3] = [
    "",
    "X-API-Key: the-first-key\r\n",
    "Authorization: Bearer the-second-key\r\n",
];
const NEVER_WAS: &str = "0123456789abcdef0123456789abcdef";

fn server() -> Server {
    Server::start(&Setup::new().variable("MCP_API_KEYS", "the-first-key,the-second-key"))
}

fn ping(id: u64) -> Vec<u8> {
    json!({"jsonrpc": "2.0", "id": id, "method": "ping"})
        .to_string()
        .into_bytes()
}

/// All that a stranger could tell two answers apart by, beside the time of day.
fn seen(answer: &Answer) -> (u16, Vec<String>, Vec<u8>) {
    let lines = answer.head.lines().map(str::to_owned);
    let lines = lines.filter(|line| !line.starts_with("date:")).collect();
    (answer.status, lines, answer.body.clone())
}

#[test]
fn a_session_on_a_stream_is_unknown_to_all_but_its_opener() {
    let server = server();
    let at = server.address();
    for opener in CALLERS {
        let mut session = Session::open_with(at, "/sse", opener);
        session.initialize(crate::support::wire::NEWEST);
        let path = format!("/messages/?session_id={}", session.id());
        let never = format!("/messages/?session_id={NEVER_WAS}");
        for caller in CALLERS.into_iter().filter(|caller| *caller != opener) {
            let refused = exchange(at, &post(at, &path, caller, &ping(7)));
            assert_eq!(
                refused.status, 404,
                "{caller:?} in the session of {opener:?}"
            );
            let unknown = exchange(at, &post(at, &never, caller, &ping(7)));
            assert_eq!(
                seen(&refused),
                seen(&unknown),
                "{caller:?} can tell that it exists"
            );
        }
        // Nothing of what the others sent has reached it.
        let heard = session.heard_until_now();
        assert!(
            heard.iter().all(|message| message.get("id").is_none()),
            "answers to others: {heard:?}"
        );
    }
}

#[test]
fn a_session_of_streamable_http_is_unknown_to_all_but_its_opener() {
    let server = server();
    let at = server.address();
    for opener in CALLERS {
        let id = open_streamable(at, opener);
        for caller in CALLERS.into_iter().filter(|caller| *caller != opener) {
            for method in ["POST", "GET", "DELETE"] {
                let refused = streamable(at, method, &id, caller);
                assert_eq!(
                    refused.status, 404,
                    "{method} by {caller:?} in the session of {opener:?}"
                );
                let unknown = streamable(at, method, NEVER_WAS, caller);
                assert_eq!(
                    seen(&refused),
                    seen(&unknown),
                    "{method}: {caller:?} can tell that it exists"
                );
            }
        }
        let own = streamable(at, "POST", &id, opener);
        assert_eq!(
            own.status,
            200,
            "the session of {opener:?} was harmed: {}",
            own.text()
        );
    }
}

#[test]
fn the_session_of_one_transport_is_unknown_to_the_other() {
    let server = server();
    let at = server.address();
    let session = Session::ready(at);
    assert_eq!(streamable(at, "POST", session.id(), "").status, 404);
    let id = open_streamable(at, "");
    let path = format!("/messages/?session_id={id}");
    assert_eq!(exchange(at, &post(at, &path, "", &ping(1))).status, 404);
}

fn open_streamable(at: SocketAddr, headers: &str) -> String {
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}});
    let headers = format!("{headers}Accept: application/json, text/event-stream\r\n");
    let answer = exchange(
        at,
        &post(at, "/mcp", &headers, hello.to_string().as_bytes()),
    );
    let id = answer.header("mcp-session-id");
    id.unwrap_or_else(|| panic!("no session: {}\n{}", answer.head, answer.text()))
        .to_owned()
}

fn streamable(at: SocketAddr, method: &str, id: &str, headers: &str) -> Answer {
    let headers = format!(
        "{headers}Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\nAccept: application/json, text/event-stream\r\n"
    );
    let request = post(
        at,
        "/mcp",
        &headers,
        &if method == "POST" {
            ping(2)
        } else {
            Vec::new()
        },
    );
    let request = String::from_utf8(request).expect("it is text");
    exchange(at, request.replacen("POST", method, 1).as_bytes())
}
