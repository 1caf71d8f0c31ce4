//! How plugins look, and what runs each: its interpreter, or its environment's once that is made.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{JoinError, spawn_blocking};

use super::beside::Beside;
use crate::discovery::Unserved;
use crate::discovery::cache::{Sight, Sighting, Surroundings};
use crate::discovery::describe::Asker;
use crate::discovery::environments::{
    Environments, Need, PATIENCE, Prepared, Probes, Standing, State,
};
use crate::discovery::interpreter::{Candidates, Resolved};
use crate::discovery::scan::{Found, Program};

/// How often a plugin is looked at before it is asked: to find what is behind a shim, to find its environment made, and
/// once more where it changes meanwhile.
pub const MAX_LOOKS: usize = 5;

/// Looks at plugins.
#[derive(Debug)]
pub struct Lookout {
    /// Runs what has to be run for it.
    pub asker: Asker,
    /// Where interpreters are looked for.
    pub candidates: Candidates,
    /// Interpreters behind shims.
    pub resolved: Arc<Resolved>,
    /// What answers depend on; `None` where that could not be looked at.
    pub surroundings: Option<Surroundings>,
    /// Whether answers are kept or compared, so that it counts how plugins look.
    pub compares: bool,
    /// `None` where plugins have no environments of their own.
    pub environments: Option<Environments>,
    /// What interpreters have said of themselves meanwhile.
    pub probes: Probes,
}

/// What runs a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interpreter {
    /// The program that was chosen by looking; `None` for a plugin that is executed itself.
    pub chosen: Option<PathBuf>,
    /// The program that it ends in, where that is known.
    pub real: Option<PathBuf>,
    /// What the plugin's author should know of it.
    pub warning: Option<String>,
}

/// What looking tells of a plugin.
#[derive(Debug)]
pub struct Looked {
    /// What runs it, or why nothing can.
    pub runs: Result<Runs, Unserved>,
    /// How it looks, where that counts.
    pub sighting: Option<Sighting>,
}

/// What runs a plugin, as far as looking tells.
#[derive(Debug, Default)]
pub struct Runs {
    /// The interpreter; `None` for a plugin that is executed itself.
    pub chosen: Option<PathBuf>,
    /// The interpreter that it would have without an environment.
    pub plain: Option<PathBuf>,
    /// What has to be done before that is final.
    pub before: Before,
    /// What the plugin's author should know.
    pub warning: Option<String>,
}

/// What can run a plugin.
#[derive(Debug)]
pub struct Ways {
    /// What would run it without an environment; nothing for a plugin that is executed itself.
    pub plain: Interpreter,
    /// Its own environment.
    pub own: Own,
}

/// The environment of a plugin.
#[derive(Debug)]
pub enum Own {
    /// It has none, and needs none.
    None,
    /// There it is.
    There(Interpreter),
    /// It has to be made, unless the interpreter has all that it would have.
    Needed {
        /// What is needed.
        need: Box<Need>,
        /// The one that was made before the interpreter was changed, or that has lost something.
        earlier: Option<Interpreter>,
    },
}

/// What has to be done before it is known what runs a plugin.
#[derive(Debug, Default)]
pub enum Before {
    /// Nothing.
    #[default]
    Nothing,
    /// The program behind the interpreter has to be found.
    Resolve,
    /// Its environment has to be made, if it needs one.
    Prepare(Box<Need>),
}

impl Lookout {
    /// How it looks, and what can run it.
    pub async fn ways(self: &Arc<Self>, plugin: &Found) -> (Option<Sight>, Result<Ways, Unserved>) {
        for _ in 0..MAX_LOOKS {
            let (lookout, looked_at) = (Arc::clone(self), plugin.clone());
            // Files may lie where looking at them takes its time.
            let looking = spawn_blocking(move || lookout.look(&looked_at)).await;
            let Looked { runs, sighting } = match looking {
                Ok(looked) => looked,
                Err(fault) => return (None, Err(given_up(fault))),
            };
            let sight = sighting.map(|sighting| sighting.sight);
            let runs = match runs {
                Ok(runs) => runs,
                Err(fault) => return (sight, Err(fault)),
            };
            let warning = runs.warning.clone();
            let plain = self.interpreter(runs.plain.clone(), runs.warning).await;
            let own = match runs.before {
                Before::Resolve => continue,
                Before::Prepare(need) => {
                    let earlier = match need.earlier() {
                        Some(python) => Some(self.interpreter(Some(python.to_owned()), None).await),
                        None => None,
                    };
                    Own::Needed { need, earlier }
                }
                Before::Nothing if runs.chosen != runs.plain => {
                    Own::There(self.interpreter(runs.chosen, warning).await)
                }
                Before::Nothing => Own::None,
            };
            return (sight, Ok(Ways { plain, own }));
        }
        (None, Err(restless()))
    }

    async fn interpreter(&self, chosen: Option<PathBuf>, warning: Option<String>) -> Interpreter {
        let real = match chosen.clone() {
            Some(chosen) => Some(self.real(chosen).await),
            None => None,
        };
        Interpreter {
            chosen,
            real,
            warning,
        }
    }

    /// Whether its environment, with which it does not answer, has lost something of what it had: looked at file by file.
    pub async fn is_damaged(self: &Arc<Self>, plugin: &Found, own: &Interpreter) -> bool {
        let (lookout, plugin, python) = (Arc::clone(self), plugin.clone(), own.chosen.clone());
        let looking = spawn_blocking(move || {
            let (Some(environments), Some(python)) = (&lookout.environments, python) else {
                return false;
            };
            environments.doubt(&python);
            let runs = lookout.look(&plugin).runs;
            runs.is_ok_and(|runs| matches!(runs.before, Before::Prepare(_)))
        });
        looking.await.unwrap_or(false)
    }

    /// Has what it needs made, unless its interpreter has it.
    pub async fn begin(&self, need: &Need) -> Prepared {
        match &self.environments {
            Some(environments) => environments.prepare(need, &self.probes, &self.asker).await,
            None => Prepared::Met { warning: None },
        }
    }

    /// What is to be known of an environment that does not run its plugin: `None` where it is there and looking finds
    /// it. Waits for it where somebody waits for answers.
    pub async fn settle(
        &self,
        need: &Need,
        prepared: Prepared,
        patience: Option<Duration>,
    ) -> Option<Option<Beside>> {
        let waits = self.environments.as_ref().filter(|all| all.waits());
        let prepared = match (prepared, waits) {
            (Prepared::Underway(underway), Some(environments)) => {
                match environments.outcome(need, underway, patience).await {
                    Prepared::Underway(_) => Prepared::Unavailable(format!(
                        "its environment was not begun within {} s: nothing came from where packages are; install what \
                         it needs: smcp plugins sync",
                        PATIENCE.as_secs()
                    )),
                    outcome => outcome,
                }
            }
            (prepared, _) => prepared,
        };
        let (fault, underway, again) = match prepared {
            Prepared::Ready => return None,
            Prepared::Met { .. } => return Some(None),
            Prepared::Underway(underway) => {
                let fault = Unserved::Preparing(underway.why().to_owned());
                (fault, Some(underway), false)
            }
            Prepared::Unavailable(reason) => {
                let again = true;
                (Unserved::Dependencies { reason, again }, None, again)
            }
            Prepared::Failed(reason) => {
                let again = false;
                (Unserved::Dependencies { reason, again }, None, again)
            }
        };
        Some(Some(Beside {
            fault,
            underway,
            again: again.then(|| need.key().to_owned()),
            is_made: false,
            is_damaged: need.is_damaged(),
        }))
    }

    /// Makes its environment, where it needs one. Returns why there is none all the same.
    async fn make(
        self: &Arc<Self>,
        plugin: &Found,
        environments: &Environments,
    ) -> Result<Option<String>, Unserved> {
        for _ in 0..MAX_LOOKS {
            let ways = self.ways(plugin).await.1?;
            let Own::Needed { need, .. } = ways.own else {
                return Ok(ways.plain.warning);
            };
            let mut prepared = self.begin(&need).await;
            if let Prepared::Underway(underway) = prepared {
                prepared = environments.outcome(&need, underway, None).await;
            }
            match prepared {
                Prepared::Met { .. } | Prepared::Ready => {}
                Prepared::Underway(underway) => {
                    return Err(Unserved::Preparing(underway.why().to_owned()));
                }
                Prepared::Unavailable(why) => return Ok(Some(why)),
                Prepared::Failed(reason) => {
                    let again = false;
                    return Err(Unserved::Dependencies { reason, again });
                }
            }
        }
        Err(restless())
    }

    /// The interpreter of `plugin` and the state of its environment, which is made first if `makes` and it needs one.
    ///
    /// # Errors
    /// It cannot be run, or what it declares cannot be had.
    pub async fn outfit(
        self: &Arc<Self>,
        plugin: &Found,
        makes: bool,
        environments: &Environments,
    ) -> Result<(Option<PathBuf>, State), Unserved> {
        let warning = match makes {
            true => self.make(plugin, environments).await?,
            false => None,
        };
        let Program::Python(_) = plugin.program else {
            return Ok((None, State::None { warning: None }));
        };
        let base = self.candidates.choose(&plugin.directory)?;
        // What is behind a shim is known from then on.
        self.real(base.clone()).await;
        let (lookout, looked_at) = (Arc::clone(self), plugin.clone());
        let environments = environments.clone();
        let looking = spawn_blocking(move || {
            let runs = lookout.runs(&looked_at, base.clone());
            let state = match &runs.before {
                Before::Nothing => {
                    environments.state(runs.chosen.as_deref(), &looked_at, &base, runs.warning)
                }
                Before::Prepare(need) => match need.earlier().filter(|_| !makes) {
                    Some(python) => State::Made {
                        python: python.to_owned(),
                        warning: Some(format!(
                            "{}; make it anew: smcp plugins sync",
                            need.why_anew()
                        )),
                    },
                    None => State::Missing,
                },
                Before::Resolve => State::Missing,
            };
            match &state {
                State::Made { python, .. } => (Some(python.clone()), state),
                _ => (runs.chosen, state),
            }
        });
        let (chosen, state) = looking.await.map_err(given_up)?;
        match (state, warning) {
            (State::Missing, Some(reason)) if makes => Err(Unserved::Dependencies {
                reason,
                again: true,
            }),
            (state, _) => Ok((chosen, state)),
        }
    }

    /// What runs it, and how it looks. Both are looked at before it is asked: what changes meanwhile is seen at the next
    /// look. Reads file systems.
    pub fn look(&self, plugin: &Found) -> Looked {
        let runs = match plugin.program {
            Program::Python(_) => self
                .candidates
                .choose(&plugin.directory)
                .map(|chosen| self.runs(plugin, chosen)),
            Program::Executable(_) => Ok(Runs::default()),
        };
        let interpreter = runs.as_ref().ok().and_then(|runs| runs.chosen.as_deref());
        let surroundings = self.surroundings.as_ref().filter(|_| self.compares);
        let sighting = surroundings.map(|surroundings| surroundings.sight(plugin, interpreter));
        Looked { runs, sighting }
    }

    fn runs(&self, plugin: &Found, chosen: PathBuf) -> Runs {
        let Some(environments) = &self.environments else {
            return Runs {
                plain: Some(chosen.clone()),
                chosen: Some(chosen),
                ..Runs::default()
            };
        };
        let surroundings = self.surroundings.as_ref();
        let plain = chosen.clone();
        let standing = environments.standing(
            plugin,
            &chosen,
            |chosen| self.resolved.settled(chosen),
            |base| surroundings.map_or([0; 32], |surroundings| surroundings.libraries_of(base)),
        );
        let (chosen, before, warning) = match standing {
            Standing::Plain { warning } => (chosen, Before::Nothing, warning),
            Standing::Own { python, warning } => (python, Before::Nothing, warning),
            Standing::Needed(need) => (chosen, Before::Prepare(need), None),
            Standing::Shim => (chosen, Before::Resolve, None),
        };
        Runs {
            chosen: Some(chosen),
            plain: Some(plain),
            before,
            warning,
        }
    }

    pub async fn real(&self, chosen: PathBuf) -> PathBuf {
        let asker = &self.asker;
        let inherited = asker.environment.inherited();
        self.resolved
            .real(chosen, &asker.launcher, &inherited, &asker.stop)
            .await
    }
}

/// What it declares is another thing at each look.
pub fn restless() -> Unserved {
    let reason = "what it declares that it needs changes all the time".to_owned();
    let again = true;
    Unserved::Dependencies { reason, again }
}

/// Work on another thread that was not done.
pub fn given_up(fault: JoinError) -> Unserved {
    Unserved::Plugin(format!("loading it was given up: {fault}"))
}
