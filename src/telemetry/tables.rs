//! What is counted, by label and in all. Knows nobody who counts, and no format.

use std::collections::BTreeMap;

use super::labels::{KeyLabel, Labelled, MAX_KEYS, MAX_TOOLS, PluginNames};

/// The outcome of what went well; every other outcome is a stable error code.
pub const OK: &str = "ok";

/// All numbers that are counted, at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Numbers {
    pub(super) tables: Tables,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) client_logs_lost: u64,
    pub(super) sessions_refused: u64,
    pub(super) idle_sessions_ended: u64,
    pub(super) sessions_given_up: u64,
    pub(super) answers_refused: u64,
}

/// What is counted by label.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    /// Requests answered, by method and outcome.
    pub(super) requests: BTreeMap<(&'static str, &'static str), u64>,
    /// Tool calls, by tool.
    pub(super) tools: Labelled<String, Ended, MAX_TOOLS>,
    /// Which plugins have labels of their own.
    pub(super) plugin_names: PluginNames,
    /// Tool calls, by the label of the plugin.
    pub(super) plugins: BTreeMap<String, OfPlugin>,
    /// Requests and tool calls, by key.
    pub(super) keys: Labelled<KeyLabel, OfKey, MAX_KEYS>,
    /// Tool calls under way.
    pub(super) calls_running: u64,
    /// Sessions, by transport.
    pub(super) sessions: BTreeMap<&'static str, Sessions>,
    /// What was turned away, by reason.
    pub(super) refused: BTreeMap<&'static str, u64>,
}

/// Calls that have ended.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended {
    /// How many, by outcome.
    pub(super) by_outcome: BTreeMap<&'static str, u64>,
    /// How long they took together.
    pub(super) seconds: f64,
}

/// The tool calls of one plugin.
#[derive(Clone, Debug, Default)]
pub(super) struct OfPlugin {
    /// Under way.
    pub(super) running: u64,
    /// Over.
    pub(super) ended: Ended,
}

/// What was sent with one key.
#[derive(Clone, Debug, Default)]
pub(super) struct OfKey {
    /// Requests answered.
    pub(super) requests: u64,
    /// Tool calls that are over.
    pub(super) calls: Ended,
}

/// The sessions of one transport.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sessions {
    /// Since the start.
    pub(super) opened: u64,
    /// Of them, those that are over.
    pub(super) closed: u64,
}

/// Whose call it is and of what.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallLabels<'a> {
    /// The tool's name in the catalogue; `None` for names that are not in it, which clients could invent without end.
    pub tool: Option<&'a str>,
    /// The plugin that serves it.
    pub plugin: Option<&'a str>,
    /// The key that it was sent with.
    pub key: KeyLabel,
}

impl Ended {
    fn add(&mut self, outcome: &'static str, seconds: f64) {
        *self.by_outcome.entry(outcome).or_default() += 1;
        self.seconds += seconds;
    }
}

impl Sessions {
    /// Those that are not over.
    pub(super) fn open(&self) -> u64 {
        self.opened - self.closed
    }
}

impl Tables {
    /// A call begins.
    pub(super) fn call_started(&mut self, plugin: Option<&str>) {
        self.calls_running += 1;
        if let Some(plugin) = plugin {
            self.plugin(plugin).running += 1;
        }
    }

    /// A call that has [begun](Self::call_started) is over.
    pub(super) fn call_ended(&mut self, of: CallLabels<'_>, outcome: &'static str, seconds: f64) {
        let tool = of.tool.unwrap_or("unknown");
        self.tools.entry(tool).add(outcome, seconds);
        self.keys.entry(&of.key).calls.add(outcome, seconds);
        if let Some(plugin) = of.plugin {
            let plugin = self.plugin(plugin);
            plugin.running -= 1;
            plugin.ended.add(outcome, seconds);
        }
        self.calls_running -= 1;
    }

    fn plugin(&mut self, plugin: &str) -> &mut OfPlugin {
        let label = self.plugin_names.label(plugin);
        self.plugins.entry(label.to_owned()).or_default()
    }

    /// Failed requests by their code. A call that failed is one of them.
    pub(super) fn errors(&self) -> BTreeMap<&'static str, u64> {
        let mut errors = BTreeMap::new();
        let failed = self.requests.iter();
        for ((_, outcome), count) in failed.filter(|((_, outcome), _)| *outcome != OK) {
            *errors.entry(*outcome).or_default() += count;
        }
        errors
    }
}
