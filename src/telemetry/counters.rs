//! What the server counts about itself, for the `health` tool and for Prometheus. Knows no log and no protocol.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use serde::Serialize;

use super::metrics::{CallLabels, DoorLabel, Metrics, ReasonLabel, RequestLabels, ToolLabel};
use super::queue::Losses;

/// Content type of [`Counters::render_prometheus`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The outcome of what went well; every other outcome is a stable error code.
pub const OK: &str = "ok";

/// Tools that get a time series of their own; the rest share `other`, so that a catalogue cannot flood a scraper.
const MAX_TOOL_LABELS: usize = 1_000;

/// The server's counters; clones count together.
#[derive(Clone, Debug)]
pub struct Counters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    losses: Losses,
    metrics: Metrics,
    registry: Registry,
    totals: Totals,
    errors: Mutex<BTreeMap<&'static str, u64>>,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    tools: Mutex<HashSet<String>>,
}

/// Sums over all labels: a family of time series cannot be asked for its sum.
#[derive(Debug, Default)]
struct Totals {
    requests: AtomicU64,
    calls: AtomicU64,
    calls_ok: AtomicU64,
    sessions_opened: AtomicU64,
    sessions_closed: AtomicU64,
}

/// The counters at one moment. The names that version 3 used keep their meaning.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Snapshot {
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
        let metrics = Metrics::default();
        Self(Arc::new(Inner {
            started: Instant::now(),
            registry: metrics.registry(losses.clone()),
            losses,
            metrics,
            totals: Totals::default(),
            errors: Mutex::default(),
            refusals: Mutex::default(),
            tools: Mutex::default(),
        }))
    }

    /// Time since the counters began. Measured by the monotonic clock: a clock that is set does not change it.
    pub fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Counts a request that was answered with `outcome`: [`OK`] or a code. Both words are `'static`, so that no
    /// client can invent time series; name unknown methods `other`.
    pub fn request(&self, method: &'static str, outcome: &'static str) {
        self.0.totals.requests.fetch_add(1, Ordering::Relaxed);
        self.0
            .metrics
            .requests
            .get_or_create(&RequestLabels { method, outcome })
            .inc();
        self.note_error(outcome);
    }

    /// A tool call begins; it ends with the returned [`RunningCall`]. `tool` is a name from the catalogue; `None`
    /// stands for names that are not in it, which clients could invent without end.
    pub fn call_started(&self, tool: Option<&str>) -> RunningCall {
        self.0.metrics.calls_running.inc();
        RunningCall {
            tool: self.tool_label(tool),
            started: Instant::now(),
            outcome: "cancelled",
            counters: self.clone(),
        }
    }

    /// A session opens at `transport` (`sse`, `mcp`, `stdio`); it closes when the returned [`OpenSession`] is dropped.
    pub fn session_opened(&self, transport: &'static str) -> OpenSession {
        let label = DoorLabel { transport };
        self.0
            .totals
            .sessions_opened
            .fetch_add(1, Ordering::Relaxed);
        self.0.metrics.sessions_opened.get_or_create(&label).inc();
        self.0.metrics.sessions.get_or_create(&label).inc();
        OpenSession {
            counters: self.clone(),
            transport,
        }
    }

    /// Counts what was turned away before it became a request: `connection_limit`, `unauthorized`, `too_large` …
    pub fn refused(&self, reason: &'static str) {
        self.0
            .metrics
            .refused
            .get_or_create(&ReasonLabel { reason })
            .inc();
        bump(&self.0.refusals, reason);
    }

    /// Counts bytes of messages that came in.
    pub fn received(&self, bytes: u64) {
        self.0.metrics.received.inc_by(bytes);
    }

    /// Counts bytes of messages that went out.
    pub fn sent(&self, bytes: u64) {
        self.0.metrics.sent.inc_by(bytes);
    }

    /// Counts a log message of a plugin that found no room on its way to the client.
    pub fn client_log_lost(&self) {
        self.0.metrics.client_logs_lost.inc();
    }

    /// Sessions open now.
    pub fn sessions_active(&self) -> u64 {
        let closed = self.0.totals.sessions_closed.load(Ordering::Relaxed);
        self.0
            .totals
            .sessions_opened
            .load(Ordering::Relaxed)
            .saturating_sub(closed)
    }

    /// All counters at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let inner = &*self.0;
        let uptime = self.uptime();
        let ok = inner.totals.calls_ok.load(Ordering::Relaxed);
        let calls = inner.totals.calls.load(Ordering::Relaxed).max(ok);
        Snapshot {
            uptime_s: uptime.as_secs(),
            uptime_seconds: uptime.as_millis() as f64 / 1000.0,
            requests_total: inner.totals.requests.load(Ordering::Relaxed),
            tool_calls_total: calls,
            tool_calls_success: ok,
            tool_calls_error: calls - ok,
            calls_running: inner.metrics.calls_running.get().try_into().unwrap_or(0),
            sessions_active: self.sessions_active(),
            sessions_opened: inner.totals.sessions_opened.load(Ordering::Relaxed),
            sessions_closed: inner.totals.sessions_closed.load(Ordering::Relaxed),
            errors: lock(&inner.errors).clone(),
            refused: lock(&inner.refusals).clone(),
            bytes_received: inner.metrics.received.get(),
            bytes_sent: inner.metrics.sent.get(),
            log_lines_lost: inner.losses.lines(),
        }
    }

    /// All counters as OpenMetrics text; answer it with [`METRICS_CONTENT_TYPE`].
    pub fn render_prometheus(&self) -> String {
        let mut out = String::new();
        text::encode(&mut out, &self.0.registry).expect("writing to a String cannot fail");
        out
    }

    fn note_error(&self, outcome: &'static str) {
        if outcome != OK {
            bump(&self.0.errors, outcome);
        }
    }

    fn tool_label(&self, tool: Option<&str>) -> String {
        let Some(tool) = tool else {
            return "unknown".to_owned();
        };
        let mut tools = lock(&self.0.tools);
        if !tools.contains(tool) {
            if tools.len() >= MAX_TOOL_LABELS {
                return "other".to_owned();
            }
            tools.insert(tool.to_owned());
        }
        tool.to_owned()
    }
}

fn bump(map: &Mutex<BTreeMap<&'static str, u64>>, key: &'static str) {
    *lock(map).entry(key).or_default() += 1;
}

/// Counters stay usable after a panic elsewhere: no count is left half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        let inner = &*self.counters.0;
        let seconds = self.started.elapsed().as_secs_f64();
        let (tool, outcome) = (std::mem::take(&mut self.tool), self.outcome);
        inner.metrics.calls_running.dec();
        inner.metrics.call_duration.observe(seconds);
        inner.totals.calls.fetch_add(1, Ordering::Relaxed);
        if outcome == OK {
            inner.totals.calls_ok.fetch_add(1, Ordering::Relaxed);
        }
        self.counters.note_error(outcome);
        let label = ToolLabel { tool };
        inner
            .metrics
            .call_seconds
            .get_or_create(&label)
            .inc_by(seconds);
        let ToolLabel { tool } = label;
        inner
            .metrics
            .calls
            .get_or_create(&CallLabels { tool, outcome })
            .inc();
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
        let inner = &*self.counters.0;
        inner.totals.sessions_closed.fetch_add(1, Ordering::Relaxed);
        inner
            .metrics
            .sessions
            .get_or_create(&DoorLabel {
                transport: self.transport,
            })
            .dec();
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

        let text = counters.render_prometheus();
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
        let text = counters.render_prometheus();
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
        counters.refused("connection_limit");
        counters.received(10);
        counters.sent(20);
        counters.client_log_lost();
        let json = serde_json::to_value(counters.snapshot()).unwrap();
        assert_eq!(json["requests_total"], 2);
        assert_eq!(json["errors"]["-32602"], 1);
        assert_eq!(json["refused"]["connection_limit"], 1);
        assert_eq!(
            (&json["bytes_received"], &json["bytes_sent"]),
            (&10.into(), &20.into())
        );
        let text = counters.render_prometheus();
        assert!(
            text.contains("smcp_requests_total{method=\"ping\",outcome=\"ok\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("smcp_received_bytes_total 10\n"), "{text}");
        assert!(
            text.contains("smcp_client_log_messages_lost_total 1\n"),
            "{text}"
        );
        assert!(
            text.contains("smcp_refused_total{reason=\"connection_limit\"} 1\n"),
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
        let text = counters.render_prometheus();
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
        let text = counters.render_prometheus();
        let series = text
            .lines()
            .filter(|l| l.starts_with("smcp_tool_calls_total"))
            .count();
        assert_eq!(series, MAX_TOOL_LABELS + 1);
        assert!(text.contains(r#"smcp_tool_calls_total{tool="other",outcome="ok"} 50"#));
    }
}
