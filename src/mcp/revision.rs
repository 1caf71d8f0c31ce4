//! The protocol revisions and what differs between them. Knows no message.
//! <https://modelcontextprotocol.io/specification/versioning>

use std::fmt;

/// A revision of the Model Context Protocol, oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// 2024-11-05: HTTP+SSE.
    V2024_11_05,
    /// 2025-03-26: Streamable HTTP, batches, annotations.
    V2025_03_26,
    /// 2025-06-18: structured content, elicitation; no batches.
    V2025_06_18,
    /// 2025-11-25: icons, resumable streams; the newest with a handshake.
    V2025_11_25,
    /// 2026-07-28: no sessions, everything a request needs travels in it.
    V2026_07_28,
}

impl Revision {
    /// All of them, oldest first.
    pub const ALL: [Self; 5] = [
        Self::V2024_11_05,
        Self::V2025_03_26,
        Self::V2025_06_18,
        Self::V2025_11_25,
        Self::V2026_07_28,
    ];

    /// The newest revision that has an `initialize` handshake.
    pub const NEWEST_WITH_HANDSHAKE: Self = Self::V2025_11_25;

    /// The revision of that name, if this server speaks it.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|revision| revision.name() == name)
    }

    /// What `initialize` answers to a client that asked for `requested`: the same where it has a
    /// handshake, else the newest that has one.
    pub fn negotiate(requested: &str) -> Self {
        Self::parse(requested)
            .filter(|revision| revision.has_handshake())
            .unwrap_or(Self::NEWEST_WITH_HANDSHAKE)
    }

    /// The date that names it on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
            Self::V2026_07_28 => "2026-07-28",
        }
    }

    /// Whether clients begin with `initialize` and hold a session.
    pub fn has_handshake(self) -> bool {
        self <= Self::V2025_11_25
    }

    /// Whether a client can take up a stream of Streamable HTTP again where it broke off, and expects
    /// an empty event at its start. Older clients choke on that event, newer ones have no such streams.
    pub fn has_resumable_streams(self) -> bool {
        self == Self::V2025_11_25
    }

    /// Whether a client asks for a task with a param of its request. Older clients know no tasks; newer ones say that
    /// they do, and the server decides.
    pub fn has_task_requests(self) -> bool {
        self == Self::V2025_11_25
    }

    /// Whether a tool's structured content, and the schema of it, must describe an object. Clients of
    /// these revisions refuse the whole list for one tool that does not.
    pub fn structured_content_is_an_object(self) -> bool {
        self <= Self::V2025_11_25
    }

    /// Whether a client declares with `sampling` which parts of it can be asked for.
    pub fn sampling_has_parts(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// Whether a form may have a list as a field, and a message to the client's model several contents.
    pub fn has_lists_in_questions(self) -> bool {
        self >= Self::V2025_11_25
    }

    /// Whether there are content blocks of the type `audio`.
    pub fn has_audio(self) -> bool {
        self >= Self::V2025_03_26
    }

    /// Whether there are content blocks of the type `resource_link`.
    pub fn has_resource_links(self) -> bool {
        self >= Self::V2025_06_18
    }

    /// Whether an array of messages is a valid message. Only 2025-03-26 has them.
    pub fn has_batches(self) -> bool {
        self == Self::V2025_03_26
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_revision_with_a_handshake_is_echoed() {
        for revision in Revision::ALL
            .into_iter()
            .filter(|revision| revision.has_handshake())
        {
            assert_eq!(Revision::negotiate(revision.name()), revision);
        }
    }

    #[test]
    fn anything_else_is_offered_the_newest_with_a_handshake() {
        for asked in ["2026-07-28", "1999-01-01", "", "latest"] {
            assert_eq!(Revision::negotiate(asked), Revision::V2025_11_25, "{asked}");
        }
    }
}
