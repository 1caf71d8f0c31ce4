//! Cases that are bytes on a TCP connection, and an answer to them.

use std::time::{Duration, Instant};

use crate::case::{Case, Expect};
use crate::client::{Message, Outcome};
use crate::judge::judge;
use crate::sites::Site;
use crate::support::http::{Answer, Connection, Silence};
use crate::support::s;
use crate::support::session::Session;
use crate::support::streamable;
use crate::support::wire;
use crate::template::Words;

/// Sends what the case says and judges what comes back.
#[track_caller]
pub fn play(case: &Case, site: &Site, words: &Words) {
    let send = case.entry.send.as_ref().expect("a raw case sends bytes");
    let mut words = words.clone();
    // Held to the end: an id is only good for as long as its session is there.
    let mut sessions = Vec::new();
    let written = format!("{send:?}");
    if written.contains("{session}") {
        let session = Session::open_with(site.address, "/sse", &site.headers);
        words.push(("session", session.id().to_owned()));
        sessions.push(session);
    }
    let streamable = written.contains("{streamable}").then(|| {
        let client = streamable::Client::open(site.address, wire::NEWEST);
        words.push(("streamable", client.id().to_owned()));
        client
    });
    // Before there is a connection: a head may take ten seconds, and to write megabytes may take this test long.
    let bytes = send.bytes(&words);
    let mut connection = Connection::open(site.address);
    let began = Instant::now();
    let _ = connection.send(&bytes);
    let heard = match &case.entry.trickle {
        None => connection.answer(case.limit()),
        Some(more) => drip(&mut connection, &more.bytes(&words), case.limit()),
    };
    let left = case.limit().saturating_sub(began.elapsed()).max(s(2));
    let outcome = outcome(heard, &mut connection, case.expect(), left);
    judge(case.expect(), &outcome, &Message::default(), &words);
    drop(streamable);
}

fn outcome(
    heard: Result<Answer, Silence>,
    connection: &mut Connection,
    expect: &Expect,
    left: Duration,
) -> Outcome {
    let mut outcome = Outcome {
        revision: wire::NEWEST,
        ..Outcome::default()
    };
    match heard {
        Ok(answer) => {
            outcome.status = Some(answer.status);
            outcome.all = format!("{}\r\n\r\n{}", answer.head, answer.text());
            if answer.text().contains("\"jsonrpc\"") {
                outcome.answers.push(answer.text());
            }
            outcome.closed = expect.closes && connection.closes_within(left);
        }
        Err(silence) => {
            outcome.closed = silence == Silence::Closed;
            assert!(
                expect.closes || expect.silence,
                "{silence:?} instead of an answer"
            );
        }
    }
    outcome
}

/// Sends a byte a second until something comes back.
fn drip(connection: &mut Connection, bytes: &[u8], within: Duration) -> Result<Answer, Silence> {
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
