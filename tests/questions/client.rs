//! Clients that can be asked, and the programs that ask them.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::http::{Answer, PATIENCE, exchange};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::streamable::{BOTH, post};
use crate::support::wire;

pub const STATELESS: &str = "2026-07-28";

/// What a Python program of these tests begins with.
const PREFIX: &str = r#"#!/usr/bin/env python3
import json, os, signal, subprocess, sys, threading, time
HERE = os.environ.get("SMCP_PLUGIN_DIR", os.path.dirname(os.path.abspath(__file__)))
def path(name):
    return os.path.join(HERE, name)
def touch(name):
    open(path(name), "w").close()
def wait_for(name):
    while not os.path.exists(path(name)):
        time.sleep(0.01)
def tell(**event):
    os.write(3, (json.dumps(event) + "\n").encode())
def line():
    read = b""
    while not read.endswith(b"\n"):
        read += os.read(3, 1)
    return json.loads(read)
def ask(**questions):
    tell(ask=questions)
    return line()
def form(message, **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"elicit": {"mode": "form", "message": message, "requestedSchema": schema}}
YES = {"yes": {"type": "boolean"}}
"#;

/// A server with one plugin, `ask`, of which each command is a function of this Python text. Gives the plugin's
/// directory too.
pub struct Asking {
    pub server: Server,
    folder: Folder,
}

impl Asking {
    pub fn start(commands: &[&str], functions: &str) -> Self {
        let commands: Vec<Value> = commands.iter().map(|name| json!({"name": name})).collect();
        Self::describing(&json!(commands), functions, Setup::new())
    }

    pub fn describing(commands: &Value, functions: &str, setup: Setup) -> Self {
        let description = json!({"contract_version": "1.1", "commands": commands});
        let describe = format!(
            "DESCRIPTION = r'''{description}'''\nif sys.argv[1] == '--describe':\n    print(DESCRIPTION)\nelse:\n    globals()[sys.argv[1]]()\n"
        );
        let folder = Folder::new();
        folder.add_executable("ask", &format!("{PREFIX}{functions}\n{describe}"));
        let server = Server::start(&setup.plugins(folder.path()));
        server.ready();
        Self { server, folder }
    }

    pub fn at(&self) -> SocketAddr {
        self.server.address()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("ask").join(name)
    }

    pub fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    pub fn touch(&self, name: &str) {
        touch(&self.path(name));
    }
}

pub fn touch(path: &Path) {
    std::fs::write(path, "").expect("a directory of our own");
}

/// A session of HTTP+SSE whose client declares these capabilities.
#[track_caller]
pub fn session(at: SocketAddr, revision: &str, capabilities: &Value) -> Session {
    let mut session = Session::open(at);
    let hello = json!({"protocolVersion": revision, "capabilities": capabilities,
                       "clientInfo": {"name": "asked", "version": "1"}});
    let answer = session.ask("initialize", hello);
    assert_eq!(answer["result"]["protocolVersion"], revision, "{answer}");
    session.tell("notifications/initialized", json!({}));
    session
}

/// The next question that the server asks.
#[track_caller]
pub fn question(session: &mut Session) -> Value {
    let asked = session.take(PATIENCE, |message| {
        message.get("id").is_some() && message.get("method").is_some()
    });
    asked.expect("a question")
}

/// Answers a question.
#[track_caller]
pub fn answer(session: &mut Session, question: &Value, result: &Value) {
    session.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": result}));
}

/// The request of a call under 2026-07-28, with further members of its params.
pub fn stateless_call(tool: &str, capabilities: &Value, further: &Value) -> Value {
    let mut params = json!({
        "name": tool,
        "arguments": {},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": STATELESS,
            "io.modelcontextprotocol/clientCapabilities": capabilities,
        },
    });
    if let (Some(params), Some(further)) = (params.as_object_mut(), further.as_object()) {
        params.extend(further.clone());
    }
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
}

/// The bytes of that request.
pub fn stateless_request(at: SocketAddr, message: &Value) -> Vec<u8> {
    let tool = message["params"]["name"].as_str().expect("a call");
    let headers = format!(
        "MCP-Protocol-Version: {STATELESS}\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n{BOTH}"
    );
    post(at, &headers, message)
}

/// Calls under 2026-07-28 and gives the result. What the program reports meanwhile is left out.
#[track_caller]
pub fn call_stateless(at: SocketAddr, tool: &str, capabilities: &Value, further: &Value) -> Value {
    let message = stateless_call(tool, capabilities, further);
    let answer = exchange(at, &stateless_request(at, &message));
    let response = last_message(&answer);
    match response.get("result") {
        Some(result) => result.clone(),
        None => panic!("no result: {response}"),
    }
}

/// The members that go with the repeated call: what it was given, and the answers.
pub fn with_answers(required: &Value, answers: &Value) -> Value {
    json!({"requestState": required["requestState"], "inputResponses": answers})
}

/// The response in an answer, which is JSON or a stream that ends with it.
#[track_caller]
fn last_message(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.text());
    if answer.header("content-type") != Some("text/event-stream") {
        return answer.json();
    }
    let text = answer.text();
    let last = text
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .next_back();
    serde_json::from_str(last.unwrap_or_default()).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

/// The only text of a result, as JSON.
#[track_caller]
pub fn printed(result: &Value) -> Value {
    let text = crate::support::session::text_of(result);
    serde_json::from_str(text).unwrap_or_else(|fault| panic!("{fault}: {result}"))
}

/// The newest revision with a session.
pub const SESSION: &str = wire::NEWEST;
