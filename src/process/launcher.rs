//! Starts runs: each below a supervisor, its output read and bounded, its whole tree ended.
//!
//! Knows no plugin and no tool: a [`Job`] goes in, a [`Finished`] comes out.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::background::{Background, Kept};
use super::busy::Busy;
use super::children::Children;
use super::exec_error::{self, Explainer};
use super::job::{
    self, BackgroundJob, Finished, Held, Job, Keep, Leftover, SideChannels, StartError,
};
use super::leftovers::Leftovers;
use super::output_budget::{DEFAULT_OUTPUT_BUDGET, OutputBudget, OutputLoad};
use super::pipes::{Stderr, Stdin, Stdout};
use super::pool::Supervisors;
use super::preflight::{PreflightError, preflight};
use super::progress::NotRun;
use super::run::{Pipes, ResultSender, Run};
use super::signals;
use super::time_limit::TimeLimit;
use super::wire::{self, Announced, Unsendable};
use crate::telemetry::JobCounts;

/// How many background jobs there may be where nobody says otherwise.
pub const DEFAULT_MAX_BACKGROUND: usize = 64;

/// Starts runs and reaps what they leave. One for the process; cheap to clone.
///
/// Waits for nobody's children but its own, with one exception: when a supervisor has been killed
/// from outside, every child of the process that no launcher call started is taken for its orphan
/// and ended. Nothing else in the process may therefore keep children for longer than a moment.
#[derive(Debug, Clone)]
pub struct Launcher {
    supervisors: Supervisors,
    runs: TaskTracker,
    leftovers: Leftovers,
    background: Background,
    outputs: OutputBudget,
    explainer: Explainer,
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
        Ok(Self {
            supervisors: Supervisors::new(program.into().into(), Children::new()?),
            runs,
            leftovers: Leftovers::default(),
            background: Background::new(DEFAULT_MAX_BACKGROUND),
            outputs: OutputBudget::new(DEFAULT_OUTPUT_BUDGET),
            explainer: Explainer::default(),
        })
    }

    /// The same launcher with at most `most` background jobs at once; with 0, nothing outlives its run.
    /// For one that has run nothing yet.
    #[must_use]
    pub fn with_max_background(mut self, most: usize) -> Self {
        self.background = Background::new(most);
        self
    }

    /// The same launcher with `bytes` for what all programs print; see [`DEFAULT_OUTPUT_BUDGET`]. For one that has
    /// run nothing yet.
    #[must_use]
    pub fn with_output_budget(mut self, bytes: usize) -> Self {
        self.outputs = OutputBudget::new(bytes);
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
        let (caller, answer) = oneshot::channel();
        let run = self
            .clone()
            .carry_out(job, side_channels, cancel, caller, held);
        // A task of its own, so that a caller who leaves does not take the end of the tree along.
        self.runs.spawn(run);
        answer.await.unwrap_or_else(|_| {
            let lost = io::Error::other("the run was given up, because the server ends");
            Err(StartError::System(lost))
        })
    }

    /// The processes that do not end although they were sent SIGKILL, by run.
    pub fn leftovers(&self) -> Vec<Leftover> {
        self.leftovers.now()
    }

    /// The background jobs, the oldest first. Reads `/proc`: not for the runtime's threads.
    pub fn background(&self) -> Vec<BackgroundJob> {
        self.background.list()
    }

    /// How many background jobs there are and were, by plugin.
    pub fn background_counts(&self) -> BTreeMap<String, JobCounts> {
        self.background.counts()
    }

    /// Begins to end a background job: SIGTERM, and SIGKILL for what is left after five seconds. False when
    /// there is none of this id.
    pub fn end_background_job(&self, id: u64) -> bool {
        self.background.end(id)
    }

    /// Begins to end all background jobs, and keeps none from now on; [`Launcher::idle`] waits for their end.
    /// How many there are.
    pub fn end_background(&self) -> usize {
        self.background.close()
    }

    /// How much memory what programs print takes at this moment.
    pub fn outputs(&self) -> OutputLoad {
        self.outputs.load()
    }

    /// How many runs have processes left at this moment, background jobs included.
    pub fn running(&self) -> usize {
        self.runs.len()
    }

    /// Waits until no run has a process left. Background jobs have some as long as they live.
    pub async fn idle(&self) {
        self.runs.wait().await;
    }

    async fn carry_out(
        self,
        mut job: Job,
        mut side_channels: SideChannels,
        cancel: CancellationToken,
        mut caller: ResultSender<StartError>,
        held: Held<impl Send + 'static, impl Send + 'static>,
    ) {
        let mut in_progress = Some(held.tree);
        let job_background = job.background.clone();
        let open_questions = side_channels.open_questions.take();
        let busy = Busy::new(held.busy, open_questions.clone());
        let mut run = match self.start(&mut job, side_channels, busy).await {
            Ok(run) => run,
            Err(fault) => {
                drop(in_progress);
                let _ = caller.send(Err(fault));
                return;
            }
        };
        let time = TimeLimit::new(job.time_limit, open_questions);
        let answer = match run.until_known(time, &cancel, &mut caller).await {
            Ok(finished) => Ok(finished),
            Err(NotRun::Refused(errno)) => Err(self.explainer.explained(job, errno).await),
            Err(NotRun::Overdue) => Err(exec_error::overdue(&job)),
            Err(NotRun::Lost) => Err(StartError::System(io::Error::other(
                "the supervisor ended before the program had started",
            ))),
        };
        // Before the answer, where that is so: whoever calls again finds it free, and the job listed.
        let mut kept = self.keep(&job_background, &mut run);
        in_progress.take_if(|_| run.tree_is_gone() || kept.is_some());
        let _ = caller.send(answer);
        run.until_call_is_over().await;
        if kept.is_none() {
            kept = self.keep(&job_background, &mut run);
        }
        if let Some(kept) = kept {
            drop(in_progress);
            run.until_job_is_over(&kept).await;
        } else {
            run.until_tree_is_gone().await;
            drop(in_progress);
        }
        run.release_supervisor().await;
    }

    /// Keeps what the run has left, or begins to end it.
    fn keep(&self, background: &Option<job::Background>, run: &mut Run) -> Option<Kept> {
        let (background, processes) = (background.as_ref()?, run.kept()?);
        let kept = self.background.admit(background, run.keeper(), processes);
        if kept.is_none() {
            run.end_job();
        }
        kept
    }

    /// What of a job may live on.
    fn kept_of(&self, job: &Job) -> Keep {
        let background = job.background.as_ref();
        let background = background.filter(|_| self.background.limit() > 0);
        background.map_or(Keep::Nothing, |background| background.keep)
    }

    async fn start(
        &self,
        job: &mut Job,
        side_channels: SideChannels,
        busy: Busy,
    ) -> Result<Run, StartError> {
        let stdin = job.stdin.take();
        let order = wire::encode_order(
            &job.argv,
            &job.environment,
            job.directory.as_deref(),
            Announced {
                stdin: stdin.is_some(),
                events: side_channels.events.is_some(),
                events_held: side_channels.events_held.is_some(),
            },
            self.kept_of(job),
        )
        .map_err(|refused| unsendable(job, refused))?;
        let bounds = (job.stdout_limit, job.stderr_tail);
        let (pipes, programs_ends) =
            connect(stdin, side_channels, bounds, &self.outputs).map_err(StartError::System)?;
        let descriptors: Vec<BorrowedFd<'_>> = programs_ends.iter().map(AsFd::as_fd).collect();
        let given = self.supervisors.give(order, &descriptors).await;
        Ok(Run::new(
            job,
            self.supervisors.clone(),
            given.map_err(StartError::System)?,
            pipes,
            self.leftovers.clone(),
            busy,
        ))
    }
}

/// The server's ends of a program's pipes, and the program's in the order in which they travel.
fn connect(
    stdin: Option<Vec<u8>>,
    side_channels: SideChannels,
    (stdout_limit, stderr_tail): (usize, usize),
    outputs: &OutputBudget,
) -> io::Result<(Pipes, Vec<OwnedFd>)> {
    let (stdout, stdout_writer) = io::pipe()?;
    let (stderr, stderr_writer) = io::pipe()?;
    let mut travelling = vec![stdout_writer.into(), stderr_writer.into()];
    let mut feed = None;
    if stdin.is_some() {
        let (reader, writer) = io::pipe()?;
        travelling.push(reader.into());
        feed = Some(pipe::Sender::from_owned_fd(writer.into())?);
    }
    travelling.extend(side_channels.events);
    travelling.extend(side_channels.events_held);
    let stdout = pipe::Receiver::from_owned_fd(stdout.into())?;
    let stderr = pipe::Receiver::from_owned_fd(stderr.into())?;
    let pipes = Pipes {
        stdin: Stdin::new(feed, stdin.unwrap_or_default()),
        stdout: Stdout::new(stdout, stdout_limit, outputs.share()),
        stderr: Stderr::new(stderr, stderr_tail, side_channels.stderr_lines),
    };
    Ok((pipes, travelling))
}

fn unsendable(job: &Job, refused: Unsendable) -> StartError {
    match refused {
        Unsendable::TooLarge => StartError::TooLarge,
        Unsendable::Nul(text) => StartError::Program {
            program: job.program(),
            source: io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a NUL byte cannot be passed to a program: {text:?}"),
            ),
        },
    }
}
