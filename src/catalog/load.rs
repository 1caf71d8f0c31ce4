//! Asks all plugins side by side and puts together what they answer, as it comes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OnceCell, mpsc};
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::asking::{Outcome, PluginAsker};
use super::home::Home;
use super::known::Known;
use super::lookout::{Lookout, given_up};
use super::settings::Settings;
use super::snapshot::Snapshot;
use crate::contract::environment::Environment;
use crate::discovery::Unserved;
use crate::discovery::cache::{self, Cache, Surroundings};
use crate::discovery::describe::Asker;
use crate::discovery::environments::{Environments, Probes};
use crate::discovery::interpreter::{Candidates, Resolved};
use crate::discovery::scan::{Found, Look, look};
use crate::process::Launcher;

/// How long what plugins answer when they are asked again is kept for the answers of the others: what was served
/// before is served meanwhile, and clients are notified once.
pub(super) const HELD: Duration = Duration::from_secs(2);

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
    /// The environments of plugins; `None` where they have none of their own.
    pub environments: Option<Environments>,
    /// Whether changes of plugins are noticed.
    pub watch: bool,
    /// Where descriptions are kept, if anywhere.
    pub cache_settings: Option<cache::Settings>,
    /// Whether there is anything to keep: the demos are unpacked into another directory at each start.
    pub keeps_descriptions: bool,
    /// The same, open; opened when it is needed.
    pub cache: OnceCell<Option<Arc<Cache>>>,
}

impl Loader {
    /// Begins nothing yet.
    pub fn new(
        settings: Settings,
        environment: Environment,
        launcher: Launcher,
        stop: CancellationToken,
    ) -> Self {
        let has_own_directory = settings.directory.is_some();
        let inherited = environment.inherited();
        let asker = Asker {
            launcher,
            environment,
            variables: Arc::default(),
            limit: settings.describe_limit,
            stop,
        };
        Self {
            asker,
            home: Arc::new(Home::new(settings.directory)),
            only: settings.only,
            allow_writable: settings.allow_writable,
            python: settings.python,
            resolved: Arc::new(Resolved::default()),
            // The demos need nothing.
            environments: settings
                .environments
                .filter(|_| has_own_directory)
                .map(|settings| Environments::new(settings, inherited)),
            watch: settings.watch && has_own_directory,
            // One that was named and cannot be used is warned of, whether or not there is something to keep.
            cache_settings: settings
                .cache
                .filter(|cache| has_own_directory || cache.is_named),
            keeps_descriptions: has_own_directory,
            cache: OnceCell::new(),
        }
    }

    /// Looks for plugins and asks each, those that are known by now, too, unless `may_recall`: then what a plugin said
    /// at an earlier start, when everything was as it is now, stands for its answer. Whenever some have answered,
    /// `publish` gets what is known by then: of those that have not answered yet, and of those whose answer is of no
    /// use, what they said before. What has failed is tried again at once if this `is_anew`.
    pub async fn load(
        &self,
        known: &mut Known,
        may_recall: bool,
        is_anew: bool,
        mut publish: impl FnMut(Snapshot),
    ) {
        let (directory, look) = match self.look().await {
            Ok((directory, look)) => (directory, wanted(look, &self.only)),
            Err(fault) => return self.keep(known, fault, publish),
        };
        known.see(look);
        if let Some(environments) = self.environments.as_ref().filter(|_| is_anew) {
            environments.forget_failures();
        }
        let asker = self.plugin_asker(&directory).await;
        let mut left = known.all();
        if may_recall {
            for outcome in asker.recall(known.unknown()).await {
                known.take(outcome).await;
            }
            left = known.unanswered(|key| self.failure_stands(key));
            if !left.is_empty() {
                publish(known.snapshot(false));
            }
        }
        let had_all = known.has_all();
        self.ask_and_publish(&asker, left, known, had_all, publish)
            .await;
        asker.sweep();
    }

    /// Asks those plugins again that were not asked because the system was out of something.
    pub async fn retry(&self, known: &mut Known, may_recall: bool, publish: impl FnMut(Snapshot)) {
        let Some(left) = known.left(|key| self.failure_stands(key)) else {
            return self.load(known, may_recall, false, publish).await;
        };
        let directory = match self.directory().await {
            Ok(directory) => directory,
            Err(fault) => return self.keep(known, fault, publish),
        };
        let asker = self.plugin_asker(&directory).await;
        let had_all = known.has_all();
        self.ask_and_publish(&asker, left, known, had_all, publish)
            .await;
    }

    fn failure_stands(&self, key: &str) -> bool {
        let environments = self.environments.as_ref();
        environments.is_some_and(|environments| environments.failure_stands(key))
    }

    /// Nothing can be said of any plugin at this moment: what is served stays so.
    fn keep(&self, known: &mut Known, fault: Unserved, mut publish: impl FnMut(Snapshot)) {
        known.cannot_see(self.home.name(), fault);
        publish(known.snapshot(true));
    }

    /// What asks plugins now, with what their answers depend on at this moment.
    pub(super) async fn plugin_asker(&self, directory: &Path) -> Arc<PluginAsker> {
        let candidates = Candidates {
            configured: self.python.clone(),
            plugins: directory.to_owned(),
            environment: self.asker.environment.inherited(),
        };
        let cache = self
            .cache
            .get_or_init(|| open_cache(self.cache_settings.clone()));
        let cache = cache.await.clone().filter(|_| self.keeps_descriptions);
        let asker = self.asker.clone();
        let looking = spawn_blocking(move || Surroundings::new(&asker));
        let lookout = Lookout {
            asker: self.asker.clone(),
            candidates,
            resolved: Arc::clone(&self.resolved),
            surroundings: looking.await.ok(),
            compares: self.watch || cache.is_some(),
            environments: self.environments.clone(),
            probes: Probes::default(),
        };
        Arc::new(PluginAsker::new(lookout, cache))
    }

    /// Asks them and publishes what they say: all of it at once where the catalogue is complete without it and
    /// nobody takes long.
    pub(super) async fn ask_and_publish(
        &self,
        asker: &Arc<PluginAsker>,
        plugins: Vec<Found>,
        known: &mut Known,
        had_all: bool,
        mut publish: impl FnMut(Snapshot),
    ) {
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
                known.take(outcome).await;
            }
            if Instant::now() < held_until {
                is_held = true;
            } else if left > 0 {
                publish(known.snapshot(had_all));
            }
        }
        publish(known.snapshot(true));
    }

    pub(super) async fn directory(&self) -> Result<PathBuf, Unserved> {
        let home = Arc::clone(&self.home);
        spawn_blocking(move || home.path())
            .await
            .map_err(given_up)?
    }

    pub(super) async fn look(&self) -> Result<(PathBuf, Look), Unserved> {
        let directory = self.directory().await?;
        let allow_writable = self.allow_writable;
        let looking =
            spawn_blocking(move || look(&directory, allow_writable).map(|look| (directory, look)));
        looking.await.map_err(given_up)?
    }
}

/// What a look found, without what nobody wants to know of, where any of `only` is there.
pub(super) fn wanted(mut look: Look, only: &[String]) -> Look {
    let is_wanted = |name: &str| only.iter().any(|only| only == name);
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
fn ask(asker: &Arc<PluginAsker>, plugins: Vec<Found>) -> mpsc::Receiver<Outcome> {
    let (sender, receiver) = mpsc::channel(plugins.len().max(1));
    let mut asking = JoinSet::new();
    // Gone with the last of them.
    let round = asker.round(&plugins);
    for plugin in plugins {
        let (asker, round) = (Arc::clone(asker), round.clone());
        asking.spawn(async move { asker.ask(&plugin, None, round.as_deref()).await });
    }
    drop(round);
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
