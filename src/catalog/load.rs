//! Asks all plugins side by side and puts together what they answer, as it comes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, sleep_until};

use super::asking::{Memory, Outcome, PluginAsker, given_up};
use super::home::Home;
use super::known::Known;
use super::snapshot::Snapshot;
use crate::discovery::Unserved;
use crate::discovery::cache::{self, Cache, Surroundings, Usage};
use crate::discovery::describe::Asker;
use crate::discovery::interpreter::{Candidates, Resolved};
use crate::discovery::scan::{Found, Look, look};

/// How long what plugins answer when they are asked again is kept for the answers of the others: what was served
/// before is served meanwhile, and clients are notified once.
const HELD: Duration = Duration::from_secs(2);

/// How long after a start plugins are asked again that were recalled: the first clients come first.
const CHECK_AFTER: Duration = Duration::from_secs(2);

/// A plugin that is asked in the background is followed by a pause of so many times what that took.
const CHECK_PAUSE: u32 = 3;

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
    /// Where descriptions are kept, if anywhere.
    pub cache_settings: Option<cache::Settings>,
    /// The same, open; opened when it is needed.
    pub cache: OnceCell<Option<Arc<Cache>>>,
}

impl Loader {
    /// Looks for plugins and asks each, those that are known by now, too, unless `may_recall`: then what a plugin said
    /// at an earlier start, when everything was as it is now, stands for its answer. Whenever some have answered,
    /// `publish` gets what is known by then: of those that have not answered yet, and of those whose answer is of no
    /// use, what they said before.
    pub async fn load(
        &self,
        known: &mut Known,
        may_recall: bool,
        mut publish: impl FnMut(Snapshot),
    ) {
        let (directory, look) = match self.look().await {
            Ok((directory, look)) => (directory, self.wanted(look)),
            Err(fault) => return self.keep(known, fault, publish),
        };
        known.see(look);
        let asker = self.plugin_asker(&directory).await;
        let mut left = known.all();
        if may_recall {
            for outcome in asker.recall(known.unknown()).await {
                known.note(outcome);
            }
            left = known.unanswered();
            if !left.is_empty() {
                publish(known.snapshot(false));
            }
        }
        self.ask_and_publish(&asker, left, known, publish).await;
        asker.sweep();
    }

    /// Asks those plugins again that were not asked because the system was out of something.
    pub async fn retry(&self, known: &mut Known, may_recall: bool, publish: impl FnMut(Snapshot)) {
        let Some(left) = known.left() else {
            return self.load(known, may_recall, publish).await;
        };
        let directory = match self.directory().await {
            Ok(directory) => directory,
            Err(fault) => return self.keep(known, fault, publish),
        };
        let asker = self.plugin_asker(&directory).await;
        self.ask_and_publish(&asker, left, known, publish).await;
    }

    /// Asks one after the other those that are served as they described themselves at an earlier start, with most of
    /// the time left to others. What they say now is published, and nothing where it is the same.
    pub async fn check_recalled(&self, known: &mut Known, mut publish: impl FnMut(Snapshot)) {
        let usage = self.cache_settings.as_ref().map(|cache| cache.usage);
        if usage != Some(Usage::Serve) || known.recalled().is_empty() {
            return;
        }
        let Ok(directory) = self.directory().await else {
            return;
        };
        let asker = self.plugin_asker(&directory).await;
        for outcome in asker.recall_behind_shims(known.recalled()).await {
            known.note(outcome);
        }
        publish(known.snapshot(true));
        sleep(CHECK_AFTER).await;
        let mut published = Instant::now();
        let mut is_other = false;
        for (plugin, recalled) in known.recalled() {
            let began = Instant::now();
            match asker.ask(&plugin, Some(&recalled)).await {
                Some(outcome) => {
                    known.note(outcome);
                    is_other = true;
                }
                None => known.confirm(&plugin.name),
            }
            sleep(began.elapsed() * CHECK_PAUSE).await;
            if is_other && published.elapsed() >= HELD {
                publish(known.snapshot(true));
                (published, is_other) = (Instant::now(), false);
            }
        }
        publish(known.snapshot(true));
    }

    /// Nothing can be said of any plugin at this moment: what is served stays so.
    fn keep(&self, known: &mut Known, fault: Unserved, mut publish: impl FnMut(Snapshot)) {
        known.cannot_see(self.home.name(), fault);
        publish(known.snapshot(true));
    }

    /// What asks plugins now, with what their answers depend on at this moment.
    async fn plugin_asker(&self, directory: &Path) -> Arc<PluginAsker> {
        let candidates = Candidates {
            configured: self.python.clone(),
            plugins: directory.to_owned(),
            environment: self.asker.environment.inherited(),
        };
        let cache = self
            .cache
            .get_or_init(|| open_cache(self.cache_settings.clone()));
        let cache = cache.await.clone();
        let asker = self.asker.clone();
        let memory = spawn_blocking(move || {
            cache.map(|cache| Memory {
                cache,
                surroundings: Surroundings::new(&asker),
            })
        });
        let memory = memory.await.unwrap_or_default();
        let (asker, resolved) = (self.asker.clone(), Arc::clone(&self.resolved));
        Arc::new(PluginAsker::new(asker, candidates, resolved, memory))
    }

    async fn ask_and_publish(
        &self,
        asker: &Arc<PluginAsker>,
        plugins: Vec<Found>,
        known: &mut Known,
        mut publish: impl FnMut(Snapshot),
    ) {
        let had_all = known.has_all();
        let mut left = plugins.len();
        let mut answers = ask(asker, plugins);
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
            for outcome in fresh.drain(..) {
                known.note(outcome);
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
}

/// Asks them in the background; what they answer comes in the order of the answers. Dropping the receiver
/// ends the asking.
fn ask(asker: &Arc<PluginAsker>, plugins: Vec<Found>) -> mpsc::Receiver<Outcome> {
    let (sender, receiver) = mpsc::channel(plugins.len().max(1));
    let mut asking = JoinSet::new();
    for plugin in plugins {
        let asker = Arc::clone(asker);
        asking.spawn(async move { asker.ask(&plugin, None).await });
    }
    let collecting = async move {
        while let Some(answer) = asking.join_next().await {
            let Ok(Some(answer)) = answer else { continue };
            if sender.send(answer).await.is_err() {
                return;
            }
        }
    };
    // Owned by the receiver: when that is dropped, the next answer ends the task and with it all askers.
    tokio::spawn(collecting);
    receiver
}

/// The directory of kept descriptions. Without one, every plugin is asked at every start.
async fn open_cache(settings: Option<cache::Settings>) -> Option<Arc<Cache>> {
    let settings = settings?;
    let is_named = settings.is_named;
    let opening = spawn_blocking(move || Cache::open(&settings));
    match opening.await.unwrap_or_else(|fault| Err(fault.to_string())) {
        Ok(cache) => Some(Arc::new(cache)),
        Err(why) => {
            let text = "descriptions of plugins are not kept from one start to the next";
            if is_named {
                tracing::warn!("{text}: {why}");
            } else {
                tracing::info!("{text}: {why}; MCP_CACHE_DIR names another directory");
            }
            None
        }
    }
}
