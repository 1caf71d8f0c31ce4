//! Rows 7 to 9: who may come in, and what must be shown at the gate.

use serde_json::json;

use crate::http::{MIB, PING, judge};
use crate::support::http::{exchange, get};
use crate::support::rows;
use crate::support::server::{Server, Setup};
use crate::support::witness::Witness;

const KEY: &str = "a-key-of-the-tests";
const SHOWN: &str = "X-API-Key: a-key-of-the-tests\r\n";

/// Every route, as a client would use it.
fn routes() -> Vec<(&'static str, &'static str)> {
    vec![
        ("GET", "/sse"),
        ("POST", "/sse"),
        ("POST", "/messages/"),
        ("POST", "/messages"),
        ("POST", "/message"),
        (
            "POST",
            "/messages/?session_id=0123456789abcdef0123456789abcdef",
        ),
        ("OPTIONS", "/messages/"),
        ("POST", "/mcp"),
        ("GET", "/mcp"),
        ("DELETE", "/mcp"),
        ("GET", "/health"),
        ("GET", "/metrics"),
        ("GET", "/"),
        ("GET", "/no/such/path"),
    ]
}

fn on_route(method: &str, path: &str, headers: &str) -> Vec<u8> {
    let body = if method == "POST" {
        String::from_utf8_lossy(PING)
    } else {
        "".into()
    };
    format!(
        "{method} {path} HTTP/1.1\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         Content-Length: {}\r\n{headers}Connection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[test]
fn every_route_refuses_a_foreign_host_and_origin() {
    let server = Server::start(&Setup::new());
    server.ready();
    let at = server.address();
    let port = at.port();
    let mut refused: Vec<String> = [
        "evil.test",
        "localhost.evil.test",
        "127.0.0.1.evil.test",
        "evil.test:8000",
        "local-host",
        "xlocalhost",
    ]
    .map(|host| format!("Host: {host}\r\n"))
    .to_vec();
    refused.extend(
        [
            "null",
            "http://evil.test",
            "http://localhost.evil.test",
            "http://127.0.0.1.evil.test",
            "https://evil.test:443",
            "http://localhost@evil.test",
            "file://",
            "localhost",
            "chrome-extension://abcdefgh",
        ]
        .map(|origin| format!("Host: {at}\r\nOrigin: {origin}\r\n")),
    );
    refused.push(format!(
        "Host: {at}\r\nOrigin: http://{at}\r\nOrigin: http://evil.test\r\n"
    ));
    let mut cases = Vec::new();
    for lines in refused {
        cases.extend(
            routes()
                .into_iter()
                .map(|(method, path)| (method, path, lines.clone(), 403)),
        );
        cases.extend(["/healthz", "/readyz"].map(|path| ("GET", path, lines.clone(), 200)));
    }
    for lines in [
        format!("Host: {at}\r\n"),
        format!("Host: localhost:{port}\r\n"),
        format!("Host: LOCALHOST:{port}\r\n"),
        format!("Host: [::1]:{port}\r\n"),
        format!("Host: {at}\r\nOrigin: http://{at}\r\n"),
        format!("Host: {at}\r\nOrigin: http://localhost:6274\r\n"),
    ] {
        cases.push(("GET", "/health", lines.clone(), 200));
        cases.push(("POST", "/messages/", lines, 200));
    }
    rows::each(
        &cases,
        8,
        |(method, path, lines, _)| format!("row 7: {method} {path} with {}", lines.escape_debug()),
        |(method, path, lines, status)| {
            let answer = exchange(at, &on_route(method, path, lines));
            assert_eq!(answer.status, *status, "{}", answer.text());
            if *status == 200 && lines.contains("Origin") && !path.ends_with('z') {
                let allowed = answer.header("access-control-allow-origin");
                assert!(allowed.is_some(), "no CORS header: {}", answer.head);
            }
        },
    );
    Witness::of(server.address(), "").must_be_served();
}

#[test]
fn whoever_may_have_come_through_a_proxy_shows_the_key() {
    let server = Server::start(&Setup::new().variable("MCP_API_KEY", KEY));
    let at = server.address();
    let own = format!("Host: {at}\r\n");
    let mut cases = vec![("a direct client", "1.1", own.clone(), true)];
    for header in [
        "Forwarded: for=192.0.2.1",
        "X-Forwarded-For: 127.0.0.1",
        "X-Forwarded-Host: localhost",
        "X-Forwarded-Proto: https",
        "X-Forwarded-Prefix: /a",
        "X-Forwarded-Anything: a",
        "x-real-ip: 127.0.0.1",
        "Via: 1.1 proxy",
        "X-Forwarded-For:",
    ] {
        cases.push((header, "1.1", format!("{own}{header}\r\n"), false));
    }
    cases.push((
        "a Host that is not loopback",
        "1.1",
        "Host: 192.0.2.7\r\n".to_owned(),
        false,
    ));
    cases.push(("HTTP/1.0", "1.0", own, false));
    rows::each(
        &cases,
        8,
        |(what, ..)| format!("row 8: {what}"),
        |(_, version, lines, exempt)| {
            let witness = Witness::of(server.address(), "");
            let request = |shown: &str| {
                let request = on_route("POST", "/messages/", &format!("{lines}{shown}"));
                let request = String::from_utf8(request).expect("it is text");
                exchange(
                    at,
                    request
                        .replacen("HTTP/1.1", &format!("HTTP/{version}"), 1)
                        .as_bytes(),
                )
            };
            let without = request("");
            let expected = if *exempt { 200 } else { 401 };
            assert_eq!(without.status, expected, "{}", without.text());
            let with = request(SHOWN);
            assert_eq!(with.status, 200, "with the key: {}", with.text());
            witness.must_be_served();
        },
    );
    // Whoever shows the key may name any host.
    let named = exchange(
        at,
        &on_route(
            "POST",
            "/messages/",
            &format!("Host: mcp.example.org\r\n{SHOWN}"),
        ),
    );
    assert_eq!(named.status, 200, "{}", named.text());
}

#[test]
fn a_credential_that_is_not_the_key_is_401() {
    let setup = Setup::new()
        .variable("MCP_API_KEY", KEY)
        .argument("--require-auth");
    let server = Server::start(&setup);
    let at = server.address();
    let line = |text: &str| text.as_bytes().to_vec();
    let million = |name: &str| {
        let mut line = name.as_bytes().to_vec();
        line.resize(line.len() + MIB, b'k');
        line.extend_from_slice(b"\r\n");
        line
    };
    let cases: Vec<(&str, Vec<u8>, &[u16])> = vec![
        ("none", line(""), &[401]),
        ("a wrong one", line("X-API-Key: wrong\r\n"), &[401]),
        (
            "a wrong bearer",
            line("Authorization: Bearer wrong\r\n"),
            &[401],
        ),
        (
            "a part of it",
            line("X-API-Key: a-key-of-the-test\r\n"),
            &[401],
        ),
        (
            "more than it",
            line("X-API-Key: a-key-of-the-tests-\r\n"),
            &[401],
        ),
        (
            "in other case",
            line("X-API-Key: A-KEY-OF-THE-TESTS\r\n"),
            &[401],
        ),
        ("an empty one", line("X-API-Key:\r\n"), &[401]),
        ("an empty bearer", line("Authorization: Bearer\r\n"), &[401]),
        (
            "an empty bearer with spaces",
            line("Authorization: Bearer   \r\n"),
            &[401],
        ),
        (
            "another scheme",
            line("Authorization: Basic a-key-of-the-tests\r\n"),
            &[401],
        ),
        (
            "no scheme",
            line("Authorization: a-key-of-the-tests\r\n"),
            &[401],
        ),
        ("repeated", line(&format!("{SHOWN}{SHOWN}")), &[401]),
        (
            "repeated bearers",
            line(
                "Authorization: Bearer a-key-of-the-tests\r\nAuthorization: Bearer a-key-of-the-tests\r\n",
            ),
            &[401],
        ),
        (
            "two that differ",
            line(&format!("{SHOWN}X-API-Key: wrong\r\n")),
            &[401],
        ),
        (
            "not ASCII",
            b"X-API-Key: k\xc3\xa9y\xff\r\n".to_vec(),
            &[401],
        ),
        (
            "a bearer that is not ASCII",
            b"Authorization: Bearer \xff\xfe\r\n".to_vec(),
            &[401],
        ),
        ("1 MB", million("X-API-Key: "), &[401, 431]),
        (
            "a bearer of 1 MB",
            million("Authorization: Bearer "),
            &[401, 431],
        ),
        ("the key", line(SHOWN), &[200]),
        (
            "the key as a bearer",
            line("Authorization: Bearer a-key-of-the-tests\r\n"),
            &[200],
        ),
        (
            "the scheme in small letters",
            line("authorization: bearer a-key-of-the-tests\r\n"),
            &[200],
        ),
    ];
    rows::each(
        &cases,
        8,
        |(what, ..)| format!("row 9: {what}"),
        |(_, credential, expected)| {
            let witness = Witness::of(server.address(), SHOWN);
            let mut request = format!("POST /messages/ HTTP/1.1\r\nHost: {at}\r\n").into_bytes();
            request.extend_from_slice(credential);
            let rest = format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                PING.len()
            );
            request.extend_from_slice(rest.as_bytes());
            request.extend_from_slice(PING);
            let answer = exchange(at, &request);
            judge(&answer, expected);
            if answer.status == 401 {
                assert_eq!(
                    answer.header("www-authenticate"),
                    Some("Bearer"),
                    "{}",
                    answer.head
                );
                assert_eq!(answer.json(), json!({"error": "unauthorized"}));
            }
            witness.must_be_served();
        },
    );
    let probes = ["/health", "/healthz", "/readyz"];
    server.ready();
    for path in probes {
        assert_eq!(
            exchange(at, &get(at, path, "")).status,
            200,
            "{path} needs no key"
        );
    }
    for path in ["/metrics", "/sse", "/mcp"] {
        assert_eq!(
            exchange(at, &get(at, path, "")).status,
            401,
            "{path} needs the key"
        );
    }
    assert!(!server.log().contains(KEY), "the key is in the log");
}
