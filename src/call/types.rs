//! The types of a call: request, caller, events, result, error.
//!
//! Knows no protocol, and runs nothing.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use super::content::{BlockKind, Content, JsonText};
pub use super::question::{Question, QuestionKind, key_used_twice};
pub use super::queue::Load;
use super::queue::RunPermit;
pub use crate::contract::ClientCapabilities;
use crate::contract::environment;
use crate::process::OutputShare;
pub use crate::process::{BackgroundJob, JobProcess, OutputLoad};

/// One call of one tool, as the floors above ask for it.
#[derive(Debug)]
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

/// An event of a running program, sent beside its output (`SMCP_EVENTS`, stderr).
#[derive(Debug)]
pub enum Event {
    /// `{"progress":3,"total":10,"message":"…"}`; the numbers keep the text they came with.
    Progress {
        /// How far the work has come.
        progress: Box<RawValue>,
        /// How much there is in all, when known.
        total: Option<Box<RawValue>>,
        /// For a person to read.
        message: Option<String>,
    },
    /// `{"log":"info","data":…}`, or a line of stderr at level `debug`.
    Log {
        /// How grave it is.
        level: LogLevel,
        /// Any JSON value.
        data: Box<RawValue>,
    },
    /// `{"changed":"tools"}`: a list has to be asked for again.
    Changed(Listed),
    /// `{"updated":"uri"}`: a resource has new contents.
    Updated(String),
    /// `{"reconnect":MS}`: the client may hang up and fetch the answer after this long.
    Reconnect(Duration),
    /// `{"ask":{key: question}}`: the program waits for the client's answers.
    Ask {
        /// The object of questions, by key.
        questions: Box<RawValue>,
        /// Takes the line that is written back: an object of answers by the same keys, or
        /// `{"error":{"code":…,"message":…}}`. Dropped when there will be no answer: the run ends.
        answers: oneshot::Sender<Box<RawValue>>,
    },
}

/// How grave a log message is: the syslog levels, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Details for debugging.
    Debug,
    /// What a session gets until it asks for something else.
    #[default]
    Info,
    /// Normal but notable.
    Notice,
    /// Something may be wrong.
    Warning,
    /// Something failed.
    Error,
    /// A part failed.
    Critical,
    /// Somebody must act at once.
    Alert,
    /// Nothing works.
    Emergency,
}

/// The lists that a plugin may declare changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listed {
    /// The tools.
    Tools,
    /// The prompts.
    Prompts,
    /// The resources.
    Resources,
}

impl Listed {
    /// All that there are.
    pub const ALL: [Self; 3] = [Self::Tools, Self::Prompts, Self::Resources];
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

/// Why a call gave no result. Each has a stable code that a program can branch on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The name has neither form that a tool name can have.
    #[error("invalid tool name '{0}': expected plugin__command; call tools/list for the names")]
    InvalidToolName(String),
    /// No plugin of that name.
    #[error("plugin '{0}' not found; call tools/list for the tools there are")]
    PluginNotFound(String),
    /// A plugin of that name is there, but cannot be served.
    #[error("plugin '{0}' is not served; `smcp check` and the server's log say why")]
    PluginNotServed(String),
    /// The plugin has no such command.
    #[error("command '{command}' not found in plugin '{plugin}'; it has: {available}")]
    CommandNotFound {
        /// The plugin's name.
        plugin: String,
        /// The name that was asked for.
        command: String,
        /// The tools it has, separated by commas.
        available: String,
    },
    /// The arguments do not fit the declared schema; nothing was started.
    #[error("invalid arguments for {tool}: {}", faults.join("; "))]
    InvalidArguments {
        /// The tool's name.
        tool: String,
        /// Every fault, each naming the argument.
        faults: Vec<String>,
    },
    /// Larger than the system can pass to a program.
    #[error("{0}")]
    ArgumentsTooLarge(String),
    /// The program failed; the message is its own.
    #[error("{0}")]
    Plugin(String),
    /// The program says that what it is to read is not there.
    #[error("{0}")]
    NotFound(String),
    /// Over its time limit.
    #[error("{tool} was ended after {} s without finishing{}", after.as_secs_f64(), printed_so_far(printed))]
    TimedOut {
        /// The tool's name.
        tool: String,
        /// The limit that applied.
        after: Duration,
        /// What it had printed by then.
        printed: String,
    },
    /// More on stdout than is passed on.
    #[error(
        "{tool} printed more than {limit} bytes and was ended; let it print less, or write to a file and print its path, or raise MCP_MAX_OUTPUT_BYTES"
    )]
    OutputTooLarge {
        /// The tool's name.
        tool: String,
        /// The limit in bytes.
        limit: usize,
    },
    /// Less than that on stdout, but too much to be passed on as it has to be.
    #[error("the output of {tool} is too large to be passed on: {why}")]
    ResultTooLarge {
        /// The tool's name.
        tool: String,
        /// What makes it grow.
        why: &'static str,
    },
    /// No permit to run it, and no room to wait for one.
    #[error("{0}")]
    Overloaded(String),
    /// The program could not be started.
    #[error("{0}")]
    SpawnFailed(String),
    /// The command needs what the client did not declare.
    #[error("{tool} needs a client with the capability {}; this client did not declare it", missing.join(", "))]
    MissingCapability {
        /// The tool's name.
        tool: String,
        /// The names of the capabilities.
        missing: Vec<&'static str>,
    },
    /// The governor has the tool detached for this client.
    #[error("{0}")]
    NotAttached(String),
    /// Cancelled by the client, its disconnect or a shutdown: nobody waits for an answer.
    #[error("cancelled")]
    Cancelled,
    /// A fault of the server itself.
    #[error("{0}")]
    Internal(String),
}

impl CallError {
    /// The stable code of `structuredContent.error.code`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::InvalidToolName(_) => "invalid_tool_name",
            Self::PluginNotFound(_) | Self::PluginNotServed(_) => "plugin_not_found",
            Self::CommandNotFound { .. } => "command_not_found",
            Self::InvalidArguments { .. } => "invalid_arguments",
            Self::ArgumentsTooLarge(_) => "arguments_too_large",
            Self::Plugin(_) | Self::NotFound(_) | Self::MissingCapability { .. } => "plugin_error",
            Self::TimedOut { .. } => "timeout",
            Self::OutputTooLarge { .. } | Self::ResultTooLarge { .. } => "output_too_large",
            Self::Overloaded(_) => "overloaded",
            Self::SpawnFailed(_) => "spawn_failed",
            Self::NotAttached(_) => "tool_not_attached",
            Self::Cancelled => "cancelled",
            Self::Internal(_) => "internal_error",
        }
    }
}

fn printed_so_far(printed: &str) -> String {
    if printed.is_empty() {
        "; it had printed nothing".to_owned()
    } else {
        format!("; it had printed: {printed}")
    }
}
