//! More of something than there may be: sessions, streams of one session, calls, equal ids.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{number, text};
use crate::case::{Case, Transport};
use crate::client::{Client, Message};
use crate::envelope::message;
use crate::play::{found_soon, word};
use crate::sites::Site;
use crate::support::http::{Answer, Connection, PATIENCE, exchange, get, post};
use crate::support::session::Session;
use crate::support::streamable::{self, BOTH};
use crate::support::{s, until, wire};
use crate::template::Words;

/// Sessions are opened until one is refused, or until there are far more than may be: over HTTP+SSE each has a stream,
/// over Streamable HTTP the idlest makes room.
pub fn sessions(case: &Case, site: &Arc<Site>) {
    let most = number(case, "most");
    match case.transport {
        Transport::Sse => {
            let mut open = Vec::new();
            let refused = (0..=most).find_map(|_| {
                let opened = Session::try_open(site.address, "/sse", &site.headers);
                opened.map(|session| open.push(session)).err()
            });
            must_say_when(&refused.expect("a session over the cap is refused"));
            let first = open.first_mut().expect("there is room for one more");
            assert!(first.heard_until_now().is_empty());
        }
        _ => {
            let first = streamable::Client::open(site.address, wire::NEWEST);
            let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
            for _ in 0..3 * most {
                let last = streamable::Client::open(site.address, wire::NEWEST);
                assert_eq!(last.post(&ping).status, 200, "the newest has its room");
            }
            assert_eq!(first.post(&ping).status, 404, "the idlest made room");
        }
    }
}

fn must_say_when(refused: &Answer) {
    assert_eq!(refused.status, 503, "{}", refused.text());
    let wait = refused.header("retry-after").expect("Retry-After");
    assert!(wait.parse::<u32>().is_ok(), "{wait}");
}

/// One session has one stream for what the server says by itself.
pub fn streams(_: &Case, site: &Arc<Site>) {
    let client = streamable::Client::open(site.address, wire::NEWEST);
    let more = format!("Accept: text/event-stream\r\n{}", client.headers());
    let request = get(site.address, "/mcp", &more);
    let begin = || {
        let mut connection = Connection::open(site.address);
        connection.send(&request).expect("an open connection");
        let status = connection.head(PATIENCE).map(|(status, _)| status);
        (connection, status)
    };
    let (first, status) = begin();
    assert_eq!(status, Ok(200));
    assert_eq!(begin().1, Ok(409), "a second stream");
    drop(first);
    until("the place of the first is free", PATIENCE, || {
        (begin().1 == Ok(200)).then_some(())
    });
}

/// A request with the id of a call that is running is refused, and the call goes on.
pub fn equal_ids(case: &Case, site: &Arc<Site>, words: &Words) {
    let call = message(case, words);
    let ping = json!({"jsonrpc": "2.0", "id": 9, "method": "ping"}).to_string();
    let must_be_refused = |answer: &Answer| {
        assert_eq!(answer.status, 400, "{}", answer.text());
        let error = &answer.json()["error"]["code"];
        assert_eq!(*error, -32600, "{}", answer.text());
    };
    let mark = word(words, "mark");
    if case.transport == Transport::Sse {
        let mut session = Session::open_with(site.address, "/sse", &site.headers);
        session.initialize(wire::NEWEST);
        session.expects(&json!(9), "tools/call");
        assert_eq!(session.post(&call.bytes).status, 202);
        found_soon(mark);
        must_be_refused(&session.post(ping.as_bytes()));
        let result = session.result(&json!(9), case.limit());
        assert!(result.to_string().contains("done"), "{result}");
        return;
    }
    let client = streamable::Client::open(site.address, wire::NEWEST);
    let headers = format!("{}{}{BOTH}", site.headers, client.headers());
    let mut calling = Connection::open(site.address);
    let request = post(site.address, "/mcp", &headers, &call.bytes);
    calling.send(&request).expect("an open connection");
    found_soon(mark);
    must_be_refused(&exchange(
        site.address,
        &post(site.address, "/mcp", &headers, ping.as_bytes()),
    ));
    let answer = calling.answer(case.limit()).expect("the call is answered");
    assert!(answer.text().contains("done"), "{}", answer.text());
}

/// More calls of one agent than there are places and room to wait: some are refused, and once the call that holds the
/// place is cancelled there is a place again.
pub fn calls(case: &Case, site: &Arc<Site>, words: &Words) {
    let headers = format!("{}X-Agent-Id: many-calls\r\n", site.headers);
    let open = || Client::open(case.transport, site.address, &headers);
    let mut held = open();
    held.begin(&message(case, words));
    found_soon(word(words, "mark"));
    let (asked, took) = (number(case, "calls"), case.limit());
    let refused = if case.transport == Transport::Sse {
        refused_of_one(site, asked, took)
    } else {
        let first = open();
        let mut waiting: Vec<Client> = (0..asked).map(|_| first.beside()).collect();
        for (id, client) in (100..).zip(&mut waiting) {
            client.begin(&quick(case, id));
        }
        // Those that wait are not answered, so the refused ones are looked for.
        let deadline = Instant::now() + took;
        let mut refused = Vec::new();
        while refused.is_empty() && Instant::now() < deadline {
            for client in &mut waiting {
                refused.extend(client.outcome(Duration::from_millis(1), false).answers);
            }
        }
        refused.into_iter().next()
    };
    let refused = refused.unwrap_or_else(|| panic!("{asked} calls and none refused"));
    let code: Value = serde_json::from_str(&refused).expect("an answer is JSON");
    let code = &code["result"]["structuredContent"]["error"]["code"];
    assert_eq!(code, "overloaded", "{refused}");
    held.cancel();
    let mut next = open();
    next.begin(&quick(case, 99));
    let outcome = next.outcome(s(60), false);
    assert!(outcome.all.contains("--text"), "no place: {}", outcome.all);
}

/// The first refusal among many calls of one session.
fn refused_of_one(site: &Site, asked: u64, limit: Duration) -> Option<String> {
    let mut session = Session::open_with(site.address, "/sse", &site.headers);
    session.initialize(wire::NEWEST);
    for _ in 0..asked {
        session.begin("probe__show", json!({"text": "a"}));
    }
    let refused = session.take(limit, |message| message["result"]["isError"] == true);
    refused.ok().map(|message| message.to_string())
}

/// A call that ends at once.
fn quick(case: &Case, id: u64) -> Message {
    let mut params = json!({"name": "probe__show", "arguments": {"text": "a"}});
    if case.transport == Transport::Stateless {
        params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {}});
    }
    let call = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    Message {
        bytes: call.to_string().into_bytes(),
        method: "tools/call".to_owned(),
        name: Some("probe__show".to_owned()),
        id: id.to_string(),
    }
}

/// What a client says stands in no log but by name, and forges no line of it.
pub fn logged(case: &Case, site: &Arc<Site>, words: &Words) {
    crate::play::over_http(case, site, words);
    let wanted = text(case, "tool");
    let log = until("the call has its line", PATIENCE, || {
        let log = site.server.lock().expect("it has it alone").log();
        let is_there = |line: &str| line.contains("smcp::audit") && line.contains(wanted);
        log.lines().any(is_there).then_some(log)
    });
    let secret = text(case, "secret");
    assert!(!log.contains(secret), "a value is in the log");
    assert!(!log.contains('\u{1b}'), "an escape is in the log");
    let forged = log.lines().find(|line| line.starts_with("forged"));
    assert_eq!(forged, None, "a forged line");
}
