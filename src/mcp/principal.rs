//! Who sent a request and through which transport. Knows no message.

use std::fmt;
use std::net::IpAddr;

use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::telemetry::KeyLabel;
use crate::telemetry::trace::TraceContext;

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
    /// Whether a session that came through it ends when its one stream does.
    pub const fn ends_with_its_stream(self) -> bool {
        matches!(self, Self::Sse | Self::Stdio)
    }

    /// Whether requests with and without a session may come over one connection.
    pub const fn mixes_eras(self) -> bool {
        matches!(self, Self::Stdio)
    }

    /// Whether an unknown tool is a protocol error to its clients; else it is a failed result, which
    /// is what those of older versions read.
    pub const fn refuses_unknown_tools(self) -> bool {
        matches!(self, Self::Streamable)
    }

    /// Whether it refuses with a status of its own what cannot begin, and records that itself.
    pub const fn records_refusals(self) -> bool {
        !matches!(self, Self::Stdio)
    }

    /// Whether a client that does not read is not read either; else it is refused with a status.
    pub const fn waits_for_its_reader(self) -> bool {
        matches!(self, Self::Stdio)
    }

    /// Whether a client can leave a stream and take it up again, where the revision has that.
    pub const fn has_streams_to_return_to(self) -> bool {
        matches!(self, Self::Streamable)
    }

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

    /// Its first bytes, as logs and metrics name a key.
    pub const fn label(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.0;
        [a, b, c, d]
    }

    /// The digest, for comparisons in constant time.
    pub const fn digest(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    /// The first eight hex digits: enough to tell keys apart in a log, too few to search for the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.label()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl Principal {
    /// How metrics name its key.
    pub fn key_label(&self) -> KeyLabel {
        KeyLabel(self.key.as_ref().map(KeyId::label))
    }
}

/// Whether what was sent is taken for its sender's any longer: until the server takes the key away that it was sent with.
/// Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Validity(CancellationToken);

impl Validity {
    /// The key counts no longer: whatever was begun with it ends.
    pub fn end(&self) {
        self.0.cancel();
    }

    /// Whether the key counts no longer.
    pub fn has_ended(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Waits until the key counts no longer.
    pub async fn ended(&self) {
        self.0.cancelled().await;
    }

    /// A token for something that ends with it, and can end before.
    pub fn token(&self) -> CancellationToken {
        self.0.child_token()
    }
}

/// Who sent a request, as far as its transport could tell.
#[derive(Debug, Clone, Default)]
pub struct Principal {
    /// The key it was sent with.
    pub key: Option<KeyId>,
    /// For how long that key counts.
    pub validity: Validity,
    /// The agent it was sent for (`X-Agent-Id`).
    pub agent: Option<String>,
    /// The address it was sent from; `None` where there is no network between.
    pub address: Option<IpAddr>,
    /// The span that it was sent from, as the headers of its transport say.
    pub trace: Option<TraceContext>,
}
