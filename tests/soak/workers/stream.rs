//! A client that holds a stream: `GET /sse`, calls by POST, answers in the order in which they are ready.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::request::{Call, leave, post, stall, tear};
use super::{FAULTS_PERCENT, Plan};
use crate::support::http::{Connection, PATIENCE, Silence, get};

/// As many calls are sent before their answers are read.
const MAX_TOGETHER: usize = 6;

/// An open stream, and what is due on it.
struct Stream {
    address: SocketAddr,
    reader: Connection,
    text: String,
    endpoint: String,
    poster: Connection,
    due: HashMap<u64, Call>,
    /// Sent, but it cannot be known whether they were accepted, or they were cancelled: an answer may come.
    possible: HashMap<u64, Call>,
}

/// Opens sessions one after the other and calls until all its calls are made.
pub fn work(mut plan: Plan) {
    let mut tools = plan.tools().into_iter().peekable();
    let mut stream = Stream::open(plan.address);
    while tools.peek().is_some() {
        let together = 1 + plan.chance.below(MAX_TOGETHER);
        for (id, tool) in tools.by_ref().take(together) {
            if plan.chance.percent(FAULTS_PERCENT) {
                plan.book.injected();
                stream = stream.with_fault(Call::good(id, tool), &mut plan);
            } else {
                stream.call(Call::good(id, tool), &plan);
            }
        }
        stream.read_all(&plan);
    }
    stream.read_all(&plan);
}

impl Stream {
    fn open(address: SocketAddr) -> Self {
        let mut reader = Connection::open(address);
        let _ = reader.send(&get(address, "/sse", ""));
        let head = reader.head(PATIENCE).expect("a stream begins at once");
        assert_eq!(head.0, 200, "{}", head.1);
        let mut stream = Self {
            address,
            reader,
            text: String::new(),
            endpoint: String::new(),
            poster: Connection::open(address),
            due: HashMap::new(),
            possible: HashMap::new(),
        };
        stream.endpoint = stream.event().expect("the first event is the endpoint");
        let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "soak", "version": "1"}}});
        stream.send(&initialize).expect("the handshake is accepted");
        stream.event().expect("the handshake is answered");
        let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        stream
            .send(&initialized)
            .expect("the notification is accepted");
        stream
    }

    fn request(&self, message: &Value) -> Vec<u8> {
        post(self.address, &self.endpoint, "", message)
    }

    /// Posts a message; `Ok` when it was accepted.
    fn send(&mut self, message: &Value) -> Result<(), String> {
        let request = self.request(message);
        let _ = self.poster.send(&request);
        self.accepted()
    }

    fn accepted(&mut self) -> Result<(), String> {
        match self.poster.answer(PATIENCE) {
            Ok(answer) if answer.status == 202 => Ok(()),
            Ok(answer) => Err(format!("{} {}", answer.status, answer.text())),
            Err(silence) => {
                self.poster = Connection::open(self.address);
                Err(format!("{silence:?}"))
            }
        }
    }

    fn call(&mut self, call: Call, plan: &Plan) {
        match self.send(&call.message()) {
            Ok(()) => {
                self.due.insert(call.id, call);
            }
            Err(refused) => plan
                .book
                .fault(format!("{call:?} was not accepted: {refused}")),
        }
    }

    /// Does one thing that goes wrong; the stream afterwards, which may be another one.
    fn with_fault(mut self, call: Call, plan: &mut Plan) -> Self {
        let request = self.request(&call.message());
        match plan.chance.below(6) {
            0 => {
                tear(self.address, &request, &mut plan.chance);
                plan.book.excused(1);
            }
            1 => {
                stall(&mut self.poster, &request, &mut plan.chance);
                match self.accepted() {
                    Ok(()) => {
                        self.due.insert(call.id, call);
                    }
                    Err(refused) => plan
                        .book
                        .fault(format!("{call:?}, slowly sent, got {refused}")),
                }
            }
            // All of it was sent, and nobody waits for the 202.
            2 => {
                let mut leaving = Connection::open(self.address);
                let _ = leaving.send(&request);
                leave(leaving, &mut plan.chance);
                self.possible.insert(call.id, call);
            }
            3 => self.call(Call::bad(call.id, &mut plan.chance), plan),
            4 => {
                let hanging = Call::good(call.id, "stub__hang");
                if self.send(&hanging.message()).is_ok() {
                    std::thread::sleep(Duration::from_millis(plan.chance.below(50) as u64));
                    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled",
                        "params": {"requestId": hanging.id}});
                    if let Err(refused) = self.send(&cancel) {
                        plan.book.fault(format!("a cancellation got {refused}"));
                    }
                }
                // No response follows a cancellation; one would be found by its id.
                plan.book.excused(1);
            }
            // The stream goes, with calls under way.
            _ => {
                self.call(call, plan);
                plan.book.excused(self.due.len() + self.possible.len());
                let Self {
                    reader, address, ..
                } = self;
                leave(reader, &mut plan.chance);
                return Self::open(address);
            }
        }
        self
    }

    /// Reads until nothing is due.
    fn read_all(&mut self, plan: &Plan) {
        let deadline = Instant::now() + 2 * PATIENCE;
        while !self.due.is_empty() && Instant::now() < deadline {
            let Ok(text) = self.event() else {
                break;
            };
            let message: Value = match serde_json::from_str(&text) {
                Ok(message) => message,
                Err(fault) => return plan.book.fault(format!("no JSON ({fault}): {text}")),
            };
            let Some(id) = message["id"].as_u64() else {
                continue;
            };
            match self.due.remove(&id).or_else(|| self.possible.remove(&id)) {
                Some(call) => call.judge(&message, &plan.book),
                None => plan.book.fault(format!(
                    "an answer that was not due: {}",
                    text.chars().take(300).collect::<String>()
                )),
            }
        }
        for call in std::mem::take(&mut self.due).into_values() {
            plan.book.fault(format!(
                "{call:?} was accepted on {} and has no answer",
                self.endpoint
            ));
        }
    }

    /// The data of the next event.
    fn event(&mut self) -> Result<String, Silence> {
        let deadline = Instant::now() + 2 * PATIENCE;
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                match data {
                    Some(data) => return Ok(data.to_owned()),
                    // A comment that keeps the stream alive.
                    None => continue,
                }
            }
            match self.reader.chunk(deadline)? {
                Some(chunk) => self
                    .text
                    .push_str(&String::from_utf8_lossy(&chunk).replace('\r', "")),
                None => return Err(Silence::Closed),
            }
        }
    }
}
