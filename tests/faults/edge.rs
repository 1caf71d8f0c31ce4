//! Rows 1, 5, 12, 18, 59, 62, 69 and 79: connections, before anybody knows what is asked on them.

use std::net::SocketAddr;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, prlimit};
use serde_json::{Value, json};

use crate::http::{PING, judge};
use crate::served::{GONE, found_soon, gone_within};
use crate::support::http::{Connection, PATIENCE, Silence, exchange, get, header, post};
use crate::support::plugins::fixtures;
use crate::support::server::{Server, Setup};
use crate::support::witness::Witness;
use crate::support::{processes, rows, s, until};

/// What a client of 2026-07-28 says of itself in every request.
pub fn stateless_meta() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    })
}

/// A server without descriptors for anything new, until it is dropped.
#[derive(Debug)]
pub struct Starved<'a>(&'a Server);

impl<'a> Starved<'a> {
    #[track_caller]
    pub fn new(server: &'a Server) -> Self {
        limit_descriptors(server, Some(5));
        Self(server)
    }
}

impl Drop for Starved<'_> {
    fn drop(&mut self) {
        limit_descriptors(self.0, getrlimit(Resource::Nofile).maximum);
    }
}

/// Changes the limit of a server that has the hard limit of this process.
#[track_caller]
fn limit_descriptors(server: &Server, current: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit { current, maximum };
    prlimit(Some(server.pid()), Resource::Nofile, limit).expect("the server is ours");
}

/// Requests that begin a call, each with something after it that is no part of it.
fn calls_with_more_behind(at: SocketAddr) -> Vec<(String, String, Vec<u8>)> {
    let more: [(&str, Vec<u8>); 3] = [
        ("a stray line break", b"\r\n".to_vec()),
        ("a pipelined request", get(at, "/healthz", "")),
        ("more than is read", vec![b'x'; 300 << 10]),
    ];
    let mut all = Vec::new();
    for (what, bytes) in more {
        for transport in ["direct", "sse", "stateless"] {
            let mark = format!("row-62-{transport}-{}", bytes.len());
            let mut params = json!({"name": "lingers__deaf", "arguments": {"mark": mark}});
            let (path, headers) = match transport {
                "stateless" => {
                    params["_meta"] = stateless_meta();
                    (
                        "/mcp",
                        "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
                         Mcp-Method: tools/call\r\nMcp-Name: lingers__deaf\r\n",
                    )
                }
                _ => ("/messages/", ""),
            };
            let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
            let mut request = post(at, path, headers, call.to_string().as_bytes());
            request.extend_from_slice(&bytes);
            all.push((format!("{transport}: {what}"), mark, request));
        }
    }
    all
}

#[test]
fn a_byte_after_the_request_does_not_hide_that_its_client_went() {
    let server = Server::start(
        &Setup::new()
            .plugins(fixtures("plugins"))
            .variable("MCP_MAX_CALLS", "16"),
    );
    server.ready();
    let at = server.address();
    let cases = calls_with_more_behind(at);
    rows::each(
        &cases,
        cases.len(),
        |(what, ..)| format!("row 62: {what}"),
        |(what, mark, request)| {
            if what.starts_with("sse") {
                let behind = &request[request.len() - request_tail(request)..];
                return leave_a_session(at, mark, behind);
            }
            let mut connection = Connection::open(at);
            connection.send_what_is_read(request);
            found_soon(mark);
            drop(connection);
            gone_within(mark, GONE);
        },
    );
    Witness::of(server.address(), "").must_be_served();
}

/// How many bytes stand behind a POST request's body.
fn request_tail(request: &[u8]) -> usize {
    let text = String::from_utf8_lossy(request);
    let (head, rest) = text.split_once("\r\n\r\n").expect("a head");
    let length = header(head, "content-length").expect("a length");
    rest.len() - length.parse::<usize>().expect("a number")
}

/// Opens a stream with these bytes behind its request, begins a call, and leaves.
fn leave_a_session(at: SocketAddr, mark: &str, behind: &[u8]) {
    let mut request =
        format!("GET /sse HTTP/1.1\r\nHost: {at}\r\nAccept: text/event-stream\r\n\r\n")
            .into_bytes();
    request.extend_from_slice(behind);
    let mut stream = Connection::open(at);
    stream.send_what_is_read(&request);
    let (status, _) = stream.head(PATIENCE).expect("a stream");
    assert_eq!(status, 200);
    let first = stream.chunk(Instant::now() + PATIENCE);
    let first = first.expect("an event").expect("more than an end");
    let first = String::from_utf8(first).expect("text");
    let endpoint = first
        .lines()
        .find_map(|line| line.strip_prefix("data: "))
        .expect("the endpoint");
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25",
            "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call",
            "params": {"name": "lingers__deaf", "arguments": {"mark": mark}}}),
    ] {
        let answer = exchange(at, &post(at, endpoint, "", message.to_string().as_bytes()));
        judge(&answer, &[202]);
    }
    found_soon(mark);
    drop(stream);
    gone_within(mark, GONE);
}

#[test]
fn a_stream_whose_request_has_half_a_body_ends_with_its_client() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let mut stream = Connection::open(at);
    let request = format!(
        "GET /sse HTTP/1.1\r\nHost: {at}\r\nAccept: text/event-stream\r\nContent-Length: 100\r\n\r\nhalf"
    );
    stream.send(request.as_bytes()).expect("an open connection");
    assert_eq!(stream.head(PATIENCE).expect("a stream").0, 200);
    let sessions = || exchange(at, &get(at, "/health", "")).json()["sessions"].clone();
    assert_eq!(sessions(), 1);
    drop(stream);
    until("row 62: the session is over", PATIENCE, || {
        (sessions() == 0).then_some(())
    });
}

#[test]
fn pipelined_requests_are_answered_in_their_order_and_a_line_break_between_them_is_nothing() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let ping = |id: u8| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let length = body.len();
        format!(
            "POST /messages/ HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let mut connection = Connection::open(at);
    let sent = format!("{}\r\n{}{}\r\n", ping(1), ping(2), ping(3));
    connection
        .send(sent.as_bytes())
        .expect("an open connection");
    for id in 1..=3 {
        let answer = connection.answer(PATIENCE).expect("an answer");
        assert_eq!(answer.json()["id"], id);
    }
    connection
        .send(ping(4).as_bytes())
        .expect("an open connection");
    assert_eq!(
        connection.answer(PATIENCE).expect("an answer").json()["id"],
        4
    );
}

#[test]
fn every_head_of_a_connection_is_checked_for_two_lengths() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let first = format!("GET /healthz HTTP/1.1\r\nHost: {at}\r\n\r\n").into_bytes();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let of = |headers: &str| {
        format!("POST /messages/ HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\n{headers}\r\n0\r\n\r\n")
            .into_bytes()
    };
    let cases = [
        (
            "a length and chunks",
            of(&format!("Content-Length: 5\r\n{chunked}")),
        ),
        (
            "chunks and a length",
            of(&format!("{chunked}Content-Length: 5\r\n")),
        ),
        (
            "two lengths that differ",
            of("Content-Length: 5\r\nContent-Length: 6\r\n"),
        ),
        (
            "two codings",
            of(&format!("Transfer-Encoding: gzip\r\n{chunked}")),
        ),
    ];
    rows::each(
        &cases,
        cases.len(),
        |(what, _)| format!("row 69: a second head with {what}"),
        |(_, second)| {
            for pipelined in [true, false] {
                let mut connection = Connection::open(at);
                if pipelined {
                    let both = [first.as_slice(), second].concat();
                    connection.send(&both).expect("an open connection");
                } else {
                    connection.send(&first).expect("an open connection");
                }
                judge(&connection.answer(PATIENCE).expect("an answer"), &[200]);
                if !pipelined {
                    connection.send(second).expect("an open connection");
                }
                judge(&connection.answer(PATIENCE).expect("an answer"), &[400]);
                // Before what is behind the head could be a head that never ends.
                assert!(connection.closes_within(s(9)), "the connection stays open");
            }
        },
    );
}

#[test]
fn blank_lines_for_ever_are_408_after_ten_seconds() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let first = format!("GET /healthz HTTP/1.1\r\nHost: {at}\r\n\r\n");
    for before in ["", &first] {
        let mut connection = Connection::open(at);
        if !before.is_empty() {
            connection
                .send(before.as_bytes())
                .expect("an open connection");
            judge(&connection.answer(PATIENCE).expect("an answer"), &[200]);
        }
        let began = Instant::now();
        let answer = loop {
            let _ = connection.send(b"\r\n\r\n\n");
            match connection.answer(std::time::Duration::from_millis(50)) {
                Err(Silence::TimeOver) => assert!(began.elapsed() < s(20), "row 69: no answer"),
                answer => break answer,
            }
        };
        judge(&answer.expect("row 69: an answer"), &[408]);
    }
}

#[test]
fn half_heads_hold_little_memory() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let must_be_served = || judge(&exchange(at, &get(at, "/healthz", "")), &[200]);
    must_be_served();
    let before = processes::resident(server.pid());
    let half = format!(
        "GET /health HTTP/1.1\r\nHost: {at}\r\nX-Long: {}",
        "a".repeat(60 << 10)
    );
    let open: Vec<_> = (0..600)
        .map(|_| {
            let mut connection = Connection::open(at);
            let _ = connection.send(half.as_bytes());
            connection
        })
        .collect();
    must_be_served();
    // Those that find no room are refused when they are read, which another request need not wait for.
    until("some of the heads are refused", PATIENCE, || {
        let metrics = exchange(at, &get(at, "/metrics", "")).text();
        let counted = metrics
            .lines()
            .find(|line| line.starts_with("smcp_refused_total{reason=\"overloaded\"}"))?;
        (!counted.ends_with(" 0")).then_some(())
    });
    let grown = processes::resident(server.pid()).saturating_sub(before);
    assert!(grown < 80 << 20, "600 half heads cost {} MiB", grown >> 20);
    drop(open);
}

#[test]
fn unfinished_bodies_hold_little_memory_and_refuse_no_small_request() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    until("sixty bodies are begun in time", s(240), || {
        leave_unfinished(&server)
    });
    let large = post(at, "/messages/", "", &[PING, &vec![b' '; 3 << 20]].concat());
    until("the bodies that were given up make room", PATIENCE, || {
        let mut connection = Connection::open(at);
        connection.send_what_is_read(&large);
        let answer = connection.answer(PATIENCE).ok()?;
        (answer.status == 200).then_some(())
    });
}

/// Sends bodies that do not end. `None` on a machine that is so slow that the first of them are given up, after thirty
/// seconds, before the last is sent.
fn leave_unfinished(server: &Server) -> Option<()> {
    let at = server.address();
    let began = Instant::now();
    let before = processes::resident(server.pid());
    let mut unfinished = post(at, "/messages/", "", &vec![b' '; 4 << 20]);
    unfinished.pop();
    let mut open: Vec<_> = (0..60)
        .map(|_| {
            let mut connection = Connection::open(at);
            connection.send_what_is_read(&unfinished);
            connection
        })
        .collect();
    judge(&exchange(at, &post(at, "/messages/", "", PING)), &[200]);
    let grown = processes::resident(server.pid()).saturating_sub(before);
    assert!(
        grown < 150 << 20,
        "60 unfinished bodies cost {} MiB",
        grown >> 20
    );
    let last = open.last_mut().expect("there are many").answer(PATIENCE);
    if began.elapsed() > s(25) {
        return None;
    }
    // The first ones have their room, the last one found none.
    let last = last.expect("an answer");
    judge(&last, &[503]);
    assert_eq!(last.json()["error"], "overloaded", "{}", last.text());
    assert!(last.header("retry-after").is_some(), "{last:?}");
    open[0].send(b" ").expect("its body is still being read");
    judge(&open[0].answer(PATIENCE).expect("an answer"), &[400]);
    Some(())
}

#[test]
fn idle_connections_leave_descriptors_for_calls() {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")).descriptors(600));
    server.ready();
    let at = server.address();
    let mut caller = Connection::open(at);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "args__show", "arguments": {"text": "a"}}})
    .to_string();
    let request = format!(
        "POST /messages/ HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{call}",
        call.len()
    );
    caller
        .send(kept_ping(at).as_bytes())
        .expect("an open connection");
    judge(&caller.answer(PATIENCE).expect("an answer"), &[200]);
    let idle: Vec<_> = (0..600).map(|_| Connection::open(at)).collect();
    until("the connections have reached their limit", PATIENCE, || {
        server.log().contains("which is the limit").then_some(())
    });
    caller.send(request.as_bytes()).expect("an open connection");
    let answer = caller.answer(PATIENCE).expect("an answer");
    assert_eq!(
        answer.json()["result"]["isError"],
        false,
        "{}",
        answer.text()
    );
    assert!(!server.log().contains("cannot accept"), "{}", server.log());
    drop(idle);
}

fn kept_ping(at: SocketAddr) -> String {
    format!(
        "POST /messages/ HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}",
        PING.len(),
        String::from_utf8_lossy(PING)
    )
}

#[test]
fn without_descriptors_the_log_gets_one_line_a_second_and_the_server_recovers() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let starved = Starved::new(&server);
    let began = Instant::now();
    let waiting: Vec<_> = (0..20).map(|_| Connection::open(at)).collect();
    let lines = || server.log().matches("cannot accept").count();
    until("the server says what it lacks", PATIENCE, || {
        (lines() >= 3).then_some(())
    });
    let seconds = began.elapsed().as_secs_f64();
    assert!(
        lines() as f64 <= seconds + 2.0,
        "{} lines in {seconds} s",
        lines()
    );
    drop(starved);
    drop(waiting);
    until("row 12: it serves again", PATIENCE, || {
        let mut connection = Connection::open(at);
        let _ = connection.send(&get(at, "/healthz", ""));
        connection
            .answer(PATIENCE)
            .ok()
            .filter(|answer| answer.status == 200)
    });
}
