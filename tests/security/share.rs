//! A key that holds many sessions leaves room to the others: at `MCP_MAX_SESSIONS`, who holds more makes room for who
//! holds fewer.

use std::net::SocketAddr;

use serde_json::json;

use crate::support::http::{PATIENCE, exchange, get, post};
use crate::support::plugins::fixtures;
use crate::support::processes;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::streamable::Client;
use crate::support::{until, wire};

const HOG: &str = "X-API-Key: the-first-key\r\n";
const OTHER: &str = "Authorization: Bearer the-second-key\r\n";
/// As the log names the first key.
const FINGERPRINT_OF_THE_HOG: &str = "780f2123";
const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

fn server(max_sessions: &str) -> Server {
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .variable("MCP_API_KEYS", "the-first-key,the-second-key")
        .variable("MCP_MAX_SESSIONS", max_sessions);
    let server = Server::start(&setup);
    server.ready();
    server
}

#[track_caller]
fn open(at: SocketAddr, key: &str) -> Session {
    let mut session = Session::open_with(at, "/sse", key);
    session.initialize(wire::NEWEST);
    session
}

fn metric(server: &Server, series: &str) -> u64 {
    let text = exchange(server.address(), &get(server.address(), "/metrics", HOG)).text();
    let begin = format!("{series} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&*begin));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}"))
        .parse()
        .expect("a number")
}

fn limit(server: &Server, name: &str) -> u64 {
    metric(
        server,
        &format!("smcp_limit_hits_total{{limit=\"{name}\"}}"),
    )
}

#[test]
fn a_key_with_a_stream_on_every_session_gives_them_up_until_the_shares_are_even() {
    let server = server("4");
    let at = server.address();
    let mut hog: Vec<_> = (0..4).map(|_| open(at, HOG)).collect();
    // Not the oldest one is the one that was used least recently.
    assert!(hog[0].heard_until_now().is_empty());
    let mut others = Vec::new();
    for given_up in [1, 2] {
        others.push(open(at, OTHER));
        assert!(hog[given_up].ends_within(PATIENCE), "its stream ends");
        let answer = hog[given_up].post(PING);
        assert_eq!(answer.status, 404);
        assert_eq!(answer.text(), "Could not find session");
    }
    // Two and two. One more of either key would be a step away from that, or a swap.
    for key in [OTHER, HOG] {
        let refused = exchange(at, &get(at, "/sse", key));
        assert_eq!(refused.status, 503);
        assert!(refused.header("retry-after").is_some(), "{}", refused.head);
        let why = refused.text();
        for part in [
            "all 4 sessions",
            "2 of them with your key",
            "MCP_MAX_SESSIONS",
        ] {
            assert!(why.contains(part), "{why}");
        }
    }
    for place in [0, 3] {
        assert!(hog[place].heard_until_now().is_empty(), "it is unharmed");
    }
    for other in &mut others {
        assert!(other.heard_until_now().is_empty(), "it is unharmed");
    }
    assert_eq!(limit(&server, "sessions_of_key"), 2);
    assert_eq!(limit(&server, "idle_sessions"), 0);
    assert_eq!(limit(&server, "sessions"), 2);
    let said: Vec<_> = server
        .log()
        .lines()
        .filter(|line| line.contains("keys that hold fewer"))
        .map(str::to_owned)
        .collect();
    assert_eq!(said.len(), 1, "once in a minute: {said:?}");
    assert!(said[0].contains(FINGERPRINT_OF_THE_HOG), "{said:?}");
}

#[test]
fn one_key_alone_is_refused_as_long_as_all_its_sessions_are_in_use() {
    let server = server("3");
    let at = server.address();
    for (key, whose) in [(OTHER, "with your key"), ("", "without a key")] {
        let mut sessions: Vec<_> = (0..3).map(|_| open(at, key)).collect();
        let refused = exchange(at, &get(at, "/sse", key));
        assert_eq!(refused.status, 503);
        let why = refused.text();
        assert!(why.contains(&format!("3 of them {whose}")), "{why}");
        for session in &mut sessions {
            assert!(session.heard_until_now().is_empty(), "it is unharmed");
        }
        drop(sessions);
        until("the sessions end with their streams", PATIENCE, || {
            (metric(&server, "smcp_sessions{transport=\"sse\"}") == 0).then_some(())
        });
    }
    assert_eq!(limit(&server, "sessions"), 2);
    assert_eq!(limit(&server, "sessions_of_key"), 0);
}

#[test]
fn a_running_call_is_never_ended_for_another_key() {
    let server = server("3");
    let at = server.address();
    let mut hog: Vec<_> = (0..3).map(|_| open(at, HOG)).collect();
    let calls: Vec<_> = ["share-0", "share-1", "share-2"]
        .into_iter()
        .zip(&mut hog)
        .map(|(mark, session)| {
            let id = session.begin("lingers__sleep", json!({"mark": mark}));
            until("the call runs", PATIENCE, || {
                (!processes::with_argument(mark).is_empty()).then_some(())
            });
            id
        })
        .collect();
    let refused = exchange(at, &get(at, "/sse", OTHER));
    assert_eq!(refused.status, 503);
    let why = refused.text();
    assert!(why.contains("none of them with your key"), "{why}");
    let cancel = json!({"requestId": calls[2]});
    hog[2].tell("notifications/cancelled", cancel);
    let mut other = until("the one without a call makes room", PATIENCE, || {
        Session::try_open(at, "/sse", OTHER).ok()
    });
    other.initialize(wire::NEWEST);
    assert!(hog[2].ends_within(PATIENCE));
    for place in [0, 1] {
        assert!(hog[place].heard_until_now().is_empty());
        let mark = format!("share-{place}");
        assert!(
            !processes::with_argument(&mark).is_empty(),
            "{mark} runs on"
        );
    }
}

#[test]
fn an_idle_session_of_who_holds_few_is_not_ended_for_who_holds_many() {
    let server = server("4");
    let at = server.address();
    let few = Client::open_at(at, "/mcp", OTHER, wire::NEWEST);
    let mut hog: Vec<_> = (0..3).map(|_| open(at, HOG)).collect();
    let refused = exchange(at, &get(at, "/sse", HOG));
    assert_eq!(refused.status, 503, "{}", refused.text());
    // Between its calls a client of Streamable HTTP has no stream.
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(few.post(&ping).status, 200, "it is still there");
    let second = Client::open_at(at, "/mcp", OTHER, wire::NEWEST);
    assert!(
        hog[0].ends_within(PATIENCE),
        "whoever holds most makes room"
    );
    for client in [&few, &second] {
        assert_eq!(client.post(&ping).status, 200);
    }
    let third = Client::open_at(at, "/mcp", OTHER, wire::NEWEST);
    let statuses = [&few, &second, &third].map(|client| client.post(&ping).status);
    assert_eq!(
        statuses,
        [404, 200, 200],
        "of its own, the one idle longest"
    );
    assert_eq!(limit(&server, "sessions_of_key"), 1);
    assert_eq!(limit(&server, "idle_sessions"), 1);
}

#[test]
fn nothing_that_waited_for_a_session_is_kept_when_it_makes_room() {
    let server = server("2");
    let at = server.address();
    let waiting = || metric(&server, "smcp_waiting_answers_bytes");
    let mut unread = open(at, HOG);
    let mut last = open(at, HOG);
    for _ in 0..4 {
        unread.begin("floods__stdout", json!({"bytes": 8_000_000}));
    }
    until("the answers wait for their reader", PATIENCE, || {
        (server.log().matches("tool=floods__stdout").count() == 4).then_some(())
    });
    assert!(waiting() > 16 << 20, "{}", waiting());
    assert!(last.heard_until_now().is_empty());
    let _other = open(at, OTHER);
    until("what waited is freed", PATIENCE, || {
        (waiting() < 1 << 20).then_some(())
    });
    let answer = exchange(at, &post(at, unread.endpoint(), HOG, PING));
    assert_eq!(answer.status, 404);
    assert!(last.heard_until_now().is_empty(), "the other is unharmed");
}
