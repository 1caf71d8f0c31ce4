//! What the server counts about itself, for the `health` tool and for Prometheus. Knows no log and no protocol.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;

use super::queue::Losses;

/// Content type of [`Counters::render_prometheus`].
pub const METRICS_CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The outcome of what went well; every other outcome is a stable error code.
pub const OK: &str = "ok";

/// Tools that get a time series of their own; the rest share `other`, so that a catalogue cannot flood a scraper.
const MAX_TOOL_LABELS: usize = 1_000;
/// Seconds; from a warm call to a long one.
const DURATION_BUCKETS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 300.0,
];

/// The server's counters; clones count together.
#[derive(Clone, Debug)]
pub struct Counters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    losses: Losses,
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    requests_total: AtomicU64,
    calls: Family<CallLabels, Counter>,
    calls_total: AtomicU64,
    calls_ok: AtomicU64,
    call_seconds: Family<ToolLabel, Counter<f64, AtomicU64>>,
    call_duration: Histogram,
    calls_running: Gauge,
    sessions: Family<DoorLabel, Gauge>,
    sessions_opened: Family<DoorLabel, Counter>,
    sessions_opened_total: AtomicU64,
    sessions_closed_total: AtomicU64,
    refused: Family<ReasonLabel, Counter>,
    received: Counter,
    sent: Counter,
    errors: Mutex<BTreeMap<&'static str, u64>>,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    tools: Mutex<HashSet<String>>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CallLabels {
    tool: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ToolLabel {
    tool: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DoorLabel {
    door: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
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
        let requests = Family::default();
        let calls = Family::default();
        let call_seconds = Family::default();
        let call_duration = Histogram::new(DURATION_BUCKETS);
        let calls_running = Gauge::default();
        let sessions = Family::default();
        let sessions_opened = Family::default();
        let refused = Family::default();
        let (received, sent) = (Counter::default(), Counter::default());

        let mut registry = Registry::with_prefix("smcp");
        registry.register(
            "requests",
            "Requests answered, by method and outcome",
            requests.clone(),
        );
        registry.register(
            "tool_calls",
            "Tool calls ended, by tool and outcome",
            calls.clone(),
        );
        registry.register_with_unit(
            "tool_call_time",
            "Time spent in calls of a tool",
            Unit::Seconds,
            call_seconds.clone(),
        );
        registry.register_with_unit(
            "tool_call_duration",
            "Duration of tool calls",
            Unit::Seconds,
            call_duration.clone(),
        );
        registry.register(
            "tool_calls_running",
            "Tool calls under way",
            calls_running.clone(),
        );
        registry.register("sessions", "Sessions open, by door", sessions.clone());
        registry.register(
            "sessions_opened",
            "Sessions opened, by door",
            sessions_opened.clone(),
        );
        registry.register(
            "refused",
            "Connections and messages turned away, by reason",
            refused.clone(),
        );
        registry.register_with_unit(
            "received",
            "Bytes of messages received",
            Unit::Bytes,
            received.clone(),
        );
        registry.register_with_unit("sent", "Bytes of messages sent", Unit::Bytes, sent.clone());
        registry.register(
            "build",
            "The program that answers",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        registry.register_collector(Box::new(OnScrape {
            losses: losses.clone(),
            start_seconds: SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default()
                .as_secs_f64(),
        }));
        Self(Arc::new(Inner {
            started: Instant::now(),
            losses,
            registry,
            requests,
            requests_total: AtomicU64::new(0),
            calls,
            calls_total: AtomicU64::new(0),
            calls_ok: AtomicU64::new(0),
            call_seconds,
            call_duration,
            calls_running,
            sessions,
            sessions_opened,
            sessions_opened_total: AtomicU64::new(0),
            sessions_closed_total: AtomicU64::new(0),
            refused,
            received,
            sent,
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
        self.0.requests_total.fetch_add(1, Ordering::Relaxed);
        self.0
            .requests
            .get_or_create(&RequestLabels { method, outcome })
            .inc();
        self.note_error(outcome);
    }

    /// A tool call begins; it ends with the returned [`RunningCall`]. `tool` is a name from the catalogue; `None`
    /// stands for names that are not in it, which clients could invent without end.
    pub fn call_started(&self, tool: Option<&str>) -> RunningCall {
        self.0.calls_running.inc();
        RunningCall {
            tool: self.tool_label(tool),
            started: Instant::now(),
            outcome: "cancelled",
            counters: self.clone(),
        }
    }

    /// A session opens at `door` (`sse`, `mcp`, `stdio`); it closes when the returned [`OpenSession`] is dropped.
    pub fn session_opened(&self, door: &'static str) -> OpenSession {
        let label = DoorLabel { door };
        self.0.sessions_opened_total.fetch_add(1, Ordering::Relaxed);
        self.0.sessions_opened.get_or_create(&label).inc();
        self.0.sessions.get_or_create(&label).inc();
        OpenSession {
            counters: self.clone(),
            door,
        }
    }

    /// Counts what was turned away before it became a request: `connection_limit`, `unauthorized`, `too_large` …
    pub fn refused(&self, reason: &'static str) {
        self.0.refused.get_or_create(&ReasonLabel { reason }).inc();
        bump(&self.0.refusals, reason);
    }

    /// Counts bytes of messages that came in.
    pub fn received(&self, bytes: u64) {
        self.0.received.inc_by(bytes);
    }

    /// Counts bytes of messages that went out.
    pub fn sent(&self, bytes: u64) {
        self.0.sent.inc_by(bytes);
    }

    /// Sessions open now.
    pub fn sessions_active(&self) -> u64 {
        let closed = self.0.sessions_closed_total.load(Ordering::Relaxed);
        self.0
            .sessions_opened_total
            .load(Ordering::Relaxed)
            .saturating_sub(closed)
    }

    /// All counters at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let inner = &*self.0;
        let uptime = self.uptime();
        let ok = inner.calls_ok.load(Ordering::Relaxed);
        let calls = inner.calls_total.load(Ordering::Relaxed).max(ok);
        Snapshot {
            uptime_s: uptime.as_secs(),
            uptime_seconds: uptime.as_millis() as f64 / 1000.0,
            requests_total: inner.requests_total.load(Ordering::Relaxed),
            tool_calls_total: calls,
            tool_calls_success: ok,
            tool_calls_error: calls - ok,
            calls_running: inner.calls_running.get().try_into().unwrap_or(0),
            sessions_active: self.sessions_active(),
            sessions_opened: inner.sessions_opened_total.load(Ordering::Relaxed),
            sessions_closed: inner.sessions_closed_total.load(Ordering::Relaxed),
            errors: lock(&inner.errors).clone(),
            refused: lock(&inner.refusals).clone(),
            bytes_received: inner.received.get(),
            bytes_sent: inner.sent.get(),
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
        inner.calls_running.dec();
        inner.call_duration.observe(seconds);
        inner.calls_total.fetch_add(1, Ordering::Relaxed);
        if outcome == OK {
            inner.calls_ok.fetch_add(1, Ordering::Relaxed);
        }
        self.counters.note_error(outcome);
        let label = ToolLabel { tool };
        inner.call_seconds.get_or_create(&label).inc_by(seconds);
        let ToolLabel { tool } = label;
        inner
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
    door: &'static str,
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        let inner = &*self.counters.0;
        inner.sessions_closed_total.fetch_add(1, Ordering::Relaxed);
        inner
            .sessions
            .get_or_create(&DoorLabel { door: self.door })
            .dec();
    }
}

/// What is read when someone asks, not counted as it happens.
#[derive(Debug)]
struct OnScrape {
    losses: Losses,
    start_seconds: f64,
}

impl Collector for OnScrape {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let start = ConstGauge::new(self.start_seconds);
        let unit = Some(&Unit::Seconds);
        start.encode(encoder.encode_descriptor(
            "start_time",
            "Unix time of the start",
            unit,
            start.metric_type(),
        )?)?;
        let mut family = encoder.encode_descriptor(
            "log_lines_lost",
            "Log lines that could not be written, by log",
            None,
            MetricType::Counter,
        )?;
        for (log, loss) in [
            ("console", &self.losses.console),
            ("file", &self.losses.file),
        ] {
            ConstCounter::new(loss.lines()).encode(family.encode_family(&[("log", log)])?)?;
        }
        Ok(())
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
        assert!(text.contains("smcp_sessions{door=\"sse\"} 0\n"), "{text}");
        assert!(text.contains("smcp_sessions{door=\"mcp\"} 1\n"), "{text}");
        assert!(
            text.contains("smcp_sessions_opened_total{door=\"sse\"} 1\n"),
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
