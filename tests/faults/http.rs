//! Rows 1 to 6, 10 and 11: what comes in over TCP and is no decent request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::support::http::{Answer, Connection, PATIENCE, Silence, get, post};
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::{rows, s};
use crate::witness::Witness;

/// A mebibyte.
pub const MIB: usize = 1 << 20;
/// A message that every door answers.
pub const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

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

#[test]
fn slow_and_malformed_requests_are_refused_in_time() {
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

/// Fails unless the answer has one of these codes.
#[track_caller]
pub fn judge(answer: &Answer, codes: &[u16]) {
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
#[test]
fn a_refused_body_ends_the_stream_of_its_session() {
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
