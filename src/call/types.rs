//! What the layers above see of a call: request, caller and result here; events, questions and errors as their own
//! files have them.
//!
//! Knows no protocol, and runs nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

pub use super::content::{BlockKind, Content, JsonText};
pub use super::error::CallError;
pub use super::event::{Event, Listed, LogLevel};
pub use super::question::{Question, QuestionKind, key_used_twice};
pub use super::queue::Load;
use super::queue::RunPermit;
pub use crate::contract::ClientCapabilities;
use crate::contract::environment;
use crate::process::OutputShare;
pub use crate::process::{BackgroundJob, JobProcess, OutputLoad};
use crate::telemetry::trace::Trace;

/// One call of one tool, as the floors above ask for it.
#[derive(Debug, Clone)]
pub struct CallRequest {
    /// The `arguments` object as it came, so that numbers keep their text; `None` counts as `{}`.
    pub arguments: Option<Box<RawValue>>,
    /// On whose behalf the program runs.
    pub caller: Caller,
    /// Cancelling it ends the call and its whole process tree.
    pub cancel: CancellationToken,
    /// Where the program's events go while it runs; `None` when nobody listens.
    pub events: Option<mpsc::Sender<Event>>,
}

/// Who calls. A plugin learns all of it but the key.
#[derive(Clone, Default)]
pub struct Caller {
    /// Stands for the key that the call was sent with, opaque; callers take turns by it.
    pub key: Option<String>,
    /// Unique for each call (`SMCP_CALL_ID`).
    pub call_id: String,
    /// The session, empty in direct mode (`SMCP_SESSION_ID`).
    pub session_id: String,
    /// The agent named by `X-Agent-Id` (`SMCP_AGENT_ID`).
    pub agent_id: Option<String>,
    /// The client's name, version, revision and capabilities as one JSON object (`SMCP_CLIENT`).
    pub client: String,
    /// What the client can be asked for.
    pub capabilities: ClientCapabilities,
    /// Variables of the calling agent (Letta's), set on top of the server's environment.
    pub environment: Vec<(String, String)>,
    /// Where the call belongs in a trace.
    pub trace: Trace,
    /// The number of answers that wait because the client does not read; `None` where that cannot be
    /// known. Above zero nothing more is run for it: it waits in the queue.
    pub unread: Option<watch::Receiver<usize>>,
}

impl Caller {
    /// The variables of a call of `tool`, with the `arguments` that are passed in the environment. The
    /// server's own names come first and the agent's last: of two with one name the first counts.
    pub fn variables(&self, tool: &str, arguments: Vec<(String, String)>) -> Vec<(String, String)> {
        let mut variables = Vec::new();
        let mut set = |name: &str, value: &str| variables.push((name.to_owned(), value.to_owned()));
        set(environment::CALL_ID, &self.call_id);
        set(environment::TOOL, tool);
        set(environment::CLIENT, &self.client);
        set(environment::EVENTS, "3");
        if !self.session_id.is_empty() {
            set(environment::SESSION_ID, &self.session_id);
        }
        if let Some(agent) = &self.agent_id {
            set(environment::AGENT_ID, agent);
        }
        variables.extend(arguments);
        let trace = self.trace.variables().into_iter();
        variables.extend(trace.map(|(name, value)| (name.to_owned(), value)));
        variables.extend(self.environment.iter().cloned());
        variables
    }
}

impl fmt::Debug for Caller {
    /// Of the environment the names alone: the values are an agent's secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self
            .environment
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        f.debug_struct("Caller")
            .field("call_id", &self.call_id)
            .field("session_id", &self.session_id)
            .field("agent_id", &self.agent_id)
            .field("client", &self.client)
            .field("environment", &names)
            .finish_non_exhaustive()
    }
}

/// The most that a program may print by default, in bytes.
pub const DEFAULT_OUTPUT_BYTES: usize = 16 << 20;

/// What a run may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long it may take.
    pub time: Option<Duration>,
    /// The most that the program may print, in bytes.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            time: None,
            bytes: DEFAULT_OUTPUT_BYTES,
        }
    }
}

impl Limits {
    /// The most that a text may take once it is escaped as JSON, in bytes: a NUL takes six.
    pub(super) fn escaped(self) -> usize {
        2 * self.bytes
    }

    /// The most that an output may take as a tree of values, in bytes, when a schema is to be checked.
    pub(super) fn tree(self) -> usize {
        2 * self.bytes
    }
}

/// A tool result of the Model Context Protocol, its parts kept as the plugin wrote them.
#[derive(Debug, Clone)]
pub struct ToolResult {
    /// What becomes its members `content` and `structuredContent`.
    pub content: Content,
    /// Whether the program says that it failed.
    pub is_error: bool,
    /// Members of a `content` style output that this server does not know, `_meta` included.
    pub other: Vec<(String, Box<RawValue>)>,
    /// The call's permit, kept until the result is written as an answer: what it holds of memory counts with
    /// the outputs of all programs, and from then on with what waits for clients.
    pub permit: Option<Arc<Permit>>,
}

/// What a call takes until its answer is written: the right to be in progress, and memory for its output.
#[derive(Debug)]
pub struct Permit {
    _run: Arc<RunPermit>,
    _output: OutputShare,
}

impl Permit {
    pub(super) fn new(run: Arc<RunPermit>, output: OutputShare) -> Self {
        Self {
            _run: run,
            _output: output,
        }
    }
}
