//! Asks one plugin, or takes what it said at an earlier start, and makes a plugin of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet, spawn_blocking};

use super::plugin::Plugin;
use crate::discovery::Unserved;
use crate::discovery::cache::{self, Cache, Fingerprint, Surroundings};
use crate::discovery::describe::{Answer, Asker, described};
use crate::discovery::interpreter::{Candidates, Resolved};
use crate::discovery::scan::{Found, Program};

/// How long an asked plugin keeps others from being asked. One that takes longer waits for something
/// else than the processor.
const AT_WORK: Duration = Duration::from_millis(700);

/// How many plugins are asked at once at most, those included that take long.
const MAX_ASKED: usize = 64;

/// The pauses after which a plugin is asked once more, within one load, when the system was out of something.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(750)];

/// Shorter values of variables are no secrets, in bytes.
const MIN_SECRET: usize = 8;

/// Variables whose values are no secrets, and often stand in descriptions.
const NO_SECRETS: [&str; 8] = [
    "HOME",
    "LANG",
    "LOGNAME",
    "PWD",
    "SHELL",
    "SMCP_PLUGIN_DIR",
    "TMPDIR",
    "USER",
];

/// What asking plugins needs.
#[derive(Debug)]
pub struct PluginAsker {
    asker: Asker,
    candidates: Candidates,
    resolved: Arc<Resolved>,
    memory: Option<Memory>,
    at_work: Semaphore,
    asked: Semaphore,
}

/// Where answers are kept, and what those of this moment depend on.
#[derive(Debug)]
pub struct Memory {
    /// The answers.
    pub cache: Arc<Cache>,
    /// What they depend on.
    pub surroundings: Surroundings,
}

/// What came of one plugin.
#[derive(Debug)]
pub struct Outcome {
    /// The plugin's name.
    pub name: String,
    /// The plugin, or why it is not served.
    pub plugin: Result<Arc<Plugin>, Unserved>,
    /// Where this is what it said at an earlier start: what to hold against what it says now.
    pub recalled: Option<Arc<Recalled>>,
}

/// What a plugin said at an earlier start, to be held against what it says now.
#[derive(Debug)]
pub struct Recalled {
    answer: [u8; 32],
    interpreter: Interpreter,
}

/// What runs a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Interpreter {
    /// The program that was chosen by looking; `None` for a plugin that is executed itself.
    chosen: Option<PathBuf>,
    /// The program that it ends in, where that is known.
    real: Option<PathBuf>,
}

impl PluginAsker {
    /// Asks plugins, and keeps what they answer in `memory`.
    pub fn new(
        asker: Asker,
        candidates: Candidates,
        resolved: Arc<Resolved>,
        memory: Option<Memory>,
    ) -> Self {
        Self {
            asker,
            candidates,
            resolved,
            memory,
            at_work: Semaphore::new(cores()),
            asked: Semaphore::new(MAX_ASKED),
        }
    }

    /// Asks one, again after a pause when the system is out of something. `None` when it says what is `known` of it.
    pub async fn ask(
        self: &Arc<Self>,
        plugin: &Found,
        known: Option<&Arc<Recalled>>,
    ) -> Option<Outcome> {
        for pause in PAUSES {
            match self.ask_once(plugin, known).await {
                Err(fault) if fault.passes() && !self.asker.stop.is_cancelled() => {}
                said => return outcome(plugin, said),
            }
            tokio::time::sleep(pause).await;
        }
        outcome(plugin, self.ask_once(plugin, known).await)
    }

    async fn ask_once(
        self: &Arc<Self>,
        plugin: &Found,
        known: Option<&Arc<Recalled>>,
    ) -> Result<Option<Arc<Plugin>>, Unserved> {
        let _asked = self.asked.acquire().await;
        let at_work = self.at_work.acquire().await;
        let asking = self.answer(plugin);
        tokio::pin!(asking);
        let answered = match tokio::time::timeout(AT_WORK, &mut asking).await {
            Ok(answered) => answered,
            Err(_) => {
                drop(at_work);
                asking.await
            }
        };
        let (answer, interpreter, fingerprint) = answered?;
        let (asker, plugin, known) = (Arc::clone(self), plugin.clone(), known.cloned());
        // Compiling large schemas takes its time.
        let making = spawn_blocking(move || {
            let is_known = known.is_some_and(|known| {
                known.interpreter == interpreter && known.answer == cache::digest(&answer)
            });
            if let (Some(memory), Some(fingerprint)) = (&asker.memory, &fingerprint) {
                if asker.quotes_a_variable(&plugin, &answer) {
                    memory.cache.forget(fingerprint);
                } else {
                    memory.cache.keep(fingerprint, &answer);
                }
            }
            if is_known {
                return Ok(None);
            }
            made(&answer, &plugin, &interpreter).map(Some)
        });
        making.await.map_err(given_up)?
    }

    /// Whether the answer has the value of a variable in it, which may be a secret: such an answer is not kept.
    fn quotes_a_variable(&self, plugin: &Found, answer: &Answer) -> bool {
        let text = answer.payload.json.to_string();
        let warning = answer.payload.warning.as_deref().unwrap_or_default();
        let asker = &self.asker;
        let variables = asker
            .environment
            .of_question(&plugin.directory, &asker.variables);
        let values = variables.iter().filter(|(name, value)| {
            value.len() >= MIN_SECRET && NO_SECRETS.iter().all(|known| name != known)
        });
        values.filter_map(|(_, value)| value.to_str()).any(|value| {
            // As it stands in a JSON text, without the quotes around it.
            let written = serde_json::Value::from(value).to_string();
            text.contains(&written[1..written.len() - 1]) || warning.contains(value)
        })
    }

    /// What it answers, what runs it, and what the answer depends on.
    async fn answer(
        self: &Arc<Self>,
        plugin: &Found,
    ) -> Result<(Answer, Interpreter, Option<Fingerprint>), Unserved> {
        let (asker, looked_at) = (Arc::clone(self), plugin.clone());
        // Files may lie where looking at them takes its time.
        let looking = spawn_blocking(move || asker.look(&looked_at));
        let (chosen, fingerprint) = looking.await.map_err(given_up)??;
        let mut interpreter = Interpreter { chosen, real: None };
        if let Some(chosen) = interpreter.chosen.clone() {
            interpreter.real = Some(self.real(chosen).await);
        }
        let answer = self.asker.ask(plugin, interpreter.real.clone()).await;
        if let (Err(fault), Some(memory), Some(fingerprint)) = (&answer, &self.memory, &fingerprint)
            && !fault.passes()
        {
            memory.cache.forget(fingerprint);
        }
        Ok((answer?, interpreter, fingerprint))
    }

    /// The interpreter that is chosen for it, and what its answer depends on. Both are looked at before it is asked:
    /// what changes meanwhile is seen at the next start.
    fn look(&self, plugin: &Found) -> Result<(Option<PathBuf>, Option<Fingerprint>), Unserved> {
        let chosen = match plugin.program {
            Program::Python(_) => Some(self.candidates.choose(&plugin.directory)?),
            Program::Executable(_) => None,
        };
        let memory = self.memory.as_ref();
        let fingerprint =
            memory.and_then(|memory| memory.surroundings.of(plugin, chosen.as_deref()));
        Ok((chosen, fingerprint))
    }

    async fn real(&self, chosen: PathBuf) -> PathBuf {
        let asker = &self.asker;
        let inherited = asker.environment.inherited();
        self.resolved
            .real(chosen, &asker.launcher, &inherited, &asker.stop)
            .await
    }

    /// Those that were recalled with a shim for an interpreter, recalled with what is behind it.
    pub async fn recall_behind_shims(
        self: &Arc<Self>,
        recalled: Vec<(Found, Arc<Recalled>)>,
    ) -> Vec<Outcome> {
        let mut behind: HashMap<PathBuf, PathBuf> = HashMap::new();
        let mut through_shims = Vec::new();
        for (plugin, known) in recalled {
            let Some(chosen) = &known.interpreter.chosen else {
                continue;
            };
            let real = match behind.get(chosen) {
                Some(real) => real.clone(),
                None => self.real(chosen.clone()).await,
            };
            if known.interpreter.real.as_ref() != Some(&real) {
                through_shims.push(plugin);
            }
            behind.insert(chosen.clone(), real);
        }
        self.recall(through_shims).await
    }

    /// Removes from the cache what is old or too much, in the background.
    pub fn sweep(self: &Arc<Self>) {
        let asker = Arc::clone(self);
        // It ends by itself: the number of files is bounded.
        spawn_blocking(move || {
            if let Some(memory) = &asker.memory {
                memory.cache.sweep();
            }
        });
    }

    /// What each of `plugins` said when everything was as it is now. Reads on all cores; those that nothing is known
    /// of are left out.
    pub async fn recall(self: &Arc<Self>, plugins: Vec<Found>) -> Vec<Outcome> {
        let plugins = Arc::new(plugins);
        let next = Arc::new(AtomicUsize::new(0));
        let mut reading = JoinSet::new();
        for _ in 0..cores().min(plugins.len()) {
            let (asker, plugins) = (Arc::clone(self), Arc::clone(&plugins));
            let next = Arc::clone(&next);
            reading.spawn_blocking(move || {
                let turns = std::iter::from_fn(|| {
                    let plugin = plugins.get(next.fetch_add(1, Ordering::Relaxed));
                    plugin.filter(|_| !asker.asker.stop.is_cancelled())
                });
                let known = turns.filter_map(|plugin| asker.recall_one(plugin));
                known.collect::<Vec<Outcome>>()
            });
        }
        let mut outcomes = Vec::new();
        while let Some(read) = reading.join_next().await {
            // What could not be read is asked for.
            outcomes.extend(read.unwrap_or_default());
        }
        outcomes
    }

    fn recall_one(&self, plugin: &Found) -> Option<Outcome> {
        let (chosen, fingerprint) = self.look(plugin).ok()?;
        let fingerprint = fingerprint?;
        let answer = self.memory.as_ref()?.cache.recall(&fingerprint)?;
        // A shim starts the same program; what is behind it is found out when clients are served.
        let real = chosen
            .as_deref()
            .map(|chosen| self.resolved.at_once(chosen));
        let interpreter = Interpreter { chosen, real };
        // What keeps it from being served is not said from memory.
        let plugin_made = made(&answer, plugin, &interpreter).ok()?;
        Some(Outcome {
            name: plugin.name.clone(),
            plugin: Ok(plugin_made),
            recalled: Some(Arc::new(Recalled {
                answer: cache::digest(&answer),
                interpreter,
            })),
        })
    }
}

fn made(
    answer: &Answer,
    plugin: &Found,
    interpreter: &Interpreter,
) -> Result<Arc<Plugin>, Unserved> {
    let described = described(answer, plugin, interpreter.real.as_ref())?;
    let made = Plugin::new(plugin, described);
    made.map(Arc::new).map_err(|faults| {
        Unserved::Contract(format!("its description breaks the contract: {faults}"))
    })
}

fn outcome(plugin: &Found, said: Result<Option<Arc<Plugin>>, Unserved>) -> Option<Outcome> {
    Some(Outcome {
        name: plugin.name.clone(),
        plugin: said.transpose()?,
        recalled: None,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Work on another thread that was not done.
pub fn given_up(fault: JoinError) -> Unserved {
    Unserved::Plugin(format!("loading it was given up: {fault}"))
}
