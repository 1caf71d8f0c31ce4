//! What version 3 did for its plugins and clients, to the letter: schemas, command lines, introductions, paths, silence.

use std::net::SocketAddr;
use std::path::Path;

use crate::support::http::{PATIENCE, exchange, post};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::{Event, Session, code_of, directly, text_of};
use crate::support::{s, until, wire};
use serde_json::{Value, json};

/// Describes an argument of every kind, as version 3 knew them, and prints the words that it is started with.
const TYPED: &str = r#"#!/usr/bin/env python3
import json, sys
if sys.argv[1] == "--describe":
    print(json.dumps({
        "contract_version": "1.0",
        "plugin": {"name": "another_name", "version": "1.0.0", "description": "d"},
        "commands": [{"name": "show", "description": "shows", "parameters": [
            {"name": "text", "type": "string", "description": "a text", "required": True, "default": None},
            {"name": "number", "type": "number", "description": "a number", "required": True},
            {"name": "whole", "type": "integer", "default": 3},
            {"name": "answer", "type": "boolean"},
            {"name": "list", "type": "array"},
            {"name": "thing", "type": "object"},
            {"name": "notes", "type": "array", "items": {"type": "object"}},
            {"name": "on", "type": "boolean", "action": "store_true"},
            {"name": "off", "type": "boolean", "action": "store_false"},
            {"name": "style", "type": "boolean", "arg_style": "flag"},
            {"name": "bare", "type": "boolean", "takes_value": False}]}]}))
else:
    print(json.dumps(sys.argv[1:]))
"#;

const KEY: &str = "X-API-Key: k\r\n";

/// A server, and the folder that must live as long as it does.
fn server() -> (Server, Folder) {
    let plugins = Folder::new();
    plugins.add("typed", TYPED);
    let server = Server::start(&Setup::new().plugins(plugins.path()));
    server.ready();
    (server, plugins)
}

fn tools(at: SocketAddr) -> Vec<Value> {
    let listed = directly(at, "tools/list", json!({}));
    listed["result"]["tools"]
        .as_array()
        .expect("a list")
        .clone()
}

/// The words that the program is started with; the arguments are sent as they stand.
#[track_caller]
fn words(at: SocketAddr, arguments: &str) -> Value {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"typed__show","arguments":{arguments}}}}}"#
    );
    let answer = exchange(at, &post(at, "/messages/", "", body.as_bytes())).json();
    let printed = text_of(&answer["result"]);
    serde_json::from_str(printed).unwrap_or_else(|error| panic!("{arguments}: {error}: {printed}"))
}

#[test]
fn a_description_gives_a_tool_by_the_directorys_name_with_exactly_its_schema() {
    let (server, _plugins) = server();
    let tools = tools(server.address());
    assert_eq!(tools[0]["name"], "typed__show");
    assert_eq!(tools[0]["description"], "shows");
    let expected = json!({
        "type": "object",
        "properties": {
            "text": {"type": "string", "description": "a text"},
            "number": {"type": "number", "description": "a number"},
            "whole": {"type": "integer", "default": 3},
            "answer": {"type": "boolean"},
            "list": {"type": "array", "items": {"type": "string"}},
            "thing": {"type": "object", "additionalProperties": true},
            "notes": {"type": "array", "items": {"type": "object"}},
            "on": {"type": "boolean"},
            "off": {"type": "boolean"},
            "style": {"type": "boolean"},
            "bare": {"type": "boolean"},
        },
        "required": ["text", "number"],
        "additionalProperties": false,
    });
    // As texts, for the order of the properties is that of the description.
    assert_eq!(tools[0]["inputSchema"].to_string(), expected.to_string());
}

#[test]
fn a_command_line_has_the_order_of_the_schema_whatever_order_was_sent() {
    let (server, _plugins) = server();
    assert_eq!(
        words(
            server.address(),
            r#"{"answer":false,"whole":4,"number":1,"text":"t"}"#
        ),
        json!([
            "show", "--text", "t", "--number", "1", "--whole", "4", "--answer", "false"
        ])
    );
}

#[test]
fn each_style_of_boolean_is_written_as_it_was() {
    let (server, _plugins) = server();
    let written = |value: bool| {
        let arguments = json!({
            "text": "t", "number": 1, "answer": value, "on": value, "off": value, "style": value, "bare": value,
        });
        words(server.address(), &arguments.to_string())
    };
    let given = ["show", "--text", "t", "--number", "1", "--answer"];
    let mut expected = given.to_vec();
    expected.extend(["true", "--on", "--off", "--style", "--bare"]);
    assert_eq!(written(true), json!(expected));
    let mut expected = given.to_vec();
    expected.push("false");
    assert_eq!(written(false), json!(expected));
}

#[test]
fn lists_repeat_their_option_and_objects_are_one_word_of_json() {
    let (server, _plugins) = server();
    assert_eq!(
        words(
            server.address(),
            r#"{"text":"t","number":1,"list":["x","-y"],"thing":{"a":[1]},"notes":[{"b":1.50},{}]}"#
        ),
        json!([
            "show",
            "--text",
            "t",
            "--number",
            "1",
            "--list",
            "x",
            "--list=-y",
            "--thing",
            r#"{"a":[1]}"#,
            "--notes",
            r#"[{"b":1.50},{}]"#
        ])
    );
}

#[test]
fn numbers_keep_the_text_they_came_with_and_integers_are_digits() {
    let (server, _plugins) = server();
    for (sent, whole, written) in [
        ("1.10", "5.0", ["1.10", "5"]),
        ("1e2", "7", ["1e2", "7"]),
        (
            "12345678901234567890.10",
            "9007199254740993",
            ["12345678901234567890.10", "9007199254740993"],
        ),
    ] {
        let seen = words(
            server.address(),
            &format!(r#"{{"text":"t","number":{sent},"whole":{whole}}}"#),
        );
        assert_eq!(
            seen,
            json!([
                "show", "--text", "t", "--number", written[0], "--whole", written[1]
            ])
        );
    }
}

#[test]
fn the_server_says_who_it_is_and_names_only_what_there_is() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    let with_more = Server::start(&Setup::new().plugins(examples));
    with_more.ready();
    let (plain, _plugins) = server();
    for (server, has_more) in [(&plain, false), (&with_more, true)] {
        let at = server.address();
        let params = json!({"protocolVersion": wire::NEWEST, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        let result = directly(at, "initialize", params)["result"].clone();
        assert_eq!(
            result["serverInfo"],
            json!({"name": "sanctum-letta-mcp", "version": env!("CARGO_PKG_VERSION")})
        );
        for family in ["tools", "logging"] {
            assert!(result["capabilities"][family].is_object(), "{result}");
        }
        for (family, method) in [("prompts", "prompts/list"), ("resources", "resources/list")] {
            let declared = result["capabilities"].get(family).is_some();
            assert_eq!(declared, has_more, "{family}: {result}");
            let answer = directly(at, method, json!({}));
            match has_more {
                true => assert!(answer["result"][family].is_array(), "{answer}"),
                false => assert_eq!(answer["error"]["code"], -32601, "{answer}"),
            }
        }
    }
}

#[test]
fn below_a_path_the_endpoint_is_named_with_it() {
    let keyed = Setup::new().variable("MCP_API_KEY", "k");
    let rooted = Server::start(&keyed.clone().variable("MCP_ROOT_PATH", "/tools"));
    for path in ["/sse", "/tools/sse"] {
        let mut session = Session::open_with(rooted.address(), path, KEY);
        assert!(
            session
                .endpoint()
                .starts_with("/tools/messages/?session_id="),
            "{path}: {}",
            session.endpoint()
        );
        session.initialize(wire::NEWEST);
    }
    let plain = Server::start(&keyed);
    for (told, prefix) in [
        ("X-Forwarded-Prefix: /deep/er\r\n", "/deep/er"),
        ("X-Forwarded-Prefix: //evil\r\n", ""),
        ("X-Forwarded-Prefix: /a b\r\n", ""),
        ("", ""),
    ] {
        let session = Session::open_with(plain.address(), "/sse", &format!("{KEY}{told}"));
        assert!(
            session
                .endpoint()
                .starts_with(&format!("{prefix}/messages/?session_id=")),
            "{told}: {}",
            session.endpoint()
        );
    }
}

#[test]
fn an_idle_stream_has_a_sign_of_life_before_anybody_gives_up() {
    let (server, _plugins) = server();
    let mut session = Session::open(server.address());
    assert_eq!(
        session.event(s(25)),
        Ok(Event::Comment("keep-alive".to_owned()))
    );
}

#[test]
fn a_start_without_authentication_says_so() {
    let server = Server::start(&Setup::new().variable("MCP_AUTH_DISABLED", "1"));
    until("the warning", PATIENCE, || {
        let said = |line: &str| line.contains("WARN") && line.contains("MCP_AUTH_DISABLED");
        server.log().lines().any(said).then_some(())
    });
}

#[test]
fn a_detached_tool_is_gone_for_its_client_alone_who_is_told() {
    let (server, _plugins) = server();
    let at = server.address();
    let is_change = |message: &Value| message["method"] == "notifications/tools/list_changed";
    let mut one = Session::ready_as(at, "one");
    let mut other = Session::ready_as(at, "another");
    one.heard_until_now();
    other.heard_until_now();
    let tool = json!({"action": "detach", "tool": "typed__show"});
    assert_eq!(one.call("sanctum__tools", tool)["isError"], false);
    assert!(
        one.take(PATIENCE, is_change).is_ok(),
        "nobody told the client"
    );
    let listed = |session: &mut Session| {
        let answer = session.ask("tools/list", json!({}));
        answer.to_string().contains("\"typed__show\"")
    };
    assert!(!listed(&mut one));
    let arguments = json!({"text": "t", "number": 1});
    let refused = one.call("typed__show", arguments.clone());
    assert_eq!(code_of(&refused), "tool_not_attached");
    assert!(listed(&mut other));
    assert_eq!(other.call("typed__show", arguments)["isError"], false);
    assert!(!other.heard_until_now().iter().any(is_change));
}

#[test]
fn a_client_without_a_key_that_connects_for_each_call_keeps_what_it_attached() {
    let (server, _plugins) = server();
    let at = server.address();
    let attached = |name: &str| {
        let mut session = Session::ready_as(at, name);
        let answer = session.ask("tools/list", json!({}));
        answer.to_string().contains("\"typed__show\"")
    };
    let change = |name: &str, action: &str| {
        let mut session = Session::ready_as(at, name);
        let tool = json!({"action": action, "tool": "typed__show"});
        assert_eq!(session.call("sanctum__tools", tool)["isError"], false);
    };
    assert!(attached("bridge"));
    change("bridge", "detach");
    assert!(!attached("bridge"), "the next connection has forgotten it");
    assert!(attached("another"), "it is another client's choice");
    change("bridge", "attach");
    assert!(attached("bridge"));
}
