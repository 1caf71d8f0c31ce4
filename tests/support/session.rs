//! A client of HTTP+SSE: its stream, its requests, and what came for it. It reads only when asked to, so a client
//! that stalls is one that is not asked.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::http::{Answer, Connection, PATIENCE, Silence, exchange, post};
use super::wire;

/// One session, from the first event to the end of the stream.
#[derive(Debug)]
pub struct Session {
    address: SocketAddr,
    stream: Connection,
    undecoded: Vec<u8>,
    endpoint: String,
    headers: String,
    revision: String,
    next_id: u64,
    /// The method of each request, by the id as it was sent.
    asked: BTreeMap<String, String>,
    arrived: VecDeque<Value>,
    batched: VecDeque<Value>,
    comments: usize,
}

/// One event of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Its type and its data.
    Named(String, String),
    /// A line that clients pass over.
    Comment(String),
}

impl Session {
    /// Opens a stream and waits for the endpoint.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::open_with(address, "/sse", "")
    }

    /// Opens a stream; the header lines, each ended by `\r\n`, go with every request of the session.
    #[track_caller]
    pub fn open_with(address: SocketAddr, path: &str, headers: &str) -> Self {
        Self::try_open(address, path, headers)
            .unwrap_or_else(|answer| panic!("no stream: {}\n{}", answer.head, answer.text()))
    }

    /// Opens a stream, or returns what the server answered instead.
    #[track_caller]
    pub fn try_open(address: SocketAddr, path: &str, headers: &str) -> Result<Self, Answer> {
        let mut stream = Connection::open(address);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: text/event-stream\r\n{headers}\r\n"
        );
        let _ = stream.send(request.as_bytes());
        let (status, head) = stream.head(PATIENCE).expect("an answer to GET /sse");
        if status != 200 {
            return Err(Answer {
                status,
                head,
                body: Vec::new(),
            });
        }
        let mut session = Self {
            address,
            stream,
            undecoded: Vec::new(),
            endpoint: String::new(),
            headers: headers.to_owned(),
            revision: wire::NEWEST.to_owned(),
            next_id: 0,
            asked: BTreeMap::new(),
            arrived: VecDeque::new(),
            batched: VecDeque::new(),
            comments: 0,
        };
        match session.event(PATIENCE) {
            Ok(Event::Named(name, data)) if name == "endpoint" => session.endpoint = data,
            other => panic!("the first event must be the endpoint, not {other:?}"),
        }
        Ok(session)
    }

    /// Opens a stream and shakes hands.
    #[track_caller]
    pub fn ready(address: SocketAddr) -> Self {
        let mut session = Self::open(address);
        session.initialize(wire::NEWEST);
        session
    }

    /// Shakes hands for a revision and returns the server's result.
    #[track_caller]
    pub fn initialize(&mut self, revision: &str) -> Value {
        self.initialize_as("smcp-tests", revision)
    }

    /// Opens a stream and shakes hands under this name: without a key, two clients of one name are the same.
    #[track_caller]
    pub fn ready_as(address: SocketAddr, name: &str) -> Self {
        let mut session = Self::open(address);
        session.initialize_as(name, wire::NEWEST);
        session
    }

    #[track_caller]
    fn initialize_as(&mut self, name: &str, revision: &str) -> Value {
        self.revision = revision.to_owned();
        let answer = self.ask(
            "initialize",
            json!({"protocolVersion": revision, "capabilities": {},
                   "clientInfo": {"name": name, "version": "1"}}),
        );
        assert_eq!(answer["result"]["protocolVersion"], revision, "{answer}");
        self.tell("notifications/initialized", json!({}));
        answer["result"].clone()
    }

    /// The path to post to, as the server named it.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The session's id.
    pub fn id(&self) -> &str {
        self.endpoint
            .split_once("session_id=")
            .map(|(_, id)| id)
            .expect("the endpoint names the session")
    }

    /// Posts these bytes and returns the HTTP answer. An error in its body is judged like every message.
    #[track_caller]
    pub fn post(&self, body: &[u8]) -> Answer {
        let request = post(self.address, &self.endpoint, &self.headers, body);
        let answer = exchange(self.address, &request);
        if answer.header("content-type") == Some("application/json")
            && answer.json().get("jsonrpc").is_some()
        {
            wire::message(&answer.text(), None, &self.revision);
        }
        answer
    }

    /// Lets the judge know what a response with this id will answer.
    pub fn expects(&mut self, id: &Value, method: &str) {
        self.asked.insert(id.to_string(), method.to_owned());
    }

    /// Posts a message that must be accepted.
    #[track_caller]
    pub fn send(&mut self, message: &Value) {
        if let (Some(id), Some(method)) = (message.get("id"), message.get("method")) {
            self.expects(id, method.as_str().unwrap_or_default());
        }
        let answer = self.post(message.to_string().as_bytes());
        assert_eq!(answer.status, 202, "{message}: {}", answer.text());
    }

    /// Sends a request and returns its id.
    #[track_caller]
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        self.next_id += 1;
        let id = json!(self.next_id);
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    /// Sends a notification.
    #[track_caller]
    pub fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}));
    }

    /// Sends a request and waits for its response.
    #[track_caller]
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.response(&id, PATIENCE)
    }

    /// Begins to call a tool and returns the request's id.
    #[track_caller]
    pub fn begin(&mut self, tool: &str, arguments: Value) -> Value {
        self.request("tools/call", json!({"name": tool, "arguments": arguments}))
    }

    /// Calls a tool and returns the result.
    #[track_caller]
    pub fn call(&mut self, tool: &str, arguments: Value) -> Value {
        let id = self.begin(tool, arguments);
        self.result(&id, PATIENCE)
    }

    /// The result that answers a request, which must not be a JSON-RPC error.
    #[track_caller]
    pub fn result(&mut self, id: &Value, limit: Duration) -> Value {
        let answer = self.response(id, limit);
        match answer.get("result") {
            Some(result) => result.clone(),
            None => panic!("a JSON-RPC error instead of a result: {answer}"),
        }
    }

    /// The response with this id; other messages are kept.
    #[track_caller]
    pub fn response(&mut self, id: &Value, limit: Duration) -> Value {
        self.take(limit, |message| {
            message.get("id") == Some(id) && message.get("method").is_none()
        })
        .unwrap_or_else(|silence| panic!("{silence:?} instead of the response to {id}"))
    }

    /// The first message, kept or still to come, that is wanted; the others are kept.
    #[track_caller]
    pub fn take(
        &mut self,
        limit: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value, Silence> {
        if let Some(place) = self.arrived.iter().position(&wanted) {
            return Ok(self.arrived.remove(place).expect("it was just found there"));
        }
        let deadline = Instant::now() + limit;
        loop {
            let message = self.next(deadline.saturating_duration_since(Instant::now()))?;
            if wanted(&message) {
                return Ok(message);
            }
            self.arrived.push_back(message);
        }
    }

    /// The next message of the stream, judged. A batch counts as the messages in it.
    #[track_caller]
    fn next(&mut self, limit: Duration) -> Result<Value, Silence> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(message) = self.batched.pop_front() {
                return Ok(self.judged(&message.to_string()));
            }
            match self.event(deadline.saturating_duration_since(Instant::now()))? {
                Event::Comment(_) => self.comments += 1,
                Event::Named(name, data) => {
                    assert_eq!(name, "message", "an event of a type nobody knows: {data}");
                    match serde_json::from_str(&data) {
                        Ok(Value::Array(messages)) => self.batched.extend(messages),
                        _ => return Ok(self.judged(&data)),
                    }
                }
            }
        }
    }

    /// All that came before the answer to a ping that is sent now, and that nobody has asked for yet. That a list
    /// has changed may be said at any time and is left out.
    #[track_caller]
    pub fn heard_until_now(&mut self) -> Vec<Value> {
        let ping = self.request("ping", json!({}));
        let answer = self.response(&ping, PATIENCE);
        assert_eq!(answer["result"], json!({}), "{answer}");
        let heard = self.arrived.drain(..);
        let of_a_list = |message: &Value| {
            let method = message["method"].as_str();
            method.is_some_and(|method| method.ends_with("/list_changed"))
        };
        heard.filter(|message| !of_a_list(message)).collect()
    }

    /// How many comment lines came.
    pub fn comments(&self) -> usize {
        self.comments
    }

    /// Waits for the server to end the stream; what it still says is judged and kept.
    #[track_caller]
    pub fn ends_within(&mut self, limit: Duration) -> bool {
        self.take(limit, |_| false) == Err(Silence::Closed)
    }

    /// The next event of the stream as it stands.
    pub fn event(&mut self, limit: Duration) -> Result<Event, Silence> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(end) = self.undecoded.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.undecoded.drain(..end + 2).collect();
                let block = String::from_utf8(block).expect("event streams are UTF-8");
                return Ok(parse(block.trim_end_matches('\n')));
            }
            match self.stream.chunk(deadline)? {
                Some(chunk) => self.undecoded.extend(chunk),
                None => return Err(Silence::Closed),
            }
        }
    }

    #[track_caller]
    fn judged(&self, data: &str) -> Value {
        let id = serde_json::from_str::<Value>(data)
            .ok()
            .and_then(|message| message.get("id").map(Value::to_string));
        let method = id.and_then(|id| self.asked.get(&id));
        wire::message(data, method.map(String::as_str), &self.revision)
    }
}

fn parse(block: &str) -> Event {
    let mut name = "message".to_owned();
    let mut data = Vec::new();
    let mut comments = Vec::new();
    for line in block.split('\n') {
        match line.split_once(':') {
            Some(("", comment)) => comments.push(comment.trim().to_owned()),
            Some(("event", value)) => name = value.trim_start().to_owned(),
            Some(("data", value)) => data.push(value.strip_prefix(' ').unwrap_or(value).to_owned()),
            _ => panic!("a line that event streams do not have: {line:?}"),
        }
    }
    if data.is_empty() {
        Event::Comment(comments.join("\n"))
    } else {
        assert_eq!(data.len(), 1, "a message stands on one data line: {block}");
        Event::Named(name, data.remove(0))
    }
}

/// Sends one message without a session and returns the JSON-RPC response, judged.
#[track_caller]
pub fn directly(address: SocketAddr, method: &str, params: Value) -> Value {
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let request = post(address, "/messages/", "", message.to_string().as_bytes());
    let answer = exchange(address, &request);
    assert_eq!(answer.status, 200, "{message}: {}", answer.text());
    wire::message(&answer.text(), Some(method), wire::NEWEST)
}

/// The text of a result's only block.
#[track_caller]
pub fn text_of(result: &Value) -> &str {
    let blocks = result["content"].as_array().expect("content is a list");
    assert_eq!(blocks.len(), 1, "{result}");
    blocks[0]["text"].as_str().expect("a text block")
}

/// The code of a result that says an error.
#[track_caller]
pub fn code_of(result: &Value) -> &str {
    assert_eq!(result["isError"], true, "{result}");
    let error = &result["structuredContent"]["error"];
    assert_eq!(error["message"], text_of(result), "{result}");
    error["code"].as_str().expect("a code")
}
