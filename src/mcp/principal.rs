//! Who sent a request and through which transport. Knows no message.

use std::fmt;

use sha2::{Digest, Sha256};

/// Through which transport a client came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `GET /sse` and `POST /messages/`.
    Sse,
    /// `POST /messages/` without a session.
    Direct,
    /// `/mcp`.
    Streamable,
    /// Standard input and output.
    Stdio,
}

impl Transport {
    /// Its name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::Direct => "direct",
            Self::Streamable => "mcp",
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

/// Who sent a request, as far as its transport could tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Principal {
    /// The key it was sent with.
    pub key: Option<KeyId>,
    /// The agent it was sent for (`X-Agent-Id`).
    pub agent: Option<String>,
}
