//! Messages that get no answer, batches, and the judge of all that is said.

use serde_json::{Value, json};

use crate::support::http::PATIENCE;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::wire;
use crate::support::witness::Witness;

#[test]
fn what_expects_no_answer_gets_none() {
    let server = Server::start(&Setup::new());
    let witness = Witness::of(server.address(), "");
    let mut session = Session::open(server.address());
    session.tell("notifications/before/initialize", json!({}));
    session.initialize(wire::NEWEST);
    for method in [
        "notifications/no/such",
        "no/such/method",
        "tools/list",
        "$/ours",
    ] {
        session.tell(method, json!({"a": 1}));
    }
    // An answer to a question that nobody asked.
    session.send(&json!({"jsonrpc": "2.0", "id": 77, "result": {}}));
    session.send(&json!({"jsonrpc": "2.0", "id": 78, "error": {"code": -1, "message": "no"}}));
    let heard = session.heard_until_now();
    assert!(heard.is_empty(), "row 24: {heard:?}");
    witness.must_be_served();
}

#[test]
fn batches_are_taken_where_the_revision_has_them() {
    let server = Server::start(&Setup::new());
    let mut session = Session::open(server.address());
    session.initialize("2025-03-26");
    let ids = [json!(71), json!("seventy-two")];
    let batch: Vec<Value> = ids
        .iter()
        .map(|id| {
            session.expects(id, "ping");
            json!({"jsonrpc": "2.0", "id": id, "method": "ping"})
        })
        .collect();
    let answer = session.post(json!(batch).to_string().as_bytes());
    assert_eq!(answer.status, 202, "row 21: {}", answer.text());
    for id in &ids {
        let pong = session.response(id, PATIENCE);
        assert_eq!(pong["result"], json!({}), "row 21: {pong}");
    }
}

/// The judge that all these tests rely on is judged here: it must see what it is there to see.
#[test]
fn a_misspelt_member_does_not_pass_the_judge() {
    let result = |result: Value| json!({"jsonrpc": "2.0", "id": 1, "result": result});
    let good = result(json!({"content": [{"type": "text", "text": "a"}], "isError": false}));
    assert_eq!(wire::judge(&good, Some("tools/call"), wire::NEWEST), Ok(()));
    let step = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 1, "progress": 1}});
    assert_eq!(wire::judge(&step, None, wire::NEWEST), Ok(()));
    let bad = [
        (
            result(json!({"content": [], "iserror": false})),
            "tools/call",
        ),
        (
            result(json!({"content": [], "structured_content": {}})),
            "tools/call",
        ),
        (
            result(json!({"content": [{"type": "text", "txt": "a"}]})),
            "tools/call",
        ),
        (result(json!({"contents": []})), "tools/call"),
        (
            result(json!({"tools": [{"name": "a", "inputschema": {"type": "object"}}]})),
            "tools/list",
        ),
        (
            result(json!({"tools": [{"name": "a", "inputSchema": {"type": "array"}}]})),
            "tools/list",
        ),
        (result(json!({"ok": true})), "ping"),
        (
            json!({"jsonrpc": "2.0", "id": 1, "error": {"code": "-1", "message": "a"}}),
            "ping",
        ),
        (
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": -1, "message": "a"}}),
            "ping",
        ),
        (
            json!({"jsonrpc": "2.0", "method": "notifications/tools/listChanged"}),
            "ping",
        ),
        (
            json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progresstoken": 1, "progress": 1}}),
            "ping",
        ),
    ];
    for (message, method) in bad {
        let verdict = wire::judge(&message, Some(method), wire::NEWEST);
        assert!(verdict.is_err(), "it passed: {message}");
    }
}
