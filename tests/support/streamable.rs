//! A client of Streamable HTTP, by hand: what it sends is what stands in the test, and what it receives is judged.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::{Answer, Connection, PATIENCE, Silence, exchange};
use super::wire;

/// What a client that takes both kinds of answer sends with every POST.
pub const BOTH: &str = "Accept: application/json, text/event-stream\r\n";

/// A session, opened by a handshake.
#[derive(Debug, Clone)]
pub struct Client {
    address: SocketAddr,
    path: String,
    extra: String,
    session: String,
    revision: String,
}

/// One event of a stream; a member is `None` where the event has no such line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Where a client that comes back begins.
    pub id: Option<String>,
    /// Milliseconds to wait before that.
    pub retry: Option<u64>,
    /// A message, or nothing.
    pub data: Option<String>,
}

impl Event {
    /// The message that it holds.
    #[track_caller]
    pub fn message(&self) -> Value {
        let data = self.data.as_deref().unwrap_or_default();
        serde_json::from_str(data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// An answer that is a stream.
#[derive(Debug)]
pub struct Stream {
    /// The head of the answer.
    pub head: String,
    connection: Connection,
    undecoded: Vec<u8>,
}

impl Stream {
    /// Sends a request and reads the head of its answer; an answer that is no stream is given back.
    #[track_caller]
    pub fn begin(address: SocketAddr, request: &[u8]) -> Result<Self, Answer> {
        let mut connection = Connection::open(address);
        connection.send(request).expect("the server listens");
        let (status, head) = connection.head(PATIENCE).expect("an answer");
        if status == 200 && super::http::header(&head, "content-type") == Some("text/event-stream")
        {
            return Ok(Self {
                head,
                connection,
                undecoded: Vec::new(),
            });
        }
        Err(Answer {
            status,
            head,
            body: Vec::new(),
        })
    }

    /// The next event; comments are passed over.
    pub fn event(&mut self) -> Result<Event, Silence> {
        self.event_within(PATIENCE)
    }

    /// The next event, if one comes within the limit.
    pub fn event_within(&mut self, limit: Duration) -> Result<Event, Silence> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(end) = self.undecoded.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.undecoded.drain(..end + 2).collect();
                let block = String::from_utf8(block).expect("event streams are UTF-8");
                match parse(&block) {
                    None => continue,
                    Some(event) => return Ok(event),
                }
            }
            match self.connection.chunk(deadline)? {
                Some(chunk) => self.undecoded.extend(chunk),
                None => return Err(Silence::Closed),
            }
        }
    }

    /// All events up to the end of the stream.
    #[track_caller]
    pub fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            match self.event() {
                Ok(event) => events.push(event),
                Err(Silence::Closed) => return events,
                Err(Silence::TimeOver) => panic!("the stream stays open after {events:?}"),
            }
        }
    }
}

/// `None` for a block of comments.
fn parse(block: &str) -> Option<Event> {
    let mut event = Event::default();
    let mut comments = true;
    for line in block.lines().filter(|line| !line.is_empty()) {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        comments &= name.is_empty();
        match name {
            "" => {}
            "event" => assert_eq!(value, "message", "a type of event that nobody knows"),
            "id" => event.id = Some(value.to_owned()),
            "retry" => event.retry = Some(value.parse().expect("milliseconds")),
            "data" => event.data = Some(value.to_owned()),
            _ => panic!("a line that event streams do not have: {line:?}"),
        }
    }
    (!comments).then_some(event)
}

impl Client {
    /// Shakes hands for a revision.
    #[track_caller]
    pub fn open(address: SocketAddr, revision: &str) -> Self {
        Self::open_as(address, revision, &json!({}))
    }

    /// Shakes hands for a revision as a client that declares these capabilities.
    #[track_caller]
    pub fn open_as(address: SocketAddr, revision: &str, capabilities: &Value) -> Self {
        Self::shake_hands(address, "/mcp", "", BOTH, revision, capabilities)
    }

    /// Shakes hands at this path; the header lines, each ended by `\r\n`, go with every request of the session. The
    /// answer to the handshake is no stream, however late it comes.
    #[track_caller]
    pub fn open_at(address: SocketAddr, path: &str, headers: &str, revision: &str) -> Self {
        let json_only = "Accept: application/json\r\n";
        Self::shake_hands(address, path, headers, json_only, revision, &json!({}))
    }

    #[track_caller]
    fn shake_hands(
        address: SocketAddr,
        path: &str,
        extra: &str,
        accept: &str,
        revision: &str,
        capabilities: &Value,
    ) -> Self {
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": revision, "capabilities": capabilities,
            "clientInfo": {"name": "tests", "version": "1"}}});
        let headers = format!("{extra}{accept}");
        let answer = exchange(address, &post_to(address, path, &headers, &hello));
        assert_eq!(answer.status, 200, "{}", answer.text());
        let told = wire::message(&answer.text(), Some("initialize"), revision);
        assert_eq!(told["result"]["protocolVersion"], revision, "{told}");
        let session = answer.header("mcp-session-id").expect("a session's id");
        let client = Self {
            address,
            path: path.to_owned(),
            extra: extra.to_owned(),
            session: session.to_owned(),
            revision: revision.to_owned(),
        };
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        assert_eq!(client.post(&initialized).status, 202);
        client
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        &self.session
    }

    /// The header lines of every request.
    pub fn headers(&self) -> String {
        format!(
            "{}Mcp-Session-Id: {}\r\nMCP-Protocol-Version: {}\r\n",
            self.extra, self.session, self.revision
        )
    }

    /// Posts a message whose answer is whole.
    #[track_caller]
    pub fn post(&self, message: &Value) -> Answer {
        self.post_with(BOTH, message)
    }

    /// The same with an `Accept` header of the test's own.
    #[track_caller]
    pub fn post_with(&self, accept: &str, message: &Value) -> Answer {
        let headers = format!("{}{accept}", self.headers());
        exchange(
            self.address,
            &post_to(self.address, &self.path, &headers, message),
        )
    }

    /// Posts a message whose answer is a stream.
    #[track_caller]
    pub fn stream(&self, message: &Value) -> Stream {
        let headers = format!("{}{BOTH}", self.headers());
        let request = post_to(self.address, &self.path, &headers, message);
        Stream::begin(self.address, &request)
            .unwrap_or_else(|answer| panic!("no stream: {}", answer.head))
    }

    /// The session's own stream, or the one that the id of an event belongs to.
    #[track_caller]
    pub fn listen(&self, last_event_id: Option<&str>) -> Result<Stream, Answer> {
        let last = last_event_id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n{}{last}\r\n",
            self.path,
            self.address,
            self.headers()
        );
        Stream::begin(self.address, request.as_bytes())
    }

    /// Ends the session and returns the status.
    #[track_caller]
    pub fn delete(&self) -> u16 {
        let request = format!(
            "DELETE {} HTTP/1.1\r\nHost: {}\r\n{}Connection: close\r\n\r\n",
            self.path,
            self.address,
            self.headers()
        );
        exchange(self.address, request.as_bytes()).status
    }
}

/// A POST to `/mcp` with further header lines, each ended by `\r\n`.
pub fn post(address: SocketAddr, headers: &str, message: &Value) -> Vec<u8> {
    post_to(address, "/mcp", headers, message)
}

fn post_to(address: SocketAddr, path: &str, headers: &str, message: &Value) -> Vec<u8> {
    super::http::post(address, path, headers, message.to_string().as_bytes())
}
