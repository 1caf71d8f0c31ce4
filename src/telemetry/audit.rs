//! The audit line: who asked for what, and how it ended. Takes names, never values.

use std::borrow::Cow;
use std::time::Duration;

use crate::text;

/// The target of audit lines, for filters: `MCP_LOG_LEVEL=warn,smcp::audit=info`.
pub const TARGET: &str = "smcp::audit";

/// Most characters kept of a name that a client chose.
const MAX_NAME_CHARS: usize = 128;
/// Most argument names in a line.
const MAX_ARGUMENTS: usize = 32;
/// Characters of a session id that are shown: enough to follow it, too few to use it.
const SESSION_CHARS: usize = 8;

/// One request or call, as the audit log tells it. Fill in what is known, then [`emit`](Self::emit).
#[derive(Clone, Debug, Default)]
pub struct AuditLine<'a> {
    /// JSON-RPC method.
    pub method: &'a str,
    /// Where it came in: `sse`, `direct`, `mcp`, `stdio`.
    pub transport: &'static str,
    /// Session id; the line shows its beginning only.
    pub session: Option<&'a str>,
    /// What the client says to be (`X-Agent-Id`).
    pub agent: Option<&'a str>,
    /// Fingerprint of the key that was shown; never the key.
    pub key: Option<&'a str>,
    /// `ok`, or the stable code of what went wrong.
    pub outcome: &'a str,
    /// From the message's arrival to its answer.
    pub duration: Duration,
    /// Bytes of the message.
    pub bytes_in: u64,
    /// Bytes of its answer.
    pub bytes_out: u64,
    /// The tool, for calls.
    pub tool: Option<&'a str>,
    /// Names of the call's arguments, set by [`arguments`](Self::arguments).
    pub argument_names: Option<String>,
}

impl<'a> AuditLine<'a> {
    /// Notes which arguments a call came with. It takes their names so that a value cannot get in.
    pub fn arguments<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
        if tracing::enabled!(target: TARGET, tracing::Level::INFO) {
            self.argument_names = Some(join_names(names));
        }
        self
    }

    /// Writes the line, at `INFO` under [`TARGET`]. What clients chose is cut here and escaped by the log.
    pub fn emit(self) {
        tracing::info!(
            target: TARGET,
            method = &*cut(self.method),
            transport = self.transport,
            tool = self.tool.map(cut).as_deref(),
            arguments = self.argument_names.as_deref(),
            outcome = self.outcome,
            duration_ms = self.duration.as_micros() as f64 / 1000.0,
            session = self.session.map(session_beginning),
            agent = self.agent.map(cut).as_deref(),
            key = self.key,
            bytes_in = self.bytes_in,
            bytes_out = self.bytes_out,
        );
    }
}

fn cut(name: &str) -> Cow<'_, str> {
    match name.char_indices().nth(MAX_NAME_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}…", &name[..end])),
        None => Cow::Borrowed(name),
    }
}

/// The part of a session's id that logs show.
pub fn session_beginning(id: &str) -> &str {
    text::cut(id, SESSION_CHARS)
}

fn join_names<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names = names.into_iter();
    let mut joined = String::new();
    for name in names.by_ref().take(MAX_ARGUMENTS) {
        if !joined.is_empty() {
            joined.push(',');
        }
        // The comma separates; inside a name it would make two of one.
        joined.push_str(&cut(name).replace(',', "\\,"));
    }
    match names.count() {
        0 => joined,
        more => format!("{joined},…{more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_cut_at_128_characters() {
        assert_eq!(cut("héalth"), "héalth");
        assert_eq!(cut(&"é".repeat(128)), "é".repeat(128));
        assert_eq!(cut(&"é".repeat(129)), format!("{}…", "é".repeat(128)));
    }

    #[test]
    fn a_session_id_is_shown_too_short_to_be_used() {
        assert_eq!(
            session_beginning("0123456789abcdef0123456789abcdef"),
            "01234567"
        );
        assert_eq!(session_beginning("stdio"), "stdio");
    }

    #[test]
    fn many_argument_names_are_counted_and_commas_do_not_split_them() {
        assert_eq!(join_names(["a", "b,c"]), "a,b\\,c");
        let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
        let joined = join_names(names.iter().map(String::as_str));
        assert!(joined.ends_with("30,31,…8 more"), "{joined}");
    }
}
