//! A server over lines that has shaken hands. What it writes is read by a thread, so that a wait has a limit.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::client::is_response;
use crate::support::http::PATIENCE;
use crate::support::server::{Piped, Setup, piped};
use crate::support::{until, wire};

const LAST: &str = "the-last-of-the-referee";

/// The server and both ends of its pipes.
pub struct Lines {
    server: Piped,
    input: Option<ChildStdin>,
    output: Receiver<String>,
}

impl Lines {
    /// Starts a server whose setup says `stdio`, and waits until its tools are known.
    #[track_caller]
    pub fn start(setup: &Setup) -> Self {
        let mut server = piped(setup);
        let input = server.child().stdin.take().expect("stdin is a pipe");
        let stdout = server.child().stdout.take().expect("stdout is a pipe");
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            let mut line = String::new();
            while reader.read_line(&mut line).is_ok_and(|read| read > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        let mut lines = Self {
            server,
            input: Some(input),
            output,
        };
        lines.tell(
            &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": wire::NEWEST, "capabilities": {},
            "clientInfo": {"name": "smcp-tests", "version": "1"}}}),
        );
        lines.response(PATIENCE).expect("an answer to initialize");
        lines.tell(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        lines.tell(&json!({"jsonrpc": "2.0", "id": 0, "method": "tools/list"}));
        lines.response(PATIENCE).expect("a list of tools");
        lines
    }

    fn tell(&mut self, message: &Value) {
        self.send(message.to_string().as_bytes());
    }

    /// Writes a line. What cannot be written shows in what comes back.
    pub fn send(&mut self, line: &[u8]) {
        if let Some(input) = &mut self.input {
            let _ = input.write_all(line).and_then(|()| input.write_all(b"\n"));
        }
    }

    /// Ends the server's input.
    pub fn finish(&mut self) {
        self.input = None;
    }

    fn response(&mut self, limit: Duration) -> Result<String, RecvTimeoutError> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.output.recv_timeout(left)?;
            if is_response(&line) {
                return Ok(line.trim_end().to_owned());
            }
        }
    }

    /// The first answer, unless none is expected, and what else comes before the answer to a ping; and whether the
    /// output has ended.
    pub fn answers(&mut self, limit: Duration, silence: bool, last: bool) -> (Vec<String>, bool) {
        let mut answers = Vec::new();
        if !silence {
            match self.response(limit) {
                Ok(answer) => answers.push(answer),
                Err(error) => return (answers, error == RecvTimeoutError::Disconnected),
            }
        }
        if last {
            return (answers, false);
        }
        self.tell(&json!({"jsonrpc": "2.0", "id": LAST, "method": "ping"}));
        loop {
            match self.response(PATIENCE) {
                Ok(answer) if answer.contains(LAST) => return (answers, false),
                Ok(answer) => answers.push(answer),
                Err(error) => return (answers, error == RecvTimeoutError::Disconnected),
            }
        }
    }

    pub fn pid(&mut self) -> Pid {
        let number = self.server.child().id().try_into();
        Pid::from_raw(number.expect("process numbers are small")).expect("a child has a number")
    }

    pub fn signal(&mut self, signal: Signal) {
        let _ = kill_process(self.pid(), signal);
    }

    #[track_caller]
    pub fn ends_within(&mut self, limit: Duration) -> ExitStatus {
        until("the server ends", limit, || {
            self.server.child().try_wait().expect("a child of ours")
        })
    }
}
