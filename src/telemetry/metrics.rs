//! The Prometheus side of the counters: families, their names and labels. Knows nobody who counts.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::queue::Losses;

/// Seconds; from a warm call to a long one.
const DURATION_BUCKETS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 300.0,
];

/// All that a scraper sees and the server counts as it happens. Clones count together.
#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub(super) requests: Family<RequestLabels, Counter>,
    pub(super) calls: Family<CallLabels, Counter>,
    pub(super) call_seconds: Family<ToolLabel, Counter<f64, AtomicU64>>,
    pub(super) call_duration: Histogram,
    pub(super) calls_running: Gauge,
    pub(super) sessions: Family<DoorLabel, Gauge>,
    pub(super) sessions_opened: Family<DoorLabel, Counter>,
    pub(super) refused: Family<ReasonLabel, Counter>,
    pub(super) received: Counter,
    pub(super) sent: Counter,
    pub(super) client_logs_lost: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            requests: Family::default(),
            calls: Family::default(),
            call_seconds: Family::default(),
            call_duration: Histogram::new(DURATION_BUCKETS),
            calls_running: Gauge::default(),
            sessions: Family::default(),
            sessions_opened: Family::default(),
            refused: Family::default(),
            received: Counter::default(),
            sent: Counter::default(),
            client_logs_lost: Counter::default(),
        }
    }
}

impl Metrics {
    /// A registry that shows these metrics, and what is read only when someone asks.
    #[rustfmt::skip] // a table
    pub(super) fn registry(&self, losses: Losses) -> Registry {
        let mut registry = Registry::with_prefix("smcp");
        let r = &mut registry;
        r.register("requests", "Requests answered, by method and outcome", self.requests.clone());
        r.register("tool_calls", "Tool calls ended, by tool and outcome", self.calls.clone());
        r.register_with_unit("tool_call_time", "Time spent in calls, by tool", Unit::Seconds, self.call_seconds.clone());
        r.register_with_unit("tool_call_duration", "How long tool calls take", Unit::Seconds, self.call_duration.clone());
        r.register("tool_calls_running", "Tool calls under way", self.calls_running.clone());
        r.register("sessions", "Sessions open, by transport", self.sessions.clone());
        r.register("sessions_opened", "Sessions opened, by transport", self.sessions_opened.clone());
        r.register("refused", "Connections and messages turned away, by reason", self.refused.clone());
        r.register_with_unit("received", "Bytes of messages received", Unit::Bytes, self.received.clone());
        r.register_with_unit("sent", "Bytes of messages sent", Unit::Bytes, self.sent.clone());
        r.register("client_log_messages_lost", "Log messages of plugins that a client did not read in time", self.client_logs_lost.clone());
        r.register("build", "The program that answers", Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]));
        r.register_collector(Box::new(OnScrape::beginning_now(losses)));
        registry
    }
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) method: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct CallLabels {
    pub(super) tool: String,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ToolLabel {
    pub(super) tool: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct DoorLabel {
    pub(super) transport: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ReasonLabel {
    pub(super) reason: &'static str,
}

/// What is read when someone asks, not counted as it happens.
#[derive(Debug)]
struct OnScrape {
    losses: Losses,
    start_seconds: f64,
}

impl OnScrape {
    fn beginning_now(losses: Losses) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            losses,
            start_seconds: since_epoch.unwrap_or_default().as_secs_f64(),
        }
    }
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
