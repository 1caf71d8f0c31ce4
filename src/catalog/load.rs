//! Asks all plugins side by side and puts together what they answer, as it comes.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

use super::plugin::{Plugin, Skipped};
use super::snapshot::Snapshot;
use crate::discovery::describe::Asker;
use crate::discovery::interpreter::{Candidates, Resolved};
use crate::discovery::scan::{Found, Look, Program, look};

/// How long an asked plugin keeps others from being asked. One that takes longer waits for something
/// else than the processor.
const AT_WORK: Duration = Duration::from_millis(700);

/// How many plugins are asked at once at most, those included that take long.
const MAX_ASKED: usize = 64;

/// What became of one plugin.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is served.
    Loaded(Arc<Plugin>),
    /// It is not.
    Skipped(Skipped),
}

/// What is known of each plugin from the last time.
pub type Known = HashMap<String, Outcome>;

/// Finds and asks plugins.
#[derive(Debug)]
pub struct Loader {
    /// Asks one.
    pub asker: Asker,
    /// Where plugins are.
    pub directory: PathBuf,
    /// The plugins that are asked, where any of them is there.
    pub only: Vec<String>,
    /// `MCP_PYTHON`.
    pub python: Option<PathBuf>,
    /// Interpreters behind shims, kept from one load to the next.
    pub resolved: Arc<Resolved>,
}

impl Loader {
    /// Asks every plugin. Whenever some have answered, `publish` gets what is known by then: of those that have
    /// not answered yet, what was `known` before.
    pub async fn load(&self, mut known: Known, mut publish: impl FnMut(Snapshot)) -> Known {
        let Look { found, rejected } = self.wanted(self.look().await);
        known.retain(|name, _| found.iter().any(|plugin| plugin.name == *name));
        let had_all = found.iter().all(|plugin| known.contains_key(&plugin.name));
        let mut answers = self.ask(&found);
        let mut left = found.len();
        let mut fresh = Vec::new();
        let assembled = |known: &Known, complete| assemble(&found, known, &rejected, complete);
        while left > 0 {
            let count = answers.recv_many(&mut fresh, found.len()).await;
            if count == 0 {
                break;
            }
            left -= count;
            known.extend(fresh.drain(..));
            if left > 0 {
                publish(assembled(&known, had_all));
            }
        }
        publish(assembled(&known, true));
        known
    }

    async fn look(&self) -> Look {
        let directory = self.directory.clone();
        let looked = tokio::task::spawn_blocking(move || look(&directory)).await;
        looked.unwrap_or_else(|fault| Look {
            found: Vec::new(),
            rejected: vec![(
                self.directory.display().to_string(),
                format!("looking at the plugins failed: {fault}"),
            )],
        })
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
    fn ask(&self, found: &[Found]) -> mpsc::Receiver<(String, Outcome)> {
        let (sender, receiver) = mpsc::channel(found.len().max(1));
        let one = Arc::new(One {
            asker: self.asker.clone(),
            candidates: Candidates {
                configured: self.python.clone(),
                plugins: self.directory.clone(),
                environment: self.asker.environment.inherited(),
            },
            resolved: Arc::clone(&self.resolved),
            at_work: Semaphore::new(std::thread::available_parallelism().map_or(1, usize::from)),
            asked: Semaphore::new(MAX_ASKED),
        });
        let mut asking = JoinSet::new();
        for plugin in found.iter().cloned() {
            let one = Arc::clone(&one);
            asking.spawn(async move {
                let outcome = one.outcome(&plugin).await;
                (plugin.name, outcome)
            });
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
struct One {
    asker: Asker,
    candidates: Candidates,
    resolved: Arc<Resolved>,
    at_work: Semaphore,
    asked: Semaphore,
}

impl One {
    async fn outcome(&self, plugin: &Found) -> Outcome {
        match self.plugin(plugin).await {
            Ok(plugin) => Outcome::Loaded(Arc::new(plugin)),
            Err(reason) => Outcome::Skipped(Skipped {
                name: plugin.name.clone(),
                reason,
            }),
        }
    }

    async fn plugin(&self, plugin: &Found) -> Result<Plugin, String> {
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
        Plugin::new(plugin, described)
            .map_err(|faults| format!("its description breaks the contract: {}", faults.join("; ")))
    }

    async fn interpreter(&self, plugin: &Found) -> Result<Option<PathBuf>, String> {
        let Program::Python(_) = plugin.program else {
            return Ok(None);
        };
        let chosen = self.candidates.choose(&plugin.directory)?;
        let asker = &self.asker;
        let inherited = asker.environment.inherited();
        Ok(Some(
            self.resolved
                .real(&chosen, &asker.launcher, &inherited, &asker.stop)
                .await,
        ))
    }
}

fn assemble(
    found: &[Found],
    known: &Known,
    rejected: &[(String, String)],
    complete: bool,
) -> Snapshot {
    let mut plugins = Vec::new();
    let mut skipped: Vec<Skipped> = rejected
        .iter()
        .map(|(name, reason)| Skipped {
            name: name.clone(),
            reason: reason.clone(),
        })
        .collect();
    for plugin in found {
        match known.get(&plugin.name) {
            Some(Outcome::Loaded(plugin)) => plugins.push(Arc::clone(plugin)),
            Some(Outcome::Skipped(reason)) => skipped.push(reason.clone()),
            None => {}
        }
    }
    Snapshot::new(&plugins, skipped, complete)
}

/// The directory that is scanned when none is given.
#[derive(Debug)]
pub enum Home {
    /// One of the user's.
    Own(PathBuf),
    /// The demo plugins, unpacked; removed with the value.
    Unpacked(tempfile::TempDir),
}

impl Home {
    /// Its path.
    pub fn path(&self) -> &Path {
        match self {
            Self::Own(path) => path,
            Self::Unpacked(directory) => directory.path(),
        }
    }
}
