//! `logging/setLevel`: it counts from its answer on, for calls that run already too.

use std::path::Path;

use serde_json::{Value, json};

use super::{add, serving};
use crate::support::http::PATIENCE;
use crate::support::plugins::Folder;
use crate::support::session::Session;
use crate::support::streamable::{Client, Stream};
use crate::support::wire;

/// Logs at two levels, and once more when there is the file that it is given.
const LOGS: &str = r#"
say() { echo "{\"log\":\"debug\",\"data\":\"$1 quiet\"}" >&3; echo "{\"log\":\"error\",\"data\":\"$1 loud\"}" >&3; }
say first
until [ -e "$3" ]; do sleep 0.05; done
say second
until [ -e "$3.more" ]; do sleep 0.05; done
say third
echo done"#;

fn described() -> Value {
    json!({"commands": [{"name": "logs", "parameters": [{"name": "gate", "type": "string"}]}]})
}

fn call(gate: &Path) -> Value {
    json!({"name": "talks__logs", "arguments": {"gate": gate}})
}

fn open(gate: &Path, ending: &str) {
    let gate = format!("{}{ending}", gate.display());
    std::fs::write(gate, "").expect("a directory of our own");
}

#[test]
fn a_level_that_is_set_counts_for_a_call_that_runs_over_streamable_http() {
    let plugins = Folder::new();
    let gate = add(&plugins, "talks", described(), LOGS).join("gate");
    let server = serving(&plugins);
    let client = Client::open(server.address(), wire::NEWEST);
    let set = |level: &str| {
        let message = json!({"jsonrpc": "2.0", "id": 9, "method": "logging/setLevel",
            "params": {"level": level}});
        assert_eq!(client.post(&message).json()["result"], json!({}), "{level}");
    };
    let message = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": call(&gate)});
    let mut stream = client.stream(&message);
    stream.event().expect("an event to come back to");
    assert_eq!(logged(&mut stream), "first loud");
    set("debug");
    open(&gate, "");
    assert_eq!(logged(&mut stream), "second quiet");
    assert_eq!(logged(&mut stream), "second loud");
    set("emergency");
    open(&gate, ".more");
    assert_eq!(logged(&mut stream), "done");
}

/// What was logged next, or the text of the result.
#[track_caller]
fn logged(stream: &mut Stream) -> String {
    let message = stream.event().expect("a message").message();
    said(&message).to_owned()
}

fn said(message: &Value) -> &str {
    let data = message["params"]["data"].as_str();
    data.or_else(|| message["result"]["content"][0]["text"].as_str())
        .unwrap_or_else(|| panic!("neither a log message nor a result: {message}"))
}

#[test]
fn a_level_that_is_set_counts_for_a_call_that_runs_over_sse() {
    let plugins = Folder::new();
    let gate = add(&plugins, "talks", described(), LOGS).join("gate");
    let server = serving(&plugins);
    let mut session = Session::ready(server.address());
    let mut heard = Vec::new();
    session.request("tools/call", call(&gate));
    let next = |session: &mut Session| {
        let is_log = |message: &Value| message["method"] == "notifications/message";
        let is_result = |message: &Value| message["result"]["content"].is_array();
        let message = session.take(PATIENCE, |message| is_log(message) || is_result(message));
        said(&message.expect("a message")).to_owned()
    };
    heard.push(next(&mut session));
    session.ask("logging/setLevel", json!({"level": "debug"}));
    open(&gate, "");
    heard.push(next(&mut session));
    heard.push(next(&mut session));
    session.ask("logging/setLevel", json!({"level": "emergency"}));
    open(&gate, ".more");
    heard.push(next(&mut session));
    assert_eq!(heard, ["first loud", "second quiet", "second loud", "done"]);
}
