//! Clients that send one request and wait for its answer: direct, Streamable HTTP with a session, and without one.

use std::time::Duration;

use serde_json::{Value, json};

use super::request::{Call, leave, post, stall, tear};
use super::{FAULTS_PERCENT, Plan};
use crate::support::http::{Answer, Connection, PATIENCE, exchange, get, header};

/// Where a kind of client sends its calls, and how.
struct Client {
    path: &'static str,
    /// Header lines of a call of this tool.
    headers: Box<dyn Fn(&str) -> String>,
    /// What goes into the params beside the call.
    meta: Value,
}

/// `POST /messages/` without a session.
pub fn directly(plan: Plan) {
    let client = Client {
        path: "/messages/",
        headers: Box::new(|_| String::new()),
        meta: Value::Null,
    };
    client.work(plan);
}

/// `/mcp` of 2026-07-28.
pub fn stateless(plan: Plan) {
    let client = Client {
        path: "/mcp",
        headers: Box::new(|tool| {
            format!(
                "Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
                 Mcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
            )
        }),
        meta: json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                     "io.modelcontextprotocol/clientInfo": {"name": "soak", "version": "1"},
                     "io.modelcontextprotocol/clientCapabilities": {}}),
    };
    client.work(plan);
}

/// `/mcp` of 2025-11-25, a session a cycle.
pub fn streamable(plan: Plan) {
    let address = plan.address;
    let initialize = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "soak", "version": "1"}}});
    let accept = "Accept: application/json, text/event-stream\r\n";
    let opened = exchange(
        address,
        &post(
            address,
            "/mcp",
            &format!("{accept}Connection: close\r\n"),
            &initialize,
        ),
    );
    let Some(id) = header(&opened.head, "mcp-session-id").map(str::to_owned) else {
        return plan.book.fault(format!("no session: {}", opened.head));
    };
    let session = format!("Mcp-Session-Id: {id}\r\n");
    let headers = format!("{accept}{session}MCP-Protocol-Version: 2025-11-25\r\n");
    let book = plan.book.clone();
    let client = Client {
        path: "/mcp",
        headers: Box::new(move |_| headers.clone()),
        meta: Value::Null,
    };
    client.work(plan);
    let mut delete = get(address, "/mcp", &session);
    delete.splice(..3, *b"DELETE");
    let ended = exchange(address, &delete);
    if !(200..300).contains(&ended.status) {
        book.fault(format!("the session did not end: {}", ended.head));
    }
}

impl Client {
    fn request(&self, plan: &Plan, call: &Call) -> Vec<u8> {
        let mut message = call.message();
        if !self.meta.is_null() {
            message["params"]["_meta"] = self.meta.clone();
        }
        post(
            plan.address,
            self.path,
            &(self.headers)(call.tool),
            &message,
        )
    }

    fn work(&self, mut plan: Plan) {
        let mut connection = Connection::open(plan.address);
        for (id, tool) in plan.tools() {
            let good = Call::good(id, tool);
            if !plan.chance.percent(FAULTS_PERCENT) {
                connection = self.ask(&plan, connection, good, |connection, request| {
                    let _ = connection.send(request);
                });
                continue;
            }
            plan.book.injected();
            let request = self.request(&plan, &good);
            match plan.chance.below(4) {
                0 => {
                    tear(plan.address, &request, &mut plan.chance);
                    plan.book.excused(1);
                }
                1 => {
                    let mut chance = plan.chance.clone();
                    connection = self.ask(&plan, connection, good, |connection, request| {
                        stall(connection, request, &mut chance);
                    });
                }
                2 => {
                    let mut leaving = Connection::open(plan.address);
                    let _ = leaving.send(&request);
                    std::thread::sleep(Duration::from_millis(plan.chance.below(20) as u64));
                    leave(leaving, &mut plan.chance);
                    plan.book.excused(1);
                }
                _ => {
                    let bad = Call::bad(id, &mut plan.chance);
                    connection = self.ask(&plan, connection, bad, |connection, request| {
                        let _ = connection.send(request);
                    });
                }
            }
        }
    }

    /// Sends the call by `send`, waits for its answer and judges it. Gives the connection for the next one.
    fn ask(
        &self,
        plan: &Plan,
        mut connection: Connection,
        call: Call,
        send: impl FnOnce(&mut Connection, &[u8]),
    ) -> Connection {
        send(&mut connection, &self.request(plan, &call));
        match connection.answer(2 * PATIENCE) {
            Ok(answer) => match message_of(&answer) {
                Some(message) => call.judge(&message, &plan.book),
                None => plan.book.fault(format!(
                    "{call:?} got {} {}",
                    answer.head,
                    answer.text().chars().take(300).collect::<String>()
                )),
            },
            Err(silence) => {
                plan.book
                    .fault(format!("{call:?} through {} got {silence:?}", self.path));
                return Connection::open(plan.address);
            }
        }
        connection
    }
}

/// The response, whether it came as JSON or as the last event of a stream.
fn message_of(answer: &Answer) -> Option<Value> {
    let text = answer.text();
    let events = answer
        .header("content-type")?
        .starts_with("text/event-stream");
    if !events {
        return serde_json::from_str(&text).ok();
    }
    let mut messages = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str::<Value>(data).ok());
    messages.rfind(|message| message.get("id").is_some())
}
