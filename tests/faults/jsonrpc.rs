//! Rows 20 to 24: messages that are no JSON, no JSON-RPC, or no MCP.

use serde_json::{Value, json};

use crate::support::http::{Answer, PATIENCE, exchange, post};
use crate::support::plugins::fixtures;
use crate::support::server::{Server, Setup};
use crate::support::session::{Event, Session, directly};
use crate::support::witness::Witness;
use crate::support::{rows, wire};

/// A message, and the code of the error that must answer it.
struct Case {
    row: u8,
    what: &'static str,
    sent: Vec<u8>,
    code: i64,
    /// The id that the error must bear, where the message has one that can be read.
    id: Option<Value>,
}

fn unreadable(row: u8, what: &'static str, sent: impl Into<Vec<u8>>, code: i64) -> Case {
    Case {
        row,
        what,
        sent: sent.into(),
        code,
        id: None,
    }
}

fn readable(row: u8, what: &'static str, sent: &str, code: i64, id: Value) -> Case {
    Case {
        row,
        what,
        sent: sent.into(),
        code,
        id: Some(id),
    }
}

fn ping_with(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":9,"method":"ping","params":{params}}}"#)
}

fn no_json() -> Vec<Case> {
    let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(10_000), "}".repeat(10_000));
    let mut marked = b"\xef\xbb\xbf".to_vec();
    marked.extend_from_slice(ping_with("{}").as_bytes());
    let bad = |what, sent: Vec<u8>| unreadable(20, what, sent, -32700);
    vec![
        bad("nothing", Vec::new()),
        bad("white space", b" \n".to_vec()),
        bad("a word", b"ping".to_vec()),
        bad("half an object", br#"{"jsonrpc":"2.0","id":1"#.to_vec()),
        bad(
            "something after the end",
            format!("{} x", ping_with("{}")).into(),
        ),
        bad("two messages", format!("{0}{0}", ping_with("{}")).into()),
        bad("a comma too many", ping_with(r#"{"a":1,}"#).into()),
        bad("single quotes", b"{'jsonrpc':'2.0'}".to_vec()),
        bad(
            "a raw newline in a string",
            ping_with("{\"a\":\"b\nc\"}").into(),
        ),
        bad(
            "a raw NUL in a string",
            ping_with("{\"a\":\"b\0c\"}").into(),
        ),
        bad(
            "UTF-8 cut off",
            b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"\xc3".to_vec(),
        ),
        bad(
            "bytes that are no UTF-8",
            b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"\xff\xfe\"}".to_vec(),
        ),
        bad(
            "an overlong form",
            b"{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"\xc0\xaf\"}".to_vec(),
        ),
        bad(
            "UTF-16",
            "{\"id\":1}"
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect(),
        ),
        bad("a byte order mark", marked),
        bad("a lone surrogate", ping_with(r#"{"a":"\ud800"}"#).into()),
        bad(
            "surrogates the wrong way round",
            ping_with(r#"{"a":"\udc00\ud800"}"#).into(),
        ),
        bad("NaN", ping_with(r#"{"a":NaN}"#).into()),
        bad("Infinity", ping_with(r#"{"a":-Infinity}"#).into()),
        bad("1e400", ping_with(r#"{"a":1e400}"#).into()),
        bad("a leading zero", ping_with(r#"{"a":01}"#).into()),
        bad("10,000 lists", deep(10_000).into()),
        bad(
            "10,000 lists in the params",
            ping_with(&format!(r#"{{"a":{}}}"#, deep(10_000))).into(),
        ),
        bad("10,000 objects in the params", ping_with(&objects).into()),
        bad(
            "a million lists that do not end",
            "[".repeat(1_000_000).into(),
        ),
    ]
}

fn no_request() -> Vec<Case> {
    let bad = |what, sent: &str| unreadable(21, what, sent, -32600);
    let seen = |what, sent: &str| readable(21, what, sent, -32600, json!(9));
    vec![
        bad("null", "null"),
        bad("a number", "17"),
        bad("a string", r#""ping""#),
        bad("an empty object", "{}"),
        bad("an empty batch", "[]"),
        bad(
            "a batch where there are none",
            &format!("[{}]", ping_with("{}")),
        ),
        bad(
            "the id null",
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        ),
        bad(
            "the id 1.5",
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        ),
        bad(
            "the id true",
            r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        ),
        bad("the id {}", r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#),
        bad("the id []", r#"{"jsonrpc":"2.0","id":[],"method":"ping"}"#),
        bad(
            "two ids",
            r#"{"jsonrpc":"2.0","id":9,"id":8,"method":"ping"}"#,
        ),
        bad(
            "two ids, one of them escaped",
            r#"{"jsonrpc":"2.0","id":9,"\u0069d":8,"method":"ping"}"#,
        ),
        bad(
            "two methods",
            r#"{"jsonrpc":"2.0","id":9,"method":"ping","method":"tools/list"}"#,
        ),
        bad(
            "two versions",
            r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":9,"method":"ping"}"#,
        ),
        bad(
            "two names in the params",
            r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"health","name":"x"}}"#,
        ),
        seen("no version", r#"{"id":9,"method":"ping"}"#),
        seen("version 1.0", r#"{"jsonrpc":"1.0","id":9,"method":"ping"}"#),
        seen(
            "the version as a number",
            r#"{"jsonrpc":2.0,"id":9,"method":"ping"}"#,
        ),
        seen(
            "a member in capitals",
            r#"{"JSONRPC":"2.0","id":9,"method":"ping"}"#,
        ),
        seen("no method", r#"{"jsonrpc":"2.0","id":9}"#),
        seen(
            "a method that is a number",
            r#"{"jsonrpc":"2.0","id":9,"method":1}"#,
        ),
    ]
}

fn no_method() -> Vec<Case> {
    let asks = |what, method: &str, params: &str, code| {
        let sent = format!(r#"{{"jsonrpc":"2.0","id":9,"method":"{method}","params":{params}}}"#);
        readable(24, what, &sent, code, json!(9))
    };
    let long = format!(
        r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#,
        "x".repeat(64 << 10)
    );
    let digits = format!(
        r#"{{"jsonrpc":"2.0","id":{},"method":"ping"}}"#,
        "9".repeat(64 << 10)
    );
    vec![
        unreadable(22, "an id of 64 KiB", long, -32600),
        unreadable(22, "an id of 65,536 digits", digits, -32600),
        asks("an unknown method", "no/such/method", "{}", -32601),
        asks("an empty method", "", "{}", -32601),
        asks("a method in capitals", "PING", "{}", -32601),
        asks(
            "a notification asked for an answer",
            "notifications/initialized",
            "{}",
            -32601,
        ),
        asks(
            "the question of newer clients",
            "server/discover",
            "{}",
            -32601,
        ),
        asks(
            "params that are a list",
            "tools/call",
            r#"["health"]"#,
            -32602,
        ),
        asks("params that are a text", "tools/list", r#""all""#, -32602),
        asks("a call without a name", "tools/call", "{}", -32602),
        asks(
            "a name that is a number",
            "tools/call",
            r#"{"name":1}"#,
            -32602,
        ),
        asks(
            "arguments that are a list",
            "tools/call",
            r#"{"name":"health","arguments":[]}"#,
            -32602,
        ),
        asks(
            "a cursor nobody gave out",
            "tools/list",
            r#"{"cursor":"nonsense"}"#,
            -32602,
        ),
    ]
}

fn all() -> Vec<Case> {
    let mut cases = no_json();
    cases.extend(no_request());
    cases.extend(no_method());
    cases
}

fn name(case: &Case) -> String {
    format!("row {}: {}", case.row, case.what)
}

#[test]
fn a_session_survives_every_bad_message() {
    let server = Server::start(&Setup::new());
    rows::each(&all(), 8, name, |case| {
        let witness = Witness::of(server.address(), "");
        let mut session = Session::ready(server.address());
        let answer = session.post(&case.sent);
        match &case.id {
            None => is_error_body(&answer, case.code),
            Some(id) => {
                assert_eq!(answer.status, 202, "{}", answer.text());
                let error = session.response(id, PATIENCE);
                assert_eq!(error["error"]["code"], case.code, "{error}");
            }
        }
        let heard = session.heard_until_now();
        assert!(heard.is_empty(), "one answer is enough: {heard:?}");
        witness.must_be_served();
    });
}

#[test]
fn a_message_without_a_session_is_judged_alike() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    // The question of newer clients belongs to no handshake, so direct mode is free to answer it.
    let cases: Vec<Case> = all()
        .into_iter()
        .filter(|case| !case.what.contains("newer clients"))
        .collect();
    rows::each(&cases, 8, name, |case| {
        let answer = exchange(at, &post(at, "/messages/", "", &case.sent));
        match &case.id {
            None => is_error_body(&answer, case.code),
            Some(id) => {
                let status = if case.code == -32600 { 400 } else { 200 };
                assert!([200, status].contains(&answer.status), "{}", answer.head);
                let error = wire::message(&answer.text(), None, wire::NEWEST);
                assert_eq!(error["error"]["code"], case.code, "{error}");
                assert_eq!(&error["id"], id, "{error}");
            }
        }
        let pong = directly(at, "ping", json!({}));
        assert_eq!(pong["result"], json!({}), "{pong}");
    });
}

#[track_caller]
fn is_error_body(answer: &Answer, code: i64) {
    assert_eq!(answer.status, 400, "{}", answer.text());
    let error = wire::message(&answer.text(), None, wire::NEWEST);
    assert_eq!(error["error"]["code"], code, "{error}");
}

#[test]
fn ids_come_back_to_the_letter() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let kilobyte = format!("\"{}\"", "k".repeat(1000));
    let digits = "7".repeat(400);
    let ids = [
        "0",
        "-1",
        "9007199254740993",
        "9223372036854775807",
        "18446744073709551615",
        "1180591620717411303424",
        "-1180591620717411303424",
        r#""""#,
        r#""7""#,
        r#""a\/b\u0063\n""#,
        r#""\ud83d\ude00""#,
        "\"ünï 😀\"",
        &kilobyte,
        &digits,
    ];
    rows::each(
        &ids,
        4,
        |id| format!("row 22: the id {}", &id[..id.len().min(40)]),
        |id| {
            let mut session = Session::ready(at);
            let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
            let answer = session.post(message.as_bytes());
            assert_eq!(answer.status, 202, "{}", answer.text());
            let Ok(Event::Named(_, data)) = session.event(PATIENCE) else {
                panic!("no answer");
            };
            assert!(data.contains(&format!("\"id\":{id}")), "{data}");
            // Not every number that JSON has can be read here.
            let readable = serde_json::from_str::<Value>(id).is_ok();
            let judged = if readable {
                data
            } else {
                data.replace(id, "1")
            };
            wire::message(&judged, Some("ping"), wire::NEWEST);
            let answer = exchange(at, &post(at, "/messages/", "", message.as_bytes()));
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert!(
                answer.text().contains(&format!("\"id\":{id}")),
                "{}",
                answer.text()
            );
        },
    );
}

#[test]
fn nesting_that_is_deep_and_not_too_deep_is_taken() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    let answer = exchange(at, &post(at, "/messages/", "", ping_with(&deep).as_bytes()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    wire::message(&answer.text(), Some("ping"), wire::NEWEST);
}

#[test]
fn a_second_request_with_an_id_in_flight_does_not_disturb_the_first() {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    let witness = Witness::of(server.address(), "");
    let mut session = Session::ready(server.address());
    let first = session.begin("lingers__sleep", json!({"mark": "row-23", "seconds": 4}));
    let second = json!({"jsonrpc": "2.0", "id": first, "method": "ping"});
    let answer = session.post(second.to_string().as_bytes());
    is_error_body(&answer, -32600);
    let result = session.result(&first, PATIENCE);
    assert_eq!(result["isError"], false, "row 23: {result}");
    // Now that it is answered the id is free.
    session.send(&second);
    let pong = session.response(&first, PATIENCE);
    assert_eq!(pong["result"], json!({}), "row 23: {pong}");
    witness.must_be_served();
}
