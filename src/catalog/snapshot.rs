//! The tools, resources and prompts of one moment, and which of the tools a name means.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::mem::Discriminant;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::time::Instant;

use super::former::FormerNames;
use super::listings::{Listing, Listings, View};
use super::plugin::{Offering, Plugin, PluginInfo, Service, Skipped, Tool};
use crate::call::types::{CallError, Listed};
use crate::contract::{Detach, OfferKind};
use crate::discovery::Class;
use crate::discovery::environments::Underway;
use crate::telemetry::PluginCounts;
use crate::text::quoted;

/// Longer names have no tool: none is longer than 64 characters, and a plugin's directory and its command hardly are.
const MAX_NAME_BYTES: usize = 512;

/// The tools of one moment. Immutable: a reload replaces it whole.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// In the fixed order: plugin name, then the order of the plugin's description.
    pub tools: Vec<Arc<Tool>>,
    /// In the same order.
    pub resources: Vec<Arc<Offering>>,
    /// In the same order.
    pub templates: Vec<Arc<Offering>>,
    /// In the same order.
    pub prompts: Vec<Arc<Offering>>,
    /// In the same order.
    pub completions: Vec<Arc<Offering>>,
    /// What runs for as long as its plugin is served, in the same order.
    pub services: Vec<Arc<Service>>,
    /// The plugins that were loaded, by name.
    pub plugins: Vec<PluginInfo>,
    /// What was passed over, and why.
    pub skipped: Vec<Skipped>,
    /// What is served although it should not be as it is: for whoever runs the server.
    pub warnings: Vec<String>,
    /// Whether every plugin has answered or timed out.
    pub complete: bool,
    /// How many of the plugins are served as they described themselves at an earlier start, and have not been asked
    /// since.
    pub recalled: usize,
    /// The plugins that are served as before, and why: what they said when they were asked again cannot be served, or
    /// what they declare that they need cannot be had.
    pub outdated: Vec<Skipped>,
    /// The environments that are being made for plugins that are served without them.
    pub(super) underway: HashMap<String, Underway>,
    /// Whether there are plugins and none of them could be asked.
    pub(super) starved: bool,
    /// The tools by their exact name.
    by_name: HashMap<String, Arc<Tool>>,
    /// Names that tools had in earlier snapshots.
    former: FormerNames,
    /// The list of tools as text, for each view that was asked for.
    listings: Listings,
}

/// Which plugin serves what, by its kind and its key.
type Keys = HashMap<(Discriminant<OfferKind>, String), String>;

impl Snapshot {
    /// The snapshot of these plugins, which are in their order. A name that two of them claim is nobody's:
    /// whoever comes first in the alphabet must not take another's calls.
    pub fn new(plugins: &[Arc<Plugin>], mut skipped: Vec<Skipped>, complete: bool) -> Self {
        let mut snapshot = Self {
            complete,
            ..Self::default()
        };
        let owners = owners(plugins);
        let mut keys = Keys::new();
        for plugin in plugins {
            let mut served = 0;
            skipped.extend(plugin.skipped.iter().cloned());
            for tool in &plugin.tools {
                match owners[tool.name.as_str()].as_slice() {
                    [_] => {
                        served += 1;
                        snapshot.by_name.insert(tool.name.clone(), Arc::clone(tool));
                        snapshot.tools.push(Arc::clone(tool));
                    }
                    claims => skipped.push(claimed(tool, claims)),
                }
            }
            for offering in &plugin.offerings {
                snapshot.offer(offering, &mut keys, &mut skipped);
            }
            snapshot.services.extend(plugin.services.iter().cloned());
            snapshot.plugins.push(PluginInfo {
                tools: served,
                ..plugin.info.clone()
            });
        }
        snapshot.without_foreign_completions(&mut skipped);
        skipped.sort_by(|one, other| one.name.cmp(&other.name));
        snapshot.skipped = skipped;
        snapshot
    }

    fn offer(&mut self, offering: &Arc<Offering>, keys: &mut Keys, skipped: &mut Vec<Skipped>) {
        let list = match offering.kind {
            OfferKind::Resource => &mut self.resources,
            OfferKind::Template(_) => &mut self.templates,
            OfferKind::Prompt(_) => &mut self.prompts,
            OfferKind::Completion { .. } => return self.completions.push(Arc::clone(offering)),
        };
        let key = (std::mem::discriminant(&offering.kind), offering.key.clone());
        match keys.entry(key) {
            Entry::Vacant(place) => {
                place.insert(offering.plugin.clone());
                list.push(Arc::clone(offering));
            }
            Entry::Occupied(owner) => skipped.push(Skipped {
                name: format!("{} {}", offering.plugin, offering.key),
                reason: format!("the plugin {} serves it already", owner.get()),
                class: None,
            }),
        }
    }

    /// Whether there are plugins and none is served, because the system was out of descriptors, processes or memory
    /// when they were to be asked, or their environments are not there yet. They are asked again.
    pub fn is_starved(&self) -> bool {
        self.starved
    }

    /// The plugins that are not served, with the class of the reason.
    pub fn unserved(&self) -> impl Iterator<Item = (&Skipped, Class)> {
        with_class(&self.skipped)
    }

    /// Whether the first environment of a plugin, which is served without it meanwhile, is on its way: what can wait for it
    /// does better with it. Not, where its installer has found nothing after `patience`.
    pub fn awaits_environment(&self, plugin: &str, now: Instant, patience: Duration) -> bool {
        let underway = self.underway.get(plugin);
        underway.is_some_and(|underway| underway.is_worth_waiting(now, patience))
    }

    /// The plugins that are served as before, with the class of the reason.
    pub fn outdated(&self) -> impl Iterator<Item = (&Skipped, Class)> {
        with_class(&self.outdated)
    }

    /// What is served and what is not, as numbers.
    pub fn counts(&self) -> PluginCounts {
        let served = self.plugins.iter();
        let served = served.map(|plugin| (plugin.name.clone(), plugin.tools as u64));
        let unserved = self.unserved();
        let unserved: Vec<_> = unserved
            .map(|(skipped, class)| (skipped.name.clone(), class.word()))
            .collect();
        PluginCounts {
            served: served.collect(),
            parts_unserved: (self.skipped.len() - unserved.len()) as u64,
            unserved,
            classes: &Class::WORDS,
            outdated: self.outdated.len() as u64,
            complete: self.complete,
        }
    }

    /// Whether clients and people see the same in both.
    pub fn looks_like(&self, other: &Self) -> bool {
        self.complete == other.complete
            && self.starved == other.starved
            && self.plugins == other.plugins
            && self.skipped == other.skipped
            && self.warnings == other.warnings
            && self.outdated == other.outdated
            && self.services == other.services
            && Listed::ALL
                .into_iter()
                .all(|list| self.lists_the_same(other, list))
            && look_the_same(&self.completions, &other.completions)
    }

    /// Whether clients see the same list in both.
    pub fn lists_the_same(&self, other: &Self, list: Listed) -> bool {
        match list {
            Listed::Tools => {
                let entries = other.tools.iter().map(entry);
                self.tools.iter().map(entry).eq(entries)
            }
            Listed::Prompts => look_the_same(&self.prompts, &other.prompts),
            Listed::Resources => {
                look_the_same(&self.resources, &other.resources)
                    && look_the_same(&self.templates, &other.templates)
            }
        }
    }

    /// Whether a call of some tool may outlive its client.
    pub fn detaches(&self) -> bool {
        let mut tools = self.tools.iter();
        tools.any(|tool| tool.detach() != Detach::Never)
    }

    /// The list of tools for this view, made by `write` when it is asked for first.
    pub fn listing(&self, view: View, write: impl FnOnce() -> Box<RawValue>) -> Listing {
        self.listings.get(view, write)
    }

    /// The tool of exactly this name.
    pub fn tool(&self, name: &str) -> Option<Arc<Tool>> {
        self.by_name.get(name).map(Arc::clone)
    }

    /// What stands here where `offering` stood in an earlier snapshot.
    pub(super) fn same_offering(&self, offering: &Offering) -> Option<Arc<Offering>> {
        let list = match offering.kind {
            OfferKind::Resource => &self.resources,
            OfferKind::Template(_) => &self.templates,
            OfferKind::Prompt(_) => &self.prompts,
            OfferKind::Completion { .. } => &self.completions,
        };
        let is_same = |known: &&Arc<Offering>| {
            known.plugin == offering.plugin
                && known.key == offering.key
                && known.kind == offering.kind
        };
        list.iter().find(is_same).map(Arc::clone)
    }

    /// Remembers the names that tools had in the snapshot `before` this one.
    pub(super) fn remember(&mut self, before: &Self) {
        let is_served = |name: &str| self.by_name.contains_key(name);
        self.former = FormerNames::after(
            &before.former,
            before.tools.iter(),
            is_served,
            Instant::now(),
        );
    }

    /// The tool that had this name in an earlier snapshot.
    fn formerly(&self, name: &str) -> Option<Arc<Tool>> {
        let now = Instant::now();
        let mut tools = self.tools.iter();
        let meant = tools.find(|tool| self.former.mean(name, tool, now));
        meant.map(Arc::clone)
    }

    /// The tool that `name` means: the exact name, then `plugin.command`, then `plugin_command` where only
    /// one can be meant, then the name that a tool had a moment ago.
    ///
    /// # Errors
    /// Which part of the name is wrong.
    pub fn resolve(&self, name: &str) -> Result<Arc<Tool>, CallError> {
        if let Some(tool) = self.tool(name) {
            return Ok(tool);
        }
        // What no tool can be called is not searched for its parts, and not repeated whole.
        if name.len() > MAX_NAME_BYTES {
            return Err(CallError::InvalidToolName(quoted(name)));
        }
        self.joined_by(".", name)
            .or_else(|| self.joined_by("_", name))
            .or_else(|| self.formerly(name))
            .map_or_else(|| Err(self.unknown(name)), Ok)
    }

    /// The one tool whose plugin and command, joined in this way, give `name`.
    fn joined_by(&self, joint: &str, name: &str) -> Option<Arc<Tool>> {
        let is_meant = |tool: &&Arc<Tool>| {
            let command = name
                .strip_prefix(tool.plugin.as_str())
                .and_then(|rest| rest.strip_prefix(joint));
            command == Some(tool.run.command.name.as_str())
        };
        let mut meant = self.tools.iter().filter(is_meant);
        let first = meant.next()?;
        meant.next().is_none().then(|| Arc::clone(first))
    }

    fn unknown(&self, name: &str) -> CallError {
        let splits = ["__", "."].into_iter().flat_map(|joint| {
            name.match_indices(joint)
                .map(move |(at, _)| (&name[..at], &name[at + joint.len()..]))
        });
        let splits: Vec<(&str, &str)> = splits
            .filter(|(plugin, command)| !plugin.is_empty() && !command.is_empty())
            .collect();
        let Some((first, _)) = splits.first() else {
            return CallError::InvalidToolName(name.to_owned());
        };
        let of_known = splits
            .iter()
            .find(|(plugin, _)| self.plugins.iter().any(|known| known.name == *plugin));
        let Some((plugin, command)) = of_known else {
            let unserved = splits
                .iter()
                .find(|(plugin, _)| self.skipped.iter().any(|known| known.name == *plugin));
            return match unserved {
                Some((plugin, _)) => CallError::PluginNotServed((*plugin).to_owned()),
                None => CallError::PluginNotFound((*first).to_owned()),
            };
        };
        let tools = self.tools.iter().filter(|tool| tool.plugin == *plugin);
        let names: Vec<&str> = tools.map(|tool| tool.name.as_str()).collect();
        CallError::CommandNotFound {
            plugin: (*plugin).to_owned(),
            command: (*command).to_owned(),
            available: names.join(", "),
        }
    }

    /// Takes the completions out that are not for the plugin's own prompts and templates, as they are served: no
    /// plugin gets what users type for another.
    fn without_foreign_completions(&mut self, skipped: &mut Vec<Skipped>) {
        for completion in std::mem::take(&mut self.completions) {
            let OfferKind::Completion { reference, .. } = &completion.kind else {
                continue;
            };
            let owner = self.referred(reference).map(|owner| owner.plugin.as_str());
            if owner == Some(&completion.plugin) {
                self.completions.push(completion);
                continue;
            }
            let reason = match owner {
                Some(owner) => format!("its completion is for what the plugin {owner} serves"),
                None => "its completion is for nothing that is served".to_owned(),
            };
            skipped.push(Skipped {
                name: format!("{} {}", completion.plugin, completion.key),
                reason: format!("{reason}; a plugin completes its own prompts and templates"),
                class: None,
            });
        }
    }
}

fn with_class(skipped: &[Skipped]) -> impl Iterator<Item = (&Skipped, Class)> {
    let skipped = skipped.iter();
    skipped.filter_map(|skipped| Some((skipped, skipped.class?)))
}

fn entry(tool: &Arc<Tool>) -> (&str, Detach, bool) {
    (tool.definition.get(), tool.detach(), tool.requires_task())
}

fn look_the_same(one: &[Arc<Offering>], other: &[Arc<Offering>]) -> bool {
    one.iter().map(shown_as).eq(other.iter().map(shown_as))
}

fn shown_as(offering: &Arc<Offering>) -> (&str, &str) {
    (&offering.key, offering.definition.get())
}

/// Which plugins claim a tool name.
fn owners(plugins: &[Arc<Plugin>]) -> HashMap<&str, Vec<&str>> {
    let mut owners: HashMap<&str, Vec<&str>> = HashMap::new();
    for tool in plugins.iter().flat_map(|plugin| &plugin.tools) {
        owners.entry(&tool.name).or_default().push(&tool.plugin);
    }
    owners
}

fn claimed(tool: &Tool, claims: &[&str]) -> Skipped {
    let mut plugins = claims.to_vec();
    plugins.dedup();
    let claim = match plugins.as_slice() {
        [only] => format!(
            "{} commands of the plugin {only} claim this tool name",
            claims.len()
        ),
        several => format!("the plugins {} claim this tool name", several.join(", ")),
    };
    Skipped {
        name: tool.name.clone(),
        reason: format!(
            "{claim}, so none of them has it; rename all but one (from {})",
            tool.plugin
        ),
        class: None,
    }
}
