//! A round of questions: many programs of one interpreter are asked one after the other, and are forks of one process.
//!
//! Knows no plugin: an interpreter goes in, a lane comes out. Nothing of a round outlives it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::engine::Engine;
use super::super::pool::Supervisor;
use super::fault::Fault;
use super::idle::Counts;
use super::parent::{Parent, Recipe};

/// The question of an interpreter from which on the programs are forks: a process for one of them alone costs as much
/// as executing it.
const FORKED_FROM: usize = 2;

/// How many interpreters there are in one round.
const MAX_INTERPRETERS: usize = 4;

/// How many programs are forks at once; the others are executed. Each has a supervisor and a copy of the interpreter.
const MAX_LANES: usize = 16;

/// How long an interpreter may take until it can be forked: programs wait for that.
const START_LIMIT: Duration = Duration::from_secs(5);

/// How many programs in a row may be refused: they are executed after all, and have cost a fork.
const MAX_REFUSED: u32 = 4;

/// Interpreters for the time of one round. They end when it is dropped and nothing runs in them.
pub struct Round {
    engine: Engine,
    tracker: TaskTracker,
    end: CancellationToken,
    environment: Vec<(OsString, OsString)>,
    interpreters: Mutex<HashMap<OsString, Arc<Interpreter>>>,
    lanes: Arc<Semaphore>,
}

/// One interpreter of a round.
#[derive(Debug, Default)]
struct Interpreter {
    asked: Mutex<usize>,
    /// Empty until it is wanted; `None` inside where there is none.
    parent: OnceCell<Option<Arc<Parent>>>,
    /// Nothing more is asked of it.
    is_given_up: AtomicBool,
    counts: Arc<Counts>,
}

impl fmt::Debug for Round {
    /// Without what the interpreters find in their environment.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Round").finish_non_exhaustive()
    }
}

impl Round {
    /// A round in which nothing has been asked. Interpreters find `environment` in theirs, which all their forks inherit:
    /// it has nothing that is one program's secret. `tracker` waits for what works for them, and `end` ends them.
    pub(super) fn new(
        engine: Engine,
        tracker: TaskTracker,
        end: CancellationToken,
        environment: Vec<(OsString, OsString)>,
    ) -> Self {
        Self {
            engine,
            tracker,
            end,
            environment,
            interpreters: Mutex::default(),
            lanes: Arc::new(Semaphore::new(MAX_LANES)),
        }
    }

    /// A lane for a program of `interpreter`, and what is to be held for as long as it is in use. Without one, the
    /// program is executed.
    pub(in crate::process) async fn lane(
        &self,
        interpreter: &OsStr,
    ) -> Option<(Supervisor, OwnedSemaphorePermit)> {
        let of_it = self.interpreter(interpreter)?;
        let permit = Arc::clone(&self.lanes).try_acquire_owned().ok()?;
        let made = of_it.parent.get_or_init(|| self.make(interpreter));
        let parent = made.await.as_ref()?;
        if of_it.is_given_up.load(Ordering::Relaxed)
            || parent.refused.load(Ordering::Relaxed) >= MAX_REFUSED
        {
            return None;
        }
        match parent.lane(&of_it.counts, false).await {
            Ok(lane) => Some((lane, permit)),
            Err(fault) => {
                // Those that follow would wait for it as long.
                of_it.is_given_up.store(true, Ordering::Relaxed);
                tracing::debug!(%fault, ?interpreter, "programs are executed to be asked");
                None
            }
        }
    }

    /// The interpreter, where it is asked often enough.
    fn interpreter(&self, interpreter: &OsStr) -> Option<Arc<Interpreter>> {
        // A map and a number are whole at every moment.
        let mut known = self
            .interpreters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_INTERPRETERS && !known.contains_key(interpreter) {
            return None;
        }
        let of_it = known.entry(interpreter.to_owned()).or_default();
        let mut asked = of_it.asked.lock().unwrap_or_else(PoisonError::into_inner);
        *asked += 1;
        (*asked >= FORKED_FROM).then(|| Arc::clone(of_it))
    }

    async fn make(&self, interpreter: &OsStr) -> Option<Arc<Parent>> {
        let making = timeout(START_LIMIT, self.start(interpreter));
        match making.await {
            Ok(Ok(parent)) => Some(parent),
            Ok(Err(fault)) => {
                tracing::debug!(%fault, ?interpreter, "programs are executed to be asked");
                None
            }
            Err(_) => {
                tracing::debug!(
                    ?interpreter,
                    "programs are executed to be asked: what would be forked has not started within {START_LIMIT:?}"
                );
                None
            }
        }
    }

    async fn start(&self, interpreter: &OsStr) -> Result<Arc<Parent>, Fault> {
        let recipe = Recipe {
            interpreter: interpreter.to_owned(),
            script: None,
            environment: self.environment.clone(),
        };
        let parent = Parent::start(&self.engine, &self.tracker, &self.end, recipe).await?;
        parent.share().await?;
        Ok(parent)
    }
}
