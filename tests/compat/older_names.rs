//! What clients of older versions say and expect: names of tools and routes, shapes, and the one worker of version 2.

use std::net::SocketAddr;

use crate::support::http::{PATIENCE, exchange, get, post};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::{Event, Session, code_of, directly, text_of};
use crate::support::{s, wire};
use serde_json::{Value, json};

/// Prints its arguments one a line, or waits for another that waits, and prints when it began and ended.
const PLUGIN: &str = r#"#!/usr/bin/env python3
import json, os, sys, time
if sys.argv[1] == "--describe":
    print(json.dumps({"commands": [
        {"name": "send-all", "description": "d", "parameters": [
            {"name": "some_name", "type": "string"},
            {"name": "other-name", "type": "string"},
            {"name": "tags", "type": "array"}]},
        {"name": "nap", "description": "d"}]}))
elif sys.argv[1] == "nap":
    began = time.monotonic()
    open(os.path.join(os.environ["NAPS"], str(os.getpid())), "w").close()
    while len(os.listdir(os.environ["NAPS"])) < 2 and time.monotonic() < began + float(os.environ["NAP"]):
        time.sleep(0.01)
    print(began, time.monotonic())
else:
    print(json.dumps(sys.argv[1:]))
"#;

/// A server, and the folder that must live as long as it does.
fn server() -> (Server, Folder) {
    server_with(Setup::new())
}

fn server_with(setup: Setup) -> (Server, Folder) {
    let plugins = Folder::new();
    for name in ["old_tools", "old"] {
        plugins.add(name, PLUGIN);
    }
    let server = Server::start(&setup.plugins(plugins.path()));
    server.ready();
    (server, plugins)
}

fn call(at: SocketAddr, name: &str, arguments: Value) -> Value {
    directly(
        at,
        "tools/call",
        json!({"name": name, "arguments": arguments}),
    )["result"]
        .clone()
}

/// What came unasked. That the tools are there now may still be told right after the start, and is no answer to anything.
fn heard(session: &mut Session) -> Vec<Value> {
    let mut heard = session.heard_until_now();
    heard.retain(|message| message["method"] != "notifications/tools/list_changed");
    heard
}

#[test]
fn a_tool_answers_to_the_names_that_older_versions_gave_it() {
    let (server, _plugins) = server();
    for name in [
        "old_tools__send-all",
        "old_tools.send-all",
        "old_tools_send-all",
    ] {
        let result = call(server.address(), name, json!({}));
        assert_eq!(text_of(&result), r#"["send-all"]"#, "{name}: {result}");
        let mut session = Session::ready(server.address());
        assert_eq!(session.call(name, json!({})), result, "{name} in a session");
    }
}

#[test]
fn only_the_names_of_today_are_listed() {
    let (server, _plugins) = server();
    let listed = directly(server.address(), "tools/list", json!({}));
    let names: Vec<&str> = listed["result"]["tools"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    assert_eq!(
        names,
        [
            "old__send-all",
            "old__nap",
            "old_tools__send-all",
            "old_tools__nap",
            "health",
            "sanctum__tools"
        ]
    );
}

#[test]
fn an_underscore_name_that_could_mean_two_tools_is_refused() {
    let plugins = Folder::new();
    let described = |command: &str| {
        format!(
            "#!/usr/bin/env python3\nimport json\nprint(json.dumps({{\"commands\": [{{\"name\": \"{command}\", \"description\": \"d\"}}]}}))\n"
        )
    };
    plugins.add("a", &described("b_c"));
    plugins.add("a_b", &described("c"));
    let server = Server::start(&Setup::new().plugins(plugins.path()));
    server.ready();
    let result = call(server.address(), "a_b_c", json!({}));
    assert!(
        ["invalid_tool_name", "command_not_found", "plugin_not_found"].contains(&code_of(&result)),
        "{result}"
    );
    for name in ["a.b_c", "a_b.c", "a__b_c", "a_b__c"] {
        assert_eq!(
            call(server.address(), name, json!({}))["isError"],
            false,
            "{name}"
        );
    }
}

#[test]
fn message_is_a_name_for_messages() {
    let (server, _plugins) = server();
    let at = server.address();
    let ping = json!({"jsonrpc": "2.0", "id": 7, "method": "ping"}).to_string();
    for path in ["/messages/", "/messages", "/message", "/message/"] {
        let answer = exchange(at, &post(at, path, "", ping.as_bytes()));
        assert_eq!(
            (answer.status, answer.json()),
            (200, json!({"jsonrpc": "2.0", "id": 7, "result": {}})),
            "{path}"
        );
        let mut session = Session::ready(at);
        let path = format!("{path}?session_id={}", session.id());
        let answer = exchange(at, &post(at, &path, "", ping.as_bytes()));
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (202, "Accepted"),
            "{path}"
        );
        let answer = loop {
            match session
                .event(PATIENCE)
                .expect("the answer comes on the stream")
            {
                Event::Named(_, data) if data.contains("list_changed") => {}
                other => break other,
            }
        };
        let expected = r#"{"jsonrpc":"2.0","id":7,"result":{}}"#;
        assert_eq!(
            answer,
            Event::Named("message".to_owned(), expected.to_owned())
        );
    }
}

#[test]
fn health_tells_the_counts_and_no_names() {
    let (server, _plugins) = server();
    let at = server.address();
    let sessions = [Session::ready(at), Session::ready(at)];
    let answer = exchange(at, &get(at, "/health", ""));
    let health = answer.json();
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        (
            &health["status"],
            &health["plugins"],
            &health["tools"],
            &health["sessions"],
            &health["version"]
        ),
        (
            &json!("healthy"),
            &json!(2),
            &json!(6),
            &json!(sessions.len()),
            &json!(env!("CARGO_PKG_VERSION"))
        )
    );
    assert!(health["uptime_seconds"].is_u64(), "{health}");
    assert!(!answer.text().contains("old"), "a plugin's name: {health}");
}

#[test]
fn the_manifest_comes_after_the_endpoint_to_whoever_wants_it_and_to_nobody_else() {
    let (plain, _plugins) = server();
    let (for_all, _others) = server_with(Setup::new().variable("MCP_SSE_MANIFEST", "1"));
    for (server, path, wanted) in [
        (&plain, "/sse", false),
        (&plain, "/sse?manifest=0", false),
        (&plain, "/sse?manifest=1", true),
        (&for_all, "/sse", true),
    ] {
        // Opening asserts that the endpoint is the first event.
        let mut session = Session::open_with(server.address(), path, "");
        if wanted {
            let Ok(Event::Named(name, data)) = session.event(PATIENCE) else {
                panic!("no second event on {path}")
            };
            let manifest: Value = serde_json::from_str(&data).expect("a message");
            assert_eq!(name, "message");
            assert_eq!(manifest["method"], "notifications/tools/list");
            let listed = directly(server.address(), "tools/list", json!({}));
            assert_eq!(manifest["params"]["tools"], listed["result"]["tools"]);
            assert!(
                manifest.get("id").is_none(),
                "it is a notification: {manifest}"
            );
        }
        session.initialize(wire::NEWEST);
        assert_eq!(heard(&mut session), Vec::<Value>::new(), "{path}");
    }
}

#[test]
fn initialized_without_its_prefix_is_ignored_and_the_session_works() {
    let (server, _plugins) = server();
    let mut session = Session::open(server.address());
    session.ask(
        "initialize",
        json!({"protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": {"name": "old", "version": "1"}}),
    );
    session.tell("initialized", json!({}));
    assert_eq!(heard(&mut session), Vec::<Value>::new());
    assert_eq!(
        text_of(&session.call("old__send-all", json!({}))),
        r#"["send-all"]"#
    );
}

#[test]
fn hyphens_and_underscores_in_keys_are_one() {
    let (server, _plugins) = server();
    for (arguments, expected) in [
        (
            json!({"some_name": "a", "other-name": "b"}),
            json!(["send-all", "--some-name", "a", "--other-name", "b"]),
        ),
        (
            json!({"some-name": "a", "other_name": "b"}),
            json!(["send-all", "--some-name", "a", "--other-name", "b"]),
        ),
        (
            json!({"some-name": null, "some_name": "a"}),
            json!(["send-all", "--some-name", "a"]),
        ),
        (
            json!({"some-name": "first", "some_name": "second"}),
            json!(["send-all", "--some-name", "first"]),
        ),
    ] {
        let result = call(server.address(), "old__send-all", arguments.clone());
        let seen: Value = serde_json::from_str(text_of(&result))
            .unwrap_or_else(|error| panic!("{error}: {result}"));
        assert_eq!(seen, expected, "{arguments}");
    }
}

#[test]
fn an_item_object_is_the_array_it_stands_for() {
    let (server, _plugins) = server();
    for (tags, expected) in [
        (json!({"item": "a"}), json!(["a"])),
        (json!({"item": ["a", "b"]}), json!(["a", "b"])),
        (json!(["a", "b"]), json!(["a", "b"])),
    ] {
        let mut line = vec![json!("send-all")];
        for tag in expected.as_array().expect("an array") {
            line.extend([json!("--tags"), tag.clone()]);
        }
        let result = call(server.address(), "old__send-all", json!({"tags": tags}));
        let seen: Value = serde_json::from_str(text_of(&result))
            .unwrap_or_else(|error| panic!("{error}: {result}"));
        assert_eq!(seen, json!(line), "{tags}");
    }
}

#[test]
fn one_call_at_a_time_is_what_version_2_did() {
    // Where no other call can be there, a call waits half a second for one; else as long as it takes to start it.
    for (most, nap, overlapping) in [("1", "0.5", false), ("4", "60", true)] {
        let naps = tempfile::tempdir().expect("a directory for temporary files");
        let setup = Setup::new()
            .variable("MCP_MAX_CALLS", most)
            .variable("NAPS", naps.path())
            .variable("NAP", nap);
        let (server, _plugins) = server_with(setup);
        let mut sessions = [
            Session::ready(server.address()),
            Session::ready(server.address()),
        ];
        let mut asked = Vec::new();
        for session in &mut sessions {
            asked.push([
                session.begin("old__nap", json!({})),
                session.begin("old_tools__nap", json!({})),
            ]);
        }
        let mut naps = Vec::new();
        for (session, ids) in sessions.iter_mut().zip(asked) {
            for id in ids {
                let result = session.result(&id, s(120));
                let nap: Vec<f64> = text_of(&result)
                    .split(' ')
                    .map(|time| time.parse().expect("a number"))
                    .collect();
                naps.push((nap[0], nap[1]));
            }
        }
        naps.sort_by(|one, other| one.0.total_cmp(&other.0));
        let overlaps = naps.windows(2).any(|pair| pair[1].0 < pair[0].1);
        assert_eq!(overlaps, overlapping, "MCP_MAX_CALLS={most}: {naps:?}");
    }
}
