//! What is read of plugins when the server is scraped, under the labels that they have. Counts nothing.

use std::collections::BTreeMap;

use super::labels::PluginNames;
use super::moment::{JobCounts, Moment};
use super::warm::WarmInterpreter;

/// One moment, by the label of the plugin: those without a label of their own are added up.
#[derive(Debug, Default)]
pub(super) struct ByPlugin {
    /// Tools that are served.
    pub(super) tools: BTreeMap<String, u64>,
    /// Plugins that are not served, by the class of the reason too.
    pub(super) unserved: BTreeMap<(String, &'static str), u64>,
    /// Background jobs; of plugins that have had none as well.
    pub(super) jobs: BTreeMap<String, JobCounts>,
    /// Warm interpreters.
    pub(super) warm: BTreeMap<String, WarmCounts>,
}

/// The warm interpreters under one label.
#[derive(Debug, Default)]
pub(super) struct WarmCounts {
    /// How many plugins are in which state.
    pub(super) states: BTreeMap<&'static str, u64>,
    /// Calls that might have been warm.
    pub(super) calls: u64,
    /// Of them, those that were.
    pub(super) hits: u64,
    /// Of them, those that were executed although a warm interpreter was there.
    pub(super) fallbacks: u64,
    /// Memory of their own, in MiB.
    pub(super) resident_mib: u64,
    /// How long the oldest has been there, in whole seconds.
    pub(super) age_seconds: u64,
}

impl ByPlugin {
    /// What `moment` has, under these names. Those that are served come first, so that they rather have their own.
    pub(super) fn of(moment: &Moment, names: &mut PluginNames) -> Self {
        let mut all = Self::default();
        for (plugin, tools) in &moment.plugins.served {
            let label = names.label(plugin);
            *all.tools.entry(label.to_owned()).or_default() += tools;
            all.jobs.entry(label.to_owned()).or_default();
        }
        for (plugin, class) in &moment.plugins.unserved {
            let labels = (names.label(plugin).to_owned(), *class);
            *all.unserved.entry(labels).or_default() += 1;
        }
        for (plugin, jobs) in &moment.jobs {
            let label = names.label(plugin).to_owned();
            all.jobs.entry(label).or_default().add(jobs);
        }
        for warm in &moment.warm {
            let label = names.label(&warm.plugin).to_owned();
            all.warm.entry(label).or_default().add(warm);
        }
        all
    }
}

impl WarmCounts {
    fn add(&mut self, warm: &WarmInterpreter) {
        *self.states.entry(warm.state.word()).or_default() += 1;
        self.calls += warm.calls;
        self.hits += warm.hits;
        self.fallbacks += warm.fallbacks;
        self.resident_mib += warm.resident_mib;
        self.age_seconds = self.age_seconds.max(warm.age_seconds);
    }
}
