//! Rows 7, 10, 69 and 78: what is not let in, what it is told, and what is recorded of it.

use std::net::SocketAddr;

use serde_json::json;

use crate::edge::stateless_meta;
use crate::http::{PING, judge};
use crate::support::http::{Connection, PATIENCE, exchange, get, post};
use crate::support::server::{Server, Setup};
use crate::support::witness::Witness;
use crate::support::{rows, s, until};

#[test]
fn a_header_of_the_protocol_that_stands_there_twice_is_400() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let names = [
        "Mcp-Name",
        "Mcp-Method",
        "MCP-Protocol-Version",
        "Mcp-Session-Id",
        "Mcp-Param-Region",
        "X-Agent-Id",
    ];
    rows::each(
        &names,
        names.len(),
        |name| format!("row 69: two headers {name}"),
        |name| {
            let witness = Witness::of(server.address(), "");
            for second in ["a", "b"] {
                let headers = format!("{name}: a\r\n{}: {second}\r\n", name.to_uppercase());
                let answer = exchange(at, &post(at, "/mcp", &headers, PING));
                assert_eq!(answer.status, 400, "{}", answer.text());
                assert_eq!(answer.json()["error"]["code"], -32020);
            }
            witness.must_be_served();
        },
    );
}

#[test]
fn a_preflight_allows_the_headers_of_arguments() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let request = format!(
        "OPTIONS /mcp HTTP/1.1\r\nHost: {at}\r\nOrigin: http://localhost:6274\r\n\
         Access-Control-Request-Method: POST\r\n\
         Access-Control-Request-Headers: content-type,Mcp-Param-Region, x-evil\r\nConnection: close\r\n\r\n"
    );
    let answer = exchange(at, request.as_bytes());
    assert_eq!(answer.status, 204, "{}", answer.text());
    let allowed = answer.header("access-control-allow-headers");
    let allowed: Vec<_> = allowed.unwrap_or_default().split(", ").collect();
    for name in ["content-type", "mcp-session-id", "mcp-param-region"] {
        assert!(allowed.contains(&name), "{name} is not in {allowed:?}");
    }
    assert!(!allowed.contains(&"x-evil"), "{allowed:?}");
}

#[test]
fn every_route_names_all_its_methods_and_answers_options_and_head() {
    let server = Server::start(&Setup::new());
    server.ready();
    let at = server.address();
    let ask = |method: &str, path: &str| {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        );
        let mut connection = Connection::open(at);
        connection
            .send(request.as_bytes())
            .expect("an open connection");
        connection.head(PATIENCE).expect("an answer")
    };
    let allow = |head: &str| crate::support::http::header(head, "allow").map(str::to_owned);
    let posts = "POST, OPTIONS";
    let reads = "GET, HEAD, OPTIONS";
    let routes = [
        ("/sse", "GET, POST, OPTIONS"),
        ("/messages", posts),
        ("/message", posts),
        ("/mcp", "GET, POST, DELETE, OPTIONS"),
        ("/health", reads),
        ("/healthz", reads),
        ("/readyz", reads),
        ("/metrics", reads),
        ("/background", "GET, HEAD, DELETE, OPTIONS"),
    ];
    let with_slash = routes.map(|(path, methods)| (format!("{path}/"), methods));
    let routes = routes.map(|(path, methods)| (path.to_owned(), methods));
    for (path, methods) in routes.into_iter().chain(with_slash) {
        let path = path.as_str();
        let (status, head) = ask("OPTIONS", path);
        assert_eq!(
            (status, allow(&head).as_deref()),
            (204, Some(methods)),
            "{path}"
        );
        for method in ["PUT", "PATCH", "TRACE", "BREW"] {
            let (status, head) = ask(method, path);
            assert_eq!(
                (status, allow(&head).as_deref()),
                (405, Some(methods)),
                "{method} {path}"
            );
        }
        let (status, head) = ask("HEAD", path);
        let expected = if methods.contains("HEAD") { 200 } else { 405 };
        assert_eq!(status, expected, "HEAD {path}: {head}");
    }
    // There is such a method, but not without a session: what is refused is not among what is allowed.
    for method in ["GET", "DELETE"] {
        let (status, head) = ask(method, "/mcp");
        assert_eq!(
            (status, allow(&head).as_deref()),
            (405, Some(posts)),
            "{method}"
        );
    }
}

#[test]
fn a_final_slash_takes_no_key_from_a_probe_and_none_off_the_rest() {
    let setup = Setup::new()
        .argument("--require-auth")
        .variable("MCP_API_KEY", "a-key")
        .variable("MCP_ROOT_PATH", "/tools");
    let server = Server::start(&setup);
    server.ready();
    let at = server.address();
    for prefix in ["", "/tools"] {
        for (path, status) in [
            ("/health", 200),
            ("/healthz", 200),
            ("/readyz", 200),
            ("/metrics", 401),
            ("/background", 401),
        ] {
            for slash in ["", "/"] {
                let path = format!("{prefix}{path}{slash}");
                let answer = exchange(at, &get(at, &path, ""));
                assert_eq!(answer.status, status, "{path}");
            }
        }
    }
}

struct Refusal {
    what: &'static str,
    request: Vec<u8>,
    status: u16,
    reason: &'static str,
}

/// One request for each way in which one is refused; the server asks for the key `K`.
fn refusals(at: SocketAddr) -> Vec<Refusal> {
    let key = "X-API-Key: K\r\n";
    let of = |what, request, status, reason| Refusal {
        what,
        request,
        status,
        reason,
    };
    let plain = |method: &str, path: &str, headers: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 0\r\n{headers}Connection: close\r\n\r\n").into_bytes()
    };
    let posted = |body: &[u8]| post(at, "/messages/", key, body);
    let unknown = "/messages/?session_id=0123456789abcdef0123456789abcdef";
    let large = format!("{key}Content-Length: 99999999\r\nContent-Type: application/json\r\n");
    vec![
        of("no key", get(at, "/metrics", ""), 401, "unauthorized"),
        of(
            "a foreign origin",
            get(at, "/metrics", &format!("{key}Origin: null\r\n")),
            403,
            "origin_not_allowed",
        ),
        of("no such path", get(at, "/nothing", key), 404, "not_found"),
        of(
            "no such session",
            post(at, unknown, key, PING),
            404,
            "unknown_session",
        ),
        of(
            "no session id",
            post(at, "/messages/?session_id=x", key, PING),
            400,
            "bad_request",
        ),
        of(
            "no such method",
            plain("PUT", "/messages/", key),
            405,
            "method_not_allowed",
        ),
        of(
            "no stream",
            get(at, "/sse", &format!("{key}Accept: text/html\r\n")),
            406,
            "not_acceptable",
        ),
        of(
            "too large",
            format!("POST /messages/ HTTP/1.1\r\nHost: {at}\r\n{large}\r\n").into_bytes(),
            413,
            "body_too_large",
        ),
        of(
            "no JSON type",
            plain("POST", "/messages/", key),
            415,
            "unsupported_media_type",
        ),
        of("no JSON", posted(b"{"), 400, "parse_error"),
        of("no message", posted(b"5"), 400, "invalid_request"),
        of(
            "a header twice",
            get(at, "/mcp", &format!("{key}Mcp-Name: a\r\nMcp-Name: a\r\n")),
            400,
            "header_mismatch",
        ),
        of("no HTTP", b"hello\r\n\r\n".to_vec(), 400, "bad_request"),
        of(
            "two lengths",
            plain("POST", "/messages/", "Transfer-Encoding: chunked\r\n"),
            400,
            "bad_request",
        ),
        of(
            "a long target",
            get(at, &"/a".repeat(9000), ""),
            414,
            "uri_too_long",
        ),
        of(
            "large headers",
            get(at, "/", &format!("A: {}\r\n", "a".repeat(100 << 10))),
            431,
            "headers_too_large",
        ),
    ]
}

/// How often this reason was counted.
fn counted(at: SocketAddr, reason: &str) -> u64 {
    let metrics = exchange(at, &get(at, "/metrics", "X-API-Key: K\r\n")).text();
    let series = format!("smcp_refused_total{{reason=\"{reason}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.map_or(0, |count| count.parse().expect("a number"))
}

fn keyed() -> Server {
    let setup = Setup::new()
        .variable("MCP_API_KEY", "K")
        .argument("--require-auth");
    Server::start(&setup)
}

fn audit_lines(server: &Server) -> usize {
    server.log().matches("smcp::audit").count()
}

/// Waits for a number of audit lines, and for a moment longer, in which no other may come.
#[track_caller]
fn has_audit_lines(server: &Server, expected: usize) {
    until("the audit lines are written", PATIENCE, || {
        (audit_lines(server) >= expected).then_some(())
    });
    // A second line of the same request would be written before the next answer.
    exchange(server.address(), &get(server.address(), "/healthz", ""));
    assert_eq!(audit_lines(server), expected, "{}", server.log());
}

#[test]
fn every_refusal_is_counted_once_and_leaves_one_audit_line() {
    let server = keyed();
    let at = server.address();
    let mut lines = 0;
    for refusal in refusals(at) {
        let before = counted(at, refusal.reason);
        let answer = exchange(at, &refusal.request);
        assert_eq!(
            answer.status,
            refusal.status,
            "{}: {}",
            refusal.what,
            answer.text()
        );
        until(refusal.what, PATIENCE, || {
            (counted(at, refusal.reason) > before).then_some(())
        });
        lines += 1;
        has_audit_lines(&server, lines);
        assert_eq!(counted(at, refusal.reason), before + 1, "{}", refusal.what);
        let log = server.log();
        let last = log.lines().rfind(|line| line.contains("smcp::audit"));
        assert!(
            last.is_some_and(|line| line.contains(refusal.reason)),
            "{}: {last:?}",
            refusal.what
        );
    }
}

#[test]
fn a_client_that_leaves_before_its_message_is_there_is_recorded() {
    let server = keyed();
    let at = server.address();
    let mut connection = Connection::open(at);
    let half = format!(
        "POST /messages/ HTTP/1.1\r\nHost: {at}\r\nX-API-Key: K\r\nContent-Type: application/json\r\n\
         Content-Length: 500\r\n\r\n{{"
    );
    connection
        .send(half.as_bytes())
        .expect("an open connection");
    drop(connection);
    until("row 78: it is counted", PATIENCE, || {
        let count = counted(at, "client_gone") + counted(at, "bad_body");
        (count == 1).then_some(())
    });
    has_audit_lines(&server, 1);
}

#[test]
fn a_request_that_is_recorded_as_a_message_is_not_recorded_as_a_refusal_too() {
    let server = keyed();
    let at = server.address();
    let unknown = json!({"jsonrpc": "2.0", "id": 1, "method": "no/such", "params": {"_meta": stateless_meta()}});
    let headers = "X-API-Key: K\r\nAccept: application/json, text/event-stream\r\n\
                   MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: no/such\r\n";
    let answer = exchange(
        at,
        &post(at, "/mcp", headers, unknown.to_string().as_bytes()),
    );
    judge(&answer, &[404]);
    has_audit_lines(&server, 1);
    let answer = exchange(at, &post(at, "/messages/", "X-API-Key: K\r\n", PING));
    judge(&answer, &[200]);
    has_audit_lines(&server, 2);
    assert!(!server.log().contains("\"refused\""), "{}", server.log());
}

#[test]
fn a_flood_of_refusals_is_counted_whole_and_does_not_fill_the_log() {
    let server = keyed();
    let at = server.address();
    let mut connection = Connection::open(at);
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\n\r\n");
    let began = std::time::Instant::now();
    for _ in 0..1000 {
        connection
            .send(request.as_bytes())
            .expect("an open connection");
        judge(&connection.answer(PATIENCE).expect("an answer"), &[401]);
    }
    let seconds = began.elapsed().as_secs() + 1;
    assert_eq!(counted(at, "unauthorized"), 1000);
    let lines = audit_lines(&server) as u64;
    assert!(lines <= 50 * (seconds + 1), "{lines} lines in {seconds} s");
    // The next line says how many were left out.
    std::thread::sleep(s(1));
    exchange(
        at,
        request
            .replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
            .as_bytes(),
    );
    // On a machine that is slow enough nothing was left out: then all of them are there.
    until("all lines, or how many were left out", PATIENCE, || {
        let is_told = server.log().contains("left_out") || audit_lines(&server) > 1000;
        is_told.then_some(())
    });
}

#[test]
fn connections_that_are_turned_away_are_counted() {
    let server = Server::start(&Setup::new().variable("MCP_MAX_CONNECTIONS", "2"));
    let at = server.address();
    let mut asking = Connection::open(at);
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\n\r\n");
    let mut metrics = || {
        asking.send(request.as_bytes()).expect("an open connection");
        asking.answer(PATIENCE).expect("an answer").text()
    };
    assert!(metrics().contains("smcp_refused_total{reason=\"connection_limit\"} 0\n"));
    let _held = Connection::open(at);
    let more: Vec<_> = (0..3).map(|_| Connection::open(at)).collect();
    until("row 12: they are counted", PATIENCE, || {
        metrics()
            .contains("smcp_refused_total{reason=\"connection_limit\"} 3\n")
            .then_some(())
    });
    drop(more);
}
