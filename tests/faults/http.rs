//! Rows 1 to 12: what comes in over TCP and is no decent request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::http::{Answer, Connection, PATIENCE, Silence, exchange, get, post};
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::{rows, s, until};
use crate::witness::Witness;

const KEY: &str = "a-key-of-the-tests";
const SHOWN: &str = "X-API-Key: a-key-of-the-tests\r\n";
const MIB: usize = 1 << 20;
const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// What must come back.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// An answer with one of these codes.
    Status(&'static [u16]),
    /// An answer with one of these codes, and then the end of the connection.
    StatusAndClose(&'static [u16]),
    /// The end of the connection, with or without such an answer before it.
    Closed(&'static [u16]),
}

use Expected::{Closed, Status, StatusAndClose};

/// How the bytes go out.
#[derive(Debug, Clone)]
enum Sent {
    /// At once.
    Bytes(Vec<u8>),
    /// The first at once, then one byte of the second a second, again and again.
    Trickle(Vec<u8>, Vec<u8>),
}

struct Case {
    row: u8,
    what: &'static str,
    sent: Sent,
    expected: Expected,
    within: Duration,
}

fn case(row: u8, what: &'static str, sent: Vec<u8>, expected: Expected) -> Case {
    Case {
        row,
        what,
        sent: Sent::Bytes(sent),
        expected,
        within: PATIENCE,
    }
}

fn trickle(
    row: u8,
    what: &'static str,
    first: &[u8],
    then: &[u8],
    expected: Expected,
    within: Duration,
) -> Case {
    Case {
        row,
        what,
        sent: Sent::Trickle(first.to_vec(), then.to_vec()),
        expected,
        within,
    }
}

/// A second more than the deadline of the design: what is measured here includes this program's own delays.
const HEAD_LIMIT: Duration = s(11);
const BODY_LIMIT: Duration = s(31);

pub fn slow_and_malformed_requests_are_refused_in_time() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let mut cases = slow(at);
    cases.extend(large(at));
    cases.extend(many(at));
    cases.extend(ambiguous(at));
    cases.extend(hostless(at));
    cases.extend(unfitting(at));
    cases.extend(no_http());
    play(&server, "", &cases);
}

fn play(server: &Server, shown: &str, cases: &[Case]) {
    rows::each(
        cases,
        64,
        |case| format!("row {}: {}", case.row, case.what),
        |case| {
            let witness = Witness::of(server, shown);
            run(server.address(), case);
            witness.must_be_served();
        },
    );
}

fn run(address: SocketAddr, case: &Case) {
    let mut connection = Connection::open(address);
    let began = Instant::now();
    let heard = match &case.sent {
        Sent::Bytes(bytes) => {
            let _ = connection.send(bytes);
            connection.answer(case.within)
        }
        Sent::Trickle(first, then) => {
            let _ = connection.send(first);
            drip(&mut connection, then, case.within)
        }
    };
    let left = case.within.saturating_sub(began.elapsed()).max(s(2));
    match (case.expected, heard) {
        (Status(codes), Ok(answer)) => judge(&answer, codes),
        (StatusAndClose(codes), Ok(answer)) => {
            judge(&answer, codes);
            assert!(connection.closes_within(left), "the connection stays open");
        }
        (Closed(codes), Ok(answer)) => {
            judge(&answer, codes);
            assert!(connection.closes_within(left), "the connection stays open");
        }
        (Closed(_), Err(Silence::Closed)) => {}
        (expected, Err(silence)) => panic!("{silence:?} instead of {expected:?}"),
    }
}

/// Sends a byte a second until something comes back.
fn drip(connection: &mut Connection, bytes: &[u8], within: Duration) -> Result<Answer, Silence> {
    if bytes.is_empty() {
        return connection.answer(within);
    }
    let deadline = Instant::now() + within;
    for byte in bytes.iter().cycle() {
        let left = deadline.saturating_duration_since(Instant::now());
        match connection.answer(left.min(s(1))) {
            Err(Silence::TimeOver) if left.is_zero() => break,
            Err(Silence::TimeOver) => {
                let _ = connection.send(&[*byte]);
            }
            heard => return heard,
        }
    }
    Err(Silence::TimeOver)
}

#[track_caller]
fn judge(answer: &Answer, codes: &[u16]) {
    assert!(
        codes.contains(&answer.status),
        "{} instead of one of {codes:?}: {}",
        answer.status,
        answer.text()
    );
}

/// A POST whose head promises what it likes.
fn raw_post(address: SocketAddr, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /messages/ HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{headers}\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

fn slow(at: SocketAddr) -> Vec<Case> {
    let half = b"GET /health HTTP/1.1\r\nHo";
    let mut kept = format!("GET /health HTTP/1.1\r\nHost: {at}\r\nX-A: ").into_bytes();
    let begun = raw_post(at, "Content-Length: 500\r\n", b"{");
    let chunked = raw_post(at, "Transfer-Encoding: chunked\r\n", b"1\r\n{\r\n");
    kept.extend_from_slice(b"a");
    vec![
        trickle(1, "no header", b"", b"", Closed(&[408]), HEAD_LIMIT),
        trickle(1, "half a header", half, b"", Closed(&[408]), HEAD_LIMIT),
        trickle(
            1,
            "a header that trickles",
            &kept,
            b"a",
            Closed(&[408]),
            HEAD_LIMIT,
        ),
        trickle(
            2,
            "a body that never comes",
            &begun,
            b"",
            Status(&[408]),
            BODY_LIMIT,
        ),
        trickle(
            2,
            "a body that trickles",
            &begun,
            b" ",
            Status(&[408]),
            BODY_LIMIT,
        ),
        trickle(
            2,
            "chunks that trickle",
            &chunked,
            b"1\r\n \r\n",
            Status(&[408]),
            BODY_LIMIT,
        ),
    ]
}

fn large(at: SocketAddr) -> Vec<Case> {
    let declared = format!("Content-Length: {}\r\n", 4 * MIB + 1);
    let expecting = format!("Expect: 100-continue\r\n{declared}");
    let mut chunk = format!("{:x}\r\n", 4 * MIB + 1).into_bytes();
    chunk.extend(vec![b' '; 4 * MIB + 1]);
    let mut full = PING.to_vec();
    full.resize(4 * MIB, b' ');
    vec![
        case(
            3,
            "a declared size above 4 MiB",
            raw_post(at, &declared, b""),
            Status(&[413]),
        ),
        case(
            3,
            "the same, asking first",
            raw_post(at, &expecting, b""),
            Status(&[413]),
        ),
        case(
            3,
            "chunks above 4 MiB",
            raw_post(at, "Transfer-Encoding: chunked\r\n", &chunk),
            Status(&[413]),
        ),
        case(
            3,
            "4 MiB are not too much",
            post(at, "/messages/", "", &full),
            Status(&[200]),
        ),
    ]
}

fn many(at: SocketAddr) -> Vec<Case> {
    let lines = |count: usize| {
        (0..count)
            .map(|n| format!("X-{n}: a\r\n"))
            .collect::<String>()
    };
    let long = format!("X-Long: {}\r\n", "a".repeat(64 << 10));
    let path = format!("/{}", "a".repeat(70 << 10));
    vec![
        // Host and Connection are two of the hundred.
        case(
            4,
            "100 headers are not too many",
            get(at, "/health", &lines(98)),
            Status(&[200]),
        ),
        case(
            4,
            "101 headers",
            get(at, "/health", &lines(99)),
            Status(&[431]),
        ),
        case(
            4,
            "1,000 headers",
            get(at, "/health", &lines(1000)),
            Status(&[431]),
        ),
        case(
            4,
            "64 KB of headers",
            get(at, "/health", &long),
            Status(&[431]),
        ),
        case(4, "a URI of 70 KB", get(at, &path, ""), Status(&[414])),
    ]
}

fn ambiguous(at: SocketAddr) -> Vec<Case> {
    let chunked = b"28\r\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\r\n0\r\n\r\n";
    let of = |what, headers: &str, body: &[u8]| {
        case(5, what, raw_post(at, headers, body), StatusAndClose(&[400]))
    };
    vec![
        of(
            "a length and chunks",
            "Content-Length: 40\r\nTransfer-Encoding: chunked\r\n",
            chunked,
        ),
        of(
            "chunks and a length",
            "Transfer-Encoding: chunked\r\nContent-Length: 40\r\n",
            chunked,
        ),
        of(
            "two lengths that differ",
            "Content-Length: 40\r\nContent-Length: 41\r\n",
            PING,
        ),
        of(
            "two lengths in one line",
            "Content-Length: 40, 41\r\n",
            PING,
        ),
        of(
            "a length that is no number",
            "Content-Length: forty\r\n",
            PING,
        ),
        of("a length with a sign", "Content-Length: +40\r\n", PING),
        of("a negative length", "Content-Length: -1\r\n", PING),
        of(
            "a coding that is not chunked",
            "Transfer-Encoding: gzip\r\n",
            PING,
        ),
        of(
            "chunked, then something else",
            "Transfer-Encoding: chunked, gzip\r\n",
            chunked,
        ),
        of(
            "a coding that only sounds like it",
            "Transfer-Encoding: xchunked\r\n",
            chunked,
        ),
        of(
            "a chunk whose size is no number",
            "Transfer-Encoding: chunked\r\n",
            b"zz\r\n{}\r\n0\r\n\r\n",
        ),
        of(
            "a chunk longer than it says",
            "Transfer-Encoding: chunked\r\n",
            b"2\r\n{\"jsonrpc\"}\r\n0\r\n\r\n",
        ),
        of(
            "a chunk size of 20 digits",
            "Transfer-Encoding: chunked\r\n",
            b"fffffffffffffffffff0\r\n{}\r\n0\r\n\r\n",
        ),
    ]
}

fn hostless(at: SocketAddr) -> Vec<Case> {
    let with = |what, target: &str, hosts: &str| {
        let request = format!("GET {target} HTTP/1.1\r\n{hosts}\r\n").into_bytes();
        case(6, what, request, Status(&[400]))
    };
    let own = format!("Host: {at}\r\n");
    let twice = format!("{own}{own}");
    let port = at.port();
    vec![
        with("no Host", "/health", ""),
        with("an empty Host", "/health", "Host:\r\n"),
        with("two Hosts", "/health", &twice),
        with(
            "two Hosts that differ",
            "/health",
            &format!("{own}Host: localhost:{port}\r\n"),
        ),
        with("a Host with a space", "/health", "Host: local host\r\n"),
        with(
            "a Host that is a URL",
            "/health",
            &format!("Host: http://{at}\r\n"),
        ),
        with(
            "a Host with a user",
            "/health",
            &format!("Host: me@{at}\r\n"),
        ),
        with(
            "a Host with a path",
            "/health",
            &format!("Host: {at}/x\r\n"),
        ),
        with(
            "a port above 65,535",
            "/health",
            "Host: 127.0.0.1:65536\r\n",
        ),
        with(
            "a port that is no number",
            "/health",
            "Host: 127.0.0.1:http\r\n",
        ),
        with("half an IPv6 address", "/health", "Host: [::1\r\n"),
        with(
            "a Host that contradicts the URI",
            &format!("http://localhost:{port}/health"),
            &own,
        ),
        with(
            "a foreign URI under our Host",
            "http://evil.test/health",
            &own,
        ),
    ]
}

fn unfitting(at: SocketAddr) -> Vec<Case> {
    let plain = |what, content_type: &str| {
        let request = format!(
            "POST /messages/ HTTP/1.1\r\nHost: {at}\r\n{content_type}Content-Length: {}\r\n\r\n",
            PING.len()
        );
        let mut request = request.into_bytes();
        request.extend_from_slice(PING);
        case(10, what, request, Status(&[415]))
    };
    let method = |what, method: &str, path: &str| {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\nContent-Length: 0\r\n\r\n");
        case(10, what, request.into_bytes(), Status(&[405]))
    };
    vec![
        plain("no content type", ""),
        plain("plain text", "Content-Type: text/plain\r\n"),
        plain(
            "a form",
            "Content-Type: application/x-www-form-urlencoded\r\n",
        ),
        plain(
            "what only begins like JSON",
            "Content-Type: application/jsonx\r\n",
        ),
        case(
            10,
            "JSON with a parameter is JSON",
            {
                let mut request = format!(
                "POST /messages/ HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
                PING.len()
            )
            .into_bytes();
                request.extend_from_slice(PING);
                request
            },
            Status(&[200]),
        ),
        method("GET of the messages", "GET", "/messages/"),
        method("PUT of a message", "PUT", "/messages/"),
        method(
            "DELETE of the messages",
            "DELETE",
            "/messages/?session_id=0123456789abcdef0123456789abcdef",
        ),
        method("DELETE of the stream", "DELETE", "/sse"),
        case(
            10,
            "a stream for who wants JSON alone",
            get(at, "/sse", "Accept: application/json\r\n"),
            Status(&[406]),
        ),
        case(
            10,
            "POST where the stream is",
            post(at, "/sse", "", PING),
            Status(&[400]),
        ),
    ]
}

fn no_http() -> Vec<Case> {
    let hello = b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4\x03\x03\x5a\x5a\x5a\x5a\x00\x00\x02\x13\x01\x01\x00\r\n\r\n";
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
    let noise: Vec<u8> = (0..4096_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    vec![
        case(11, "a TLS hello", hello.to_vec(), Closed(&[400])),
        case(
            11,
            "the preface of HTTP/2",
            preface.to_vec(),
            Closed(&[400, 505]),
        ),
        case(11, "noise", noise, Closed(&[400])),
        case(
            11,
            "a line that is no request",
            b"hello\r\n\r\n".to_vec(),
            Closed(&[400]),
        ),
        case(
            11,
            "a NUL in a header",
            b"GET /health HTTP/1.1\r\nHost: a\0b\r\n\r\n".to_vec(),
            Closed(&[400]),
        ),
    ]
}

/// A client that waits for its answer on the stream must see that none will come.
pub fn a_refused_body_ends_the_stream_of_its_session() {
    let server = Server::start(&Setup::new());
    let cases: [(u8, &str, &str, u16); 2] = [
        (2, "a body that never comes", "Content-Length: 500\r\n", 408),
        (
            3,
            "a declared size above 4 MiB",
            "Content-Length: 4194305\r\n",
            413,
        ),
    ];
    rows::each(
        &cases,
        cases.len(),
        |(row, what, ..)| format!("row {row}: {what}"),
        |(_, _, headers, status)| {
            let witness = Witness::of(&server, "");
            let mut session = Session::ready(server.address());
            let request = format!(
                "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{headers}\r\n",
                session.endpoint(),
                server.address()
            );
            let mut connection = Connection::open(server.address());
            connection
                .send(request.as_bytes())
                .expect("an open connection");
            let answer = connection.answer(BODY_LIMIT).expect("an answer");
            assert_eq!(answer.status, *status, "{}", answer.text());
            assert!(session.ends_within(s(5)), "the stream stays open");
            witness.must_be_served();
        },
    );
}

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
    Witness::of(&server, "").must_be_served();
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
            let witness = Witness::of(&server, "");
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
            let witness = Witness::of(&server, SHOWN);
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

#[test]
fn connections_over_the_cap_are_turned_away_and_the_rest_is_served_again() {
    let server = Server::start(&Setup::new().variable("MCP_MAX_CONNECTIONS", "8"));
    let at = server.address();
    let mut open: Vec<Session> = (0..7).map(|_| Session::ready(at)).collect();
    let held = Connection::open(at);
    until("the last place is taken", s(5), || {
        let mut one_more = Connection::open(at);
        let _ = one_more.send(&get(at, "/healthz", ""));
        match one_more.answer(PATIENCE) {
            Ok(answer) if answer.status == 200 => None,
            Ok(answer) => {
                assert_eq!(answer.status, 503, "row 12: {}", answer.text());
                Some(())
            }
            Err(silence) => {
                assert_eq!(silence, Silence::Closed, "row 12");
                Some(())
            }
        }
    });
    drop(held);
    until("there is a place again", s(5), || {
        let mut one_more = Connection::open(at);
        let _ = one_more.send(&get(at, "/healthz", ""));
        one_more
            .answer(PATIENCE)
            .ok()
            .filter(|answer| answer.status == 200)
    });
    let heard = open[0].heard_until_now();
    assert!(heard.is_empty(), "row 12: {heard:?}");
}

#[test]
fn without_descriptors_the_server_waits_and_serves_again() {
    let server = Server::start(&Setup::new().descriptors(64));
    let at = server.address();
    let mut witness = Session::ready(at);
    let crowd: Vec<_> = (0..100).map(|_| Connection::open(at)).collect();
    until("the server runs out of descriptors", s(10), || {
        server.log().contains("cannot accept").then_some(())
    });
    drop(crowd);
    until("row 12: it serves again", s(5), || {
        let mut connection = Connection::open(at);
        let _ = connection.send(&get(at, "/healthz", ""));
        connection
            .answer(s(1))
            .ok()
            .filter(|answer| answer.status == 200)
    });
    let heard = witness.heard_until_now();
    assert!(heard.is_empty(), "row 12: {heard:?}");
}
