//! One client for each transport, with one way to use them: begin, hear what comes back, cancel, leave.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::case::Transport;
use crate::lines::Lines;
use crate::support::http::{Answer, Connection, PATIENCE, Silence, exchange, post};
use crate::support::session::{Event, Session};
use crate::support::streamable::{self, BOTH};
use crate::support::wire;

/// The revision without sessions.
const STATELESS: &str = "2026-07-28";
/// The id of the ping that ends the hearing. Nothing else has it.
const LAST: &str = "the-last-of-the-referee";

/// A message and what its transport must know of it.
#[derive(Debug, Clone, Default)]
pub struct Message {
    pub bytes: Vec<u8>,
    /// Empty for what is not known to have one.
    pub method: String,
    /// The tool, resource or prompt.
    pub name: Option<String>,
    /// As JSON text.
    pub id: String,
}

/// What came back.
#[derive(Debug, Default)]
pub struct Outcome {
    pub status: Option<u16>,
    /// Every response, as it stands.
    pub answers: Vec<String>,
    /// All that was read, heads included.
    pub all: String,
    /// The connection ended.
    pub closed: bool,
    /// The revision that the answers must fit.
    pub revision: &'static str,
}

/// A client that has shaken hands where its transport has that.
pub struct Client {
    address: SocketAddr,
    headers: String,
    kind: Kind,
    /// The request whose answer is awaited.
    asked: Option<Connection>,
    accepted: Option<Answer>,
    id: String,
    /// The server is about to end: what comes is waited for, and nothing more is asked.
    pub last: bool,
}

enum Kind {
    Sse(Box<Session>),
    Direct,
    Streamable(streamable::Client),
    Stateless,
    Stdio(Box<Lines>),
}

impl Client {
    /// A client over HTTP; the header lines show a key where one is needed.
    #[track_caller]
    pub fn open(transport: Transport, address: SocketAddr, headers: &str) -> Self {
        let kind = match transport {
            Transport::Sse => {
                let mut session = Session::open_with(address, "/sse", headers);
                session.initialize(wire::NEWEST);
                Kind::Sse(Box::new(session))
            }
            Transport::Direct => Kind::Direct,
            Transport::Streamable => {
                Kind::Streamable(streamable::Client::open(address, wire::NEWEST))
            }
            Transport::Stateless => Kind::Stateless,
            other => panic!("{} has no such client", other.name()),
        };
        Self::of(kind, address, headers)
    }

    /// One more client of the same session, where its transport has sessions; else one more client.
    pub fn beside(&self) -> Self {
        let kind = match &self.kind {
            Kind::Direct => Kind::Direct,
            Kind::Stateless => Kind::Stateless,
            Kind::Streamable(client) => Kind::Streamable(client.clone()),
            Kind::Sse(_) | Kind::Stdio(_) => panic!("the answers of its requests have one reader"),
        };
        Self::of(kind, self.address, &self.headers)
    }

    /// A client over lines.
    pub fn over(lines: Lines) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::of(Kind::Stdio(Box::new(lines)), nowhere, "")
    }

    fn of(kind: Kind, address: SocketAddr, headers: &str) -> Self {
        Self {
            address,
            headers: headers.to_owned(),
            kind,
            asked: None,
            accepted: None,
            id: String::new(),
            last: false,
        }
    }

    /// Sends a message and waits for nothing but its acceptance.
    #[track_caller]
    pub fn begin(&mut self, message: &Message) {
        self.id.clone_from(&message.id);
        let request = match &mut self.kind {
            Kind::Stdio(lines) => return lines.send(&message.bytes),
            Kind::Sse(session) => {
                let path = session.endpoint().to_owned();
                let request = post(self.address, &path, &self.headers, &message.bytes);
                self.accepted = Some(exchange(self.address, &request));
                return;
            }
            Kind::Direct => post(self.address, "/messages/", &self.headers, &message.bytes),
            Kind::Streamable(client) => {
                let headers = format!("{}{}{BOTH}", self.headers, client.headers());
                post(self.address, "/mcp", &headers, &message.bytes)
            }
            Kind::Stateless => {
                let mut headers = format!(
                    "{}{BOTH}MCP-Protocol-Version: {STATELESS}\r\nMcp-Method: {}\r\n",
                    self.headers,
                    if message.method.is_empty() {
                        "tools/list"
                    } else {
                        &message.method
                    }
                );
                if let Some(name) = &message.name {
                    headers.push_str(&format!("Mcp-Name: {name}\r\n"));
                }
                post(self.address, "/mcp", &headers, &message.bytes)
            }
        };
        let mut connection = Connection::open(self.address);
        // A server that refuses by the head may close before it has taken all.
        let _ = connection.send(&request);
        self.asked = Some(connection);
    }

    /// What comes back. With `silence` nothing is expected, and the wait is no longer than the transport needs to
    /// answer something else.
    #[track_caller]
    pub fn outcome(&mut self, limit: Duration, silence: bool) -> Outcome {
        match &mut self.kind {
            Kind::Stdio(lines) => {
                let (answers, closed) = lines.answers(limit, silence, self.last);
                Outcome {
                    all: answers.join("\n"),
                    answers,
                    closed,
                    revision: wire::NEWEST,
                    status: None,
                }
            }
            Kind::Sse(session) => {
                let accepted = self.accepted.take().expect("something was begun");
                heard(session, &accepted, limit, silence, self.last)
            }
            kind => {
                let revision = match kind {
                    Kind::Stateless => STATELESS,
                    _ => wire::NEWEST,
                };
                let connection = self.asked.as_mut().expect("something was begun");
                // What is cancelled gets no answer, but may keep its connection.
                let limit = if silence {
                    limit.min(Duration::from_secs(3))
                } else {
                    limit
                };
                answered(connection.answer(limit), revision)
            }
        }
    }

    /// Says that the request is no longer wanted.
    #[track_caller]
    pub fn cancel(&mut self) {
        let id: Value = serde_json::from_str(&self.id).expect("the ids of calls are plain");
        let message = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
            "params": {"requestId": id, "reason": "nobody wants it"}});
        match &mut self.kind {
            Kind::Stdio(lines) => lines.send(message.to_string().as_bytes()),
            Kind::Sse(session) => session.send(&message),
            Kind::Streamable(client) => {
                let answer = client.post(&message);
                assert_eq!(answer.status, 202, "{}", answer.text());
            }
            // Here the end of the connection says it.
            Kind::Direct | Kind::Stateless => self.asked = None,
        }
    }

    /// Sends bytes on the connection of the request under way.
    pub fn stray(&mut self, bytes: &[u8]) {
        if let Some(connection) = &mut self.asked {
            let _ = connection.send(bytes);
        }
    }

    /// Resets the connection of the request under way and closes all others.
    pub fn reset(mut self) {
        if let Some(connection) = self.asked.take() {
            connection.reset();
        }
    }

    /// The server's process, for a client that has started it.
    pub fn lines(&mut self) -> Option<&mut Lines> {
        match &mut self.kind {
            Kind::Stdio(lines) => Some(lines),
            _ => None,
        }
    }
}

/// The answers on a stream: the first that comes, and whatever else is there before the answer to a ping.
fn heard(
    session: &mut Session,
    accepted: &Answer,
    limit: Duration,
    silence: bool,
    last: bool,
) -> Outcome {
    let mut outcome = Outcome {
        status: Some(accepted.status),
        all: format!("{}\r\n\r\n{}", accepted.head, accepted.text()),
        revision: wire::NEWEST,
        ..Outcome::default()
    };
    let body = accepted.text();
    if body.contains("\"jsonrpc\"") {
        outcome.answers.push(body);
    }
    let deadline = Instant::now() + limit;
    let mut waits = accepted.status == 202 && !silence;
    let mut pinged = false;
    loop {
        if !waits && last {
            return outcome;
        }
        if !waits && !pinged {
            pinged = true;
            let ping = json!({"jsonrpc": "2.0", "id": LAST, "method": "ping"}).to_string();
            let answer = session.post(ping.as_bytes());
            if answer.status != 202 {
                outcome.closed = true;
                return outcome;
            }
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let left = if pinged { left.max(PATIENCE) } else { left };
        match session.event(left) {
            Ok(Event::Comment(_)) => {}
            Ok(Event::Named(_, data)) => {
                if data.contains(LAST) {
                    return outcome;
                }
                outcome.all.push_str(&data);
                if is_response(&data) {
                    outcome.answers.push(data);
                    waits = false;
                }
            }
            Err(silence) => {
                outcome.closed = silence == Silence::Closed;
                return outcome;
            }
        }
    }
}

/// Whether a message is no request and no notification. Ids that are read as numbers by nobody are looked past.
pub fn is_response(data: &str) -> bool {
    match serde_json::from_str::<Value>(data) {
        Ok(message) => message.get("method").is_none(),
        Err(_) => data.contains("\"result\"") || data.contains("\"error\""),
    }
}

fn answered(answer: Result<Answer, Silence>, revision: &'static str) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(silence) => {
            return Outcome {
                closed: silence == Silence::Closed,
                revision,
                ..Outcome::default()
            };
        }
    };
    let text = answer.text();
    let events = answer.header("content-type") == Some("text/event-stream");
    let messages: Vec<&str> = if events {
        let lines = text.lines().filter_map(|line| line.strip_prefix("data:"));
        lines.map(str::trim_start).collect()
    } else {
        vec![text.as_str()]
    };
    let answers = messages
        .into_iter()
        .filter(|data| data.contains("\"jsonrpc\"") && is_response(data))
        .map(str::to_owned)
        .collect();
    Outcome {
        status: Some(answer.status),
        answers,
        all: format!("{}\r\n\r\n{text}", answer.head),
        closed: false,
        revision,
    }
}
