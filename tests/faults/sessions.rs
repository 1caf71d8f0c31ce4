//! Rows 13 to 19: sessions that are not there, are not yours, stall, vanish, or are confused with one another.

use serde_json::json;

use crate::served::{GONE, found_soon, gone_within};
use crate::support::alone::{self, test_name};
use crate::support::http::{Connection, PATIENCE, Silence, exchange, post};
use crate::support::plugins::fixtures;
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, text_of};
use crate::support::witness::Witness;
use crate::support::{processes, rows, s, until};

const PING: &[u8] = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;

#[test]
fn an_id_that_is_no_session_of_yours_says_nothing_about_those_of_others() {
    let setup = Setup::new()
        .variable("MCP_API_KEYS", "key-one,key-two")
        .argument("--require-auth");
    let server = Server::start(&setup);
    let at = server.address();
    let one = "X-API-Key: key-one\r\n";
    let two = "X-API-Key: key-two\r\n";
    let witness = Witness::of(server.address(), one);
    let live = Session::open_with(at, "/sse", one);
    let ended = Session::open_with(at, "/sse", one).id().to_owned();
    let is_over = || {
        let path = format!("/messages/?session_id={ended}");
        let answer = exchange(at, &post(at, &path, one, PING));
        (answer.status == 404).then_some(())
    };
    until(
        "the session of a client that left is over",
        PATIENCE,
        is_over,
    );
    let unknown = "0123456789abcdef0123456789abcdef";
    let cases = [
        ("an unknown id", unknown.to_owned(), one, 404),
        ("an ended session", ended, one, 404),
        ("a session of another key", live.id().to_owned(), two, 404),
        ("the own session", live.id().to_owned(), one, 202),
        ("an empty id", String::new(), one, 400),
        ("a word", "session".to_owned(), one, 400),
        ("31 digits", unknown[1..].to_owned(), one, 400),
        ("33 digits", format!("{unknown}0"), one, 400),
        ("a digit that is none", unknown.replace('f', "g"), one, 400),
        (
            "an id with a path",
            format!("../{}", &unknown[3..]),
            one,
            400,
        ),
        ("an escaped NUL", format!("{}%00", &unknown[3..]), one, 400),
        ("1,000 digits", "0".repeat(1000), one, 400),
    ];
    rows::each(
        &cases,
        4,
        |(what, ..)| format!("row 13: {what}"),
        |(_, id, key, status)| {
            let path = format!("/messages/?session_id={id}");
            let answer = exchange(at, &post(at, &path, key, PING));
            assert_eq!(answer.status, *status, "{}", answer.text());
            match status {
                400 => assert_eq!(answer.text(), "Invalid session ID"),
                404 => assert_eq!(answer.text(), "Could not find session"),
                _ => {}
            }
        },
    );
    let answer = exchange(at, &post(at, "/messages/", one, PING));
    assert_eq!(answer.status, 200, "row 13: no id is direct mode");
    witness.must_be_served();
}

#[test]
fn sessions_over_the_cap_are_refused_and_the_others_unharmed() {
    let server = Server::start(&Setup::new().variable("MCP_MAX_SESSIONS", "3"));
    let at = server.address();
    let witness = Witness::of(server.address(), "");
    let second = Session::ready(at);
    let mut third = Session::ready(at);
    let refused = Session::try_open(at, "/sse", "").expect_err("row 15: a fourth session");
    assert_eq!(refused.status, 503, "row 15");
    let wait = refused.header("retry-after").expect("row 15: Retry-After");
    assert!(wait.parse::<u32>().is_ok(), "row 15: {wait}");
    assert!(third.heard_until_now().is_empty(), "row 15");
    drop(second);
    until(
        "row 15: the place of one that left is free",
        PATIENCE,
        || Session::try_open(at, "/sse", "").ok(),
    );
    witness.must_be_served();
}

/// Takes more than thirty seconds: as long as a client may take in nothing.
#[test]
fn a_reader_that_stalls_is_closed_and_its_calls_are_gone() {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    let before = processes::resident(server.pid());
    let mut witness = Session::ready(server.address());
    let mut stalled = Session::ready(server.address());
    stalled.begin("lingers__sleep", json!({"mark": "row-16-stalled"}));
    found_soon("row-16-stalled");
    for _ in 0..60 {
        stalled.begin("floods__stdout", json!({"bytes": 8_000_000}));
    }
    // The session was there for all of them: a client that stalls for a moment is no stalled client. From here on
    // the queue is bounded and nobody else is slowed, for as long as it lasts.
    until(
        "row 16: the call of the stalled client is gone",
        s(30 + 30) + GONE,
        || {
            assert!(witness.heard_until_now().is_empty(), "row 16");
            let grown = processes::resident(server.pid()).saturating_sub(before);
            assert!(grown < 256 << 20, "row 16: {} MiB more", grown >> 20);
            processes::with_argument("row-16-stalled")
                .is_empty()
                .then_some(())
        },
    );
    let answer = stalled.post(PING);
    assert_eq!(answer.status, 404, "row 16: the session is over");
    let result = witness.call("args__show", json!({"text": "here"}));
    assert!(text_of(&result).contains("here"), "row 16: {result}");
}

#[test]
fn the_calls_of_a_client_that_left_are_gone() {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    let commands = ["sleep", "deaf", "daemon"];
    rows::each(
        &commands,
        commands.len(),
        |command| format!("row 18: the client leaves in mid-call of {command}"),
        |command| {
            let witness = Witness::of(server.address(), "");
            let mark = format!("row-18-{command}");
            let mut session = Session::ready(server.address());
            session.begin(&format!("lingers__{command}"), json!({"mark": mark}));
            found_soon(&mark);
            drop(session);
            gone_within(&mark, GONE);
            witness.must_be_served();
        },
    );
}

#[test]
fn a_direct_call_is_gone_with_its_connection() {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    let witness = Witness::of(server.address(), "");
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "lingers__sleep", "arguments": {"mark": "row-18-direct"}}});
    let mut connection = Connection::open(server.address());
    connection
        .send(&post(
            server.address(),
            "/messages/",
            "",
            call.to_string().as_bytes(),
        ))
        .expect("an open connection");
    found_soon("row-18-direct");
    assert_eq!(connection.answer(s(1)).err(), Some(Silence::TimeOver));
    drop(connection);
    gone_within("row-18-direct", GONE);
    witness.must_be_served();
}

#[test]
fn answers_are_never_crossed() {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    let names: Vec<String> = (0..6).map(|number| format!("client-{number}")).collect();
    // All begin with the same ids, and all calls run side by side.
    rows::each(
        &names,
        names.len(),
        |name| format!("row 19: {name}"),
        |name| {
            let mut session = Session::ready(server.address());
            let asked: Vec<_> = (0..5)
                .map(|number| {
                    let text = format!("{name} asks {number}");
                    (session.begin("args__show", json!({"text": text})), text)
                })
                .collect();
            for (id, text) in asked.iter().rev() {
                let result = session.result(id, s(60));
                assert_eq!(
                    text_of(&result),
                    json!({"text": text}).to_string().replace("\":", "\": ")
                );
            }
            assert!(session.heard_until_now().is_empty());
        },
    );
}

/// A stateful client of Streamable HTTP has one stream for what the server says by itself.
#[test]
fn a_second_stream_of_one_session_is_a_conflict() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let witness = Witness::of(server.address(), "");
    let both = "Accept: application/json, text/event-stream\r\n";
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params":
        {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
    let answer = exchange(at, &post(at, "/mcp", both, hello.to_string().as_bytes()));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let id = answer
        .header("mcp-session-id")
        .expect("row 14: a session id");
    let request = format!(
        "GET /mcp HTTP/1.1\r\nHost: {at}\r\nAccept: text/event-stream\r\nMcp-Session-Id: {id}\r\n\
         MCP-Protocol-Version: 2025-11-25\r\n\r\n"
    );
    let mut first = Connection::open(at);
    first.send(request.as_bytes()).expect("an open connection");
    assert_eq!(
        first.head(PATIENCE).map(|(status, _)| status),
        Ok(200),
        "row 14"
    );
    let mut second = Connection::open(at);
    second.send(request.as_bytes()).expect("an open connection");
    assert_eq!(
        second.head(PATIENCE).map(|(status, _)| status),
        Ok(409),
        "row 14"
    );
    drop(first);
    until("row 14: the place of the first is free", PATIENCE, || {
        let mut third = Connection::open(at);
        third.send(request.as_bytes()).expect("an open connection");
        third
            .head(PATIENCE)
            .ok()
            .filter(|(status, _)| *status == 200)
    });
    witness.must_be_served();
}

/// Cuts every connection without a word: no packet passes until the network is up again.
fn network(state: &str) {
    let program = "import fcntl, socket, struct, sys\n\
        flags = 1 if sys.argv[1] == 'up' else 0\n\
        request = struct.pack('16sh', b'lo', flags)\n\
        fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8914, request)\n";
    let status = std::process::Command::new("python3")
        .args(["-c", program, state])
        .status()
        .expect("the tests need Python");
    assert!(status.success(), "the network cannot be turned {state}");
}

/// Takes more than thirty seconds: as long as the system waits for a peer that acknowledges nothing.
#[test]
fn a_peer_that_vanished_is_noticed_and_its_calls_are_gone() {
    if alone::is_here() {
        return vanish();
    }
    let possible = std::process::Command::new("unshare")
        .args(["-rn", "true"])
        .output();
    if !possible.is_ok_and(|tried| tried.status.success()) {
        eprintln!("row 17 is not tested: this system gives out no network of one's own");
        return;
    }
    let test = test_name!(a_peer_that_vanished_is_noticed_and_its_calls_are_gone);
    let output = alone::command(&["unshare", "-rn"], test).output();
    alone::must_have_passed(test, &output.expect("it could be executed before"));
}

fn vanish() {
    network("up");
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    let mut session = Session::ready(server.address());
    let silent = Session::ready(server.address());
    session.begin("lingers__sleep", json!({"mark": "row-17-calling"}));
    found_soon("row-17-calling");
    network("down");
    gone_within("row-17-calling", s(45) + GONE);
    network("up");
    let answer = session.post(PING);
    assert_eq!(answer.status, 404, "row 17: the session is over");
    until(
        "row 17: a session without a call is over, too",
        s(20),
        || (silent.post(PING).status == 404).then_some(()),
    );
    Witness::of(server.address(), "").must_be_served();
}
