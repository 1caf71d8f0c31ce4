//! Carries out runs: an order to a supervisor, the pipes of its program, and what becomes of it all after the answer.
//!
//! Knows no plugin and no tool. Whoever has it run a job says how; it decides no more than that a program which a lost
//! lane has not begun is executed.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::background::{Background, Kept};
use super::busy::Busy;
use super::exec_error::{self, Explainer};
use super::job::{self, Held, Job, Keep, SideChannels, StartError};
use super::leftovers::Leftovers;
use super::output_budget::OutputBudget;
use super::pipes::{Stderr, Stdin, Stdout};
use super::pool::{Supervisor, Supervisors};
use super::progress::NotRun;
use super::run::{Pipes, ResultSender, Run};
use super::spare::Spare;
use super::sweeps::Sweeps;
use super::time_limit::TimeLimit;
use super::wire::{self, Announced, Start, Unsendable};

/// How long a call waits for the end of a lane that has died before the program ran, and whose place it has.
const LOST_LANE_LIMIT: Duration = Duration::from_secs(5);

/// What runs have in common. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    pub(super) supervisors: Supervisors,
    pub(super) runs: TaskTracker,
    pub(super) leftovers: Leftovers,
    pub(super) background: Background,
    pub(super) outputs: OutputBudget,
    pub(super) explainer: Explainer,
}

/// Which supervisor a run gets.
#[derive(Debug)]
pub(super) enum Under {
    /// One that executes the program.
    Any,
    /// That of a lane; one that executes the program where it is gone.
    Lane(Supervisor, Start),
    /// One that executes the program, which is a warm interpreter.
    Nest(Sweeps),
}

impl Engine {
    /// Runs `job` to its end, answers the caller when that is known, and returns when nothing of the run is left.
    pub(super) async fn carry_out(
        self,
        mut job: Job,
        mut side_channels: SideChannels,
        cancel: CancellationToken,
        mut caller: ResultSender<StartError>,
        held: Held<impl Send + 'static, impl Send + 'static>,
        under: Under,
    ) {
        let mut in_progress = Some(held.tree);
        let job_background = job.background.clone();
        let open_questions = side_channels.open_questions.take();
        let spare = match &under {
            // Without descriptors for it, the call fails if that happens.
            Under::Lane(..) => Spare::of(&job, &side_channels).ok(),
            Under::Any | Under::Nest(_) => None,
        };
        let busy = Busy::new(held.busy, open_questions.clone());
        let time_limit = job.time_limit;
        let time = || TimeLimit::new(time_limit, open_questions.clone());
        let started = async {
            let mut run = self.start(&mut job, side_channels, busy, under).await?;
            run.spare = spare;
            let known = run.until_known(time(), &cancel, &mut caller).await;
            // A lane or its warm interpreter died, and nothing of the program has run: nobody needs to know.
            let (Err(NotRun::Lost), Some(spare)) = (&known, run.spare.take()) else {
                return Ok((run, known));
            };
            let is_gone = tokio::select! {
                () = run.until_tree_is_gone() => true,
                () = cancel.cancelled() => false,
                () = caller.closed() => false,
                () = tokio::time::sleep(LOST_LANE_LIMIT) => false,
            };
            if !is_gone {
                return Ok((run, known));
            }
            run.release_supervisor().await;
            let side_channels = spare.into_channels(&mut job);
            let busy = Busy::new((), open_questions.clone());
            let mut run = self
                .start(&mut job, side_channels, busy, Under::Any)
                .await?;
            let known = run.until_known(time(), &cancel, &mut caller).await;
            Ok((run, known))
        };
        let (mut run, known) = match started.await {
            Ok(started) => started,
            Err(fault) => {
                drop(in_progress);
                let _ = caller.send(Err(fault));
                return;
            }
        };
        let answer = match known {
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
        under: Under,
    ) -> Result<Run, StartError> {
        let stdin = job.stdin.take();
        let announced = Announced {
            stdin: stdin.is_some(),
            events: side_channels.events.is_some(),
            events_held: side_channels.events_held.is_some(),
        };
        let order = |start| {
            let directory = job.directory.as_deref();
            let keep = self.kept_of(job);
            wire::encode_order(
                &job.argv,
                &job.environment,
                directory,
                announced,
                keep,
                start,
            )
            .map_err(|refused| unsendable(job, refused))
        };
        let start = match &under {
            Under::Any => Start::Cold,
            Under::Lane(_, start) => *start,
            Under::Nest(_) => Start::Nest,
        };
        let bytes = order(start)?;
        let bounds = (job.stdout_limit, job.stderr_tail);
        let (pipes, programs_ends) =
            connect(stdin, side_channels, bounds, &self.outputs).map_err(StartError::System)?;
        let descriptors: Vec<BorrowedFd<'_>> = programs_ends.iter().map(AsFd::as_fd).collect();
        let mut sweeps = Sweeps::default();
        let given = match under {
            Under::Any => self.supervisors.give(bytes, &descriptors).await,
            Under::Nest(asked) => {
                sweeps = asked;
                self.supervisors.give(bytes, &descriptors).await
            }
            Under::Lane(mut lane, _) => match lane.commands.order(bytes, &descriptors) {
                Ok(()) => Ok(lane),
                // One that was killed while it was idle has harmed nobody.
                Err(_) => {
                    drop(lane);
                    self.supervisors
                        .give(order(Start::Cold)?, &descriptors)
                        .await
                }
            },
        };
        Ok(Run::new(
            job,
            given.map_err(StartError::System)?,
            sweeps,
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
    let (stderr, stderr_writer) = io::pipe()?;
    let (stdout, stdout_writer) = if side_channels.stdout_to_stderr {
        (Stdout::absent(), stderr_writer.try_clone()?)
    } else {
        let (reader, writer) = io::pipe()?;
        let reader = pipe::Receiver::from_owned_fd(reader.into())?;
        (Stdout::new(reader, stdout_limit, outputs.share()), writer)
    };
    let mut travelling = vec![stdout_writer.into(), stderr_writer.into()];
    let mut feed = None;
    if stdin.is_some() {
        let (reader, writer) = io::pipe()?;
        travelling.push(reader.into());
        feed = Some(pipe::Sender::from_owned_fd(writer.into())?);
    }
    travelling.extend(side_channels.events);
    travelling.extend(side_channels.events_held);
    let stderr = pipe::Receiver::from_owned_fd(stderr.into())?;
    let pipes = Pipes {
        stdin: Stdin::new(feed, stdin.unwrap_or_default()),
        stdout,
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
