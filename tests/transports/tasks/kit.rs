//! A server that keeps tasks, the jobs that it serves, and what the tests ask of it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};

use crate::support::http::{PATIENCE, exchange};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::streamable::{BOTH, post};
use crate::support::{processes, until};

const JOBS: &str = include_str!("../../fixtures/tasks/jobs.py");
/// The newest revision.
pub const NEWEST: &str = "2026-07-28";
/// The extension by which its clients say that they know tasks.
pub const EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// The two keys of a server with keys.
pub const KEYS: [&str; 2] = ["X-API-Key: first-key\r\n", "X-API-Key: second-key\r\n"];

/// The directories of one test: what servers keep survives them.
#[derive(Debug)]
pub struct Place {
    plugins: Folder,
    directory: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        let plugins = Folder::new();
        plugins.add("jobs", JOBS);
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        Self { plugins, directory }
    }

    /// A server that keeps tasks here.
    pub fn setup(&self) -> Setup {
        Setup::new()
            .plugins(self.plugins.path())
            .variable("MCP_STATE_DIR", self.state())
    }

    /// A server that is ready.
    #[track_caller]
    pub fn serve(&self) -> Server {
        ready(&self.setup())
    }

    /// The same with two keys.
    #[track_caller]
    pub fn serve_with_keys(&self) -> Server {
        let setup = self
            .setup()
            .variable("MCP_API_KEYS", "first-key,second-key");
        ready(&setup.argument("--require-auth"))
    }

    /// The folder of its plugins.
    pub fn plugins(&self) -> &Path {
        self.plugins.path()
    }

    /// Adds another one.
    pub fn plugin(&self, name: &str, program: &str) {
        self.plugins.add(name, program);
    }

    /// Where it keeps them.
    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// A file that a job waits for.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

#[track_caller]
pub fn ready(setup: &Setup) -> Server {
    let server = Server::start(setup);
    server.ready();
    server
}

/// Waits until the job that waits for `file` runs, and gives its process.
#[track_caller]
pub fn began(file: &Path) -> Pid {
    let told = PathBuf::from(format!("{}.began", file.display()));
    until("the job begins", PATIENCE, || {
        let pid: i32 = std::fs::read_to_string(&told).ok()?.parse().ok()?;
        Pid::from_raw(pid)
    })
}

/// Lets the job that waits for `file` go on.
pub fn let_go(file: &Path, text: &str) {
    let new = PathBuf::from(format!("{}.new", file.display()));
    std::fs::write(&new, text).expect("a directory of our own");
    std::fs::rename(new, file).expect("a directory of our own");
}

/// Waits until the process is gone.
#[track_caller]
pub fn is_gone(pid: Pid) {
    until("the process is gone", Duration::from_secs(15), || {
        (!processes::lives(pid)).then_some(())
    });
}

/// A session of HTTP+SSE with the newest revision that has one.
#[track_caller]
pub fn session(server: &Server, headers: &str) -> Session {
    let mut session = Session::open_with(server.address(), "/sse", headers);
    session.initialize(crate::support::wire::NEWEST);
    session
}

/// Calls a tool as a task (2025-11-25) and gives the task.
#[track_caller]
pub fn task(session: &mut Session, tool: &str, arguments: Value, task: Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments, "task": task});
    let answer = session.ask("tools/call", params);
    assert!(answer["result"]["task"]["taskId"].is_string(), "{answer}");
    answer["result"]["task"].clone()
}

/// The answer to a method that is about one task.
#[track_caller]
pub fn about(session: &mut Session, method: &str, task: &Value) -> Value {
    session.ask(method, json!({"taskId": task["taskId"]}))
}

/// The code of an answer that is an error.
#[track_caller]
pub fn code(answer: &Value) -> i64 {
    answer["error"]["code"]
        .as_i64()
        .unwrap_or_else(|| panic!("no error: {answer}"))
}

/// Waits until the task has this status.
#[track_caller]
pub fn reaches(session: &mut Session, task: &Value, status: &str) -> Value {
    until(status, PATIENCE, || {
        let answer = about(session, "tasks/get", task);
        (answer["result"]["status"] == status).then(|| answer["result"].clone())
    })
}

/// The answer to a request of 2026-07-28 by a client that can be asked; `knows_tasks` or not.
#[track_caller]
pub fn newest(server: &Server, knows_tasks: bool, method: &str, params: Value) -> Value {
    newest_as(server, "", knows_tasks, method, params)
}

/// The same with a header of the caller.
#[track_caller]
pub fn newest_as(
    server: &Server,
    headers: &str,
    knows_tasks: bool,
    method: &str,
    mut params: Value,
) -> Value {
    let named = ["name", "taskId"]
        .into_iter()
        .find_map(|name| params[name].as_str());
    let named = named.map_or(String::new(), |name| format!("Mcp-Name: {name}\r\n"));
    let mut capabilities = json!({"elicitation": {}});
    if knows_tasks {
        capabilities["extensions"] = json!({EXTENSION: {}});
    }
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": NEWEST,
        "io.modelcontextprotocol/clientCapabilities": capabilities,
    });
    let headers =
        format!("{headers}{BOTH}MCP-Protocol-Version: {NEWEST}\r\nMcp-Method: {method}\r\n{named}");
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let at = server.address();
    exchange(at, &post(at, &headers, &message)).json()
}
