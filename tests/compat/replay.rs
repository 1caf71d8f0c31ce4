//! What version 3.1.0 answered, asked again. The recording is `tests/fixtures/smcp-3.1.0/behaviour.jsonl`.
//!
//! What differs on purpose stands in `differences.json` with the answer that is given now, and names the row of
//! `docs/migration.md` that tells users. A row that differs and is not listed fails, and so does one that is listed
//! and does not differ.

mod differences;
mod recording;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;

use serde_json::{Value, json};

use crate::support::http::{PATIENCE, exchange, post};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::wire;
use differences::judge;
use recording::{Row, compact, rows, shortened, without_descriptions};

#[test]
fn plugins_are_listed_and_called_as_version_3_1_0_did() {
    let plugins = recorded_plugins();
    let notes = Folder::new();
    let setup = Setup::new()
        .plugins(plugins.path())
        .variable("DETACH_FILE", notes.path().join("detached"));
    let server = Server::start(&setup);
    server.ready();
    let mut session = Session::open(server.address());
    let introduced = session.initialize(wire::NEWEST);
    let listed = tools(&mut session);
    let mut answers = Vec::new();
    for row in rows("initialize") {
        answers.push((row, introduced.clone()));
    }
    for row in rows("tools/list") {
        let mut tool = listed.get(row.text("tool")).cloned().unwrap_or_default();
        if row.text("tool") == "sanctum__tools" {
            tool["description"] = json!("…");
        }
        answers.push((row, tool));
    }
    for row in rows("tools/call") {
        let answer = shortened(&row, called(&mut session, &row));
        answers.push((row, answer));
    }
    judge(&["initialize", "tools/list", "tools/call"], &answers);
}

#[test]
fn the_demo_plugins_are_listed_and_answer_as_version_3_1_0s() {
    let server = Server::start_alone(&Setup::new());
    server.ready();
    let mut session = Session::ready(server.address());
    let listed = tools(&mut session);
    let mut answers = Vec::new();
    for row in rows("demo list") {
        let tool = listed.get(row.text("tool")).cloned().unwrap_or_default();
        answers.push((row, without_descriptions(tool)));
    }
    for row in rows("demo call") {
        let answer = called(&mut session, &row);
        answers.push((row, answer));
    }
    judge(&["demo list", "demo call"], &answers);
}

#[test]
fn a_start_serves_or_ends_as_with_version_3_1_0() {
    let mut answers = Vec::new();
    for row in rows("start") {
        let root = Folder::new();
        let mut setup = environment(&row, root.path());
        for argument in row.question["args"].as_array().expect("a list") {
            setup = setup.argument(argument.as_str().expect("a text"));
        }
        // A port that the row sets itself is the point of it.
        if row.question["env"].get("MCP_PORT").is_none() {
            setup = setup.argument("--port").argument("0");
        }
        let answer = match Server::attempt(&setup) {
            Ok(server) => json!({"serves": true, "bound": bound(server.address())}),
            Err(status) => json!({"serves": false, "bound": null, "exit": status.code()}),
        };
        answers.push((row, answer));
    }
    judge(&["start"], &answers);
}

#[test]
fn whoever_version_3_1_0_let_in_is_let_in() {
    let mut by_environment: BTreeMap<String, Vec<Row>> = BTreeMap::new();
    for row in rows("auth") {
        let environment = row.question["env"].to_string();
        by_environment.entry(environment).or_default().push(row);
    }
    let mut answers = Vec::new();
    for rows in by_environment.into_values() {
        let root = Folder::new();
        let server = Server::start(&environment(&rows[0], root.path()));
        for row in rows {
            let status = asked_with(server.address(), &row.question["headers"]);
            answers.push((row, json!({"let_in": ![401, 403].contains(&status)})));
        }
    }
    judge(&["auth"], &answers);
}

/// The plugins of the recording in a folder of their own: some write beside themselves.
fn recorded_plugins() -> Folder {
    let folder = Folder::new();
    for entry in std::fs::read_dir(recording::folder().join("plugins")).expect("a folder") {
        let fixture = entry.expect("readable").path();
        let name = fixture.file_name().expect("an entry has a name");
        folder.copy(&fixture, name.to_str().expect("plain names"));
    }
    folder
}

fn tools(session: &mut Session) -> BTreeMap<String, Value> {
    let answer = session.ask("tools/list", json!({}));
    let listed = answer["result"]["tools"].as_array().expect("a list");
    let named = listed.iter().map(|tool| {
        let name = tool["name"].as_str().expect("a tool has a name");
        (name.to_owned(), tool.clone())
    });
    named.collect()
}

/// The result of the recorded call. The arguments go out as they were written: a number has many spellings.
fn called(session: &mut Session, row: &Row) -> Value {
    let id = json!(format!("row {}", row.number));
    session.expects(&id, "tools/call");
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":{},"arguments":{}}}}}"#,
        row.question["tool"],
        compact(&row.arguments)
    );
    let accepted = session.post(message.as_bytes());
    assert_eq!(accepted.status, 202, "{message}: {}", accepted.text());
    session.result(&id, PATIENCE)
}

fn environment(row: &Row, root: &Path) -> Setup {
    let mut setup = Setup::new();
    for (name, value) in row.question["env"].as_object().expect("variables") {
        match value.as_str() {
            Some(value) => {
                setup = setup.variable(name, value.replace("$ROOT", &root.to_string_lossy()));
            }
            None if name == "MCP_DISABLE_FILE_LOG" => setup = setup.with_log_file(),
            None => panic!("row {}: nothing sets {name}", row.number),
        }
    }
    setup
}

/// A listener on one loopback address refuses the others; one on any address takes all of them.
fn bound(address: SocketAddr) -> &'static str {
    let another = Ipv4Addr::new(127, 0, 0, 2);
    match TcpStream::connect((another, address.port())) {
        Ok(_) => "any",
        Err(_) => "loopback",
    }
}

fn asked_with(address: SocketAddr, headers: &Value) -> u16 {
    let lines: String = headers
        .as_object()
        .expect("headers")
        .iter()
        .map(|(name, value)| format!("{name}: {}\r\n", value.as_str().expect("a text")))
        .collect();
    let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    exchange(address, &post(address, "/messages/", &lines, body)).status
}
