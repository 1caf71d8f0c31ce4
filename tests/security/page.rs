//! The page for people: what it shows to whom, what may be done there, and what its answers allow a browser.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::http::{Answer, PATIENCE, exchange, get, post};
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::until;

const ADA: &str = "X-API-Key: the-key-of-ada\r\n";
const BOB: &str = "Authorization: Bearer the-key-of-bob\r\n";
/// SHA-256 of Bob's key begins with it.
fn fingerprint_of_bob() -> String {
    use sha2::{Digest, Sha256};
    let digest = Sha256::digest(b"the-key-of-bob");
    digest[..4]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn setup() -> Setup {
    Setup::new()
        .plugins(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plugins"))
        .variable("MCP_API_KEYS", "the-key-of-ada,the-key-of-bob")
}

fn started(setup: &Setup) -> Server {
    let server = Server::start(setup);
    server.ready();
    server
}

fn state(at: SocketAddr, headers: &str) -> Value {
    let answer = exchange(at, &get(at, "/ui/state", headers));
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn call(at: SocketAddr, headers: &str, tool: &str, arguments: Value) -> Answer {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": tool, "arguments": arguments}});
    exchange(
        at,
        &post(at, "/messages/", headers, message.to_string().as_bytes()),
    )
}

fn stop(at: SocketAddr, headers: &str, call: &Value) -> Answer {
    let body = json!({"call": call}).to_string();
    exchange(at, &post(at, "/ui/stop", headers, body.as_bytes()))
}

/// The first call that runs, once `headers` are shown one.
fn running(at: SocketAddr, headers: &str) -> Value {
    until("a call runs", PATIENCE, || {
        let first = state(at, headers)["running"]["shown"][0].clone();
        (!first.is_null()).then_some(first)
    })
}

#[test]
fn its_files_hold_nothing_secret_and_all_that_does_needs_a_key() {
    let server = started(&setup().argument("--require-auth"));
    let at = server.address();
    for path in [
        "/ui/",
        "/ui/page.css",
        "/ui/page.js",
        "/ui/mcp.js",
        "/ui/icon.svg",
    ] {
        // Also under a name that the server does not know, and from a page of somebody else.
        for headers in ["", "Origin: https://elsewhere.example\r\n"] {
            let answer = exchange(at, &get(at, path, headers));
            assert_eq!(answer.status, 200, "{path}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
        }
    }
    for path in [
        "/ui/state",
        "/ui/state/",
        "/ui/state?calls=1&find=x",
        "/ui/no-such-file",
    ] {
        assert_eq!(exchange(at, &get(at, path, "")).status, 401, "{path}");
    }
    assert_eq!(stop(at, "", &json!("x")).status, 401);
    assert_eq!(
        exchange(at, &get(at, "/ui/state?key=the-key-of-ada", "")).status,
        401,
        "no key is in an address"
    );
    let cookie = "Cookie: key=the-key-of-ada\r\n";
    assert_eq!(
        exchange(at, &get(at, "/ui/state", cookie)).status,
        401,
        "nor in a cookie"
    );
}

#[test]
fn a_server_without_the_page_has_no_trace_of_it() {
    let server = started(&setup().variable("MCP_UI", "off").argument("--require-auth"));
    let at = server.address();
    for path in ["/ui", "/ui/", "/ui/page.js", "/ui/state"] {
        assert_eq!(
            exchange(at, &get(at, path, "")).status,
            401,
            "{path}: as every unknown path"
        );
        let answer = exchange(at, &get(at, path, ADA));
        assert_eq!(
            (answer.status, answer.json()["error"].clone()),
            (404, json!("not_found")),
            "{path}"
        );
        assert!(!answer.text().contains("/ui/ or"), "{}", answer.text());
    }
    assert_eq!(stop(at, ADA, &json!("x")).status, 404);
    assert!(!server.stdout().contains("page for people"));
}

#[test]
fn its_answers_let_a_browser_load_nothing_else_and_show_it_nowhere_else() {
    let server = started(&setup());
    let at = server.address();
    for path in ["/ui", "/ui/", "/ui/page.js", "/ui/state"] {
        let answer = exchange(at, &get(at, path, ADA));
        let policy = answer.header("content-security-policy").unwrap_or_default();
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ] {
            assert!(policy.contains(rule), "{path}: {rule} is not in {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{path}"
        );
        assert_eq!(
            answer.header("referrer-policy"),
            Some("no-referrer"),
            "{path}"
        );
    }
    let page = exchange(at, &get(at, "/ui/", ""));
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let known = format!("If-None-Match: {}\r\n", page.header("etag").expect("a tag"));
    assert_eq!(exchange(at, &get(at, "/ui/", &known)).status, 304);
    let state = exchange(at, &get(at, "/ui/state", ADA));
    assert_eq!(state.header("cache-control"), Some("no-store"));
    let moved = exchange(at, &get(at, "/ui", ""));
    assert_eq!(
        (moved.status, moved.header("location")),
        (308, Some("./ui/")),
        "relative, for any prefix"
    );
}

#[test]
fn one_of_several_keys_sees_and_stops_its_own_calls_alone() {
    let server = started(&setup());
    let at = server.address();
    let folder = tempfile::tempdir().expect("a directory");
    let mut session = Session::open_with(at, "/sse", ADA);
    session.initialize(crate::support::wire::NEWEST);
    let pids = folder.path().join("pids");
    let id = session.begin("slow__wait", json!({"pid_file": pids}));
    let seen = running(at, ADA);
    assert_eq!(seen["call"]["name"], "slow__wait");
    let whole = state(at, ADA).to_string();
    assert!(!whole.contains("pids"), "no argument is told: {whole}");
    for other in [BOB, ""] {
        let shown = state(at, other);
        assert_eq!(shown["view"], "own", "{other:?}");
        assert_eq!(shown["running"]["total"], 0, "{other:?}");
        assert_eq!(shown["sessions"]["total"], 0, "{other:?}");
        assert_eq!(shown["log"], Value::Null, "{other:?}");
        let refused = stop(at, other, &seen["call"]["id"]);
        assert_eq!(
            refused.status, 404,
            "{other:?}: as if there were no such call"
        );
    }
    assert_eq!(stop(at, ADA, &seen["call"]["id"]).status, 202);
    let result = session.result(&id, PATIENCE);
    assert_eq!(
        result["structuredContent"]["error"]["code"], "stopped",
        "{result}"
    );
    let ended = state(at, ADA)["ended"].clone();
    assert_eq!(
        (&ended[0]["outcome"], &ended[0]["name"]),
        (&json!("stopped"), &json!("slow__wait"))
    );
    assert_eq!(state(at, BOB)["ended"], json!([]));
}

#[test]
fn a_key_that_the_settings_name_sees_everything() {
    let server = started(&setup().variable("MCP_UI_ADMINS", fingerprint_of_bob()));
    let at = server.address();
    call(at, ADA, "slow__count", json!({"steps": 1, "pause": 0}));
    let shown = state(at, BOB);
    assert_eq!(
        (&shown["view"], &shown["ended"][0]["name"]),
        (&json!("all"), &json!("slow__count"))
    );
    assert!(
        shown["log"]
            .as_array()
            .is_some_and(|lines| !lines.is_empty()),
        "{shown}"
    );
    assert!(
        !shown.to_string().contains("the-key-of"),
        "fingerprints, and no keys"
    );
    assert_eq!(state(at, ADA)["view"], "own");
    let newer = exchange(at, &get(at, "/ui/state?calls=1&log=100000", BOB)).json();
    assert_eq!(
        (&newer["ended"], &newer["log"]),
        (&json!([]), &json!([])),
        "what is known is not sent again"
    );
}

#[test]
fn no_page_from_elsewhere_stops_a_call_or_reads_a_state() {
    let server = started(&Setup::new());
    let at = server.address();
    let foreign = "Origin: https://elsewhere.example\r\n";
    assert_eq!(exchange(at, &get(at, "/ui/state", foreign)).status, 403);
    assert_eq!(stop(at, foreign, &json!("x")).status, 403);
    assert_eq!(stop(at, "Origin: null\r\n", &json!("x")).status, 403);
    // What a form can send without asking first.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
    ] {
        let body = r#"{"call":"x"}"#;
        let request = format!(
            "POST /ui/stop HTTP/1.1\r\nHost: {at}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(exchange(at, request.as_bytes()).status, 415, "{kind}");
    }
    assert_eq!(exchange(at, &get(at, "/ui/stop", "")).status, 405);
    assert_eq!(stop(at, "", &json!("x")).status, 404);
    assert_eq!(stop(at, "", &json!(7)).status, 400);
    let rebound = "GET /ui/state HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n";
    assert_eq!(exchange(at, rebound.as_bytes()).status, 403);
}

#[test]
fn a_state_stays_small_however_much_there_is() {
    let server = started(&setup().variable("MCP_UI_ADMINS", fingerprint_of_bob()));
    let at = server.address();
    let name = "n".repeat(10_000);
    let sessions: Vec<_> = (0..130)
        .map(|_| Session::open_with(at, "/sse", ADA))
        .collect();
    for _ in 0..230 {
        call(at, ADA, &format!("{name}__x"), json!({}));
    }
    let answer = exchange(at, &get(at, "/ui/state", BOB));
    let shown = answer.json();
    assert_eq!(shown["sessions"]["total"], 130);
    assert_eq!(
        shown["sessions"]["shown"].as_array().map(Vec::len),
        Some(100)
    );
    let ended = shown["ended"].as_array().expect("a list");
    assert_eq!(ended.len(), 200);
    assert_eq!(ended[199]["number"], 230, "the last ones");
    assert!(answer.body.len() < 200 << 10, "{} bytes", answer.body.len());
    let found = exchange(at, &get(at, "/ui/state?find=no-such-client", BOB)).json();
    assert_eq!(found["sessions"]["total"], 0);
    drop(sessions);
}
