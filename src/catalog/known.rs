//! What is known of all plugins from one load to the next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::asking::{Outcome, Recalled};
use super::plugin::{Plugin, Skipped};
use super::snapshot::Snapshot;
use crate::discovery::Unserved;
use crate::discovery::scan::{Found, Look};

/// What is known of all plugins from one load to the next.
#[derive(Debug, Default)]
pub struct Known {
    found: Vec<Found>,
    rejected: Vec<(String, Unserved)>,
    warnings: Vec<String>,
    entries: HashMap<String, Entry>,
}

/// What is known of one plugin.
#[derive(Debug, Default)]
struct Entry {
    /// As it is served: what it said when it last said something that can be.
    plugin: Option<Arc<Plugin>>,
    /// What came of it when it was asked last, if that cannot be served.
    fault: Option<Unserved>,
    /// Set while this is what it said at an earlier start.
    recalled: Option<Arc<Recalled>>,
}

impl Known {
    /// Takes over what a look at the plugins directory has found.
    pub fn see(&mut self, look: Look) {
        let names: HashSet<&str> = look
            .found
            .iter()
            .map(|plugin| plugin.name.as_str())
            .collect();
        self.entries.retain(|name, _| names.contains(name.as_str()));
        self.found = look.found;
        self.rejected = look.rejected;
        self.warnings = look.warnings;
    }

    /// Nothing can be said of any plugin at this moment.
    pub fn cannot_see(&mut self, directory: String, fault: Unserved) {
        self.rejected = vec![(directory, fault)];
    }

    /// All that were found.
    pub fn all(&self) -> Vec<Found> {
        self.found.clone()
    }

    /// Those that have not answered because the system was out of something; `None` where it was that even when they
    /// were looked for.
    pub fn left(&self) -> Option<Vec<Found>> {
        let is_blind = self.rejected.iter().any(|(_, fault)| fault.passes());
        (!is_blind).then(|| self.unanswered())
    }

    /// Those that nothing is known of, and those that have not answered because the system was out of something.
    pub fn unanswered(&self) -> Vec<Found> {
        let is_left = |plugin: &&Found| {
            let entry = self.entries.get(&plugin.name);
            entry.is_none_or(|entry| entry.fault.as_ref().is_some_and(Unserved::passes))
        };
        self.found.iter().filter(is_left).cloned().collect()
    }

    /// Those that nothing is known of.
    pub fn unknown(&self) -> Vec<Found> {
        let is_unknown = |plugin: &&Found| !self.entries.contains_key(&plugin.name);
        self.found.iter().filter(is_unknown).cloned().collect()
    }

    /// Those that are known by what they said at an earlier start alone.
    pub fn recalled(&self) -> Vec<(Found, Arc<Recalled>)> {
        let recalled = self.found.iter().filter_map(|plugin| {
            let recalled = self.entries.get(&plugin.name)?.recalled.as_ref()?;
            Some((plugin.clone(), Arc::clone(recalled)))
        });
        recalled.collect()
    }

    /// A plugin says now what it said at an earlier start.
    pub fn confirm(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.recalled = None;
        }
    }

    /// Whether something was not asked, or not looked at, because the system was out of something.
    pub fn has_passing_faults(&self) -> bool {
        let faults = self
            .entries
            .values()
            .filter_map(|entry| entry.fault.as_ref());
        let rejected = self.rejected.iter().map(|(_, fault)| fault);
        faults.chain(rejected).any(Unserved::passes)
    }

    /// Takes over what came of one.
    pub fn note(&mut self, outcome: Outcome) {
        let entry = self.entries.entry(outcome.name).or_default();
        entry.recalled = outcome.recalled;
        match outcome.plugin {
            Ok(plugin) => {
                entry.plugin = Some(plugin);
                entry.fault = None;
            }
            Err(fault) => entry.fault = Some(fault),
        }
    }

    /// Whether something is known of each that was found.
    pub fn has_all(&self) -> bool {
        let mut names = self.found.iter().map(|plugin| &plugin.name);
        names.all(|name| self.entries.contains_key(name))
    }

    /// What can be served of it.
    pub fn snapshot(&self, complete: bool) -> Snapshot {
        let skip = |name: &str, fault: &Unserved, class| Skipped {
            name: name.to_owned(),
            reason: fault.to_string(),
            class: Some(class),
        };
        let rejected = self.rejected.iter();
        let mut skipped: Vec<Skipped> = rejected
            .map(|(name, fault)| skip(name, fault, fault.class_of_look()))
            .collect();
        let mut outdated = 0;
        let mut plugins = Vec::new();
        for Found { name, .. } in &self.found {
            match self.entries.get(name) {
                Some(Entry {
                    plugin: Some(plugin),
                    fault: None,
                    ..
                }) => plugins.push(Arc::clone(plugin)),
                Some(Entry {
                    plugin: Some(plugin),
                    fault: Some(fault),
                    ..
                }) => {
                    outdated += 1;
                    let warning = format!("served as before, for when it was asked again: {fault}");
                    plugins.push(Arc::new(plugin.with_warning(warning)));
                }
                Some(Entry {
                    plugin: None,
                    fault: Some(fault),
                    ..
                }) => skipped.push(skip(name, fault, fault.class_of_answer())),
                _ => {}
            }
        }
        let mut snapshot = Snapshot::new(&plugins, skipped, complete);
        snapshot.warnings.clone_from(&self.warnings);
        snapshot.outdated = outdated;
        let recalled = self
            .entries
            .values()
            .filter(|entry| entry.recalled.is_some());
        snapshot.recalled = recalled.count();
        snapshot.starved = plugins.is_empty() && self.has_passing_faults();
        snapshot
    }
}
