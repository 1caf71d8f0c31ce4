//! The metrics as Prometheus reads them: names, labels and units. Knows nobody who counts.

use std::collections::BTreeMap;
use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::by_plugin::ByPlugin;
use super::families::{Families, gauge};
use super::labels::{REFUSALS, TRANSPORTS};
use super::moment::{JobCounts, Moment};
use super::queue::Losses;
use super::service::{PluginService, ServiceState};
use super::tables::{Numbers, Sessions};

/// All numbers of one moment.
#[derive(Debug)]
pub(super) struct Exposed {
    pub(super) numbers: Numbers,
    pub(super) moment: Moment,
    pub(super) by_plugin: ByPlugin,
    pub(super) call_duration: Histogram,
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
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        self.calls(&mut families)?;
        self.calls_of_plugins_and_keys(&mut families)?;
        self.load(&mut families)?;
        self.plugins(&mut families)?;
        self.jobs(&mut families)?;
        self.warm(&mut families)?;
        self.services(&mut families)?;
        self.tasks(&mut families)?;
        self.clients(&mut families)?;
        self.server(&mut families)
    }
}

// Tables: a line for each metric.
#[rustfmt::skip]
impl Exposed {
    fn calls(&self, families: &mut Families<'_>) -> fmt::Result {
        let tables = &self.numbers.tables;
        let requests = tables.requests.iter();
        families.counters("requests", "Requests answered, by method and outcome",
            requests.map(|((method, outcome), count)| ([("method", *method), ("outcome", *outcome)], *count)))?;
        let tools = tables.tools.iter();
        let ended = tools.clone().flat_map(|(tool, calls)| calls.by_outcome.iter().map(move |ended| (tool.clone(), ended)));
        families.counters("tool_calls", "Tool calls ended, by tool and outcome",
            ended.map(|(tool, (outcome, count))| ([("tool", tool), ("outcome", (*outcome).to_owned())], *count)))?;
        let seconds = tools.map(|(tool, calls)| ([("tool", tool)], ConstCounter::new(calls.seconds)));
        families.family("tool_call_time", "Time spent in calls, by tool", Some(&Unit::Seconds), seconds)?;
        families.one("tool_call_duration", "How long tool calls take", Some(&Unit::Seconds), &self.call_duration)?;
        families.one("tool_calls_running", "Tool calls under way", None, &gauge(tables.calls_running))
    }

    fn calls_of_plugins_and_keys(&self, families: &mut Families<'_>) -> fmt::Result {
        let plugins = self.numbers.tables.plugins.iter().map(|(plugin, of)| (plugin.clone(), of));
        let ended = plugins.clone().flat_map(|(plugin, of)| of.ended.by_outcome.iter().map(move |ended| (plugin.clone(), ended)));
        families.counters("plugin_tool_calls", "Tool calls ended, by plugin and outcome",
            ended.map(|(plugin, (outcome, count))| ([("plugin", plugin), ("outcome", (*outcome).to_owned())], *count)))?;
        let seconds = plugins.clone().map(|(plugin, of)| ([("plugin", plugin)], ConstCounter::new(of.ended.seconds)));
        families.family("plugin_tool_call_time", "Time spent in tool calls, by plugin", Some(&Unit::Seconds), seconds)?;
        families.gauges("plugin_tool_calls_running", "Tool calls under way, by plugin", plugins.map(|(plugin, of)| ([("plugin", plugin)], of.running)))?;
        let keys = self.numbers.tables.keys.iter();
        families.counters("key_requests", "Requests answered, by key", keys.clone().map(|(key, of)| ([("key", key)], of.requests)))?;
        let ended = keys.clone().flat_map(|(key, of)| of.calls.by_outcome.iter().map(move |ended| (key.clone(), ended)));
        families.counters("key_tool_calls", "Tool calls ended, by key and outcome",
            ended.map(|(key, (outcome, count))| ([("key", key), ("outcome", (*outcome).to_owned())], *count)))?;
        let seconds = keys.map(|(key, of)| ([("key", key)], ConstCounter::new(of.calls.seconds)));
        families.family("key_tool_call_time", "Time spent in tool calls, by key", Some(&Unit::Seconds), seconds)
    }

    fn load(&self, families: &mut Families<'_>) -> fmt::Result {
        let (load, limits, processes) = (self.moment.load, self.moment.limits, self.moment.processes);
        families.one("calls_in_progress", "Calls in progress, until their answers are written and their processes gone", None, &gauge(load.calls_in_progress))?;
        families.one("calls_in_progress_limit", "How many calls may be in progress", None, &gauge(limits.in_progress))?;
        families.one("calls_computing", "Calls in progress that start or compute", None, &gauge(load.calls_computing))?;
        families.one("calls_computing_limit", "How many calls may start or compute", None, &gauge(limits.computing))?;
        families.one("calls_waiting", "Calls that wait for their turn", None, &gauge(load.calls_waiting))?;
        families.one("call_wait", "How long calls wait for their turn", Some(&Unit::Seconds), self.moment.queue.wait())?;
        families.one("output", "Bytes that the outputs of programs take until they are written as answers", Some(&Unit::Bytes), &gauge(load.output_bytes))?;
        families.one("outputs_waiting", "Programs whose output is not read for want of memory", None, &gauge(load.outputs_waiting))?;
        families.one("programs_running", "Programs that have processes left", None, &gauge(processes.programs))?;
        families.one("supervisors_idle", "Supervisors that wait for the next program", None, &gauge(processes.idle_supervisors))?;
        families.one("processes_unkillable", "Processes that do not end although they were sent SIGKILL", None, &gauge(processes.unkillable))
    }

    fn plugins(&self, families: &mut Families<'_>) -> fmt::Result {
        let plugins = &self.moment.plugins;
        families.one("plugins_served", "Plugins that are served", None, &gauge(plugins.served.len() as u64))?;
        let of = |class: &&'static str| plugins.unserved.iter().filter(|(_, reason)| reason == class).count() as u64;
        families.gauges("plugins_unserved", "Plugins that are not served, by the class of the reason",
            plugins.classes.iter().map(|class| ([("reason", *class)], of(class))))?;
        families.gauges("plugin_unserved", "1 for each plugin that is not served, by the class of the reason",
            self.by_plugin.unserved.iter().map(|((plugin, class), count)| ([("plugin", plugin.as_str()), ("reason", *class)], *count)))?;
        families.one("plugins_outdated", "Plugins that are served as before, for they did not answer when they were asked again, or what they declare cannot be had", None, &gauge(plugins.outdated))?;
        families.one("plugin_parts_unserved", "Tools, resources and prompts of served plugins that are not served", None, &gauge(plugins.parts_unserved))?;
        let tools = self.by_plugin.tools.iter();
        families.gauges("plugin_tools", "Tools that are served, by plugin", tools.map(|(plugin, tools)| ([("plugin", plugin.as_str())], *tools)))?;
        families.one("plugins_complete", "1 when every plugin has answered or timed out", None, &gauge(u64::from(plugins.complete)))
    }

    fn jobs(&self, families: &mut Families<'_>) -> fmt::Result {
        let jobs = self.by_plugin.jobs.iter();
        let of = |plugin: &str| [("plugin", plugin.to_owned())];
        families.gauges("background_jobs", "Background jobs that there are, by plugin", jobs.clone().map(|(plugin, jobs)| (of(plugin), jobs.running)))?;
        families.counters("background_jobs_kept", "Background jobs kept, by plugin", jobs.clone().map(|(plugin, jobs)| (of(plugin), jobs.kept)))?;
        let ended = jobs.flat_map(|(plugin, jobs)| JobCounts::REASONS.map(|reason| (plugin, reason, jobs.ended.get(reason).copied().unwrap_or(0))));
        families.counters("background_jobs_ended", "Background jobs that are over, by plugin and reason",
            ended.map(|(plugin, reason, count)| ([("plugin", plugin.as_str()), ("reason", reason)], count)))
    }

    fn services(&self, families: &mut Families<'_>) -> fmt::Result {
        let all = self.moment.services.iter().filter(|service| service.state != ServiceState::Off);
        let of = |service: &PluginService| [("plugin", service.plugin.clone()), ("service", service.name.clone())];
        families.gauges("plugin_service_up", "1 for each service of a plugin that runs, 0 for each that waits for its next start or has no room",
            all.clone().map(|service| (of(service), u64::from(service.state == ServiceState::Running))))?;
        families.counters("plugin_service_starts", "How often services of plugins were started", all.map(|service| (of(service), service.starts)))
    }

    fn tasks(&self, families: &mut Families<'_>) -> fmt::Result {
        let Some(tasks) = self.moment.tasks else {
            return Ok(());
        };
        families.one("task_store_usable", "1 when tasks can be kept in the directory that is named for them", None, &gauge(u64::from(tasks.is_usable)))?;
        families.gauges("tasks_running", "Tasks that are not over, by status",
            [("working", tasks.working), ("input_required", tasks.input_required)].into_iter().map(|(status, count)| ([("status", status)], count)))?;
        families.one("tasks_kept", "Tasks that are kept, running ones included", None, &gauge(tasks.kept))?;
        families.one("tasks_kept_limit", "How many tasks may be kept", None, &gauge(tasks.max_kept))?;
        families.one("task_results", "Bytes that the results of tasks take", Some(&Unit::Bytes), &gauge(tasks.bytes))?;
        families.one("task_results_limit", "How many bytes the results of tasks may take", Some(&Unit::Bytes), &gauge(tasks.max_bytes))?;
        families.counters("tasks_ended", "Tasks that are over, by status", tasks.ended.into_iter().map(|(status, count)| ([("status", status)], count)))?;
        let by_reason = |counts: [(&'static str, u64); 3]| counts.into_iter().map(|(reason, count)| ([("reason", reason)], count));
        families.counters("tasks_refused", "Tasks that did not begin and calls that were not kept, by reason", by_reason(tasks.refused))?;
        families.counters("task_results_lost", "Results that are not there although they were to be kept, by reason", by_reason(tasks.lost))?;
        families.one("tasks_unwritten", "Tasks whose begin or end could not be written yet, and is lost when the server ends", None, &gauge(tasks.unwritten))?;
        families.one("task_store_faults", "How often tasks could not be read or written", None, &ConstCounter::new(tasks.faults))
    }

    fn warm(&self, families: &mut Families<'_>) -> fmt::Result {
        let all = self.by_plugin.warm.iter();
        let of = |plugin: &str| [("plugin", plugin.to_owned())];
        let states = all.clone().flat_map(|(plugin, warm)| warm.states.iter().map(move |state| (plugin, state)));
        families.gauges("warm_state", "Whether plugins have warm interpreters, by plugin and state",
            states.map(|(plugin, (state, count))| ([("plugin", plugin.as_str()), ("state", *state)], *count)))?;
        families.counters("warm_calls", "Calls that might have been warm, by plugin", all.clone().map(|(plugin, warm)| (of(plugin), warm.calls)))?;
        families.counters("warm_hits", "Calls that warm interpreters have run, by plugin", all.clone().map(|(plugin, warm)| (of(plugin), warm.hits)))?;
        families.counters("warm_fallbacks", "Calls that were executed although a warm interpreter was there, by plugin", all.clone().map(|(plugin, warm)| (of(plugin), warm.fallbacks)))?;
        let memory = all.clone().map(|(plugin, warm)| (of(plugin), gauge(warm.resident_mib << 20)));
        families.family("warm_resident", "Memory of warm interpreters, by plugin", Some(&Unit::Bytes), memory)?;
        let age = all.map(|(plugin, warm)| (of(plugin), gauge(warm.age_seconds)));
        families.family("warm_age", "How long warm interpreters have been there, by plugin", Some(&Unit::Seconds), age)
    }

    fn clients(&self, families: &mut Families<'_>) -> fmt::Result {
        let (numbers, moment) = (&self.numbers, &self.moment);
        let mut sessions = BTreeMap::from(TRANSPORTS.map(|transport| (transport, Sessions::default())));
        sessions.extend(&numbers.tables.sessions);
        let sessions = sessions.iter();
        families.gauges("sessions", "Sessions open, by transport",
            sessions.clone().map(|(transport, sessions)| ([("transport", *transport)], sessions.open())))?;
        families.counters("sessions_opened", "Sessions opened, by transport",
            sessions.map(|(transport, sessions)| ([("transport", *transport)], sessions.opened)))?;
        let mut refused = BTreeMap::from(REFUSALS.map(|reason| (reason, 0)));
        refused.extend(&numbers.tables.refused);
        families.counters("refused", "Connections and messages turned away, by reason",
            refused.iter().map(|(reason, count)| ([("reason", *reason)], *count)))?;
        let sessions = [("sessions", numbers.sessions_refused), ("idle_sessions", numbers.idle_sessions_ended), ("sessions_of_key", numbers.sessions_given_up)];
        let limits = moment.queue.refusals().chain(sessions).chain([("waiting_answers", numbers.answers_refused)]);
        families.counters("limit_hits", "Calls, sessions and answers refused or ended by a limit of this server, by limit",
            limits.map(|(limit, count)| ([("limit", limit)], count)))?;
        families.one("received", "Bytes of messages from clients, as they arrived", Some(&Unit::Bytes), &ConstCounter::new(numbers.received))?;
        families.one("sent", "Bytes of messages that clients have taken", Some(&Unit::Bytes), &ConstCounter::new(numbers.sent))?;
        families.one("waiting_answers", "Bytes that wait for clients", Some(&Unit::Bytes), &gauge(moment.waiting_bytes))?;
        families.one("waiting_answers_limit", "How many bytes may wait for clients", Some(&Unit::Bytes), &gauge(moment.max_waiting_bytes))?;
        families.one("client_log_messages_lost", "Log messages of plugins that a client did not read in time", None, &ConstCounter::new(numbers.client_logs_lost))
    }

    fn server(&self, families: &mut Families<'_>) -> fmt::Result {
        families.one("start_time", "Unix time of the start", Some(&Unit::Seconds), &ConstGauge::new(self.start_seconds))?;
        let losses = [("console", &self.losses.console), ("file", &self.losses.file)];
        families.counters("log_lines_lost", "Log lines that could not be written, by log",
            losses.into_iter().map(|(log, loss)| ([("log", log)], loss.lines())))?;
        families.one("spans_exported", "Spans that the collector has taken", None, &ConstCounter::new(self.moment.spans.exported()))?;
        families.counters("spans_lost", "Spans that it has not, by reason",
            self.moment.spans.lost().into_iter().map(|(reason, count)| ([("reason", reason)], count)))
    }
}
