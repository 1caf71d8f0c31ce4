//! Requests as bytes, the ways in which they are spoilt, and what an answer has to say.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::book::Book;
use crate::support::chance::Chance;
use crate::support::http::Connection;

/// Tools that fail, each with the codes of its failure. A supervisor that is killed at once has often not said yet
/// that the program runs.
const FAILING: [(&str, &[&str]); 3] = [
    ("stub__crash", &["plugin_error"]),
    ("stub__orphan", &["internal_error", "spawn_failed"]),
    ("stub__flood", &["output_too_large"]),
];

/// Tools that do something odd and answer all the same.
const ODD: [&str; 2] = ["stub__leave", "stub__talk"];

/// A tool and what its answer must be.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    pub id: u64,
    pub tool: &'static str,
    /// The codes of the failure that is due; none when it has to succeed.
    pub fails: &'static [&'static str],
}

impl Call {
    pub fn good(id: u64, tool: &'static str) -> Self {
        Self {
            id,
            tool,
            fails: &[],
        }
    }

    /// A call of a program that misbehaves.
    pub fn bad(id: u64, chance: &mut Chance) -> Self {
        let choice = chance.below(FAILING.len() + ODD.len());
        match FAILING.get(choice) {
            Some((tool, codes)) => Self {
                id,
                tool,
                fails: codes,
            },
            None => Self::good(id, ODD[choice - FAILING.len()]),
        }
    }

    pub fn message(&self) -> Value {
        json!({"jsonrpc": "2.0", "id": self.id, "method": "tools/call",
               "params": {"name": self.tool, "arguments": {"token": self.id.to_string()}}})
    }

    /// Enters in the book what `message` says, which came as the answer to this call.
    pub fn judge(&self, message: &Value, book: &Book) {
        let text = message["result"]["content"][0]["text"]
            .as_str()
            .unwrap_or_default();
        let code = message["result"]["structuredContent"]["error"]["code"].as_str();
        if message["id"] != self.id {
            book.fault(format!("{self:?} got an answer with another id: {message}"));
        } else if code.is_some_and(|code| self.fails.contains(&code)) {
            book.failed_as_asked();
        } else if self.fails.is_empty() && text == format!("token {}", self.id) {
            book.answered();
        } else {
            let shown: String = message.to_string().chars().take(300).collect();
            book.fault(format!("{self:?} got {shown}"));
        }
    }
}

/// A POST that leaves the connection open.
pub fn post(address: SocketAddr, path: &str, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Sends as much of the request as comes before any one of its bytes, then goes away: never all of it.
pub fn tear(address: SocketAddr, request: &[u8], chance: &mut Chance) {
    let mut connection = Connection::open(address);
    let _ = connection.send(&request[..chance.below(request.len())]);
    leave(connection, chance);
}

/// Sends the request in two parts with a pause between them.
pub fn stall(connection: &mut Connection, request: &[u8], chance: &mut Chance) {
    let (one, other) = request.split_at(chance.below(request.len()));
    let _ = connection.send(one);
    std::thread::sleep(Duration::from_millis(chance.below(200) as u64));
    let _ = connection.send(other);
}

/// Closes the connection in one of the ways in which clients go.
pub fn leave(mut connection: Connection, chance: &mut Chance) {
    match chance.below(3) {
        0 => connection.reset(),
        1 => {
            connection.finish();
            std::thread::sleep(Duration::from_millis(5));
        }
        _ => drop(connection),
    }
}
