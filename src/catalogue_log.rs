//! What the log says of catalogues, and what somebody should know of one. Knows no client.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::catalog::{self, Holders, Snapshot};
use crate::discovery::scan::PROGRAMS;
use crate::governor::Governor;

/// By which these lines are filtered, as those of the start: commands that print what they find leave both out.
const TARGET: &str = "smcp::app";

/// What the log says of catalogues: what is new in one, and nothing twice while it stays so.
#[derive(Debug, Default)]
pub struct CatalogueLog {
    /// The plugins that are served: how many tools each gives, and how that is known.
    plugins: HashMap<String, (usize, &'static str)>,
    faults: HashSet<String>,
    /// Whether it was said that plugins are served from the cache.
    was_recalled: bool,
}

impl CatalogueLog {
    /// Says what is new in `snapshot`.
    pub fn say(&mut self, snapshot: &Snapshot, governor: &Governor, settings: &catalog::Settings) {
        if snapshot.recalled > 0 && !self.was_recalled {
            self.was_recalled = true;
            tracing::info!(
                target: TARGET,
                plugins = snapshot.recalled,
                "served from the cache, as described at an earlier start; asked again in the background"
            );
        }
        self.plugins(snapshot);
        self.faults(snapshot, faults(snapshot, governor, settings));
    }

    /// Says of each plugin how many tools it gives, and again when that changes.
    fn plugins(&mut self, snapshot: &Snapshot) {
        let mut gone = std::mem::take(&mut self.plugins);
        for plugin in &snapshot.plugins {
            let (tools, source) = (plugin.tools, plugin.source);
            if gone.remove(&plugin.name) != Some((tools, source)) {
                tracing::info!(target: TARGET, plugin = plugin.name, tools, source, "serving");
            }
            self.plugins.insert(plugin.name.clone(), (tools, source));
        }
        for plugin in gone.into_keys() {
            tracing::info!(target: TARGET, plugin, "no longer served");
        }
    }

    fn faults(&mut self, snapshot: &Snapshot, faults: Vec<String>) {
        for line in &faults {
            if !self.faults.contains(line) {
                tracing::warn!(target: TARGET, "{line}");
            }
        }
        // While plugins are being asked, what is not said of them yet is not over.
        if snapshot.complete {
            self.faults.clear();
        }
        self.faults.extend(faults);
    }
}

/// What somebody should know of a catalogue: what is not served, what a plugin's author should read, what profiles
/// ask for in vain. A line for each.
pub fn faults(
    snapshot: &Snapshot,
    governor: &Governor,
    settings: &catalog::Settings,
) -> Vec<String> {
    let skipped = snapshot
        .skipped
        .iter()
        .map(|skipped| format!("{} is not served: {}", skipped.name, skipped.reason));
    let warned = snapshot.plugins.iter().flat_map(|plugin| {
        plugin
            .warnings
            .iter()
            .map(|warning| format!("{}: {warning}", plugin.name))
    });
    let warnings = snapshot.warnings.iter().cloned();
    let mut faults: Vec<String> = warnings.chain(skipped).chain(warned).collect();
    if snapshot.complete {
        faults.extend(nothing_found(snapshot, settings.directory.as_deref()));
        faults.extend(governor.unmatched(snapshot));
        faults.extend(unknown_holders(&settings.reserved.holders, snapshot));
    }
    faults
}

/// Names in `SMCP_LETTA_CREDENTIALS` that no plugin has: whoever misspells one takes the credentials from all others.
pub fn unknown_holders(holders: &Holders, snapshot: &Snapshot) -> Option<String> {
    let Holders::Only(names) = holders else {
        return None;
    };
    let served = snapshot.plugins.iter().map(|plugin| &plugin.name);
    let skipped = snapshot.skipped.iter().map(|skipped| &skipped.name);
    let known: HashSet<_> = served.chain(skipped).collect();
    let unknown: Vec<_> = names.iter().filter(|name| !known.contains(name)).collect();
    (!unknown.is_empty()).then(|| {
        format!(
            "SMCP_LETTA_CREDENTIALS names {unknown:?}, but no plugin is called so; only plugins that it names get \
             Letta's address and password; correct it, or set it to all or none"
        )
    })
}

/// Why a directory has no plugins at all, as far as looking tells.
pub fn nothing_found(snapshot: &Snapshot, directory: Option<&Path>) -> Option<String> {
    let directory = directory?;
    if !snapshot.plugins.is_empty() || !snapshot.skipped.is_empty() {
        return None;
    }
    let whole = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let is_plugin = PROGRAMS.iter().any(|name| whole.join(name).is_file());
    Some(match whole.parent().filter(|_| is_plugin) {
        Some(above) => format!(
            "{} is a plugin itself; the plugins directory is the one above it: --plugins-dir {}",
            whole.display(),
            above.display()
        ),
        None => format!(
            "there is no plugin in {}; a plugin is a directory in it with a program cli.py",
            whole.display()
        ),
    })
}
