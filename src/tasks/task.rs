//! What is known of one task: whose it is, what it runs, how it is, how it ended. Knows no message and no file.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Whose a task is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Stands for the key that it was made with, and does not give that away; empty where it was made without one.
    pub key: String,
    /// The agent that it was made for.
    pub agent: Option<String>,
}

impl Owner {
    /// The owner with this key, given as its SHA-256. That digest opens a server whose settings name it, so what is
    /// kept is a digest of it.
    pub fn new(key: Option<&[u8; 32]>, agent: Option<String>) -> Self {
        let key = key.map(|key| {
            let digest = Sha256::new_with_prefix("smcp tasks ").chain_update(key);
            let digest = digest.finalize();
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        });
        Self {
            key: key.unwrap_or_default(),
            agent,
        }
    }
}

/// How a task is. <https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks>
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its program runs, or waits for its turn.
    Working,
    /// Its program waits for answers of the client.
    InputRequired,
    /// There is a result, which may be that of a tool that has failed.
    Completed,
    /// There is none.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Status {
    /// All that there are.
    pub const ALL: [Self; 5] = [
        Self::Working,
        Self::InputRequired,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Its name, on the wire and in the store.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::InputRequired => "input_required",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether nothing more comes of it.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// Who asked for a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A client that knows tasks: it was promised for how long the task is kept.
    Task,
    /// Nobody: the call of a client that may go is kept, for as long as there is room.
    Call,
}

/// One task, without its result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// Names it; cannot be guessed.
    pub id: String,
    /// The tool that it calls.
    pub tool: String,
    /// Who asked for it.
    pub kind: Kind,
    /// How it is.
    pub status: Status,
    /// Whether it is completed by a result in which the tool says that it failed.
    pub has_failed: bool,
    /// What there is to say about that.
    pub message: Option<String>,
    /// When it began, in milliseconds since 1970.
    pub created: i64,
    /// When its status last changed.
    pub updated: i64,
    /// For how long it is kept, from its begin, in milliseconds.
    pub ttl: i64,
}

/// How a task ended.
#[derive(Debug, Clone)]
pub enum End {
    /// With this result, as the call would have been answered. The tool may say in it that it `has_failed`.
    Result {
        /// The JSON text of the result. It may be large, and is on its way to the disk and to a client at once.
        text: Arc<Box<RawValue>>,
        /// Whether the tool says that it failed.
        has_failed: bool,
    },
    /// With this JSON-RPC error.
    Error(Box<RawValue>),
    /// By its owner.
    Cancelled,
}

impl End {
    /// With an error of the server itself.
    pub fn failed(message: &str) -> Self {
        let error = serde_json::json!({"code": -32603, "message": message});
        Self::Error(crate::jsonrpc::members::to_raw(&error))
    }

    /// The status of a task that ended so.
    pub const fn status(&self) -> Status {
        match self {
            Self::Result { .. } => Status::Completed,
            Self::Error(_) => Status::Failed,
            Self::Cancelled => Status::Cancelled,
        }
    }

    /// How many bytes it takes to keep.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Result { text, .. } => text.get().len(),
            Self::Error(error) => error.get().len(),
            Self::Cancelled => 0,
        }
    }
}

/// The time of day, as it was at the start and has gone on since: a clock that is set meanwhile ends no task.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    began: i64,
    since: Instant,
}

impl Clock {
    /// A clock that is right now.
    pub fn start() -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            began: millis(now.unwrap_or_default()),
            since: Instant::now(),
        }
    }

    /// Milliseconds since 1970.
    pub fn now(&self) -> i64 {
        self.began.saturating_add(millis(self.since.elapsed()))
    }
}

/// A time in whole milliseconds.
pub fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_key_opens_nothing() {
        let digest = [7_u8; 32];
        let owner = Owner::new(Some(&digest), None);
        let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(owner.key.len(), 64);
        assert_ne!(owner.key, hex);
        assert_eq!(owner, Owner::new(Some(&digest), None));
        assert_eq!(Owner::new(None, None).key, "");
    }
}
