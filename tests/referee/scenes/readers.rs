//! Clients that read slowly, or not at all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::number;
use crate::case::{Case, Transport};
use crate::client::Client;
use crate::envelope::message;
use crate::play::word;
use crate::sites::Site;
use crate::support::http::{exchange, post};
use crate::support::session::Session;
use crate::support::streamable;
use crate::support::wire;
use crate::template::Words;

/// Large answers that nobody reads: a batch in one session, or as many requests. How much the server may grow stands
/// in the case.
pub fn many_unread(case: &Case, site: &Arc<Site>, words: &Words) {
    let wait = Duration::from_millis(number(case, "wait_ms"));
    let count = number(case, "calls");
    if case.transport == Transport::Sse {
        let mut session = Session::open_with(site.address, "/sse", &site.headers);
        session.initialize("2025-03-26");
        let one: Value = serde_json::from_slice(&message(case, words).bytes).expect("a plain call");
        let batch: Vec<Value> = (0..count)
            .map(|number| {
                let mut call = one.clone();
                call["id"] = json!(1000 + number);
                call
            })
            .collect();
        let answer = session.post(json!(batch).to_string().as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.text());
        std::thread::sleep(wait);
        return;
    }
    let clients: Vec<Client> = (0..count)
        .map(|_| {
            let mut client = Client::open(case.transport, site.address, &site.headers);
            client.begin(&message(case, words));
            client
        })
        .collect();
    std::thread::sleep(wait);
    drop(clients);
}

/// A client that takes its answer in small bites, without a pause: it must be served to the end.
pub fn slow_and_steady(case: &Case, site: &Arc<Site>, words: &Words) {
    let at = site.address;
    let asked = message(case, words).bytes;
    let mut stream = TcpStream::connect(at).expect("the server listens");
    let limit = Some(case.limit());
    stream.set_read_timeout(limit).expect("above zero");
    let mut write = |bytes: &[u8]| stream.write_all(bytes).expect("an open connection");
    // Held for as long as the answer is read.
    let mut session = None;
    match case.transport {
        Transport::Direct => write(&post(at, "/messages/", &site.headers, &asked)),
        Transport::Streamable => {
            let client = streamable::Client::open(at, wire::NEWEST);
            let headers = format!("{}{}", client.headers(), streamable::BOTH);
            write(&post(at, "/mcp", &headers, &asked));
            session = Some(client);
        }
        Transport::Sse => {
            write(format!("GET /sse HTTP/1.1\r\nHost: {at}\r\n\r\n").as_bytes());
            let path = endpoint(&mut stream);
            let say = |message: &[u8]| {
                let answer = exchange(at, &post(at, &path, "", message));
                assert_eq!(answer.status, 202, "{}", answer.text());
            };
            let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
                "protocolVersion": wire::NEWEST, "capabilities": {},
                "clientInfo": {"name": "smcp-tests", "version": "1"}}});
            say(hello.to_string().as_bytes());
            say(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
            say(&asked);
        }
        other => panic!("nobody reads slowly over {}", other.name()),
    }
    let wanted = number(case, "bytes");
    let read = read_at(
        &mut stream,
        number(case, "per_second"),
        wanted,
        case.limit(),
    );
    assert!(read >= wanted, "cut off after {read} of {wanted} bytes");
    drop(session);
}

/// Reads so many bytes a second until there are enough, or until the end.
fn read_at(stream: &mut TcpStream, per_second: u64, wanted: u64, limit: Duration) -> u64 {
    let pause = Duration::from_millis(50);
    let mut block = vec![0; usize::try_from(per_second / 20).expect("a small number")];
    let deadline = Instant::now() + limit;
    let mut read = 0;
    while read < wanted && Instant::now() < deadline {
        match stream.read(&mut block) {
            Ok(count @ 1..) => read += count as u64,
            _ => return read,
        }
        std::thread::sleep(pause);
    }
    read
}

/// The path in the first event of a stream.
fn endpoint(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut block = [0; 512];
    loop {
        let count = stream.read(&mut block).expect("an event");
        text.push_str(&String::from_utf8_lossy(&block[..count]));
        let found = text
            .split_once("data: ")
            .and_then(|(_, rest)| rest.split_once('\n'));
        if let Some((path, _)) = found {
            return path.trim().to_owned();
        }
    }
}

/// A session that never opens a stream for what the server says by itself. Its calls are answered all the same.
pub fn no_stream(case: &Case, site: &Arc<Site>, words: &Words) {
    let client = streamable::Client::open(site.address, wire::NEWEST);
    let call = |id: u64, tool: &str, arguments: Value| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}})
    };
    let mark = word(words, "mark");
    let detach = json!({"action": "detach", "tool": "probe__limits"});
    let said = client.post(&call(1, "sanctum__tools", detach));
    assert_eq!(said.json()["result"]["isError"], false, "{}", said.text());
    let seconds = number(case, "seconds");
    let headers = format!("{}{}", client.headers(), streamable::BOTH);
    let long = call(2, "probe__sleep", json!({"mark": mark, "seconds": seconds}));
    let mut connection = crate::support::http::Connection::open(site.address);
    connection
        .send(&streamable::post(site.address, &headers, &long))
        .expect("an open connection");
    let answer = connection
        .answer(case.limit())
        .expect("the running call is answered");
    assert!(answer.text().contains("done"), "{}", answer.text());
    let pong = client.post(&json!({"jsonrpc": "2.0", "id": 3, "method": "ping"}));
    assert_eq!(pong.status, 200, "the session is over: {}", pong.text());
}
