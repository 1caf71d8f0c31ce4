//! A case as the lists in `cases/` write it: what is sent, over which transports, and what must come back.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::template::Template;

/// How a client reaches the server, or what is done to its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// HTTP+SSE.
    Sse,
    /// `POST /messages/` without a session.
    Direct,
    /// Streamable HTTP with a session, 2025-11-25.
    Streamable,
    /// Streamable HTTP without one, 2026-07-28.
    Stateless,
    /// Lines on standard input and output.
    Stdio,
    /// Bytes on a TCP connection.
    Raw,
    /// The process itself: its start, its signals, its surroundings.
    Process,
}

impl Transport {
    /// The name in the lists and in the report.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::Direct => "direct",
            Self::Streamable => "streamable",
            Self::Stateless => "stateless",
            Self::Stdio => "stdio",
            Self::Raw => "raw",
            Self::Process => "process",
        }
    }
}

/// One entry of a list: a case for each of its transports.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The row of the project's list of faults.
    pub row: u32,
    /// What is wrong, in a few words.
    pub name: String,
    pub on: Vec<Transport>,
    /// The settings, by their name in `servers.json`.
    #[serde(default = "plain")]
    pub server: String,
    /// A server that no other case uses.
    #[serde(default)]
    pub own_server: bool,
    /// Programs for a server of the case's own: a name, and the program's text.
    #[serde(default)]
    pub plugins: BTreeMap<String, Program>,
    /// Sent as it stands: to the socket on `raw`, as one message elsewhere.
    pub send: Option<Template>,
    /// Sent again and again after `send`, a byte a second.
    pub trickle: Option<Template>,
    /// A request whose envelope is written for the transport.
    pub request: Option<Request>,
    /// A call of a tool.
    pub call: Option<Call>,
    /// What is done once the call's process runs.
    pub then: Option<Then>,
    /// The command line of a server that must end by itself.
    pub run: Option<Run>,
    /// A course of events that is written as a function of this test, and its numbers.
    pub scene: Option<String>,
    #[serde(default)]
    pub with: Value,
    #[serde(default)]
    pub expect: Expect,
    /// Where a transport expects something else.
    #[serde(default)]
    pub expect_on: BTreeMap<Transport, Expect>,
    /// Until when it must have come.
    #[serde(default = "usual")]
    pub within_ms: u64,
    /// Takes long by waiting: begins with the others of its kind, before the rest.
    #[serde(default)]
    pub slow: bool,
}

/// A program of a case's own.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// The text of an executable `cli`.
    pub cli: String,
    /// Files beside it.
    #[serde(default)]
    pub files: BTreeMap<String, Template>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub method: String,
    /// The parameters as JSON text; `{}` where there are none.
    pub params: Option<Template>,
    /// The id as JSON text.
    pub id: Option<Template>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    pub tool: String,
    /// The arguments as JSON text.
    pub arguments: Option<Template>,
}

/// What is done once the process of a call runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// The client cancels; where the transport has no message for it, it leaves.
    Cancel,
    /// The client closes its connections.
    Leave,
    /// The same, with bytes that nobody has asked for before it.
    Stray,
    /// The same by a reset.
    Reset,
    /// The server is asked to end.
    Sigterm,
    /// The server is killed.
    Sigkill,
}

/// A start that must fail, or a command that ends.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    #[serde(default)]
    pub arguments: Vec<String>,
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// What must be there at the end. A member that is not given is not looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// One of these HTTP codes.
    #[serde(default)]
    pub status: Vec<u16>,
    /// The end of the connection, with one of `status` before it or without.
    #[serde(default)]
    pub closes: bool,
    /// A JSON-RPC error with one of these codes.
    #[serde(default)]
    pub rpc: Vec<i64>,
    /// A result that is no tool's error.
    #[serde(default)]
    pub result: bool,
    /// A result that is a tool's error with one of these codes.
    #[serde(default)]
    pub code: Vec<String>,
    /// The whole text of the result.
    pub text: Option<Template>,
    /// Parts of the answer, as it stands.
    #[serde(default)]
    pub contains: Vec<Template>,
    /// What must not be in the answer.
    #[serde(default)]
    pub lacks: Vec<String>,
    /// Either a result or an error will do.
    #[serde(default)]
    pub any_answer: bool,
    /// No answer at all.
    #[serde(default)]
    pub silence: bool,
    /// No process of the call is left.
    #[serde(default)]
    pub gone: bool,
    /// The exit status.
    pub exit: Option<i32>,
    /// Most bytes of the answer, in KiB.
    pub at_most_kib: Option<usize>,
    /// By how much the server may grow meanwhile, in MiB.
    pub grows_mib: Option<u64>,
    /// Most lines of log that the case may cause. For servers of a case's own.
    pub log_lines: Option<usize>,
}

/// An entry on one of its transports.
#[derive(Debug, Clone)]
pub struct Case {
    pub entry: Entry,
    pub transport: Transport,
}

impl Case {
    /// What it is called wherever it is named.
    pub fn name(&self) -> String {
        let entry = &self.entry;
        format!(
            "row {}: {} ({})",
            entry.row,
            entry.name,
            self.transport.name()
        )
    }

    pub fn expect(&self) -> &Expect {
        let own = self.entry.expect_on.get(&self.transport);
        own.unwrap_or(&self.entry.expect)
    }

    pub fn limit(&self) -> Duration {
        Duration::from_millis(self.entry.within_ms)
    }

    /// Whether the case ends its server.
    pub fn ends_server(&self) -> bool {
        matches!(self.entry.then, Some(Then::Sigterm | Then::Sigkill))
    }

    /// A server that no other case sees, because of what is done to it or looked at in it.
    pub fn has_own_server(&self) -> bool {
        let expect = self.expect();
        self.entry.own_server
            || !self.entry.plugins.is_empty()
            || self.ends_server()
            || expect.grows_mib.is_some()
            || expect.log_lines.is_some()
    }
}

/// The lists, in the order of the report.
const LISTS: [&str; 9] = [
    "http",
    "gate",
    "sessions",
    "messages",
    "arguments",
    "programs",
    "processes",
    "costs",
    "clients",
];

/// All cases of all lists, in their order.
pub fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for name in LISTS {
        let entries: Vec<Entry> = serde_json::from_str(&file(&format!("cases/{name}.json")))
            .unwrap_or_else(|error| panic!("cases/{name}.json: {error}"));
        for entry in entries {
            for transport in entry.on.clone() {
                let entry = entry.clone();
                cases.push(Case { entry, transport });
            }
        }
    }
    cases
}

/// The text of a file of this test.
pub fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/referee")
        .join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn plain() -> String {
    "plain".to_owned()
}

fn usual() -> u64 {
    20_000
}
