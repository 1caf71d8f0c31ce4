//! Requests that are slow, large, ambiguous or no HTTP at all, row by row, and what must come back.

use std::net::SocketAddr;

use crate::http::Expected::{Closed, Status, StatusAndClose};
use crate::http::{BODY_LIMIT, Case, HEAD_LIMIT, MIB, PING, case, trickle};
use crate::support::http::{get, post};

/// A POST whose head promises what it likes.
fn raw_post(address: SocketAddr, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /messages/ HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{headers}\r\n"
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

pub fn slow(at: SocketAddr) -> Vec<Case> {
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

pub fn large(at: SocketAddr) -> Vec<Case> {
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

pub fn many(at: SocketAddr) -> Vec<Case> {
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

pub fn ambiguous(at: SocketAddr) -> Vec<Case> {
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

pub fn hostless(at: SocketAddr) -> Vec<Case> {
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

pub fn unfitting(at: SocketAddr) -> Vec<Case> {
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

pub fn no_http(_: SocketAddr) -> Vec<Case> {
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
