//! What a method may know of its caller and of the server. Knows no method and no transport.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::messages::{ClientDetails, LogLevel};
use super::outbox::Outbox;
use super::questions::Questions;
use super::revision::Revision;
use crate::plugins::call::Caller;
use crate::plugins::catalog::Catalog;
use crate::telemetry::Counters;

/// What all clients share.
#[derive(Debug)]
pub struct Services {
    /// The tools.
    pub catalog: Catalog,
    /// What is counted.
    pub counters: Counters,
    /// Owns every task that the server starts.
    pub tasks: TaskTracker,
    /// Cancelled when the server begins to stop: new work is refused.
    pub draining: CancellationToken,
}

/// Through which door a client came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// `GET /sse` and `POST /messages/`.
    Sse,
    /// `POST /messages/` without a session.
    Direct,
    /// `/mcp`.
    Streamable,
    /// Standard input and output.
    Stdio,
}

impl Door {
    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::Direct => "direct",
            Self::Streamable => "streamable",
            Self::Stdio => "stdio",
        }
    }
}

/// Stands for an accepted key without holding it: its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 32]);

impl KeyId {
    /// The id of a key.
    pub fn of(key: &[u8]) -> Self {
        Self(Sha256::digest(key).into())
    }

    /// The id whose digest is already known.
    pub const fn from_digest(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The digest, for comparisons in constant time.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    /// The first eight hex digits: enough to tell keys apart in a log, too few to search for the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..4]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// Who sent a request, as far as its door could tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The key it was sent with.
    pub key: Option<KeyId>,
    /// The agent it was sent for (`X-Agent-Id`).
    pub agent: Option<String>,
}

/// One request's surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// What all clients share.
    pub services: Arc<Services>,
    /// Through which door it came.
    pub door: Door,
    /// The rules that hold for it.
    pub revision: Revision,
    /// Its session's id; empty where there is none.
    pub session: String,
    /// Who sent it.
    pub origin: Origin,
    /// What the client said of itself.
    pub client: Arc<ClientDetails>,
    /// The least grave log message that the client wants; `None` where it wants none.
    pub log_level: Option<LogLevel>,
    /// Where notifications that belong to the request go; `None` where they reach nobody.
    pub outbox: Option<Arc<Outbox>>,
    /// Where the client can be asked; `None` where it cannot.
    pub questions: Option<Arc<Questions>>,
    /// Cancelled when the request is.
    pub cancel: CancellationToken,
}

impl Context {
    /// On whose behalf a plugin runs for this request.
    pub fn caller(&self) -> Caller {
        Caller {
            call_id: uuid::Uuid::new_v4().simple().to_string(),
            session_id: self.session.clone(),
            agent_id: self.origin.agent.clone(),
            client: self.client.for_plugin(self.revision),
            capabilities: self.client.declared(),
            environment: Vec::new(),
        }
    }
}
