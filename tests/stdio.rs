//! `smcp stdio`: nothing but the protocol on standard output, and an end for every way that a client goes.

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::http::PATIENCE;
use support::plugins::Folder;
use support::session::{code_of, text_of};
use support::{processes, s, until, wire};

/// Longer than running calls may go on, and their processes after that.
const END: Duration = s(20);

/// Echoes, fails, or waits for as long as it lives.
const PLUGIN: &str = r#"#!/bin/sh
case "$1" in
--describe)
    echo 'a line that a plugin prints first'
    echo '{"commands":[
        {"name":"echo","description":"d","parameters":[{"name":"text","type":"string"}]},
        {"name":"fail","description":"d"},
        {"name":"wait","description":"d","parameters":[{"name":"seconds","type":"number"}]}]}' ;;
echo) printf '%s\n' "$3"; echo 'noise on stderr' >&2 ;;
fail) echo 'it is broken' >&2; exit 3 ;;
wait) sleep "${3:-300}"; echo waited ;;
esac
"#;

/// The program as a desktop client runs it. Dropping it kills what is left.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    directory: tempfile::TempDir,
    mark: String,
}

impl Client {
    fn start() -> Self {
        Self::start_as("smcp", &["stdio"], &[])
    }

    /// Starts a link of this name to the program.
    fn start_as(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        let plugins = Folder::new();
        plugins.add_executable("tool", PLUGIN);
        let program = directory.path().join(name);
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_smcp"), &program).expect("a new name");
        let plugins = keep(plugins, directory.path());
        let mark = directory.path().display().to_string();
        let mut child = Command::new(&program)
            .arg0(name)
            .args(arguments)
            .arg("--plugins-dir")
            .arg(plugins)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("SMCP_TEST_STDIO", &mark)
            .envs(variables.iter().copied())
            .current_dir(directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be executed");
        let (send, output) = channel();
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut stderr = child.stderr.take().expect("stderr is a pipe");
        let errors = std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stderr.read_to_string(&mut text);
            text
        });
        Self {
            input: child.stdin.take(),
            child,
            output,
            errors: Some(errors),
            directory,
            mark,
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.input
            .as_mut()
            .expect("the input is open")
            .write_all(bytes)
            .expect("the server reads");
    }

    fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    fn request(&mut self, id: u64, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    fn call(&mut self, id: u64, tool: &str, arguments: Value) {
        self.request(
            id,
            "tools/call",
            json!({"name": tool, "arguments": arguments}),
        );
    }

    /// The next message that answers something, be it no more than a bad line.
    #[track_caller]
    fn next(&mut self, answered: Option<&str>) -> Value {
        loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(line) if line.contains("list_changed") => {}
                Ok(line) => return wire::message(&line, answered, wire::NEWEST),
                Err(silence) => panic!("{silence} instead of a message"),
            }
        }
    }

    /// The response to a request; notifications on the way to it are passed over.
    #[track_caller]
    fn response(&mut self, id: u64, method: &str) -> Value {
        loop {
            let line = self
                .output
                .recv_timeout(PATIENCE)
                .unwrap_or_else(|silence| panic!("{silence} instead of the response to {id}"));
            let message: Value =
                serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if message["id"] == id {
                return wire::message(&line, Some(method), wire::NEWEST);
            }
            assert!(message.get("method").is_some(), "nobody asked for {line}");
        }
    }

    fn initialize(&mut self) {
        self.request(0, "initialize", json!({"protocolVersion": wire::NEWEST, "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}));
        assert_eq!(
            self.response(0, "initialize")["result"]["serverInfo"]["name"],
            "sanctum-letta-mcp"
        );
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }

    /// Shakes hands and waits until the plugin's tools are there.
    fn ready() -> Self {
        let mut client = Self::start();
        client.initialize();
        client.wait_for_tools();
        client
    }

    fn wait_for_tools(&mut self) {
        until("the tools are listed", PATIENCE, || {
            self.request(900, "tools/list", json!({}));
            let listed = self.response(900, "tools/list");
            let tools = listed["result"]["tools"]
                .as_array()
                .expect("a list")
                .clone();
            tools
                .iter()
                .any(|tool| tool["name"] == "tool__wait")
                .then_some(())
        });
    }

    #[track_caller]
    fn ping(&mut self, id: u64) {
        self.request(id, "ping", json!({}));
        assert_eq!(self.response(id, "ping")["result"], json!({}));
    }

    /// Closes the input, as a client that goes does.
    fn finish(&mut self) {
        self.input = None;
    }

    #[track_caller]
    fn ends_within(&mut self, limit: Duration) -> ExitStatus {
        until("the server ends", limit, || {
            self.child.try_wait().expect("a child of ours")
        })
    }

    /// All that is left to be read, once the server has closed its output.
    #[track_caller]
    fn rest(&mut self) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            match self.output.recv_timeout(PATIENCE) {
                Ok(line) => messages.push(
                    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")),
                ),
                Err(RecvTimeoutError::Disconnected) => return messages,
                Err(RecvTimeoutError::Timeout) => panic!("the output stays open"),
            }
        }
    }

    fn stderr(mut self) -> String {
        self.finish();
        self.ends_within(END);
        self.errors
            .take()
            .expect("taken once")
            .join()
            .expect("the thread only reads")
    }

    fn processes(&self) -> Vec<Pid> {
        processes::with_variable("SMCP_TEST_STDIO", &self.mark)
    }

    #[track_caller]
    fn leaves_nothing(&self) {
        until("nothing of it is left", s(2), || {
            self.processes().is_empty().then_some(())
        });
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(
            self.child
                .id()
                .try_into()
                .expect("process numbers are small"),
        );
        kill_process(pid.expect("above zero"), signal).expect("the server is ours");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        for pid in self.processes() {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Moves the plugins below the client's directory, so that they live as long as it does.
fn keep(plugins: Folder, directory: &Path) -> PathBuf {
    let kept = directory.join("tools");
    let copied = Command::new("cp")
        .arg("-rp")
        .arg(plugins.path())
        .arg(&kept)
        .status();
    assert!(copied.expect("every system has cp").success());
    kept
}

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
    let file = std::fs::read_to_string(client.directory.path().join("mcp.log"))
        .expect("the log file is in the working directory");
    let log = client.stderr();
    for log in [file, log] {
        assert!(
            log.contains("method=tools/call door=stdio tool=tool__echo"),
            "{log}"
        );
    }
}

#[test]
fn the_name_smcp_stdio_stands_for_the_command() {
    for (name, arguments) in [
        ("smcp-stdio", &[][..]),
        ("smcp-stdio", &["stdio"]),
        ("smcp", &["stdio"]),
    ] {
        let mut client = Client::start_as(name, arguments, &[("MCP_DISABLE_FILE_LOG", "1")]);
        client.initialize();
        client.ping(1);
        client.finish();
        assert!(client.ends_within(END).success(), "{name} {arguments:?}");
        assert!(!client.directory.path().join("mcp.log").exists());
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

#[test]
fn a_call_that_does_not_end_holds_up_the_end_for_its_grace_and_is_then_gone() {
    let mut client = Client::ready();
    client.call(1, "tool__wait", json!({"seconds": 300}));
    until("the program runs", PATIENCE, || {
        (client.processes().len() > 1).then_some(())
    });
    client.finish();
    assert!(client.ends_within(END).success());
    client.leaves_nothing();
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
    until("the program runs", PATIENCE, || {
        (client.processes().len() > 1).then_some(())
    });
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
    let mut client = Client::start_as("smcp", &["stdio"], &[("MCP_LOG_LEVEL", "LOUD!")]);
    assert_eq!(client.ends_within(PATIENCE).code(), Some(2));
    assert!(client.rest().is_empty());
    assert!(client.stderr().contains("LOUD!"));
}
