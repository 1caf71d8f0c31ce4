//! Row 47: the same faults over lines.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout};

use serde_json::{Value, json};

use crate::served::{GONE, found_soon, gone_within};
use crate::support::plugins::fixtures;
use crate::support::server::{Setup, piped};
use crate::support::{s, until, wire};

/// A server over lines that has shaken hands.
struct Lines {
    server: crate::support::server::Piped,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Lines {
    fn start() -> Self {
        let setup = Setup::new()
            .argument("stdio")
            .argument("--plugins-dir")
            .argument(fixtures("plugins"));
        let mut server = piped(&setup);
        let input = server.child().stdin.take().expect("stdin is a pipe");
        let output = server.child().stdout.take().expect("stdout is a pipe");
        let mut lines = Self {
            server,
            input,
            output: BufReader::new(output),
        };
        let hello = json!({"protocolVersion": wire::NEWEST, "capabilities": {},
            "clientInfo": {"name": "smcp-tests", "version": "1"}});
        lines.send(&json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}));
        let answer = lines.answer("initialize");
        assert_eq!(answer["result"]["protocolVersion"], wire::NEWEST);
        lines.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        lines
    }

    fn send(&mut self, message: &Value) {
        writeln!(self.input, "{message}").expect("the server reads");
    }

    /// The next message that is no notification.
    fn answer(&mut self, method: &str) -> Value {
        loop {
            let mut line = String::new();
            let read = self.output.read_line(&mut line).expect("a line");
            assert!(read > 0, "row 47: the output ended");
            let message = wire::message(&line, Some(method), wire::NEWEST);
            if message.get("method").is_none() {
                return message;
            }
        }
    }

    fn pings(&mut self) {
        self.send(&json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}));
        assert_eq!(self.answer("ping")["result"], json!({}), "row 47");
    }
}

#[track_caller]
fn ends_well(server: &mut Child) {
    let status = until("row 47: the server ends", s(20), || {
        server.try_wait().expect("a child of ours")
    });
    assert!(status.success(), "row 47: {status}");
}

#[test]
fn the_end_of_the_input_is_the_end_of_the_server() {
    let Lines {
        mut server, input, ..
    } = Lines::start();
    drop(input);
    ends_well(server.child());
}

#[test]
fn a_bad_line_is_an_error_and_the_next_one_is_read() {
    let mut lines = Lines::start();
    for (what, line, code) in [
        ("no JSON", b"nonsense\n".to_vec(), -32700),
        ("no UTF-8", b"{\"id\":\"\xff\"}\n".to_vec(), -32700),
        ("no request", b"{}\n".to_vec(), -32600),
    ] {
        lines.input.write_all(&line).expect("the server reads");
        let error = lines.answer("ping");
        assert_eq!(error["error"]["code"], code, "row 47: {what}: {error}");
        lines.pings();
    }
}

#[test]
fn a_line_of_100_mb_is_an_error_and_the_next_one_is_read() {
    let mut lines = Lines::start();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..100 {
        lines.input.write_all(&block).expect("the server reads on");
    }
    lines.input.write_all(b"\n").expect("the server reads on");
    let error = lines.answer("ping");
    assert!(error["error"]["code"].is_i64(), "row 47: {error}");
    lines.pings();
}

#[test]
fn a_closed_output_ends_the_server_and_its_calls() {
    let mut lines = Lines::start();
    let call = json!({"name": "lingers__daemon", "arguments": {"mark": "row-47-closed"}});
    lines.send(&json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}));
    found_soon("row-47-closed");
    let Lines {
        mut server,
        mut input,
        output,
    } = lines;
    drop(output);
    // Nobody notices a closed pipe before something is written into it.
    let _ = writeln!(
        input,
        "{}",
        json!({"jsonrpc": "2.0", "id": 3, "method": "ping"})
    );
    until("row 47: the server ends", s(20), || {
        server.child().try_wait().expect("a child of ours")
    });
    gone_within("row-47-closed", GONE);
}
