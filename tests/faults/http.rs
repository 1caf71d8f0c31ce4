//! Rows 1 to 6, 10 and 11: what comes in over TCP and is no decent request.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::requests;
use crate::support::http::{Answer, Connection, PATIENCE, Silence};
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::witness::Witness;
use crate::support::{rows, s, streamable, wire};

/// A mebibyte.
pub const MIB: usize = 1 << 20;
/// A message that every transport answers.
pub const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

/// What must come back.
#[derive(Debug, Clone, Copy)]
pub enum Expected {
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
pub enum Sent {
    /// At once.
    Bytes(Vec<u8>),
    /// The first at once, then one byte of the second a second, again and again.
    Trickle(Vec<u8>, Vec<u8>),
}

pub struct Case {
    row: u8,
    what: &'static str,
    sent: Sent,
    expected: Expected,
    within: Duration,
}

/// A request that is sent at once.
pub fn case(row: u8, what: &'static str, sent: Vec<u8>, expected: Expected) -> Case {
    Case {
        row,
        what,
        sent: Sent::Bytes(sent),
        expected,
        within: PATIENCE,
    }
}

/// A request whose second part comes one byte a second.
pub fn trickle(
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

/// A head must be there within ten seconds; a server that does not refuse it by now never will.
pub const HEAD_LIMIT: Duration = s(20);
/// The same for a body, which has thirty.
pub const BODY_LIMIT: Duration = s(45);

/// Takes thirty seconds: as long as a body may take.
#[test]
fn slow_requests_are_refused_in_time() {
    play(requests::slow);
}

#[test]
fn large_bodies_are_refused_before_they_are_read() {
    play(requests::large);
}

#[test]
fn too_many_headers_and_too_long_ones_are_refused() {
    play(requests::many);
}

#[test]
fn a_body_whose_end_is_ambiguous_is_refused_with_its_connection() {
    play(requests::ambiguous);
}

#[test]
fn a_request_without_one_plain_host_is_refused() {
    play(requests::hostless);
}

#[test]
fn a_content_type_or_a_method_that_does_not_fit_is_refused() {
    play(requests::unfitting);
}

#[test]
fn what_is_no_http_is_refused_with_its_connection() {
    play(requests::no_http);
}

/// The cases of one kind go to one server, side by side: most of them only wait.
#[track_caller]
fn play(kind: fn(SocketAddr) -> Vec<Case>) {
    let server = Server::start(&Setup::new());
    rows::each(
        &kind(server.address()),
        64,
        |case| format!("row {}: {}", case.row, case.what),
        |case| {
            let witness = Witness::of(server.address(), "");
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

/// A client that waits for its answer on the stream must see that none will come.
/// Takes thirty seconds: as long as a body may take.
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
            let witness = Witness::of(server.address(), "");
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
            assert!(session.ends_within(PATIENCE), "the stream stays open");
            witness.must_be_served();
        },
    );
}

#[test]
fn a_body_that_is_too_large_ends_no_session_of_streamable_http() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let session = streamable::Client::open(at, wire::NEWEST);
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\n{}Content-Length: 4194305\r\n\r\n",
        session.headers()
    );
    let mut connection = Connection::open(at);
    connection
        .send(request.as_bytes())
        .expect("an open connection");
    let answer = connection.answer(BODY_LIMIT).expect("an answer");
    assert_eq!(answer.status, 413, "{}", answer.text());
    let ping = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    let answer = session.post(&ping);
    assert_eq!(answer.status, 200, "row 3: {}", answer.text());
}
