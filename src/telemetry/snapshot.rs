//! The counters as the tool `health` has them. The names that version 3 used keep their meaning.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::tables::{Numbers, OK, Sessions};

/// The counters at one moment. The names that version 3 used keep their meaning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CountersSnapshot {
    /// Whole seconds since the start, under the name of version 3.
    pub uptime_s: u64,
    /// Seconds since the start.
    pub uptime_seconds: f64,
    /// Requests answered.
    pub requests_total: u64,
    /// Tool calls that ended.
    pub tool_calls_total: u64,
    /// Of them, those that went well.
    pub tool_calls_success: u64,
    /// Of them, those that did not.
    pub tool_calls_error: u64,
    /// Of those, the ones that somebody ended on purpose: cancelled by the client, or stopped on the page. Version 3 did
    /// not tell them apart, so the tool `health` does not name them.
    #[serde(skip)]
    pub tool_calls_stopped: u64,
    /// Tool calls under way.
    pub calls_running: u64,
    /// Sessions open now.
    pub sessions_active: u64,
    /// Sessions opened since the start.
    pub sessions_opened: u64,
    /// Sessions closed since the start.
    pub sessions_closed: u64,
    /// Failed requests by their code. A call that failed is one of them.
    pub errors: BTreeMap<&'static str, u64>,
    /// What was turned away before it became a request, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Bytes of messages that came in.
    pub bytes_received: u64,
    /// Bytes of messages that clients have taken.
    pub bytes_sent: u64,
    /// Log lines that could not be written.
    pub log_lines_lost: u64,
}

impl CountersSnapshot {
    /// The counters after `uptime`, with so many lines of the log lost.
    pub(super) fn of(uptime: Duration, numbers: &Numbers, log_lines_lost: u64) -> Self {
        let tables = &numbers.tables;
        let ended = || tables.tools.values().flat_map(|tool| &tool.by_outcome);
        let calls: u64 = ended().map(|(_, count)| count).sum();
        let of = |outcomes: &[&str]| {
            let meant = ended().filter(|(outcome, _)| outcomes.contains(outcome));
            meant.map(|(_, count)| count).sum::<u64>()
        };
        let ok = of(&[OK]);
        let opened = tables.sessions.values().map(|sessions| sessions.opened);
        let closed = tables.sessions.values().map(|sessions| sessions.closed);
        Self {
            uptime_s: uptime.as_secs(),
            uptime_seconds: uptime.as_millis() as f64 / 1000.0,
            requests_total: tables.requests.values().sum(),
            tool_calls_total: calls,
            tool_calls_success: ok,
            tool_calls_error: calls - ok,
            tool_calls_stopped: of(&["cancelled", "stopped"]),
            calls_running: tables.calls_running,
            sessions_active: tables.sessions.values().map(Sessions::open).sum(),
            sessions_opened: opened.sum(),
            sessions_closed: closed.sum(),
            errors: tables.errors(),
            refused: tables.refused.clone(),
            bytes_received: numbers.received,
            bytes_sent: numbers.sent,
            log_lines_lost,
        }
    }
}
