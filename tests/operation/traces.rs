//! The trace that a request is part of, as the program of its call finds it. What is exported is tried by
//! `tests/monitoring/run`, with OpenTelemetry's own types.

use serde_json::{Value, json};

use crate::support::http::{exchange, post};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, text_of};
use crate::support::streamable::Client;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const OTHER: &str = "00-11111111111111111111111111111111-2222222222222222-00";

const PLUGIN: &str = r#"#!/bin/sh
[ "$1" = --describe ] && exec echo '{"commands":[{"name":"say","description":"d"}]}'
echo "[$TRACEPARENT][$TRACESTATE]"
"#;

fn server(setup: Setup) -> (Server, Folder) {
    let plugins = Folder::new();
    plugins.add_executable("trace", PLUGIN);
    let server = Server::start(&setup.plugins(plugins.path()));
    server.ready();
    (server, plugins)
}

fn params(meta: &Value) -> Value {
    json!({"name": "trace__say", "arguments": {}, "_meta": meta})
}

/// What the program of a call in direct mode finds.
fn found(server: &Server, headers: &str, meta: &Value) -> String {
    let message =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params(meta)});
    let body = message.to_string();
    let request = post(server.address(), "/messages/", headers, body.as_bytes());
    let answer = exchange(server.address(), &request).json();
    text_of(&answer["result"]).trim().to_owned()
}

#[test]
fn a_program_finds_the_trace_that_its_request_names_in_its_meta_or_in_a_header() {
    let (server, _plugins) = server(Setup::new());
    let header = format!("traceparent: {OTHER}\r\ntracestate: a=1\r\ntracestate: b=2\r\n");
    let meta = json!({"traceparent": PARENT, "tracestate": "c=3"});
    for (headers, meta, expected) in [
        ("", &json!({}), "[][]".to_owned()),
        (&*header, &json!({}), format!("[{OTHER}][a=1,b=2]")),
        ("", &meta, format!("[{PARENT}][c=3]")),
        (&header, &meta, format!("[{PARENT}][c=3]")),
        // What is none is as if it were not there.
        (
            &header,
            &json!({"traceparent": "nonsense"}),
            format!("[{OTHER}][a=1,b=2]"),
        ),
        (
            &header,
            &json!({"traceparent": 5}),
            format!("[{OTHER}][a=1,b=2]"),
        ),
        ("traceparent: nonsense\r\n", &json!({}), "[][]".to_owned()),
        (
            &format!("traceparent: {OTHER}\r\ntraceparent: {PARENT}\r\n"),
            &json!({}),
            "[][]".to_owned(),
        ),
        ("", &json!({"tracestate": "c=3"}), "[][]".to_owned()),
    ] {
        assert_eq!(found(&server, headers, meta), expected, "{headers} {meta}");
    }
}

#[test]
fn each_request_of_a_session_has_its_own_trace() {
    let (server, _plugins) = server(Setup::new());
    let mut session = Session::ready(server.address());
    for parent in [PARENT, OTHER] {
        let result =
            session.ask("tools/call", params(&json!({"traceparent": parent})))["result"].take();
        assert_eq!(text_of(&result).trim(), format!("[{parent}][]"));
    }
    let result = session.ask("tools/call", params(&json!({})))["result"].take();
    assert_eq!(text_of(&result).trim(), "[][]", "it is that of one request");
    let streamable = Client::open(server.address(), "2025-11-25");
    let call = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": params(&json!({"traceparent": PARENT}))});
    let answer = streamable
        .post_with("Accept: application/json\r\n", &call)
        .json();
    assert_eq!(text_of(&answer["result"]).trim(), format!("[{PARENT}][]"));
}

#[test]
fn a_trace_that_the_server_was_started_in_is_inherited_as_any_variable_and_gives_way() {
    let (server, _plugins) = server(Setup::new().variable("TRACEPARENT", OTHER));
    assert_eq!(found(&server, "", &json!({})), format!("[{OTHER}][]"));
    let meta = json!({"traceparent": PARENT});
    assert_eq!(found(&server, "", &meta), format!("[{PARENT}][]"));
}

#[test]
fn a_collector_that_is_not_there_holds_up_neither_calls_nor_the_end() {
    let setup = Setup::new().variable("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let (server, _plugins) = server(setup);
    let said = found(&server, "", &json!({"traceparent": PARENT}));
    let (trace, span) = (&PARENT[..36], &PARENT[36..52]);
    assert!(said.starts_with(&format!("[{trace}")), "{said}");
    assert!(!said.contains(span), "it is a span of the server: {said}");
}
