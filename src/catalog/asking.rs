//! Asks one plugin, or takes what it said at an earlier start, and makes a plugin of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};

use super::beside::Beside;
use super::choosing::{Answers, Told, not_without};
use super::lookout::{
    Before, Interpreter, Looked, Lookout, MAX_LOOKS, Own, Runs, Ways, given_up, restless,
};
use super::plugin::Plugin;
use crate::discovery::Unserved;
use crate::discovery::cache::{self, Cache, Sight};
use crate::discovery::describe::{Answer, Asker, described};
use crate::discovery::environments::{PATIENCE, Prepared};
use crate::discovery::scan::{Found, Program};
use crate::process::Round;

/// How long an asked plugin keeps others from being asked. One that takes longer waits for something
/// else than the processor.
const AT_WORK: Duration = Duration::from_millis(700);

/// How many plugins are asked at once at most, those included that take long.
const MAX_ASKED: usize = 64;

/// From how many Python programs on an interpreter is started for them to have in common: to start it costs as much as
/// to execute a few of them. With four it is slower, with six as quick, with eight quicker.
const MIN_ROUND: usize = 8;

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
    lookout: Arc<Lookout>,
    /// Where answers are kept, if anywhere.
    cache: Option<Arc<Cache>>,
    at_work: Semaphore,
    asked: Semaphore,
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
    /// How it looked before it was asked, where that counts.
    pub sight: Option<Sight>,
    /// The digest of its answer, if it gave one.
    pub answer: Option<[u8; 32]>,
    /// Whether its own environment runs it.
    pub is_own: bool,
    /// What is to be known of its environment where that does not.
    pub beside: Option<Beside>,
}

/// What one question gave.
#[derive(Debug)]
struct Said {
    /// `None` where it is what was known.
    plugin: Result<Option<Arc<Plugin>>, Unserved>,
    sight: Option<Sight>,
    answer: Option<[u8; 32]>,
    is_own: bool,
    beside: Option<Beside>,
}

/// What a plugin said at an earlier start, to be held against what it says now.
#[derive(Debug)]
pub struct Recalled {
    answer: [u8; 32],
    interpreter: Interpreter,
}

impl PluginAsker {
    /// Asks plugins that `lookout` looks at, and keeps what they answer in `cache`.
    pub fn new(lookout: Lookout, cache: Option<Arc<Cache>>) -> Self {
        Self {
            asker: lookout.asker.clone(),
            lookout: Arc::new(lookout),
            cache,
            at_work: Semaphore::new(cores()),
            asked: Semaphore::new(MAX_ASKED),
        }
    }

    /// What those of `plugins` have in common that are Python programs, while they are asked side by side: nothing where
    /// they are few.
    pub fn round(&self, plugins: &[Found]) -> Option<Arc<Round>> {
        let programs = plugins.iter().map(|plugin| &plugin.program);
        let python = programs.filter(|program| matches!(program, Program::Python(_)));
        if python.count() < MIN_ROUND {
            return None;
        }
        let asker = &self.asker;
        let environment = asker.environment.of_round(&asker.variables);
        asker.launcher.round(environment).map(Arc::new)
    }

    /// Asks one, together with the others of a `round`, again after a pause when the system is out of something. `None`
    /// when it says what is `known` of it.
    pub async fn ask(
        self: &Arc<Self>,
        plugin: &Found,
        known: Option<&Arc<Recalled>>,
        round: Option<&Round>,
    ) -> Option<Outcome> {
        for pause in PAUSES {
            let said = self.ask_once(plugin, known, round).await;
            match &said.plugin {
                Err(fault) if fault.passes() && !self.asker.stop.is_cancelled() => {}
                _ => return outcome(plugin, said),
            }
            tokio::time::sleep(pause).await;
        }
        outcome(plugin, self.ask_once(plugin, known, round).await)
    }

    async fn ask_once(
        self: &Arc<Self>,
        plugin: &Found,
        known: Option<&Arc<Recalled>>,
        round: Option<&Round>,
    ) -> Said {
        let _asked = self.asked.acquire().await;
        let at_work = self.at_work.acquire().await;
        let asking = self.answer(plugin, round);
        tokio::pin!(asking);
        let (sight, answered) = match tokio::time::timeout(AT_WORK, &mut asking).await {
            Ok(answered) => answered,
            Err(_) => {
                drop(at_work);
                asking.await
            }
        };
        let answers = match answered {
            Ok(answers) => answers,
            Err(fault) => return Said::nothing(fault, sight, None),
        };
        let (asker, plugin, known) = (Arc::clone(self), plugin.clone(), known.cloned());
        // Compiling large schemas takes its time.
        let making = spawn_blocking(move || asker.said(&plugin, known.as_deref(), sight, answers));
        let made = making.await;
        made.unwrap_or_else(|fault| Said::nothing(given_up(fault), None, None))
    }

    fn said(
        &self,
        plugin: &Found,
        known: Option<&Recalled>,
        sight: Option<Sight>,
        answers: Answers,
    ) -> Said {
        let has_own = answers.has_own();
        let (beside, warning) = (answers.beside.clone(), answers.warning());
        let chosen = match answers.choose(|answer, by| self.made(answer, plugin, by)) {
            Ok(chosen) => chosen,
            Err(fault) => {
                if !fault.passes() {
                    self.forget(sight.as_ref());
                }
                let fault = not_without(fault, beside.as_ref(), warning);
                return Said::nothing(fault, sight, beside);
            }
        };
        // What is kept is found again by what ran it: another interpreter stands there than the one that was chosen.
        if chosen.is_own == has_own {
            self.keep(plugin, sight.as_ref(), &chosen.answer);
        } else {
            self.forget(sight.as_ref());
        }
        let digest = cache::digest(&chosen.answer);
        let is_known = known.is_some_and(|known| {
            known.interpreter == chosen.interpreter
                && known.answer == digest
                && chosen.beside.is_none()
        });
        Said {
            plugin: Ok((!is_known).then_some(chosen.plugin)),
            sight,
            answer: Some(digest),
            is_own: chosen.is_own,
            beside: chosen.beside,
        }
    }

    /// What was answered before counts no more.
    fn forget(&self, sight: Option<&Sight>) {
        if let (Some(cache), Some(fingerprint)) = (&self.cache, sight.and_then(Sight::fingerprint))
        {
            cache.forget(fingerprint);
        }
    }

    /// Keeps an answer for the next start, if answers are kept.
    fn keep(&self, plugin: &Found, sight: Option<&Sight>, answer: &Answer) {
        let (Some(cache), Some(fingerprint)) = (&self.cache, sight.and_then(Sight::fingerprint))
        else {
            return;
        };
        if self.quotes_a_variable(plugin, answer) {
            cache.forget(fingerprint);
        } else {
            cache.keep(fingerprint, answer);
        }
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

    /// What looks at plugins.
    pub fn lookout(&self) -> &Arc<Lookout> {
        &self.lookout
    }

    /// How it looks, and then what it answers in all the ways in which it can be run. What can be run at once is asked
    /// at once, whatever is installed meanwhile.
    async fn answer(
        self: &Arc<Self>,
        plugin: &Found,
        round: Option<&Round>,
    ) -> (Option<Sight>, Result<Answers, Unserved>) {
        let mut was_doubted = false;
        for _ in 0..MAX_LOOKS {
            let (sight, ways) = self.lookout.ways(plugin).await;
            let Ways { plain, own } = match ways {
                Ok(ways) => ways,
                Err(fault) => return (sight, Err(fault)),
            };
            let mut answers = Answers::default();
            match own {
                Own::None => answers.plain = Some(self.told(plugin, plain, round).await),
                Own::There(own) => {
                    let own = self.told(plugin, own, round);
                    let (own, plain) = tokio::join!(own, self.told(plugin, plain, round));
                    let fails = matches!(own.1, Err(Unserved::Plugin(_)));
                    if fails && !std::mem::replace(&mut was_doubted, true) {
                        // What is damaged below its directory of packages is seen only by looking there.
                        if self.lookout.is_damaged(plugin, &own.0).await {
                            continue;
                        }
                    }
                    (answers.own, answers.plain) = (Some(own), Some(plain));
                }
                Own::Needed { need, earlier } => {
                    let with_earlier = async {
                        match earlier {
                            Some(earlier) => Some(self.told(plugin, earlier, round).await),
                            None => None,
                        }
                    };
                    let (mut plain, earlier, prepared) = tokio::join!(
                        self.told(plugin, plain, round),
                        with_earlier,
                        self.lookout.begin(&need)
                    );
                    if let Prepared::Met { warning } = &prepared {
                        plain.0.warning.clone_from(warning);
                    }
                    // What works without it waits only while it is on its way.
                    let works = |told: &Told| told.1.is_ok();
                    let works = works(&plain) || earlier.as_ref().is_some_and(works);
                    let patience = works.then_some(PATIENCE);
                    match self.lookout.settle(&need, prepared, patience).await {
                        Some(beside) => answers.beside = beside,
                        None => continue,
                    }
                    answers.own = earlier.filter(|_| answers.beside.is_some());
                    answers.plain = Some(plain);
                }
            }
            return (sight, Ok(answers));
        }
        (None, Err(restless()))
    }

    async fn told(&self, plugin: &Found, by: Interpreter, round: Option<&Round>) -> Told {
        let answer = self.asker.ask(plugin, by.real.clone(), round).await;
        (by, answer)
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
                None => self.lookout.real(chosen.clone()).await,
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
            if let Some(cache) = &asker.cache {
                cache.sweep();
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
        let cache = self.cache.as_ref()?;
        let Looked { runs, sighting } = self.lookout.look(plugin);
        let (
            Runs {
                chosen,
                plain,
                before,
                warning,
            },
            sight,
        ) = (runs.ok()?, sighting?.sight);
        if !matches!(before, Before::Nothing) {
            return None;
        }
        let answer = cache.recall(sight.fingerprint()?)?;
        let is_own = chosen != plain;
        // A shim starts the same program; what is behind it is found out when clients are served.
        let real = chosen
            .as_deref()
            .map(|chosen| self.lookout.resolved.at_once(chosen));
        let interpreter = Interpreter {
            chosen,
            real,
            warning,
        };
        // What keeps it from being served is not said from memory.
        let plugin_made = self.made(&answer, plugin, &interpreter).ok()?;
        let digest = cache::digest(&answer);
        Some(Outcome {
            name: plugin.name.clone(),
            plugin: Ok(plugin_made),
            recalled: Some(Arc::new(Recalled {
                answer: digest,
                interpreter,
            })),
            sight: Some(sight),
            answer: Some(digest),
            is_own,
            beside: None,
        })
    }

    /// The plugin that `answer` describes. Its environment is held from then on: it may be served.
    fn made(
        &self,
        answer: &Answer,
        plugin: &Found,
        interpreter: &Interpreter,
    ) -> Result<Arc<Plugin>, Unserved> {
        let mut described = described(answer, plugin, interpreter.real.as_ref())?;
        described
            .description
            .warnings
            .extend(interpreter.warning.clone());
        let environments = self.lookout.environments.as_ref();
        let environments = environments.zip(interpreter.real.as_deref());
        described.held = environments.and_then(|(environments, python)| environments.hold(python));
        let made = Plugin::new(plugin, described);
        made.map(Arc::new).map_err(|faults| {
            Unserved::Contract(format!("its description breaks the contract: {faults}"))
        })
    }
}

impl Said {
    fn nothing(fault: Unserved, sight: Option<Sight>, beside: Option<Beside>) -> Self {
        Self {
            plugin: Err(fault),
            sight,
            answer: None,
            is_own: false,
            beside,
        }
    }
}

fn outcome(plugin: &Found, said: Said) -> Option<Outcome> {
    Some(Outcome {
        name: plugin.name.clone(),
        plugin: said.plugin.transpose()?,
        recalled: None,
        sight: said.sight,
        answer: said.answer,
        is_own: said.is_own,
        beside: said.beside,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
