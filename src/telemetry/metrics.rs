//! What is counted by label, and how Prometheus reads it: names, labels and units. Knows nobody who counts.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use serde::Serialize;

use super::queue::Losses;
use super::warm::WarmInterpreter;

/// What is counted by label.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    /// Requests answered, by method and outcome.
    pub(super) requests: BTreeMap<(&'static str, &'static str), u64>,
    /// Tool calls, by tool.
    pub(super) tools: BTreeMap<String, ToolCalls>,
    /// Tool calls under way.
    pub(super) calls_running: u64,
    /// Sessions, by transport.
    pub(super) sessions: BTreeMap<&'static str, Sessions>,
    /// What was turned away, by reason.
    pub(super) refused: BTreeMap<&'static str, u64>,
}

/// The calls of one tool that have ended.
#[derive(Clone, Debug, Default)]
pub(super) struct ToolCalls {
    /// How many, by outcome.
    pub(super) ended: BTreeMap<&'static str, u64>,
    /// How long they took together.
    pub(super) seconds: f64,
}

/// The sessions of one transport.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sessions {
    /// Since the start.
    pub(super) opened: u64,
    /// Of them, those that are over.
    pub(super) closed: u64,
}

impl Sessions {
    /// Those that are not over.
    pub(super) fn open(&self) -> u64 {
        self.opened - self.closed
    }
}

/// The background jobs of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Those that there are.
    pub running: u64,
    /// Those that were kept since the start.
    pub kept: u64,
    /// Those that are over, by reason; those that were never kept, too.
    pub ended: BTreeMap<&'static str, u64>,
}

/// What calls use at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallLoad {
    /// Calls in progress: between their turn and their answer, their processes included.
    pub calls_in_progress: u64,
    /// Of those, calls that start or compute.
    pub calls_computing: u64,
    /// Calls that wait for their turn.
    pub calls_waiting: u64,
    /// Bytes that outputs take which are being read or written.
    pub output_bytes: u64,
    /// Programs whose output is not read because the memory for outputs is taken.
    pub outputs_waiting: u64,
}

/// All numbers of one moment.
#[derive(Debug)]
pub(super) struct Exposed {
    pub(super) tables: Tables,
    pub(super) call_duration: Histogram,
    /// Background jobs, by plugin.
    pub(super) jobs: BTreeMap<String, JobCounts>,
    /// Warm interpreters, each plugin once.
    pub(super) warm: Vec<WarmInterpreter>,
    pub(super) load: CallLoad,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) client_logs_lost: u64,
    /// Unix time of the start.
    pub(super) start_seconds: f64,
    pub(super) losses: Losses,
}

/// The numbers as OpenMetrics text.
pub(super) fn render(exposed: Exposed) -> String {
    let mut registry = Registry::with_prefix("smcp");
    registry.register(
        "build",
        "The program that answers",
        Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
    );
    registry.register_collector(Box::new(exposed));
    let mut out = String::new();
    text::encode(&mut out, &registry).expect("writing to a String cannot fail");
    out
}

impl Collector for Exposed {
    #[rustfmt::skip] // a table
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        let tables = &self.tables;
        let requests = tables.requests.iter();
        families.counters("requests", "Requests answered, by method and outcome",
            requests.map(|((method, outcome), count)| ([("method", *method), ("outcome", *outcome)], *count)))?;
        let calls = tables.tools.iter().flat_map(|(tool, calls)| calls.ended.iter().map(move |ended| (tool, ended)));
        families.counters("tool_calls", "Tool calls ended, by tool and outcome",
            calls.map(|(tool, (outcome, count))| ([("tool", tool.as_str()), ("outcome", *outcome)], *count)))?;
        let seconds = tables.tools.iter().map(|(tool, calls)| ([("tool", tool.as_str())], calls.seconds));
        families.family("tool_call_time", "Time spent in calls, by tool", Some(&Unit::Seconds),
            seconds.map(|(labels, seconds)| (labels, ConstCounter::new(seconds))))?;
        families.one("tool_call_duration", "How long tool calls take", Some(&Unit::Seconds), &self.call_duration)?;
        families.one("tool_calls_running", "Tool calls under way", None, &gauge(tables.calls_running))?;
        let load = self.load;
        families.one("calls_in_progress", "Calls in progress, until their answers are written and their processes gone", None, &gauge(load.calls_in_progress))?;
        families.one("calls_computing", "Calls in progress that start or compute", None, &gauge(load.calls_computing))?;
        families.one("calls_waiting", "Calls that wait for their turn", None, &gauge(load.calls_waiting))?;
        families.one("output", "Bytes that the outputs of programs take until they are written as answers", Some(&Unit::Bytes), &gauge(load.output_bytes))?;
        families.one("outputs_waiting", "Programs whose output is not read for want of memory", None, &gauge(load.outputs_waiting))?;
        let jobs = self.jobs.iter();
        families.gauges("background_jobs", "Background jobs that there are, by plugin",
            jobs.clone().map(|(plugin, jobs)| ([("plugin", plugin.as_str())], jobs.running)))?;
        families.counters("background_jobs_kept", "Background jobs kept, by plugin",
            jobs.clone().map(|(plugin, jobs)| ([("plugin", plugin.as_str())], jobs.kept)))?;
        let ended = jobs.flat_map(|(plugin, jobs)| jobs.ended.iter().map(move |ended| (plugin, ended)));
        families.counters("background_jobs_ended", "Background jobs that are over, by plugin and reason",
            ended.map(|(plugin, (reason, count))| ([("plugin", plugin.as_str()), ("reason", *reason)], *count)))?;
        let of = |warm: &'_ WarmInterpreter| [("plugin", warm.plugin.clone())];
        let state = |warm: &WarmInterpreter| [("plugin", warm.plugin.clone()), ("state", warm.state.word().to_owned())];
        families.gauges("warm_state", "Whether plugins have warm interpreters, by plugin and state", self.warm.iter().map(|warm| (state(warm), 1)))?;
        families.counters("warm_calls", "Calls that might have been warm, by plugin", self.warm.iter().map(|warm| (of(warm), warm.calls)))?;
        families.counters("warm_hits", "Calls that warm interpreters have run, by plugin", self.warm.iter().map(|warm| (of(warm), warm.hits)))?;
        families.counters("warm_fallbacks", "Calls that were executed although a warm interpreter was there, by plugin", self.warm.iter().map(|warm| (of(warm), warm.fallbacks)))?;
        let memory = self.warm.iter().map(|warm| (of(warm), gauge(warm.resident_mib << 20)));
        families.family("warm_resident", "Memory of warm interpreters, by plugin", Some(&Unit::Bytes), memory)?;
        let age = self.warm.iter().map(|warm| (of(warm), gauge(warm.age_seconds)));
        families.family("warm_age", "How long warm interpreters have been there, by plugin", Some(&Unit::Seconds), age)?;
        let sessions = tables.sessions.iter();
        families.gauges("sessions", "Sessions open, by transport",
            sessions.clone().map(|(transport, sessions)| ([("transport", *transport)], sessions.open())))?;
        families.counters("sessions_opened", "Sessions opened, by transport",
            sessions.map(|(transport, sessions)| ([("transport", *transport)], sessions.opened)))?;
        families.counters("refused", "Connections and messages turned away, by reason",
            tables.refused.iter().map(|(reason, count)| ([("reason", *reason)], *count)))?;
        families.one("received", "Bytes of messages received", Some(&Unit::Bytes), &ConstCounter::new(self.received))?;
        families.one("sent", "Bytes of messages sent", Some(&Unit::Bytes), &ConstCounter::new(self.sent))?;
        families.one("client_log_messages_lost", "Log messages of plugins that a client did not read in time", None, &ConstCounter::new(self.client_logs_lost))?;
        families.one("start_time", "Unix time of the start", Some(&Unit::Seconds), &ConstGauge::new(self.start_seconds))?;
        let losses = [("console", &self.losses.console), ("file", &self.losses.file)];
        families.counters("log_lines_lost", "Log lines that could not be written, by log",
            losses.into_iter().map(|(log, loss)| ([("log", log)], loss.lines())))
    }
}

fn gauge(value: u64) -> ConstGauge<i64> {
    ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Writes families of time series; one without any is left out.
struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    fn counters<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl Iterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let series = series.map(|(labels, count)| (labels, ConstCounter::new(count)));
        self.family(name, help, None, series)
    }

    fn gauges<L: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        series: impl Iterator<Item = (L, u64)>,
    ) -> fmt::Result {
        let series = series.map(|(labels, value)| (labels, gauge(value)));
        self.family(name, help, None, series)
    }

    /// A family with one time series, which has no labels.
    fn one(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        metric: &impl EncodeMetric,
    ) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, unit, metric.metric_type())?;
        metric.encode(encoder)
    }

    fn family<L: EncodeLabelSet, M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        series: impl Iterator<Item = (L, M)>,
    ) -> fmt::Result {
        let mut series = series.peekable();
        let Some((_, first)) = series.peek() else {
            return Ok(());
        };
        let mut encoder = self
            .0
            .encode_descriptor(name, help, unit, first.metric_type())?;
        for (labels, metric) in series {
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
