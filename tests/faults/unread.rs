//! Clients that ask and do not read: what waits for them is bounded, and who reads later misses nothing that was
//! accepted.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};

use crate::support::http::{Answer, Connection, PATIENCE, exchange, post};
use crate::support::plugins::fixtures;
use crate::support::server::{Server, Setup, piped};
use crate::support::{processes, s, until, wire};

/// How many requests are sent without reading.
const ASKED: usize = 5000;
/// By how many bytes the server may grow meanwhile.
const GROWTH: u64 = 48 << 20;

fn request(id: &str, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

fn hello() -> String {
    let params = json!({"protocolVersion": wire::NEWEST, "capabilities": {},
        "clientInfo": {"name": "smcp-tests", "version": "1"}});
    request("hello", "initialize", &params)
}

/// An id of a kilobyte, so that answers fill the buffers of the connection.
fn long(number: usize) -> String {
    format!("{number}-{}", "x".repeat(1000))
}

fn served() -> Server {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    server
}

/// A message for a connection that is kept.
fn kept(at: SocketAddr, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Opens a stream that is read no further than its endpoint.
fn unread_stream(at: SocketAddr) -> (Connection, String) {
    let mut stream = Connection::open(at);
    let request = format!("GET /sse HTTP/1.1\r\nHost: {at}\r\nAccept: text/event-stream\r\n\r\n");
    stream.send(request.as_bytes()).expect("an open connection");
    stream.head(PATIENCE).expect("a stream");
    let first = stream.chunk(std::time::Instant::now() + PATIENCE);
    let first = first.expect("in time").expect("the endpoint");
    let first = String::from_utf8(first).expect("text");
    let path = first.split("data: ").nth(1).expect("a path").trim();
    let answer = exchange(at, &post(at, path, "", hello().as_bytes()));
    assert_eq!(answer.status, 202);
    (stream, path.to_owned())
}

/// Reads what comes until it has seen `wanted` ids, and how often it saw each.
fn ids_read(stream: &mut Connection, wanted: usize) -> BTreeMap<String, usize> {
    let (mut seen, mut text) = (BTreeMap::new(), String::new());
    while seen.len() < wanted {
        let chunk = stream.chunk(std::time::Instant::now() + PATIENCE);
        let chunk = chunk.unwrap_or_else(|silence| panic!("{silence:?} after {}", seen.len()));
        text.push_str(&String::from_utf8_lossy(
            &chunk.expect("the stream goes on"),
        ));
        while let Some(end) = text.find("\n\n") {
            let event: String = text.drain(..end + 2).collect();
            let Some((_, data)) = event.split_once("data: ") else {
                continue;
            };
            let message: Value = serde_json::from_str(data.trim()).expect("JSON");
            if let Some(id) = message["id"].as_str() {
                *seen.entry(id.to_owned()).or_default() += 1;
            }
        }
    }
    seen
}

#[test]
fn calls_are_refused_once_too_many_answers_are_unread() {
    let server = served();
    let at = server.address();
    let before = processes::resident(server.pid());
    let asked = until("the calls, before their session is cut", s(240), || {
        ask_without_reading(at)
    });
    let Asked {
        mut stream,
        path,
        mut accepted,
        refused,
    } = asked;
    let growth = processes::resident(server.pid()).saturating_sub(before);
    assert!(growth < GROWTH, "the server grew by {growth} bytes");
    let (id, answer) = refused.expect("not every one of them finds room");
    assert!(answer.header("retry-after").is_some(), "{}", answer.head);
    let body = answer.json();
    assert_eq!(
        (&body["id"], &body["error"]["code"]),
        (&json!(id), &json!(-32603))
    );

    let seen = ids_read(&mut stream, accepted.len());
    assert!(seen.values().all(|count| *count == 1), "one answer each");
    accepted.sort();
    assert!(
        seen.into_keys().eq(accepted),
        "what was accepted, and nothing else"
    );
    let again = post(
        at,
        &path,
        "",
        request("again", "ping", &json!({})).as_bytes(),
    );
    assert_eq!(exchange(at, &again).status, 202, "who reads is served");
    assert_eq!(
        ids_read(&mut stream, 1).into_keys().next().as_deref(),
        Some("again")
    );
}

/// What a client asked that has read nothing yet.
struct Asked {
    stream: Connection,
    path: String,
    /// The ids of the requests that will be answered.
    accepted: Vec<String>,
    /// The last request that was refused.
    refused: Option<(String, Answer)>,
}

/// Asks more than what may be unread. `None` on a machine that is so slow that the session is cut meanwhile: nobody
/// reads it.
fn ask_without_reading(at: SocketAddr) -> Option<Asked> {
    let (stream, path) = unread_stream(at);
    let mut connection = Connection::open(at);
    let mut accepted = vec!["hello".to_owned()];
    let mut refused = None;
    for number in 0..ASKED {
        let id = long(number);
        let params = json!({"name": "health", "arguments": {}});
        let call = request(&id, "tools/call", &params);
        connection
            .send(&kept(at, &path, &call))
            .expect("an open connection");
        let answer = connection.answer(PATIENCE).expect("an answer");
        match answer.status {
            202 => accepted.push(id),
            503 => refused = Some((id, answer)),
            404 => return None,
            other => panic!("{other}: {}", answer.text()),
        }
    }
    Some(Asked {
        stream,
        path,
        accepted,
        refused,
    })
}

#[test]
fn pings_of_clients_that_hang_up_do_not_pile_up() {
    let server = served();
    let at = server.address();
    let before = processes::resident(server.pid());
    let mut unread = unread_stream(at);
    let mut patience = Duration::from_millis(20);
    until("a refusal", s(240), || {
        let connections: Vec<_> = (0..50)
            .map(|number| {
                let mut connection = Connection::open(at);
                let ping = request(&long(number), "ping", &json!({}));
                let _ = connection.send(&post(at, &unread.1, "", ping.as_bytes()));
                connection
            })
            .collect();
        // Those that wait for room in the stream are left without an answer.
        let mut answers = connections
            .into_iter()
            .filter_map(|mut connection| connection.head(patience).ok())
            .map(|(status, _)| status);
        let told = answers.find(|status| [404, 503].contains(status));
        if told == Some(404) {
            // A machine that is too slow for this: the session that nobody reads was cut.
            unread = unread_stream(at);
            patience *= 2;
        }
        (told == Some(503)).then_some(())
    });
    let growth = processes::resident(server.pid()).saturating_sub(before);
    assert!(growth < GROWTH, "the server grew by {growth} bytes");
}

#[test]
fn lines_are_not_read_while_too_many_answers_are_unread() {
    let setup = Setup::new()
        .argument("stdio")
        .argument("--plugins-dir")
        .argument(fixtures("plugins"));
    let mut server = piped(&setup);
    let child = server.child();
    let pid = Pid::from_child(child);
    let mut input = child.stdin.take().expect("stdin is a pipe");
    let mut output = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
    writeln!(input, "{}", hello()).expect("the server reads");
    let mut first = String::new();
    output.read_line(&mut first).expect("a line");
    let before = processes::resident(pid);
    let written = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        let written = &written;
        threads.spawn(move || {
            for number in 0..ASKED {
                let params = json!({"name": "health", "arguments": {}});
                let call = request(&long(number), "tools/call", &params);
                writeln!(input, "{call}").expect("the server reads");
                written.fetch_add(1, Ordering::Relaxed);
            }
        });
        let mut last = usize::MAX;
        until("the server stops to read", s(60), || {
            std::thread::sleep(s(1));
            let now = written.load(Ordering::Relaxed);
            let stands = now == last;
            last = now;
            stands.then_some(())
        });
        assert!(last < ASKED / 2, "{last} were read");
        let growth = processes::resident(pid).saturating_sub(before);
        assert!(growth < GROWTH, "the server grew by {growth} bytes");
        let mut seen = BTreeMap::<String, usize>::new();
        while seen.len() < ASKED {
            let mut line = String::new();
            assert!(
                output.read_line(&mut line).expect("a line") > 0,
                "it goes on"
            );
            let message: Value = serde_json::from_str(&line).expect("JSON");
            if message.get("method").is_none() {
                assert!(message.get("result").is_some(), "{line}");
                *seen.entry(message["id"].to_string()).or_default() += 1;
            }
        }
        assert!(seen.values().all(|count| *count == 1), "one answer each");
    });
}
