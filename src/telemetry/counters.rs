//! What the server counts about itself, for the `health` tool and for Prometheus. Knows no log and no protocol.
//!
//! Each number is kept once; what a person or a scraper sees is read from it when it is asked for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::histogram::Histogram;
use serde::Serialize;
use tokio::sync::Notify;

use super::metrics::{self, CallLoad, JobCounts, Sessions, Tables};
use super::queue::Losses;
use super::warm::WarmInterpreter;

/// Content type of [`Counters::render_prometheus`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The outcome of what went well; every other outcome is a stable error code.
pub const OK: &str = "ok";

/// Tools that get a time series of their own; the rest share `other`, so that a catalogue cannot flood a scraper.
const MAX_TOOL_LABELS: usize = 1_000;
/// Upper bounds in seconds; from a warm call to a long one.
const DURATION_BUCKETS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 300.0,
];

/// The server's counters; clones count together.
#[derive(Clone, Debug)]
pub struct Counters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    /// Unix time of the start, in seconds.
    start_seconds: f64,
    losses: Losses,
    received: AtomicU64,
    sent: AtomicU64,
    client_logs_lost: AtomicU64,
    call_duration: Histogram,
    tables: Mutex<Tables>,
    /// Told whenever the last running call has ended.
    last_call_ended: Notify,
}

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
    /// Tool calls under way.
    pub calls_running: u64,
    /// Sessions open now.
    pub sessions_active: u64,
    /// Sessions opened since the start.
    pub sessions_opened: u64,
    /// Sessions closed since the start.
    pub sessions_closed: u64,
    /// Failed requests and calls by their code.
    pub errors: BTreeMap<&'static str, u64>,
    /// What was turned away before it became a request, by reason.
    pub refused: BTreeMap<&'static str, u64>,
    /// Bytes of messages that came in.
    pub bytes_received: u64,
    /// Bytes of messages that went out.
    pub bytes_sent: u64,
    /// Log lines that could not be written.
    pub log_lines_lost: u64,
}

impl Counters {
    /// Counters that begin now. `losses` comes from the log's guard.
    pub fn new(losses: Losses) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(Arc::new(Inner {
            started: Instant::now(),
            start_seconds: since_epoch.unwrap_or_default().as_secs_f64(),
            losses,
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            client_logs_lost: AtomicU64::new(0),
            call_duration: Histogram::new(DURATION_BUCKETS),
            tables: Mutex::default(),
            last_call_ended: Notify::new(),
        }))
    }

    /// Time since the counters began. Measured by the monotonic clock: a clock that is set does not change it.
    pub fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Counts a request that was answered with `outcome`: [`OK`] or a code. Both words are `'static`, so that no
    /// client can invent time series; name unknown methods `other`.
    pub fn request(&self, method: &'static str, outcome: &'static str) {
        *self.tables().requests.entry((method, outcome)).or_default() += 1;
    }

    /// A tool call begins; it ends with the returned [`RunningCall`]. `tool` is a name from the catalogue; `None`
    /// stands for names that are not in it, which clients could invent without end.
    pub fn call_started(&self, tool: Option<&str>) -> RunningCall {
        self.tables().calls_running += 1;
        RunningCall {
            tool: tool.unwrap_or("unknown").to_owned(),
            started: Instant::now(),
            outcome: "cancelled",
            counters: self.clone(),
        }
    }

    /// Waits until no tool call is under way, through whichever transport it came.
    pub async fn no_call_runs(&self) {
        loop {
            // Made before the look, so that no end is missed between the two.
            let ended = self.0.last_call_ended.notified();
            if self.tables().calls_running == 0 {
                return;
            }
            ended.await;
        }
    }

    /// A session opens at `transport` (`sse`, `mcp`, `stdio`); it closes when the returned [`OpenSession`] is dropped.
    pub fn session_opened(&self, transport: &'static str) -> OpenSession {
        self.tables().sessions.entry(transport).or_default().opened += 1;
        OpenSession {
            counters: self.clone(),
            transport,
        }
    }

    /// Counts what was turned away before it became a request: `unauthorized`, `too_large` …
    pub fn refused(&self, reason: &'static str) {
        *self.tables().refused.entry(reason).or_default() += 1;
    }

    /// Counts bytes of messages that came in.
    pub fn received(&self, bytes: u64) {
        self.0.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes of messages that went out.
    pub fn sent(&self, bytes: u64) {
        self.0.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts a log message of a plugin that found no room on its way to the client.
    pub fn client_log_lost(&self) {
        self.0.client_logs_lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Sessions open now.
    pub fn sessions_active(&self) -> u64 {
        let tables = self.tables();
        let open = tables.sessions.values().map(Sessions::open);
        open.sum()
    }

    /// All counters at this moment.
    pub fn snapshot(&self) -> CountersSnapshot {
        let uptime = self.uptime();
        let tables = self.tables().clone();
        let ended = || tables.tools.values().flat_map(|tool| &tool.ended);
        let calls: u64 = ended().map(|(_, count)| count).sum();
        let ok = ended()
            .filter(|(outcome, _)| **outcome == OK)
            .map(|(_, count)| count)
            .sum();
        let opened = tables.sessions.values().map(|sessions| sessions.opened);
        let closed = tables.sessions.values().map(|sessions| sessions.closed);
        CountersSnapshot {
            uptime_s: uptime.as_secs(),
            uptime_seconds: uptime.as_millis() as f64 / 1000.0,
            requests_total: tables.requests.values().sum(),
            tool_calls_total: calls,
            tool_calls_success: ok,
            tool_calls_error: calls - ok,
            calls_running: tables.calls_running,
            sessions_active: tables.sessions.values().map(Sessions::open).sum(),
            sessions_opened: opened.sum(),
            sessions_closed: closed.sum(),
            errors: tables.errors(),
            bytes_received: self.0.received.load(Ordering::Relaxed),
            bytes_sent: self.0.sent.load(Ordering::Relaxed),
            log_lines_lost: self.0.losses.lines(),
            refused: tables.refused,
        }
    }

    /// All counters, what calls use at this moment, the background `jobs` by plugin, and the `warm` interpreters, as
    /// OpenMetrics text; answer it with [`METRICS_CONTENT_TYPE`].
    pub fn render_prometheus(
        &self,
        load: CallLoad,
        jobs: BTreeMap<String, JobCounts>,
        warm: Vec<WarmInterpreter>,
    ) -> String {
        metrics::render(metrics::Exposed {
            tables: self.tables().clone(),
            call_duration: self.0.call_duration.clone(),
            jobs,
            warm,
            load,
            received: self.0.received.load(Ordering::Relaxed),
            sent: self.0.sent.load(Ordering::Relaxed),
            client_logs_lost: self.0.client_logs_lost.load(Ordering::Relaxed),
            start_seconds: self.0.start_seconds,
            losses: self.0.losses.clone(),
        })
    }

    /// Counters stay usable after a panic elsewhere: no count is left half done.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    fn call_ended(&mut self, tool: String, outcome: &'static str, seconds: f64) {
        let has_room = self.tools.len() < MAX_TOOL_LABELS || self.tools.contains_key(&tool);
        let label = if has_room { tool } else { "other".to_owned() };
        let calls = self.tools.entry(label).or_default();
        *calls.ended.entry(outcome).or_default() += 1;
        calls.seconds += seconds;
        self.calls_running -= 1;
    }

    /// Failed requests and calls by their code.
    fn errors(&self) -> BTreeMap<&'static str, u64> {
        let requests = self
            .requests
            .iter()
            .map(|((_, outcome), count)| (*outcome, *count));
        let calls = self.tools.values().flat_map(|tool| &tool.ended);
        let calls = calls.map(|(outcome, count)| (*outcome, *count));
        let mut errors = BTreeMap::new();
        for (outcome, count) in requests.chain(calls).filter(|(outcome, _)| *outcome != OK) {
            *errors.entry(outcome).or_default() += count;
        }
        errors
    }
}

/// A tool call under way. Dropped without [`finish`](Self::finish), it counts as `cancelled`.
#[derive(Debug)]
#[must_use = "a call that is dropped at once counts as cancelled"]
pub struct RunningCall {
    counters: Counters,
    tool: String,
    started: Instant,
    outcome: &'static str,
}

impl RunningCall {
    /// The call ended with `outcome`: [`OK`] or a stable code. Returns how long it took.
    pub fn finish(mut self, outcome: &'static str) -> Duration {
        self.outcome = outcome;
        self.started.elapsed()
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.counters.0.call_duration.observe(seconds);
        let tool = std::mem::take(&mut self.tool);
        let mut tables = self.counters.tables();
        tables.call_ended(tool, self.outcome, seconds);
        if tables.calls_running == 0 {
            self.counters.0.last_call_ended.notify_waiters();
        }
    }
}

/// An open session; dropping it counts it as closed.
#[derive(Debug)]
#[must_use = "a session that is dropped at once counts as closed"]
pub struct OpenSession {
    counters: Counters,
    transport: &'static str,
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        let mut tables = self.counters.tables();
        tables.sessions.entry(self.transport).or_default().closed += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_counted_once_with_its_outcome() {
        let counters = Counters::new(Losses::default());
        let running = counters.call_started(Some("demo_math__add"));
        assert_eq!(counters.snapshot().calls_running, 1);
        running.finish(OK);
        counters
            .call_started(Some("demo_math__add"))
            .finish("timeout");
        drop(counters.call_started(None));

        let snapshot = counters.snapshot();
        assert_eq!(snapshot.calls_running, 0);
        assert_eq!(
            (
                snapshot.tool_calls_total,
                snapshot.tool_calls_success,
                snapshot.tool_calls_error
            ),
            (3, 1, 2)
        );
        assert_eq!(
            snapshot.errors,
            BTreeMap::from([("timeout", 1), ("cancelled", 1)])
        );

        let text = counters.render_prometheus(CallLoad::default(), BTreeMap::new(), Vec::new());
        for line in [
            r#"smcp_tool_calls_total{tool="demo_math__add",outcome="ok"} 1"#,
            r#"smcp_tool_calls_total{tool="demo_math__add",outcome="timeout"} 1"#,
            r#"smcp_tool_calls_total{tool="unknown",outcome="cancelled"} 1"#,
            "smcp_tool_calls_running 0",
            "smcp_tool_call_duration_seconds_count 3",
        ] {
            assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
        }
    }

    #[tokio::test]
    async fn the_end_of_the_last_call_is_waited_for() {
        let counters = Counters::new(Losses::default());
        counters.no_call_runs().await;
        let (first, second) = (counters.call_started(None), counters.call_started(None));
        let waiting = counters.clone();
        let waiting = tokio::spawn(async move { waiting.no_call_runs().await });
        drop(first);
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "one call still runs");
        drop(second);
        let ended = tokio::time::timeout(Duration::from_secs(10), waiting).await;
        assert!(ended.is_ok());
    }

    #[test]
    fn sessions_are_open_until_they_are_dropped() {
        let counters = Counters::new(Losses::default());
        let first = counters.session_opened("sse");
        let second = counters.session_opened("mcp");
        drop(first);
        let snapshot = counters.snapshot();
        assert_eq!(
            (
                snapshot.sessions_active,
                snapshot.sessions_opened,
                snapshot.sessions_closed
            ),
            (1, 2, 1)
        );
        let text = counters.render_prometheus(CallLoad::default(), BTreeMap::new(), Vec::new());
        assert!(
            text.contains("smcp_sessions{transport=\"sse\"} 0\n"),
            "{text}"
        );
        assert!(
            text.contains("smcp_sessions{transport=\"mcp\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("smcp_sessions_opened_total{transport=\"sse\"} 1\n"),
            "{text}"
        );
        drop(second);
        assert_eq!(counters.sessions_active(), 0);
    }

    #[test]
    fn requests_refusals_and_bytes_add_up() {
        let counters = Counters::new(Losses::default());
        counters.request("ping", OK);
        counters.request("tools/call", "-32602");
        counters.refused("unauthorized");
        counters.received(10);
        counters.sent(20);
        let json = serde_json::to_value(counters.snapshot()).unwrap();
        assert_eq!(json["requests_total"], 2);
        assert_eq!(json["errors"]["-32602"], 1);
        assert_eq!(json["refused"]["unauthorized"], 1);
        assert_eq!(
            (&json["bytes_received"], &json["bytes_sent"]),
            (&10.into(), &20.into())
        );
        let text = counters.render_prometheus(CallLoad::default(), BTreeMap::new(), Vec::new());
        assert!(
            text.contains("smcp_requests_total{method=\"ping\",outcome=\"ok\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("smcp_received_bytes_total 10\n"), "{text}");
        assert!(
            text.contains("smcp_refused_total{reason=\"unauthorized\"} 1\n"),
            "{text}"
        );
    }

    #[test]
    fn lost_log_lines_show_in_both_views() {
        let losses = Losses::default();
        let counters = Counters::new(losses.clone());
        losses.file.add(3);
        losses.console.add(1);
        assert_eq!(counters.snapshot().log_lines_lost, 4);
        let text = counters.render_prometheus(CallLoad::default(), BTreeMap::new(), Vec::new());
        assert!(
            text.contains("smcp_log_lines_lost_total{log=\"file\"} 3\n"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn a_huge_catalogue_does_not_flood_the_scraper() {
        let counters = Counters::new(Losses::default());
        for tool in 0..MAX_TOOL_LABELS + 50 {
            counters
                .call_started(Some(&format!("t__{tool}")))
                .finish(OK);
        }
        let text = counters.render_prometheus(CallLoad::default(), BTreeMap::new(), Vec::new());
        let series = text
            .lines()
            .filter(|l| l.starts_with("smcp_tool_calls_total"))
            .count();
        assert_eq!(series, MAX_TOOL_LABELS + 1);
        assert!(text.contains(r#"smcp_tool_calls_total{tool="other",outcome="ok"} 50"#));
    }
}
