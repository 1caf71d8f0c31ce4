//! What a running program tells and asks beside its output, as it is forwarded to the client of its call.
//!
//! Knows neither how it is read from the program nor how a client is told.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::sync::oneshot;

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
    /// `{"detach":true}`: from now on the call may outlive its client.
    Detach,
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
