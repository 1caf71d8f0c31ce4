//! Asks all plugins side by side and puts together what they answer, as it comes.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use super::home::Home;
use super::plugin::{Plugin, Skipped};
use super::snapshot::Snapshot;
use crate::discovery::Unserved;
use crate::discovery::describe::Asker;
use crate::discovery::interpreter::{Candidates, Resolved};
use crate::discovery::scan::{Found, Look, Program, look};

/// How long an asked plugin keeps others from being asked. One that takes longer waits for something
/// else than the processor.
const AT_WORK: Duration = Duration::from_millis(700);

/// How many plugins are asked at once at most, those included that take long.
const MAX_ASKED: usize = 64;

/// How long what plugins answer when they are asked again is kept for the answers of the others: what was served
/// before is served meanwhile, and clients are notified once.
const HELD: Duration = Duration::from_secs(2);

/// The pauses after which a plugin is asked once more, within one load, when the system was out of something.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(750)];

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
}

impl Known {
    /// Whether something was not asked, or not looked at, because the system was out of something.
    pub fn has_passing_faults(&self) -> bool {
        let faults = self
            .entries
            .values()
            .filter_map(|entry| entry.fault.as_ref());
        let rejected = self.rejected.iter().map(|(_, fault)| fault);
        faults.chain(rejected).any(Unserved::passes)
    }

    fn note(&mut self, name: String, outcome: Result<Arc<Plugin>, Unserved>) {
        let entry = self.entries.entry(name).or_default();
        match outcome {
            Ok(plugin) => {
                *entry = Entry {
                    plugin: Some(plugin),
                    fault: None,
                }
            }
            Err(fault) => entry.fault = Some(fault),
        }
    }

    fn has_all(&self) -> bool {
        let mut names = self.found.iter().map(|plugin| &plugin.name);
        names.all(|name| self.entries.contains_key(name))
    }

    /// What can be served of it.
    fn snapshot(&self, complete: bool) -> Snapshot {
        let skip = |name: &str, fault: &Unserved| Skipped {
            name: name.to_owned(),
            reason: fault.to_string(),
        };
        let rejected = self.rejected.iter();
        let mut skipped: Vec<Skipped> = rejected.map(|(name, fault)| skip(name, fault)).collect();
        let mut plugins = Vec::new();
        for Found { name, .. } in &self.found {
            match self.entries.get(name) {
                Some(Entry {
                    plugin: Some(plugin),
                    fault: None,
                }) => plugins.push(Arc::clone(plugin)),
                Some(Entry {
                    plugin: Some(plugin),
                    fault: Some(fault),
                }) => {
                    let warning = format!("served as before, for when it was asked again: {fault}");
                    plugins.push(Arc::new(plugin.with_warning(warning)));
                }
                Some(Entry {
                    plugin: None,
                    fault: Some(fault),
                }) => skipped.push(skip(name, fault)),
                _ => {}
            }
        }
        let mut snapshot = Snapshot::new(&plugins, skipped, complete);
        snapshot.warnings.clone_from(&self.warnings);
        snapshot.starved = plugins.is_empty() && self.has_passing_faults();
        snapshot
    }
}

/// Finds and asks plugins.
#[derive(Debug)]
pub struct Loader {
    /// Asks one.
    pub asker: Asker,
    /// Where plugins are.
    pub home: Arc<Home>,
    /// The plugins that are asked, where any of them is there.
    pub only: Vec<String>,
    /// `MCP_ALLOW_WRITABLE_PLUGINS`.
    pub allow_writable: bool,
    /// `MCP_PYTHON`.
    pub python: Option<PathBuf>,
    /// Interpreters behind shims, kept from one load to the next.
    pub resolved: Arc<Resolved>,
}

impl Loader {
    /// Looks for plugins and asks each. Whenever some have answered, `publish` gets what is known by then: of those
    /// that have not answered yet, and of those whose answer is of no use, what they said before.
    pub async fn load(&self, known: &mut Known, publish: impl FnMut(Snapshot)) {
        let (directory, look) = match self.look().await {
            Ok((directory, look)) => (directory, self.wanted(look)),
            Err(fault) => return self.keep(known, fault, publish),
        };
        known.found = look.found;
        known.rejected = look.rejected;
        known.warnings = look.warnings;
        let names = known.found.iter().map(|plugin| plugin.name.as_str());
        let names: HashSet<&str> = names.collect();
        known
            .entries
            .retain(|name, _| names.contains(name.as_str()));
        let all = known.found.clone();
        self.ask_and_publish(&directory, all, known, publish).await;
    }

    /// Asks those plugins again that were not asked because the system was out of something.
    pub async fn retry(&self, known: &mut Known, publish: impl FnMut(Snapshot)) {
        if known.rejected.iter().any(|(_, fault)| fault.passes()) {
            return self.load(known, publish).await;
        }
        let directory = match self.directory().await {
            Ok(directory) => directory,
            Err(fault) => return self.keep(known, fault, publish),
        };
        let is_left = |plugin: &&Found| {
            let entry = known.entries.get(&plugin.name);
            entry.is_none_or(|entry| entry.fault.as_ref().is_some_and(Unserved::passes))
        };
        let left = known.found.iter().filter(is_left).cloned().collect();
        self.ask_and_publish(&directory, left, known, publish).await;
    }

    /// Nothing can be said of any plugin at this moment: what is served stays so.
    fn keep(&self, known: &mut Known, fault: Unserved, mut publish: impl FnMut(Snapshot)) {
        known.rejected = vec![(self.home.name(), fault)];
        publish(known.snapshot(true));
    }

    async fn ask_and_publish(
        &self,
        directory: &Path,
        plugins: Vec<Found>,
        known: &mut Known,
        mut publish: impl FnMut(Snapshot),
    ) {
        let had_all = known.has_all();
        let mut left = plugins.len();
        let mut answers = self.ask(directory, plugins);
        let mut fresh = Vec::new();
        let held_until = Instant::now() + if had_all { HELD } else { Duration::ZERO };
        let mut is_held = false;
        while left > 0 {
            let count = tokio::select! {
                count = answers.recv_many(&mut fresh, left) => count,
                () = sleep_until(held_until), if is_held => {
                    publish(known.snapshot(had_all));
                    is_held = false;
                    continue;
                }
            };
            if count == 0 {
                break;
            }
            left -= count;
            for (name, outcome) in fresh.drain(..) {
                known.note(name, outcome);
            }
            if Instant::now() < held_until {
                is_held = true;
            } else if left > 0 {
                publish(known.snapshot(had_all));
            }
        }
        publish(known.snapshot(true));
    }

    async fn directory(&self) -> Result<PathBuf, Unserved> {
        let home = Arc::clone(&self.home);
        spawn_blocking(move || home.path())
            .await
            .map_err(given_up)?
    }

    async fn look(&self) -> Result<(PathBuf, Look), Unserved> {
        let directory = self.directory().await?;
        let allow_writable = self.allow_writable;
        let looking =
            spawn_blocking(move || look(&directory, allow_writable).map(|look| (directory, look)));
        looking.await.map_err(given_up)?
    }

    /// What a look found, without what nobody wants to know of.
    fn wanted(&self, mut look: Look) -> Look {
        let is_wanted = |name: &str| self.only.iter().any(|only| only == name);
        let found = look.found.iter().map(|plugin| &plugin.name);
        let rejected = look.rejected.iter().map(|(name, _)| name);
        if found.chain(rejected).any(|name| is_wanted(name)) {
            look.found.retain(|plugin| is_wanted(&plugin.name));
            look.rejected.retain(|(name, _)| is_wanted(name));
        }
        look
    }

    /// Asks them in the background; what they answer comes in the order of the answers. Dropping the receiver
    /// ends the asking.
    fn ask(
        &self,
        directory: &Path,
        plugins: Vec<Found>,
    ) -> mpsc::Receiver<(String, Result<Arc<Plugin>, Unserved>)> {
        let (sender, receiver) = mpsc::channel(plugins.len().max(1));
        let plugin_asker = Arc::new(PluginAsker {
            asker: self.asker.clone(),
            candidates: Arc::new(Candidates {
                configured: self.python.clone(),
                plugins: directory.to_owned(),
                environment: self.asker.environment.inherited(),
            }),
            resolved: Arc::clone(&self.resolved),
            at_work: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            asked: Semaphore::new(MAX_ASKED),
        });
        let mut asking = JoinSet::new();
        for plugin in plugins {
            let plugin_asker = Arc::clone(&plugin_asker);
            asking.spawn(async move { (plugin.name.clone(), plugin_asker.plugin(plugin).await) });
        }
        let collecting = async move {
            while let Some(answer) = asking.join_next().await {
                let Ok(answer) = answer else { continue };
                if sender.send(answer).await.is_err() {
                    return;
                }
            }
        };
        // Owned by the receiver: when that is dropped, the next answer ends the task and with it all askers.
        tokio::spawn(collecting);
        receiver
    }
}

/// What asking one plugin needs.
struct PluginAsker {
    asker: Asker,
    candidates: Arc<Candidates>,
    resolved: Arc<Resolved>,
    at_work: Semaphore,
    asked: Semaphore,
}

impl PluginAsker {
    /// The plugin, asked again after a pause when the system is out of something.
    async fn plugin(&self, plugin: Found) -> Result<Arc<Plugin>, Unserved> {
        for pause in PAUSES {
            match self.plugin_at_once(&plugin).await {
                Err(fault) if fault.passes() && !self.asker.stop.is_cancelled() => {}
                known => return known,
            }
            tokio::time::sleep(pause).await;
        }
        self.plugin_at_once(&plugin).await
    }

    async fn plugin_at_once(&self, plugin: &Found) -> Result<Arc<Plugin>, Unserved> {
        let _asked = self.asked.acquire().await;
        let at_work = self.at_work.acquire().await;
        let asking = async {
            let interpreter = self.interpreter(plugin).await?;
            self.asker.ask(plugin, interpreter).await
        };
        tokio::pin!(asking);
        let described = match tokio::time::timeout(AT_WORK, &mut asking).await {
            Ok(described) => described?,
            Err(_) => {
                drop(at_work);
                asking.await?
            }
        };
        let plugin = plugin.clone();
        // Compiling large schemas takes its time.
        let making = spawn_blocking(move || Plugin::new(&plugin, described));
        let made = making.await.map_err(given_up)?;
        made.map(Arc::new).map_err(|faults| {
            Unserved::Plugin(format!("its description breaks the contract: {faults}"))
        })
    }

    async fn interpreter(&self, plugin: &Found) -> Result<Option<PathBuf>, Unserved> {
        let Program::Python(_) = plugin.program else {
            return Ok(None);
        };
        let (candidates, directory) = (Arc::clone(&self.candidates), plugin.directory.clone());
        let choosing = spawn_blocking(move || candidates.choose(&directory));
        let chosen = choosing.await.map_err(given_up)??;
        let asker = &self.asker;
        let inherited = asker.environment.inherited();
        let real = self
            .resolved
            .real(chosen, &asker.launcher, &inherited, &asker.stop);
        Ok(Some(real.await))
    }
}

fn given_up(fault: tokio::task::JoinError) -> Unserved {
    Unserved::Plugin(format!("loading it was given up: {fault}"))
}
