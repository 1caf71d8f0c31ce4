//! `smcp stdio`: nothing but the protocol on standard output, and an end for every way that a client goes.

mod client;
mod endings;

use std::io::Write;
use std::sync::mpsc::channel;

use crate::support::http::PATIENCE;
use crate::support::session::{code_of, text_of};
use crate::support::{processes, until, wire};
use client::{Client, END};
use rustix::process::{Pid, Signal};
use serde_json::json;

#[test]
fn nothing_but_messages_is_on_standard_output_and_the_logs_are_on_standard_error() {
    let mut client = Client::ready();
    client.call(1, "tool__echo", json!({"text": "grüße\nzwei"}));
    let echoed = client.response(1, "tools/call");
    assert_eq!(text_of(&echoed["result"]), "grüße\nzwei");
    client.call(2, "tool__fail", json!({}));
    assert_eq!(
        code_of(&client.response(2, "tools/call")["result"]),
        "plugin_error"
    );
    client.call(3, "tool__nothing", json!({}));
    assert_eq!(
        code_of(&client.response(3, "tools/call")["result"]),
        "command_not_found"
    );
    client.request(4, "no/such/method", json!({}));
    assert_eq!(
        client.response(4, "no/such/method")["error"]["code"],
        -32601
    );
    client.finish();
    for message in client.rest() {
        assert_eq!(message["jsonrpc"], "2.0", "{message}");
    }
    assert!(client.ends_within(END).success());
    let log = client.stderr();
    assert!(
        log.contains("method=tools/call transport=stdio tool=tool__echo"),
        "{log}"
    );
}

#[test]
fn the_name_smcp_stdio_stands_for_the_command() {
    for (name, arguments) in [
        ("smcp-stdio", &[][..]),
        ("smcp-stdio", &["stdio"]),
        ("smcp", &["stdio"]),
    ] {
        let mut client = Client::start_as(name, arguments, &[]);
        client.initialize();
        client.ping(1);
        client.finish();
        assert!(client.ends_within(END).success(), "{name} {arguments:?}");
    }
}

#[test]
fn settings_of_listening_mean_nothing_here_and_no_log_file_is_written_unless_one_is_named() {
    let listening = [("MCP_HOST", "0.0.0.0"), ("MCP_PORT", "abc")];
    for (variables, file) in [
        (vec![], None),
        (vec![("MCP_LOG_DIR", "here")], Some("here/mcp_server.log")),
        (vec![("MCP_LOG_FILE", "own.log")], Some("own.log")),
    ] {
        let variables = [&listening[..], &variables].concat();
        let mut client = Client::start_as("smcp", &["stdio"], &variables);
        client.initialize();
        client.ping(1);
        client.finish();
        assert!(client.ends_within(END).success(), "{variables:?}");
        let directory = client.directory.path();
        assert!(!directory.join("logs").exists(), "{variables:?}");
        if let Some(file) = file {
            let log = std::fs::read_to_string(directory.join(file));
            assert!(log.is_ok_and(|log| log.contains("method=ping")), "{file}");
        }
    }
}

#[test]
fn the_end_of_input_is_exit_0_and_nothing_is_left() {
    let mut silent = Client::start();
    silent.finish();
    assert!(silent.ends_within(END).success());
    silent.leaves_nothing();
    let mut client = Client::ready();
    client.finish();
    assert!(client.ends_within(END).success());
    client.leaves_nothing();
}

#[test]
fn what_was_asked_before_the_end_of_input_is_answered() {
    let mut client = Client::ready();
    for id in 1..=8 {
        client.call(id, "tool__wait", json!({"seconds": 0.3}));
    }
    client.request(9, "ping", json!({}));
    client.finish();
    let messages = client.rest();
    for id in 1..=9 {
        let answer = messages.iter().find(|message| message["id"] == id);
        let result =
            &answer.unwrap_or_else(|| panic!("no answer to {id} in {messages:?}"))["result"];
        if id < 9 {
            assert_eq!(text_of(result), "waited");
        }
    }
    assert!(client.ends_within(END).success());
}

#[test]
fn a_script_that_writes_everything_at_once_gets_every_answer() {
    let mut client = Client::start();
    let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": wire::NEWEST, "capabilities": {}, "clientInfo": {"name": "sh", "version": "1"}}});
    client.send(&hello);
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    client.request(1, "tools/list", json!({}));
    client.call(2, "tool__echo", json!({"text": "at once"}));
    // The last line has no end.
    client.write(br#"{"jsonrpc":"2.0","id":3,"method":"ping"}"#);
    client.finish();
    let messages = client.rest();
    let answer = |id: u64| {
        messages
            .iter()
            .find(|message| message["id"] == id)
            .unwrap_or_else(|| panic!("no answer to {id} in {messages:?}"))
    };
    let tools = answer(1)["result"]["tools"].to_string();
    assert!(
        tools.contains("tool__echo"),
        "the list came before the tools: {tools}"
    );
    assert_eq!(text_of(&answer(2)["result"]), "at once");
    assert_eq!(answer(3)["result"], json!({}));
    assert!(client.ends_within(END).success());
}

/// Takes ten seconds: the grace that running calls get.
#[test]
fn a_call_that_does_not_end_holds_up_the_end_for_its_grace_and_is_then_gone() {
    let mut client = Client::ready();
    client.call(1, "tool__wait", json!({"seconds": 300}));
    client.runs("wait");
    client.finish();
    assert!(client.ends_within(END).success());
    client.leaves_nothing();
    // Whoever still reads is told.
    let rest = client.rest();
    let told = rest.iter().find(|message| message["id"] == 1);
    let told = told.unwrap_or_else(|| panic!("no answer: {rest:?}"));
    assert_eq!(told["error"]["code"], -32603, "{told}");
    assert!(told.to_string().contains("shutting down"), "{told}");
}

#[test]
fn a_bad_line_is_answered_and_the_next_one_served() {
    let mut client = Client::start();
    client.initialize();
    let cases: [(&[u8], i64); 7] = [
        (b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\n", -32700),
        (b"no JSON\n", -32700),
        (b"{\"a\":\"\xff\xfe\"}\n", -32700),
        (b"[]\n", -32600),
        (b"{}\n", -32600),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"ping\"}\n",
            -32600,
        ),
        (b"\"text\"\n", -32600),
    ];
    for (id, (line, code)) in cases.into_iter().enumerate() {
        client.write(line);
        let fault = client.next(None);
        assert_eq!(
            fault["error"]["code"],
            code,
            "{}",
            String::from_utf8_lossy(line)
        );
        client.ping(10 + id as u64);
    }
    // Empty lines, and lines that end as on Windows, are no fault.
    client.write(b"\n\r\n  \n{\"jsonrpc\":\"2.0\",\"id\":50,\"method\":\"ping\"}\r\n");
    assert_eq!(client.next(Some("ping"))["id"], 50);
}

#[test]
fn a_line_of_100_mb_is_refused_without_holding_it_and_the_next_one_served() {
    let mut client = Client::start();
    client.initialize();
    let pid = Pid::from_raw(
        client
            .child
            .id()
            .try_into()
            .expect("process numbers are small"),
    )
    .expect("above zero");
    let before = processes::resident(pid);
    client.write(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\",\"params\":{\"x\":\"");
    let block = vec![b'x'; 1 << 20];
    let mut most = before;
    for _ in 0..100 {
        client.write(&block);
        most = most.max(processes::resident(pid));
    }
    client.write(b"\"}}\n");
    let fault = client.next(None);
    assert!(fault["error"]["code"].is_i64(), "{fault}");
    assert!(
        most < before + (32 << 20),
        "memory grew from {before} to {most} bytes"
    );
    client.ping(2);
}

#[test]
fn a_closed_output_ends_the_server_and_its_calls() {
    let mut client = Client::ready();
    client.call(1, "tool__wait", json!({"seconds": 300}));
    client.runs("wait");
    // The thread that reads ends with its receiver, at the line after this.
    client.output = channel().1;
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"}).to_string() + "\n";
    until("the server ends", END, || {
        // It can notice only when it has something to say.
        let input = client.input.as_mut().expect("the input is open");
        let _ = input.write_all(ping.as_bytes());
        client.child.try_wait().expect("a child of ours")
    });
    client.leaves_nothing();
}

#[test]
fn a_signal_ends_the_server_while_its_input_is_open() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut client = Client::ready();
        client.signal(signal);
        assert!(client.ends_within(END).success(), "{signal:?}");
        client.leaves_nothing();
    }
}

#[test]
fn settings_that_are_wrong_are_told_on_standard_error_alone() {
    let mut client = Client::start_as("smcp", &["stdio"], &[("MCP_MAX_CALLS", "LOUD!")]);
    assert_eq!(client.ends_within(PATIENCE).code(), Some(2));
    assert!(client.rest().is_empty());
    assert!(client.stderr().contains("LOUD!"));
}
