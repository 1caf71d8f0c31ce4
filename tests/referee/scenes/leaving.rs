//! Clients that go while something is under way.

use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::json;

use super::number;
use crate::case::{Case, Transport};
use crate::client::Client;
use crate::envelope::message;
use crate::play::{found_soon, word};
use crate::sites::Site;
use crate::support::http::{PATIENCE, exchange, header, post};
use crate::support::session::{Event, Session};
use crate::support::streamable::{BOTH, Stream};
use crate::support::{processes, s, until, wire};
use crate::template::Words;

/// As long as a program needs that ignores SIGTERM, twice, on a busy machine.
const ALL_GONE: Duration = s(40);

/// Clients begin a call and leave, each before the program of the one before is gone. There must never be more
/// programs than places.
pub fn again_and_again(case: &Case, site: &Arc<Site>, words: &Words) {
    let mark = word(words, "mark");
    let places = usize::try_from(number(case, "places")).expect("few");
    let within_places = || {
        // A child has its parent's command line until it executes its own program.
        let marked = processes::with_argument(mark);
        let has_marked_parent =
            |pid: &Pid| processes::ancestors(*pid).any(|parent| marked.contains(&parent));
        // One whose parent has ended between the two looks has none any more; the parent is not counted then.
        let programs: Vec<_> = marked
            .iter()
            .filter(|pid| !has_marked_parent(pid))
            .collect();
        let running = programs
            .iter()
            .filter(|pid| processes::lives(***pid))
            .count();
        assert!(
            running <= places,
            "{running} programs run on {places} places"
        );
        running
    };
    for _ in 0..number(case, "times") {
        let mut client = Client::open(case.transport, site.address, &site.headers);
        client.begin(&message(case, words));
        for _ in 0..20 {
            within_places();
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(client);
    }
    until("all programs are gone", ALL_GONE, || {
        (within_places() == 0).then_some(())
    });
}

/// Every place is held by a call that waits for the answer of a client; the clients go for good.
pub fn while_asked(case: &Case, site: &Arc<Site>, words: &Words) {
    let (mut sessions, mut streams) = (Vec::new(), Vec::new());
    for _ in 0..number(case, "clients") {
        match case.transport {
            Transport::Sse => sessions.push(asked_over_sse(case, site, words)),
            _ => streams.push(asked_over_streamable(case, site, words)),
        }
    }
    drop((sessions, streams));
    let mut other = Client::open(Transport::Direct, site.address, &site.headers);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "probe__show", "arguments": {"text": "a"}}});
    other.begin(&crate::client::Message {
        bytes: call.to_string().into_bytes(),
        ..Default::default()
    });
    let outcome = other.outcome(case.limit(), false);
    assert!(
        outcome.all.contains("--text"),
        "no place is free: {}",
        outcome.all
    );
}

fn hello() -> serde_json::Value {
    json!({"protocolVersion": wire::NEWEST, "capabilities": {"elicitation": {}},
        "clientInfo": {"name": "smcp-tests", "version": "1"}})
}

fn asked_over_sse(case: &Case, site: &Site, words: &Words) -> Session {
    let mut session = Session::open_with(site.address, "/sse", &site.headers);
    session.ask("initialize", hello());
    session.tell("notifications/initialized", json!({}));
    let sent = message(case, words).bytes;
    assert_eq!(session.post(&sent).status, 202);
    loop {
        // Not judged: the SDK would write a form's mode, which the schema leaves out.
        match session.event(PATIENCE).expect("the client is asked") {
            Event::Named(_, data) if data.contains("elicitation/create") => return session,
            _ => {}
        }
    }
}

fn asked_over_streamable(case: &Case, site: &Site, words: &Words) -> Stream {
    let at = site.address;
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello()});
    let answer = exchange(at, &post(at, "/mcp", BOTH, hello.to_string().as_bytes()));
    let id = header(&answer.head, "mcp-session-id").expect("a session's id");
    let headers = format!(
        "{BOTH}Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: {}\r\n",
        wire::NEWEST
    );
    let initialized = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    assert_eq!(
        exchange(at, &post(at, "/mcp", &headers, initialized)).status,
        202
    );
    let request = post(at, "/mcp", &headers, &message(case, words).bytes);
    let mut stream = Stream::begin(at, &request).unwrap_or_else(|answer| panic!("{}", answer.head));
    loop {
        let event = stream.event().expect("the client is asked");
        if event
            .data
            .is_some_and(|data| data.contains("elicitation/create"))
        {
            return stream;
        }
    }
}

/// The client hangs up in the middle of a program's log, and the server is asked to end.
pub fn end_while_logging(case: &Case, site: &Arc<Site>, words: &Words) {
    let mut client = Client::open(case.transport, site.address, &site.headers);
    client.begin(&message(case, words));
    found_soon(word(words, "mark"));
    drop(client);
    site.unwatched();
    let mut server = site.server.lock().expect("it has it alone");
    server.signal(Signal::TERM);
    let status = server.ends_within(case.limit());
    assert!(status.success(), "the server ended with {status}");
    server.leaves_nothing_within(s(5));
}
