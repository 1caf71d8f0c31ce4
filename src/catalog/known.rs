//! What is known of all plugins from one load to the next.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::asking::{Outcome, Recalled};
use super::beside::Beside;
use super::pace::Pace;
use super::plugin::{Plugin, Skipped};
use super::snapshot::Snapshot;
use super::steady::{self, Unsteady, is_steady};
use crate::discovery::Unserved;
use crate::discovery::cache::{Difference, Sight};
use crate::discovery::scan::{Found, Look};

/// What is known of all plugins from one load to the next.
#[derive(Debug, Default)]
pub struct Known {
    found: Vec<Found>,
    rejected: Vec<(String, Unserved)>,
    warnings: Vec<String>,
    entries: HashMap<String, Entry>,
    /// Another look at the directory than the one that is served, until it comes to rest.
    unsteady: Option<Unsteady<Result<Seen, Unserved>>>,
}

/// A look, with how the plugins look that are new.
#[derive(Debug, PartialEq)]
struct Seen {
    look: Look,
    fresh: Vec<Option<Sight>>,
}

/// What is to be done after a look.
#[derive(Debug, Default)]
pub struct ToDo {
    /// Those that are to be asked.
    pub ask: Vec<Found>,
    /// Whether the directory itself is another: plugins came or went, or may no longer be served.
    pub is_other: bool,
    /// When to look again at the latest.
    pub again: Option<Instant>,
}

/// When to look again at what cannot be told apart yet: when it has, by clocks without fractions of a second.
const UNCLEAR: Duration = Duration::from_secs(3);

/// When to look again at a directory that cannot be read.
const UNREADABLE: Duration = Duration::from_secs(2);

/// What is known of one plugin.
#[derive(Debug, Default)]
struct Entry {
    /// As it is served: what it said when it last said something that can be.
    plugin: Option<Arc<Plugin>>,
    /// What came of it when it was asked last, if that cannot be served.
    fault: Option<Unserved>,
    /// Whether its own environment runs it, as it is served.
    is_own: bool,
    /// Whether that was no longer there when it was asked last.
    is_gone: bool,
    /// What is to be known of its environment, where it was not run by that when it was asked last.
    beside: Option<Beside>,
    /// Set while this is what it said at an earlier start.
    recalled: Option<Arc<Recalled>>,
    /// How it looked before it was asked last, and the digest of what it answered.
    sight: Option<Sight>,
    answer: Option<[u8; 32]>,
    /// Another sight of it, until it comes to rest.
    unsteady: Option<Unsteady<Sight>>,
    pace: Pace,
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
        self.unsteady = None;
    }

    /// Takes over what a look has found that nobody asked for, as soon as it is steady; `sights` are those of the
    /// plugins that it found.
    pub fn notice(
        &mut self,
        look: Result<Look, Unserved>,
        directory: String,
        sights: HashMap<String, Sight>,
        now: Instant,
    ) -> ToDo {
        let mut to_do = ToDo::default();
        let mut again =
            |at: Instant| to_do.again = Some(to_do.again.map_or(at, |known| known.min(at)));
        let seen = self.seen(&look, &sights);
        if self.is_as(&look, &directory) {
            self.unsteady = None;
        } else if !is_steady(&mut self.unsteady, seen, now) {
            again(now + steady::REST);
        } else {
            to_do.is_other = true;
            match look.clone() {
                Ok(look) => self.see(look),
                Err(fault) => self.cannot_see(directory, fault),
            }
        }
        if look.is_err() {
            again(now + UNREADABLE);
            return to_do;
        }
        for plugin in &self.found {
            let Some(sight) = sights.get(&plugin.name) else {
                continue;
            };
            let Some(entry) = self.entries.get_mut(&plugin.name) else {
                // How it looks is steady: it is part of what was seen.
                to_do.ask.push(plugin.clone());
                continue;
            };
            match entry.next(sight, now) {
                Some(at) if at <= now => {
                    entry.pace.begin(now);
                    to_do.ask.push(plugin.clone());
                }
                Some(at) => again(at),
                None => {}
            }
        }
        to_do
    }

    fn seen(
        &self,
        look: &Result<Look, Unserved>,
        sights: &HashMap<String, Sight>,
    ) -> Result<Seen, Unserved> {
        let look = look.clone()?;
        let names = look.found.iter().map(|plugin| &plugin.name);
        let fresh = names.filter(|name| !self.entries.contains_key(*name));
        let fresh = fresh.map(|name| sights.get(name).cloned()).collect();
        Ok(Seen { look, fresh })
    }

    /// Whether this is what is served.
    fn is_as(&self, look: &Result<Look, Unserved>, directory: &str) -> bool {
        match look {
            Ok(look) => {
                self.found == look.found
                    && self.rejected == look.rejected
                    && self.warnings == look.warnings
            }
            Err(fault) => self.rejected == [(directory.to_owned(), fault.clone())],
        }
    }

    /// Nothing can be said of any plugin at this moment.
    pub fn cannot_see(&mut self, directory: String, fault: Unserved) {
        self.rejected = vec![(directory, fault)];
        self.unsteady = None;
    }

    /// All that were found.
    pub fn all(&self) -> Vec<Found> {
        self.found.clone()
    }

    /// Those that have not answered in time, or because the system was out of something; `None` where it was that even
    /// when they were looked for.
    pub fn left(&self, stands: impl Fn(&str) -> bool) -> Option<Vec<Found>> {
        let is_blind = self.rejected.iter().any(|(_, fault)| fault.passes());
        (!is_blind).then(|| self.unanswered(stands))
    }

    /// Those that nothing is known of, and those that have not answered in time, or because the system was out of
    /// something, or whose environment was waited for and may be there now: `stands` says of which it is known that it
    /// cannot be made.
    pub fn unanswered(&self, stands: impl Fn(&str) -> bool) -> Vec<Found> {
        let is_left = |plugin: &&Found| {
            let entry = self.entries.get(&plugin.name);
            entry.is_none_or(|entry| {
                let fault = entry.fault.as_ref();
                match &entry.beside {
                    Some(beside) => beside.is_due(&stands) || fault.is_some_and(Unserved::may_pass),
                    None => fault.is_some_and(|fault| fault.may_pass() || fault.waits()),
                }
            })
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

    /// Whether the environment of some plugin is waited for.
    pub fn waits(&self) -> bool {
        let mut entries = self.entries.values();
        entries.any(|entry| {
            entry.beside.as_ref().is_some_and(Beside::waits)
                || entry.fault.as_ref().is_some_and(Unserved::waits)
        })
    }

    /// Whether asking, or looking, again may help although nobody changed anything.
    pub fn may_pass(&self) -> bool {
        self.faults().any(Unserved::may_pass)
    }

    /// What is wrong with plugins, or with looking for them.
    fn faults(&self) -> impl Iterator<Item = &Unserved> {
        let entries = self.entries.values();
        let rejected = self.rejected.iter().map(|(_, fault)| fault);
        entries
            .filter_map(|entry| entry.fault.as_ref())
            .chain(rejected)
    }

    /// Takes over what came of one. Looks at a file where it counts whether that is there.
    pub async fn take(&mut self, outcome: Outcome) {
        let entry = self.entries.get(&outcome.name);
        let entry = entry.filter(|entry| entry.is_own && outcome.beside.is_some());
        let served = entry.and_then(|entry| entry.plugin.as_ref());
        let is_gone = match served.map(|plugin| plugin.info.interpreter.clone()) {
            Some(python) => spawn_blocking(move || !python.exists()).await,
            None => Ok(false),
        };
        self.note(outcome, is_gone.unwrap_or(false));
    }

    /// Takes over what came of one. `is_gone` says that its environment, which runs it as it is served, is no longer there.
    fn note(&mut self, outcome: Outcome, is_gone: bool) {
        let entry = self.entries.entry(outcome.name).or_default();
        let plugin = match (outcome.plugin, &outcome.beside) {
            // What it declared before is there: it does not lose that while what it declares now is not.
            (Ok(_), Some(beside))
                if entry.is_own
                    && entry.plugin.is_some()
                    && !is_gone
                    && !outcome.is_own
                    && !beside.is_made
                    && !beside.is_damaged =>
            {
                Err(beside.fault.clone())
            }
            (plugin, _) => plugin,
        };
        let plugin = plugin.map_err(|fault| fault.after(entry.fault.as_ref()));
        entry.is_gone = is_gone;
        entry.recalled = outcome.recalled;
        let is_same = match &plugin {
            Ok(_) => entry.fault.is_none() && entry.answer == outcome.answer,
            Err(fault) => {
                let before = entry.fault.as_ref().map(ToString::to_string);
                before == Some(fault.to_string())
            }
        };
        entry.pace.end(is_same);
        entry.unsteady = None;
        entry.sight = outcome.sight;
        entry.answer = outcome.answer;
        entry.beside = outcome.beside;
        match plugin {
            Ok(plugin) => {
                entry.is_own = outcome.is_own;
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
        let mut outdated = Vec::new();
        let mut plugins = Vec::new();
        let mut underway = HashMap::new();
        for Found { name, .. } in &self.found {
            match self.entries.get(name) {
                Some(Entry {
                    plugin: Some(plugin),
                    fault: None,
                    beside,
                    is_own,
                    ..
                }) => {
                    plugins.push(Arc::clone(plugin));
                    let Some(beside) = beside else { continue };
                    if let Unserved::Dependencies { .. } = beside.fault {
                        let class = beside.fault.class_of_answer();
                        outdated.push(skip(name, &beside.fault, class));
                    }
                    // No call waits for a second one while the first runs it, and has all that it had.
                    if let (Some(making), true) = (&beside.underway, beside.is_damaged || !*is_own)
                    {
                        underway.insert(name.clone(), making.clone());
                    }
                }
                Some(Entry {
                    plugin: Some(plugin),
                    fault: Some(fault),
                    beside,
                    is_gone,
                    ..
                }) => {
                    let making = beside.as_ref().and_then(|beside| beside.underway.as_ref());
                    // Nothing runs it before that is there.
                    let is_damaged = beside.as_ref().is_some_and(|beside| beside.is_damaged);
                    if let (Some(making), true) = (making, *is_gone || is_damaged) {
                        underway.insert(name.clone(), making.clone());
                    }
                    outdated.push(skip(name, fault, fault.class_of_answer()));
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
        snapshot.underway = underway;
        let recalled = self
            .entries
            .values()
            .filter(|entry| entry.recalled.is_some());
        snapshot.recalled = recalled.count();
        let mut entries = self.entries.values();
        let is_preparing = entries.any(|entry| matches!(entry.fault, Some(Unserved::Preparing(_))));
        snapshot.starved =
            plugins.is_empty() && (self.faults().any(Unserved::passes) || is_preparing);
        snapshot
    }
}

impl Entry {
    /// When it is to be asked because it looks as it does, or looked at again; `None` where nothing has changed.
    fn next(&mut self, sight: &Sight, now: Instant) -> Option<Instant> {
        // What could not be looked at before it was asked may have been anything.
        let difference = match &self.sight {
            Some(before) => sight.difference(before),
            None => Difference::Else,
        };
        match difference {
            Difference::None => {
                self.unsteady = None;
                None
            }
            Difference::Unclear => Some(now + UNCLEAR),
            Difference::Texts | Difference::Else => {
                if !is_steady(&mut self.unsteady, sight.clone(), now) {
                    return Some(now + steady::REST);
                }
                Some(self.pace.next(difference).unwrap_or(now))
            }
        }
    }
}

#[cfg(test)]
mod tests;
