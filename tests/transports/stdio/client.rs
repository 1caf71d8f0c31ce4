//! The program as a desktop client runs it: a child, spoken to by lines. Reads nothing but what it is asked for.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::commands::Watchdog;
use crate::support::http::PATIENCE;
use crate::support::plugins::Folder;
use crate::support::{processes, s, until, wire};

/// Longer than running calls may go on, ten seconds, and their processes after that, five.
pub const END: Duration = s(40);

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
pub struct Client {
    pub child: Child,
    pub input: Option<ChildStdin>,
    pub output: Receiver<String>,
    errors: Option<JoinHandle<String>>,
    pub directory: tempfile::TempDir,
    mark: String,
    /// Writing to a pipe has no limit of its own, so the server has one.
    _watchdog: Watchdog,
}

impl Client {
    pub fn start() -> Self {
        Self::start_as("smcp", &["stdio"], &[])
    }

    /// Starts a link of this name to the program.
    pub fn start_as(name: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
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
            .envs(crate::support::COVERAGE)
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
            _watchdog: Watchdog::of(child.id(), s(400)),
            child,
            output,
            errors: Some(errors),
            directory,
            mark,
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.input
            .as_mut()
            .expect("the input is open")
            .write_all(bytes)
            .expect("the server reads");
    }

    pub fn send(&mut self, message: &Value) {
        self.write(format!("{message}\n").as_bytes());
    }

    pub fn request(&mut self, id: u64, method: &str, params: Value) {
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
    }

    pub fn call(&mut self, id: u64, tool: &str, arguments: Value) {
        self.request(
            id,
            "tools/call",
            json!({"name": tool, "arguments": arguments}),
        );
    }

    /// The next message that answers something, be it no more than a bad line.
    #[track_caller]
    pub fn next(&mut self, answered: Option<&str>) -> Value {
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
    pub fn response(&mut self, id: u64, method: &str) -> Value {
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

    pub fn initialize(&mut self) {
        self.request(0, "initialize", json!({"protocolVersion": wire::NEWEST, "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}}));
        assert_eq!(
            self.response(0, "initialize")["result"]["serverInfo"]["name"],
            "sanctum-letta-mcp"
        );
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    }

    /// Shakes hands and waits until the plugin's tools are there.
    pub fn ready() -> Self {
        let mut client = Self::start();
        client.initialize();
        client.wait_for_tools();
        client
    }

    pub fn wait_for_tools(&mut self) {
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
    pub fn ping(&mut self, id: u64) {
        self.request(id, "ping", json!({}));
        assert_eq!(self.response(id, "ping")["result"], json!({}));
    }

    /// Closes the input, as a client that goes does.
    pub fn finish(&mut self) {
        self.input = None;
    }

    #[track_caller]
    pub fn ends_within(&mut self, limit: Duration) -> ExitStatus {
        until("the server ends", limit, || {
            self.child.try_wait().expect("a child of ours")
        })
    }

    /// All that is left to be read, once the server has closed its output.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<Value> {
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

    pub fn stderr(mut self) -> String {
        self.finish();
        self.ends_within(END);
        self.errors
            .take()
            .expect("taken once")
            .join()
            .expect("the thread only reads")
    }

    pub fn processes(&self) -> Vec<Pid> {
        processes::with_variable("SMCP_TEST_STDIO", &self.mark)
    }

    #[track_caller]
    pub fn leaves_nothing(&self) {
        until("nothing of it is left", s(15), || {
            self.processes().is_empty().then_some(())
        });
    }

    /// Waits until the program of a call runs. One that is only asked to describe itself has other words.
    #[track_caller]
    pub fn runs(&self, command: &str) {
        let begins = format!("{}/tools/tool/cli\0{command}", self.mark);
        until("the program runs", PATIENCE, || {
            (!processes::with_argument(&begins).is_empty()).then_some(())
        });
    }

    pub fn signal(&self, signal: Signal) {
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
