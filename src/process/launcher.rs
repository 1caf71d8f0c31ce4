//! Starts runs: each below a supervisor, its output read and bounded, its whole tree ended.
//!
//! Knows no plugin and no tool: a [`Job`] goes in, a [`Finished`] comes out.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::background::Background;
use super::children::Children;
use super::engine::{Engine, Under};
use super::exec_error::Explainer;
use super::job::{
    BackgroundJob, Finished, Held, Job, Leftover, SideChannels, StartError, WarmSettings,
};
use super::leftovers::Leftovers;
use super::output_budget::{DEFAULT_OUTPUT_BUDGET, OutputBudget, OutputLoad};
use super::pool::Supervisors;
use super::preflight::{PreflightError, preflight};
use super::signals;
use super::warm::{Round, Warm, Warmth};
use super::wire::Start;
use crate::telemetry::{JobCounts, ProcessCounts, WarmInterpreter};

/// How many background jobs there may be where nobody says otherwise.
pub const DEFAULT_MAX_BACKGROUND: usize = 64;

/// Starts runs and reaps what they leave. One for the process; cheap to clone.
///
/// Waits for nobody's children but its own, with one exception: when a supervisor has been killed
/// from outside, every child of the process that no launcher call started is taken for its orphan
/// and ended. Nothing else in the process may therefore keep children for longer than a moment.
#[derive(Debug, Clone)]
pub struct Launcher {
    engine: Engine,
    /// `None` where every program is executed.
    warm: Option<Warm>,
}

impl Launcher {
    /// Makes the process a sub-reaper and starts to reap. Must be called within a tokio runtime.
    ///
    /// The running binary itself is the supervisor: its `main` must begin with
    /// [`super::supervisor::is_requested`]. Programs get the limit of open files that holds at this
    /// moment, whatever the server raises its own to later.
    ///
    /// # Errors
    /// When the system lacks what supervision needs, such as `/proc`.
    pub fn new() -> Result<Self, PreflightError> {
        // The path names the running binary itself, also when its file has been replaced.
        #[cfg(target_os = "linux")]
        let this_binary = PathBuf::from("/proc/self/exe");
        #[cfg(not(target_os = "linux"))]
        let this_binary = std::env::current_exe()?;
        Self::with_supervisor(this_binary)
    }

    /// The same with another binary as the supervisor; for programs that only link this library.
    ///
    /// # Errors
    /// As [`Launcher::new`].
    pub fn with_supervisor(program: impl Into<PathBuf>) -> Result<Self, PreflightError> {
        preflight()?;
        signals::outlive_useless_ones()?;
        // Whoever started this process may have left it descriptors that its programs must not get.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let runs = TaskTracker::new();
        // A closed tracker still tracks; it only lets `idle` return when there is nothing left.
        runs.close();
        let engine = Engine {
            supervisors: Supervisors::new(program.into().into(), Children::new()?),
            runs,
            leftovers: Leftovers::default(),
            background: Background::new(DEFAULT_MAX_BACKGROUND),
            outputs: OutputBudget::new(DEFAULT_OUTPUT_BUDGET),
            explainer: Explainer::default(),
        };
        Ok(Self { engine, warm: None })
    }

    /// The same launcher with at most `most` background jobs at once; with 0, nothing outlives its run.
    /// For one that has run nothing yet.
    #[must_use]
    pub fn with_max_background(mut self, most: usize) -> Self {
        self.engine.background = Background::new(most);
        self
    }

    /// The same launcher with `bytes` for what all programs print; see [`DEFAULT_OUTPUT_BUDGET`]. For one that has
    /// run nothing yet.
    #[must_use]
    pub fn with_output_budget(mut self, bytes: usize) -> Self {
        self.engine.outputs = OutputBudget::new(bytes);
        self
    }

    /// The same launcher with warm interpreters for the jobs that may have one ([`Job::warm`]). For one that has run
    /// nothing yet.
    #[must_use]
    pub fn with_warm(mut self, settings: WarmSettings) -> Self {
        self.warm = Some(Warm::new(self.engine.clone(), settings));
        self
    }

    /// Runs `job` to its end. Cancelling the token ends the tree; dropping the future does so too.
    ///
    /// A program that ended by itself is answered when its pipes are closed, 2 s after its exit at
    /// the latest; one that is ended, when its tree is gone: 5 s after SIGTERM comes SIGKILL, and 2 s
    /// after that the answer in any case. What is left of the tree after the answer is ended by a
    /// task that [`Launcher::idle`] waits for.
    ///
    /// What a program leaves running that exited with status 0, and [`Job::background`] allows, is kept as a
    /// background job: it lives until it ends by itself or is ended.
    ///
    /// # Errors
    /// [`StartError`] when the program has not run at all.
    pub async fn run(
        &self,
        job: Job,
        side_channels: SideChannels,
        cancel: CancellationToken,
    ) -> Result<Finished, StartError> {
        self.run_holding(job, side_channels, cancel, Held::<(), ()>::default())
            .await
    }

    /// The same, and keeps what is `held` for as long as [`Held`] says, whoever stops waiting: a permit to run
    /// belongs to the process tree, and one to compute to a program that does.
    ///
    /// # Errors
    /// As [`Launcher::run`].
    pub async fn run_holding(
        &self,
        job: Job,
        side_channels: SideChannels,
        cancel: CancellationToken,
        held: Held<impl Send + 'static, impl Send + 'static>,
    ) -> Result<Finished, StartError> {
        let (mut caller, answer) = oneshot::channel();
        let (engine, warm) = (self.engine.clone(), self.warm.clone());
        let run = async move {
            let mut lesson = None;
            let under = match (&warm, &job.warm) {
                // What no program can be given is refused as by the system, whatever runs it.
                (Some(warm), Some(warmable)) if job.may_be_forked() => {
                    let reuse = warmable.reuse;
                    let warmth = tokio::select! {
                        warmth = warm.lane(&job, warmable) => warmth,
                        // Its end is told as that of any other run.
                        () = cancel.cancelled() => Warmth::default(),
                        () = caller.closed() => Warmth::default(),
                    };
                    lesson = warmth.lesson;
                    warmth
                        .lane
                        .map_or(Under::Any, |lane| Under::Lane(lane, Start::Warm { reuse }))
                }
                _ => Under::Any,
            };
            engine
                .carry_out(job, side_channels, cancel, caller, held, under)
                .await;
            if let (Some(warm), Some(lesson)) = (warm, lesson) {
                warm.learn(lesson);
            }
        };
        // A task of its own, so that a caller who leaves does not take the end of the tree along.
        self.engine.runs.spawn(run);
        answer.await.unwrap_or_else(|_| {
            let lost = io::Error::other("the run was given up, because the server ends");
            Err(StartError::System(lost))
        })
    }

    /// A round of questions to many programs, which find `environment` in theirs; `None` where every program is
    /// executed.
    pub fn round(&self, environment: Vec<(OsString, OsString)>) -> Option<Round> {
        self.warm.as_ref()?.round(environment)
    }

    /// Runs `job`, the interpreter and the script of which begin [`Job::argv`], in a fork of the round; to its end, as
    /// [`Launcher::run`] does it. `None` where that is to be done instead, or where it has not run.
    pub async fn run_in_round(
        &self,
        job: Job,
        round: &Round,
        cancel: CancellationToken,
    ) -> Option<Finished> {
        let interpreter = job.argv.first().filter(|_| job.may_be_forked())?;
        let (lane, permit) = tokio::select! {
            lane = round.lane(interpreter) => lane?,
            () = cancel.cancelled() => return None,
        };
        let held = Held {
            tree: permit,
            busy: (),
        };
        let (caller, answer) = oneshot::channel();
        let under = Under::Lane(lane, Start::Warm { reuse: false });
        let engine = self.engine.clone();
        let run = engine.carry_out(job, SideChannels::default(), cancel, caller, held, under);
        self.engine.runs.spawn(run);
        answer.await.ok()?.ok()
    }

    /// The processes that do not end although they were sent SIGKILL, by run.
    pub fn leftovers(&self) -> Vec<Leftover> {
        self.engine.leftovers.now()
    }

    /// The background jobs, the oldest first. Reads `/proc`: not for the runtime's threads.
    pub fn background(&self) -> Vec<BackgroundJob> {
        self.engine.background.list()
    }

    /// How many background jobs there are and were, by plugin.
    pub fn background_counts(&self) -> BTreeMap<String, JobCounts> {
        self.engine.background.counts()
    }

    /// Begins to end a background job: SIGTERM, and SIGKILL for what is left after five seconds. False when
    /// there is none of this id.
    pub fn end_background_job(&self, id: u64) -> bool {
        self.engine.background.end(id)
    }

    /// Begins to end all background jobs, and keeps none from now on; [`Launcher::idle`] waits for their end.
    /// How many there are.
    pub fn end_background(&self) -> usize {
        self.engine.background.close()
    }

    /// How much memory what programs print takes at this moment.
    pub fn outputs(&self) -> OutputLoad {
        self.engine.outputs.load()
    }

    /// How many runs have processes left at this moment, background jobs included.
    pub fn running(&self) -> usize {
        self.engine.runs.len()
    }

    /// How many programs and supervisors there are.
    pub fn processes(&self) -> ProcessCounts {
        let leftovers = self.engine.leftovers.now();
        let unkillable: usize = leftovers.iter().map(|left| left.processes).sum();
        ProcessCounts {
            programs: self.running() as u64,
            idle_supervisors: self.engine.supervisors.kept() as u64,
            unkillable: unkillable as u64,
        }
    }

    /// Waits until no run has a process left. Background jobs have some as long as they live.
    pub async fn idle(&self) {
        self.engine.runs.wait().await;
    }

    /// The warm interpreters of this moment, and the plugins that have none, by plugin.
    pub fn warm_parents(&self) -> Vec<WarmInterpreter> {
        self.warm.as_ref().map_or_else(Vec::new, Warm::parents)
    }

    /// Ends all warm interpreters, and makes none from now on. Returns when nothing of them is left: runs in progress
    /// keep theirs, [`Launcher::idle`] comes first.
    pub async fn end_warm(&self) {
        if let Some(warm) = &self.warm {
            warm.end().await;
        }
    }
}
