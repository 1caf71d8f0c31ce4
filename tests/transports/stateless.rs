//! Streamable HTTP without sessions (2026-07-28): headers that repeat the body, and what must follow when they do not.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::http::{Answer, exchange};
use crate::support::plugins::Folder;
use crate::support::rows;
use crate::support::server::{Server, Setup};
use crate::support::streamable::{BOTH, post};

const REVISION: &str = "2026-07-28";
/// The code of an error for headers that do not say what the body says.
const MISMATCH: i64 = -32020;
/// The code of an error for a revision that is not spoken.
const UNSUPPORTED: i64 = -32022;

/// Names and values of header lines.
type Headers = Vec<(&'static str, &'static str)>;

/// A request that says everything of itself.
fn request(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 5, "method": method, "params": params})
}

fn call(name: &str, arguments: Value) -> Value {
    request("tools/call", json!({"name": name, "arguments": arguments}))
}

/// Header lines, one for each pair.
fn lines(headers: &[(&str, &str)]) -> String {
    headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect()
}

#[track_caller]
fn send(at: SocketAddr, headers: &[(&str, &str)], message: &Value) -> Answer {
    exchange(at, &post(at, &format!("{}{BOTH}", lines(headers)), message))
}

/// Fails unless the request was refused with this code, its id and a sentence.
#[track_caller]
fn refused(answer: &Answer, code: i64) {
    assert_eq!(answer.status, 400, "{}", answer.text());
    let told = answer.json();
    assert_eq!(
        (&told["error"]["code"], &told["id"]),
        (&json!(code), &json!(5)),
        "{told}"
    );
    assert!(
        told["error"]["message"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{told}"
    );
}

/// A server with prompts, resources and tools: the plugins of the conformance suite.
fn server() -> Server {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/plugins");
    let server = Server::start(&Setup::new().plugins(plugins));
    server.ready();
    server
}

#[test]
fn headers_that_repeat_the_body_are_served_and_open_no_session() {
    let server = server();
    let uri = "test://static-text";
    let prompt = "test_simple_prompt";
    for (method, params, name) in [
        ("server/discover", json!({}), None),
        ("tools/list", json!({}), None),
        (
            "tools/call",
            json!({"name": "health", "arguments": {}}),
            Some("health"),
        ),
        ("prompts/get", json!({"name": prompt}), Some(prompt)),
        ("resources/read", json!({"uri": uri}), Some(uri)),
    ] {
        let mut headers = vec![("MCP-Protocol-Version", REVISION), ("Mcp-Method", method)];
        headers.extend(name.map(|name| ("Mcp-Name", name)));
        let answer = send(server.address(), &headers, &request(method, params));
        assert_eq!(answer.status, 200, "{method}: {}", answer.text());
        let told = answer.json();
        assert_eq!(told["id"], 5, "{method}: {told}");
        assert!(told["result"].is_object(), "{method}: {told}");
        assert_eq!(answer.header("mcp-session-id"), None, "{method}");
    }
}

#[test]
fn a_header_that_does_not_say_what_the_body_says_is_refused() {
    let server = server();
    let version = ("MCP-Protocol-Version", REVISION);
    let method = ("Mcp-Method", "tools/call");
    let name = ("Mcp-Name", "health");
    let health = call("health", json!({}));
    let uri = "test://static-text";
    let read = request("resources/read", json!({"uri": uri}));
    let prompt = request("prompts/get", json!({"name": "test_simple_prompt"}));
    let cases: Vec<(&str, Headers, &Value)> = vec![
        ("no header at all", vec![], &health),
        ("no Mcp-Method", vec![version, name], &health),
        (
            "an empty Mcp-Method",
            vec![version, ("Mcp-Method", ""), name],
            &health,
        ),
        (
            "another method",
            vec![version, ("Mcp-Method", "tools/list"), name],
            &health,
        ),
        (
            "the method in capitals",
            vec![version, ("Mcp-Method", "TOOLS/CALL"), name],
            &health,
        ),
        ("no Mcp-Name", vec![version, method], &health),
        (
            "another tool",
            vec![version, method, ("Mcp-Name", "sanctum__tools")],
            &health,
        ),
        (
            "an encoding that is none",
            vec![version, method, ("Mcp-Name", "=?base64?!?=")],
            &health,
        ),
        ("no version", vec![method, name], &health),
        (
            "a version that is not the body's",
            vec![("MCP-Protocol-Version", "2025-11-25"), method, name],
            &health,
        ),
        (
            "a prompt without its name",
            vec![version, ("Mcp-Method", "prompts/get")],
            &prompt,
        ),
        (
            "a resource without its address",
            vec![version, ("Mcp-Method", "resources/read")],
            &read,
        ),
        (
            "another resource",
            vec![
                version,
                ("Mcp-Method", "resources/read"),
                ("Mcp-Name", "test://other"),
            ],
            &read,
        ),
    ];
    // A table, since all of these are one claim about one server.
    rows::each(
        &cases,
        4,
        |(what, ..)| (*what).to_owned(),
        |(_, headers, message)| refused(&send(server.address(), headers, message), MISMATCH),
    );
}

#[test]
fn the_names_of_headers_have_no_case_and_their_values_no_white_space() {
    let server = server();
    let headers = [
        ("mcp-protocol-version", REVISION),
        ("MCP-METHOD", "  tools/call  "),
        ("mcp-name", "\thealth "),
    ];
    let answer = send(server.address(), &headers, &call("health", json!({})));
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[test]
fn a_name_that_a_header_cannot_carry_is_carried_encoded() {
    use base64::Engine;
    let server = server();
    let name = "grüße__世界";
    let encoded = base64::prelude::BASE64_STANDARD.encode(name);
    let encoded = format!("=?base64?{encoded}?=");
    let ask = |shown: &str| {
        let headers = [
            ("MCP-Protocol-Version", REVISION),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", shown),
        ];
        send(server.address(), &headers, &call(name, json!({}))).json()["error"]["code"].clone()
    };
    assert_eq!(
        ask(&encoded),
        -32602,
        "there is no such tool, and that is all"
    );
    assert_eq!(ask("=?base64?b3RoZXI=?="), MISMATCH);
}

#[test]
fn an_unknown_revision_is_refused_with_those_that_are_spoken() {
    let server = server();
    let mut message = call("health", json!({}));
    let version = "2099-01-01";
    message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!(version);
    let headers = [
        ("MCP-Protocol-Version", version),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "health"),
    ];
    let answer = send(server.address(), &headers, &message);
    refused(&answer, UNSUPPORTED);
    let told = answer.json();
    let data = &told["error"]["data"];
    assert_eq!(data["requested"], version, "{told}");
    let supported = data["supported"].as_array().expect("a list");
    for revision in ["2024-11-05", "2025-11-25", REVISION] {
        assert!(supported.contains(&json!(revision)), "{told}");
    }
}

/// Leaves a file when it runs.
const ROUTED: &str = r#"#!/bin/sh
case "$1" in
--describe) echo '{"contract_version":"1.1","commands":[{"name":"run","description":"d","parameters":[
    {"name":"region","type":"string","x-mcp-header":"Region"},{"name":"other","type":"string"}]}]}' ;;
run) : > "$(dirname "$0")/started"; echo ran ;;
esac
"#;

#[test]
fn a_marked_argument_must_be_in_its_header_before_anything_is_started() {
    let plugins = Folder::new();
    let directory = plugins.add_executable("routed", ROUTED);
    let server = Server::start(&Setup::new().plugins(plugins.path()));
    server.ready();
    let started = directory.join("started");
    let ask = |header: Option<&str>, arguments: Value| {
        let mut headers = vec![
            ("MCP-Protocol-Version", REVISION),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "routed__run"),
        ];
        headers.extend(header.map(|value| ("Mcp-Param-Region", value)));
        send(server.address(), &headers, &call("routed__run", arguments))
    };
    for (header, arguments) in [
        (None, json!({"region": "eu"})),
        (Some("us"), json!({"region": "eu"})),
        (Some("eu"), json!({"other": "eu"})),
        (Some("eu"), json!({})),
    ] {
        refused(&ask(header, arguments), MISMATCH);
    }
    assert!(
        !started.exists(),
        "a call was started that a proxy may have sent elsewhere"
    );
    for (header, arguments) in [
        (Some("eu"), json!({"region": "eu"})),
        (None, json!({"other": "a"})),
    ] {
        let answer = ask(header, arguments);
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(
            answer.json()["result"]["isError"],
            false,
            "{}",
            answer.text()
        );
    }
    assert!(started.exists(), "this test would see nothing");
}
