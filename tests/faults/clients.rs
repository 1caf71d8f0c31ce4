//! Rows 36, 53 to 80, as far as they are about clients: what waits for them, what they leave behind, what they may
//! not ask for, and that each request is recorded once.

use std::net::SocketAddr;
use std::time::Instant;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::served::{GONE, found_soon, gone_within};
use crate::support::http::{Answer, Connection, PATIENCE, Silence, exchange, header, post};
use crate::support::plugins::{Folder, fixtures};
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, code_of, directly, text_of};
use crate::support::witness::Witness;
use crate::support::{processes, s, until, wire};

/// Talks to its client while it runs.
const TALKS: &str = r#"
import json, os, sys, time

def tell(**event):
    os.write(3, json.dumps(event).encode() + b"\n")

command = sys.argv[1]
# As long as there were changes of its tools.
CHANGES = os.path.join(os.environ["SMCP_PLUGIN_DIR"], "changes")
if command == "--describe":
    names = ("ask", "chat", "echo", "changed")
    changes = os.path.getsize(CHANGES) if os.path.exists(CHANGES) else 0
    commands = [{"name": name, "description": f"{name} {changes}"} for name in names]
    commands.append({"name": "numbers", "description": "an array",
                     "output_schema": {"type": "array", "items": {"type": "integer"}}})
    commands.append({"name": "progress", "description": "one step"})
    print(json.dumps({"contract_version": "1.1", "commands": commands}))
elif command == "ask":
    tell(ask={"q": {"elicit": {"message": "?", "requestedSchema": {"type": "object", "properties": {}}}}})
    print(os.read(3, 65536).decode())
elif command == "chat":
    for number in range(200):
        tell(log="info", data="line %d" % number)
    time.sleep(0.5)
    print("said")
elif command == "changed":
    open(CHANGES, "a").write("x")
    tell(changed="tools")
    print("said")
elif command == "progress":
    tell(progress=1, total=2)
    print("said")
elif command == "numbers":
    print("[1, 2]")
else:
    print("echo")
"#;

const BOTH: &str = "Accept: application/json, text/event-stream\r\n";

fn talks() -> (Folder, Setup) {
    let plugins = Folder::new();
    plugins.add("talks", TALKS);
    let setup = Setup::new().plugins(plugins.path());
    (plugins, setup)
}

/// A client of Streamable HTTP with a session.
struct Streamable {
    at: SocketAddr,
    headers: String,
}

impl Streamable {
    #[track_caller]
    fn open(at: SocketAddr, revision: &str, capabilities: Value) -> Self {
        let answer = exchange(at, &post(at, "/mcp", BOTH, &hello(revision, capabilities)));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let id = answer.header("mcp-session-id").expect("a session id");
        let headers = format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: {revision}\r\n");
        Self { at, headers }
    }

    /// Sends a message and leaves the connection open.
    fn begin(&self, accept: &str, message: &Value) -> Connection {
        let headers = format!("{}{accept}", self.headers);
        let mut connection = Connection::open(self.at);
        let request = post(self.at, "/mcp", &headers, message.to_string().as_bytes());
        connection.send(&request).expect("an open connection");
        connection
    }

    #[track_caller]
    fn ask(&self, accept: &str, message: &Value) -> Answer {
        let answer = self.begin(accept, message).answer(s(60));
        answer.expect("an answer")
    }

    fn get(&self, further: &str) -> Connection {
        let mut connection = Connection::open(self.at);
        let (at, headers) = (self.at, &self.headers);
        let request = format!(
            "GET /mcp HTTP/1.1\r\nHost: {at}\r\nAccept: text/event-stream\r\n{headers}{further}\r\n"
        );
        connection
            .send(request.as_bytes())
            .expect("an open connection");
        connection
    }
}

const JSON_ONLY: &str = "Accept: application/json\r\n";

fn hello(revision: &str, capabilities: Value) -> Vec<u8> {
    let params = json!({"protocolVersion": revision, "capabilities": capabilities,
        "clientInfo": {"name": "t", "version": "1"}});
    request(json!(0), "initialize", params)
        .to_string()
        .into_bytes()
}

fn request(id: Value, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn call(id: u64, tool: &str, arguments: Value) -> Value {
    request(
        json!(id),
        "tools/call",
        json!({"name": tool, "arguments": arguments}),
    )
}

/// A request of 2026-07-28; `text` stands for the id, to the letter.
fn stateless(
    id: &str,
    method: &str,
    params: Value,
    meta: Value,
    accept: &str,
) -> (String, Vec<u8>) {
    let mut params = params;
    let mut whole = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    for (name, value) in meta.as_object().expect("members") {
        whole[name] = value.clone();
    }
    params["_meta"] = whole;
    let name = params["name"]
        .as_str()
        .map_or(String::new(), |name| format!("Mcp-Name: {name}\r\n"));
    let headers =
        format!("MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}{accept}");
    let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
    (headers, body.into_bytes())
}

/// Reads events until one holds `wanted`.
#[track_caller]
fn read_until(connection: &mut Connection, wanted: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    let mut text = String::new();
    while !text.contains(wanted) {
        let chunk = connection
            .chunk(deadline)
            .unwrap_or_else(|silence| panic!("{silence:?} instead of {wanted:?} after {text}"));
        let chunk = chunk.unwrap_or_else(|| panic!("the stream ended after {text}"));
        text.push_str(&String::from_utf8_lossy(&chunk));
    }
    text
}

#[test]
fn a_session_without_a_stream_lives_on_with_something_unread() {
    let (_plugins, setup) = talks();
    let plugins = Folder::new();
    plugins.add("talks", TALKS);
    plugins.copy(&fixtures("plugins").join("lingers"), "lingers");
    let server = Server::start(&setup.plugins(plugins.path()));
    server.ready();
    let at = server.address();
    let client = Streamable::open(at, "2025-11-25", json!({}));
    let arguments = json!({"mark": "row-60", "seconds": 45});
    let mut running = client.begin(JSON_ONLY, &call(1, "lingers__sleep", arguments));
    found_soon("row-60");
    // The session has a notification that nobody will fetch.
    directly(at, "tools/call", json!({"name": "talks__changed"}));
    let answer = running.answer(s(90)).expect("row 60: the call is not cut");
    assert_eq!(text_of(&answer.json()["result"]), "here row-60\ndone");
    let pong = client.ask(JSON_ONLY, &request(json!(2), "ping", json!({})));
    assert_eq!(pong.status, 200, "row 60: the session lives");
}

#[test]
fn a_slow_but_steady_reader_is_served_to_the_end() {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    let at = server.address();
    let mut stream = Connection::open(at);
    let request = format!("GET /sse HTTP/1.1\r\nHost: {at}\r\nAccept: text/event-stream\r\n\r\n");
    stream.send(request.as_bytes()).expect("an open connection");
    stream.head(PATIENCE).expect("a stream");
    let endpoint = read_until(&mut stream, "\n\n");
    let path = endpoint
        .split("data: ")
        .nth(1)
        .expect("a path")
        .trim()
        .to_owned();
    let tell = |message: &[u8]| {
        assert_eq!(exchange(at, &post(at, &path, "", message)).status, 202);
    };
    tell(&hello(wire::NEWEST, json!({})));
    read_until(&mut stream, "serverInfo");
    for id in [1, 2] {
        let message = call(id, "floods__stdout", json!({"bytes": 15_000_000}));
        tell(message.to_string().as_bytes());
    }
    // Slowly for longer than a reader may stall, and then as fast as it goes.
    let began = Instant::now();
    let (mut read, mut end) = (0, Vec::new());
    while read < 30_000_000 || !end.ends_with(b"}\n\n") {
        let chunk = stream.chunk(Instant::now() + PATIENCE);
        let chunk = chunk
            .expect("row 61: the stream goes on")
            .expect("row 61: it has not ended");
        read += chunk.len();
        end.extend_from_slice(&chunk);
        end.drain(..end.len().saturating_sub(8));
        if began.elapsed() < s(45) {
            std::thread::sleep(std::time::Duration::from_millis(180) * chunk.len() as u32 / 65_536);
        }
    }
}

#[test]
fn a_call_that_waits_for_letta_is_cancelled_at_once() {
    let letta = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", letta.local_addr().expect("an address"));
    let (_plugins, setup) = talks();
    let setup = setup.variable("LETTA_SERVER_URL", url);
    let server = Server::start(&setup.variable("LETTA_SERVER_PASSWORD", "pw"));
    // It accepts the connection and never answers; plugins are asked when that is over.
    let _asked = letta.accept().expect("row 65: Letta is asked");
    let client = Streamable::open(server.address(), "2025-11-25", json!({}));
    let mut running = client.begin(JSON_ONLY, &call(1, "talks__echo", json!({})));
    assert_eq!(
        running.answer(s(1)).err(),
        Some(Silence::TimeOver),
        "row 65: it waits"
    );
    let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
        "params": {"requestId": 1}});
    client.ask(BOTH, &cancelled);
    let answer = running
        .answer(s(6))
        .expect("row 65: cancelled at once")
        .json();
    assert_eq!(answer["error"]["code"], -32800, "row 65: {answer}");
}

#[test]
fn a_client_that_takes_streams_alone_learns_its_session() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let events = "Accept: text/event-stream\r\n";
    let mut opening = Connection::open(at);
    let request = post(at, "/mcp", events, &hello("2025-11-25", json!({})));
    opening.send(&request).expect("an open connection");
    let (status, head) = opening.head(PATIENCE).expect("a stream");
    assert_eq!(status, 200);
    assert!(header(&head, "mcp-session-id").is_some(), "{head}");
    read_until(&mut opening, "serverInfo");
}

#[test]
fn a_client_that_leaves_while_it_is_asked_gives_its_place_back() {
    let (_plugins, setup) = talks();
    let server = Server::start(&setup.variable("MCP_MAX_CALLS", "1"));
    server.ready();
    let at = server.address();
    for revision in ["2025-06-18", "2025-11-25"] {
        let client = Streamable::open(at, revision, json!({"elicitation": {}}));
        let mut asked = client.begin(BOTH, &call(1, "talks__ask", json!({})));
        asked.head(PATIENCE).expect("a stream");
        read_until(&mut asked, "elicitation/create");
        drop(asked);
        let answer = post(
            at,
            "/messages/",
            "",
            call(2, "talks__echo", json!({})).to_string().as_bytes(),
        );
        let mut other = Connection::open(at);
        other.send(&answer).expect("an open connection");
        let answer = other
            .answer(s(60))
            .expect("row 63: the place is free within a minute");
        assert_eq!(
            text_of(&answer.json()["result"]),
            "echo",
            "row 63: {revision}"
        );
    }
}

#[test]
fn an_answer_is_not_lost_with_the_connection_that_asked() {
    let plugins = Folder::new();
    plugins.add(
        "late",
        "import sys, time\ntime.sleep(1.5)\nprint('{\"commands\": []}')\n",
    );
    let server = Server::start_alone(&Setup::new().plugins(plugins.path()));
    let at = server.address();
    let mut session = Session::open(at);
    session.expects(&json!(0), "initialize");
    let mut connection = Connection::open(at);
    let path = session.endpoint().to_owned();
    let message = hello(wire::NEWEST, json!({}));
    connection
        .send(&post(at, &path, "", &message))
        .expect("an open connection");
    // The request has arrived, and its answer waits for the plugin.
    std::thread::sleep(std::time::Duration::from_millis(300));
    drop(connection);
    let answer = session.response(&json!(0), PATIENCE);
    assert_eq!(
        answer["result"]["protocolVersion"],
        wire::NEWEST,
        "{answer}"
    );
    assert!(session.ask("tools/list", json!({}))["result"].is_object());
}

#[test]
fn a_client_that_hangs_up_on_a_talking_program_does_not_hold_up_the_end() {
    let (_plugins, setup) = talks();
    let mut server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let meta = json!({"io.modelcontextprotocol/logLevel": "debug"});
    let params = json!({"name": "talks__chat", "arguments": {}});
    let (headers, body) = stateless("1", "tools/call", params, meta, BOTH);
    let mut stateless = Connection::open(at);
    stateless
        .send(&post(at, "/mcp", &headers, &body))
        .expect("an open connection");
    stateless.head(PATIENCE).expect("a stream");
    let client = Streamable::open(at, "2025-11-25", json!({}));
    let mut stateful = client.begin(BOTH, &call(1, "talks__chat", json!({})));
    stateful.head(PATIENCE).expect("a stream");
    drop((stateless, stateful));
    until("row 64: the calls have ended", PATIENCE, || {
        let health = directly(at, "tools/call", json!({"name": "health"}));
        text_of(&health["result"])
            .contains("\"calls_running\":0")
            .then_some(())
    });
    server.signal(Signal::TERM);
    // Less than the ten seconds that a running call would get.
    assert!(server.ends_within(s(9)).success(), "row 64");
}

#[test]
fn a_direct_call_gets_the_grace_at_the_end() {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    let at = server.address();
    let arguments = json!({"mark": "row-55", "seconds": 2});
    let message = call(1, "lingers__sleep", arguments).to_string();
    let mut connection = Connection::open(at);
    connection
        .send(&post(at, "/messages/", "", message.as_bytes()))
        .expect("an open connection");
    found_soon("row-55");
    server.signal(Signal::TERM);
    let answer = connection
        .answer(PATIENCE)
        .expect("rows 55 and 80: it is answered");
    assert_eq!(text_of(&answer.json()["result"]), "here row-55\ndone");
}

#[test]
fn a_call_whose_client_hangs_up_is_recorded_once() {
    let setup = Setup::new().plugins(fixtures("plugins")).with_log_file();
    let server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let message = call(1, "lingers__sleep", json!({"mark": "row-78"})).to_string();
    let params = json!({"name": "lingers__sleep", "arguments": {"mark": "row-78-too"}});
    let (headers, body) = stateless("1", "tools/call", params, json!({}), BOTH);
    for (path, headers, body, mark) in [
        ("/messages/", "", message.as_bytes(), "row-78"),
        ("/mcp", headers.as_str(), &body[..], "row-78-too"),
    ] {
        let mut connection = Connection::open(at);
        connection
            .send(&post(at, path, headers, body))
            .expect("an open connection");
        found_soon(mark);
        drop(connection);
        gone_within(mark, GONE);
    }
    let lines = || -> Vec<String> {
        let log = server.log();
        let calls = log
            .lines()
            .filter(|line| line.contains("method=tools/call"));
        calls.map(str::to_owned).collect()
    };
    until("row 78: both have their line", PATIENCE, || {
        (lines().len() >= 2).then_some(())
    });
    for line in lines() {
        assert!(line.contains("outcome=cancelled"), "row 78: {line}");
        assert!(line.contains("tool=lingers__sleep"), "row 78: {line}");
    }
    assert_eq!(lines().len(), 2, "row 78: {:?}", lines());
}

#[test]
fn a_batch_takes_no_more_memory_than_waits_for_clients() {
    let setup = Setup::new().plugins(fixtures("plugins"));
    let setup = setup.variable("MCP_MAX_WAITING_BYTES", (64 << 20).to_string());
    let server = Server::start(&setup.variable("MCP_MAX_CALLS", "2"));
    server.ready();
    let at = server.address();
    let witness = Witness::of(server.address(), "");
    let client = Streamable::open(at, "2025-03-26", json!({}));
    let before = processes::resident(server.pid());
    let batch: Vec<Value> = (0..24)
        .map(|id| call(id, "floods__stdout", json!({"bytes": 8_000_000})))
        .collect();
    let asked = std::thread::scope(|threads| {
        let mut asking = client.begin(JSON_ONLY, &json!(batch));
        let asking = threads.spawn(move || asking.answer(s(400)));
        while !asking.is_finished() {
            let grown = processes::resident(server.pid()).saturating_sub(before);
            assert!(grown < 160 << 20, "row 53: {} MiB more", grown >> 20);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        asking.join().expect("it does not panic")
    });
    let answer = asked.expect("row 53: the batch is answered");
    let answers = answer.json();
    let answers = answers.as_array().expect("an array");
    assert_eq!(answers.len(), batch.len(), "row 53: each has its answer");
    let refused = answers
        .iter()
        .filter(|answer| answer["result"]["isError"] == true)
        .inspect(|answer| assert_eq!(code_of(&answer["result"]), "overloaded", "row 53"))
        .count();
    assert!(
        (1..24).contains(&refused),
        "row 53: {refused} of 24 are refused"
    );
    witness.must_be_served();
}

#[test]
fn answers_that_nobody_reads_make_room_for_those_of_others() {
    let setup = Setup::new().plugins(fixtures("plugins")).with_log_file();
    let setup = setup.variable("MCP_MAX_WAITING_BYTES", (64 << 20).to_string());
    let server = Server::start(&setup.variable("MCP_MAX_CALLS", "2"));
    server.ready();
    let at = server.address();
    let witness = Witness::of(server.address(), "");
    let before = processes::resident(server.pid());
    let params = json!({"name": "floods__stdout", "arguments": {"bytes": 12_000_000}});
    let (headers, body) = stateless("1", "tools/call", params, json!({}), BOTH);
    let unread: Vec<Connection> = (0..16)
        .map(|_| {
            let mut connection = Connection::open(at);
            let request = post(at, "/mcp", &headers, &body);
            connection.send(&request).expect("an open connection");
            connection
        })
        .collect();
    // Recorded is an answer that has its room or was refused it: none waits for room any more.
    until("row 53: all calls are recorded", s(400), || {
        let grown = processes::resident(server.pid()).saturating_sub(before);
        assert!(grown < 220 << 20, "row 53: {} MiB more", grown >> 20);
        let recorded = server.log().matches("tool=floods__stdout").count();
        (recorded == unread.len()).then_some(())
    });
    let message = call(1, "floods__stdout", json!({"bytes": 12_000_000})).to_string();
    let mut other = Connection::open(at);
    other
        .send(&post(at, "/messages/", "", message.as_bytes()))
        .expect("an open connection");
    // Longer than others wait: a build for tests reads these megabytes slowly.
    let answer = other.answer(s(180)).expect("an answer").json();
    assert_eq!(
        answer["result"]["isError"], false,
        "row 53: another is served"
    );
    drop(unread);
    witness.must_be_served();
}

#[test]
fn what_was_kept_for_a_session_is_freed_with_it() {
    let setup = Setup::new().plugins(fixtures("plugins"));
    let server = Server::start(&setup.variable("MCP_MAX_SESSIONS", "3"));
    server.ready();
    let at = server.address();
    let leave_something_behind = || {
        let client = Streamable::open(at, "2025-11-25", json!({}));
        let message = call(1, "floods__stdout", json!({"bytes": 3_000_000}));
        let mut calling = client.begin("Accept: text/event-stream\r\n", &message);
        let answer = calling.answer(s(180)).expect("a stream to its end");
        assert!(answer.body.len() > 3_000_000);
    };
    for _ in 0..6 {
        leave_something_behind();
    }
    let before = processes::resident(server.pid());
    for _ in 0..24 {
        leave_something_behind();
    }
    // What ended is freed beside the next answer, and given back to the system a moment later.
    until("row 53: less than 36 MiB more", PATIENCE, || {
        let grown = processes::resident(server.pid()).saturating_sub(before);
        (grown < 36 << 20).then_some(())
    });
}

#[test]
fn a_handshake_is_shaken_once_and_alone() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let mut session = Session::ready(at);
    let params = json!({"protocolVersion": "2024-11-05", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}});
    let second = session.ask("initialize", params.clone());
    assert_eq!(second["error"]["code"], -32600, "{second}");
    let client = Streamable::open(at, "2025-03-26", json!({}));
    let batch = json!([
        request(json!(1), "initialize", params),
        request(json!(2), "ping", json!({})),
    ]);
    let answers = client.ask(JSON_ONLY, &batch).json();
    assert_eq!(answers[0]["error"]["code"], -32600, "{answers}");
    assert_eq!(answers[1]["result"], json!({}), "{answers}");
}

#[test]
fn a_client_that_says_too_much_of_itself_is_refused() {
    let server = Server::start(&Setup::new());
    let mut session = Session::open(server.address());
    let params = json!({"protocolVersion": wire::NEWEST, "capabilities": {},
        "clientInfo": {"name": "x".repeat(1 << 20), "version": "1"}});
    let refused = session.ask("initialize", params);
    assert_eq!(refused["error"]["code"], -32602, "row 68");
    let message = refused["error"]["message"].as_str().expect("a message");
    assert!(
        message.contains("limit") && message.len() < 200,
        "row 68: {message}"
    );
    session.initialize(wire::NEWEST);
}

#[test]
fn a_client_that_wants_to_hear_of_too_much_is_refused() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let uris: Vec<String> = (0..20_000).map(|number| format!("r:{number}")).collect();
    let params = json!({"notifications": {"resourceSubscriptions": uris}});
    let (headers, body) = stateless("1", "subscriptions/listen", params, json!({}), BOTH);
    let answer = exchange(at, &post(at, "/mcp", &headers, &body)).json();
    assert_eq!(answer["error"]["code"], -32602, "row 68: {answer}");
}

#[test]
fn a_stream_that_can_only_be_a_stream_is_refused_to_a_client_that_takes_none() {
    let server = Server::start(&Setup::new());
    let at = server.address();
    let params = json!({"notifications": {"toolsListChanged": true}});
    let (headers, body) = stateless("1", "subscriptions/listen", params, json!({}), JSON_ONLY);
    let answer = exchange(at, &post(at, "/mcp", &headers, &body));
    assert_eq!(answer.status, 406, "{}", answer.text());
}

#[test]
fn ids_and_progress_tokens_of_any_size_are_repeated_to_the_letter() {
    const BIG: &str = "18446744073709551617";
    let (_plugins, setup) = talks();
    let server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let params = json!({"notifications": {"toolsListChanged": true}});
    let (headers, body) = stateless(BIG, "subscriptions/listen", params, json!({}), BOTH);
    let mut listening = Connection::open(at);
    listening
        .send(&post(at, "/mcp", &headers, &body))
        .expect("an open connection");
    listening.head(PATIENCE).expect("a stream");
    let named = format!(r#""io.modelcontextprotocol/subscriptionId":{BIG}"#);
    let acknowledged = read_until(&mut listening, "acknowledged");
    assert!(acknowledged.contains(&named), "row 71: {acknowledged}");
    directly(at, "tools/call", json!({"name": "talks__changed"}));
    let changed = read_until(&mut listening, "list_changed");
    assert!(changed.contains(&named), "row 71: {changed}");

    let params = json!({"name": "talks__progress", "arguments": {}});
    let (headers, body) = stateless(
        "1",
        "tools/call",
        params,
        json!({"progressToken": "TOKEN"}),
        BOTH,
    );
    let body = String::from_utf8(body)
        .expect("text")
        .replace("\"TOKEN\"", BIG);
    let mut calling = Connection::open(at);
    calling
        .send(&post(at, "/mcp", &headers, body.as_bytes()))
        .expect("an open connection");
    calling.head(PATIENCE).expect("a stream");
    let step = read_until(&mut calling, "\"progress\":1");
    assert!(
        step.contains(&format!(r#""progressToken":{BIG}"#)),
        "row 71: {step}"
    );
}

#[test]
fn a_stream_that_is_gone_is_not_replaced_by_another() {
    let server = Server::start(&Setup::new());
    let client = Streamable::open(server.address(), "2025-11-25", json!({}));
    for gone in ["7-1", "0-9", "nonsense"] {
        let (status, _) = client
            .get(&format!("Last-Event-ID: {gone}\r\n"))
            .head(PATIENCE)
            .expect("an answer");
        assert_eq!(status, 404, "row 70: {gone}");
    }
    let mut standing = client.get("");
    let (status, head) = standing.head(PATIENCE).expect("an answer");
    assert_eq!(status, 200, "row 70: the standing stream is free");
    assert_eq!(header(&head, "content-type"), Some("text/event-stream"));
    let greeting = read_until(&mut standing, "id: ");
    assert!(greeting.contains("id: 0-0\n"), "row 70: {greeting}");
}

#[test]
fn a_cancelled_request_has_a_proper_end() {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    let client = Streamable::open(server.address(), "2025-11-25", json!({}));
    for (id, accept) in [(1, JSON_ONLY), (2, BOTH)] {
        let mark = format!("row-36-{id}");
        let mut running = client.begin(accept, &call(id, "lingers__sleep", json!({"mark": mark})));
        found_soon(&mark);
        let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": {"requestId": id}});
        for _ in 0..2 {
            assert_eq!(client.ask(BOTH, &cancelled).status, 202, "row 36");
        }
        gone_within(&mark, GONE);
        let answer = running
            .answer(PATIENCE)
            .expect("row 36: the POST is answered");
        let answer = answer.json();
        assert_eq!(answer["error"]["code"], -32800, "row 36: {answer}");
        assert_eq!(answer["id"], id, "row 36: {answer}");
    }
}

#[test]
fn structured_content_is_an_object_for_clients_that_know_no_other() {
    let (_plugins, setup) = talks();
    let server = Server::start(&setup);
    server.ready();
    let at = server.address();
    for revision in ["2025-06-18", "2025-11-25"] {
        let mut session = Session::open(at);
        session.initialize(revision);
        let listed = session.ask("tools/list", json!({}));
        let tools = listed["result"]["tools"].as_array().expect("a list");
        let numbers = tools.iter().find(|tool| tool["name"] == "talks__numbers");
        let schema = &numbers.expect("the tool is listed")["outputSchema"];
        assert_eq!(schema["type"], "object", "row 73: {schema}");
        assert_eq!(
            schema["properties"]["result"]["type"], "array",
            "row 73: {schema}"
        );
        let result = session.call("talks__numbers", json!({}));
        assert_eq!(
            result["structuredContent"],
            json!({"result": [1, 2]}),
            "row 73"
        );
    }
    let params = json!({"name": "talks__numbers", "arguments": {}});
    let (headers, body) = stateless("1", "tools/call", params, json!({}), BOTH);
    let answer = exchange(at, &post(at, "/mcp", &headers, &body)).json();
    assert_eq!(
        answer["result"]["structuredContent"],
        json!([1, 2]),
        "row 73: {answer}"
    );
}
