//! One run in progress: hears the supervisor, reads the pipes, decides when the answer is known.
//!
//! Knows no way to start a process; [`crate::process`] hands it one that is started.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::job::{Ending, Finished};
use super::pipes::{OverLimit, Stderr, Stdout};
use super::pool::{Supervisor, Supervisors};
use super::supervisor::{LEFTOVER_GRACE, TERMINATE_GRACE};
use super::wire::{self, Report};

/// How long the pipes may stay open after the program, held by what it left behind.
const PIPES_GRACE: Duration = Duration::from_secs(2);

/// How much later than it promised a supervisor may be before it is given up.
const SUPERVISOR_GRACE: Duration = Duration::from_secs(2);

/// Where the answer goes. Closed by a caller who has left.
pub(super) type Answer<E> = oneshot::Sender<Result<Finished, E>>;

/// Why there is nothing to answer with.
#[derive(Debug)]
pub(super) enum NotRun {
    /// The system refused to execute the program, by this errno.
    Refused(i32),
    /// The supervisor died before it had started the program.
    Lost,
}

/// A run whose supervisor has its order.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) supervisors: Supervisors,
    pub(super) supervisor: Supervisor,
    pub(super) pipes: Pipes,
    pub(super) progress: Progress,
}

/// The server's ends of the program's pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: Stdin,
    pub(super) stdout: Stdout,
    pub(super) stderr: Stderr,
}

/// How far a run has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    started: bool,
    refused: Option<NotRun>,
    /// How the program ended.
    ended: Option<Ending>,
    /// Why the server ended it.
    verdict: Option<Ending>,
    /// No process of the tree is left.
    tree_is_gone: bool,
    supervisor_is_lost: bool,
    /// The answer does not wait longer than this for the pipes and the tree.
    answer_by: Option<Instant>,
    /// The supervisor does not live longer than this.
    give_up_at: Option<Instant>,
}

impl Run {
    /// Runs until the answer is known; `finish` must follow.
    pub(super) async fn until_known<E>(
        &mut self,
        time_limit: Option<Duration>,
        cancel: &CancellationToken,
        caller: &mut Answer<E>,
    ) -> Result<Finished, NotRun> {
        let overdue = at(time_limit.map(|limit| Instant::now() + limit));
        let cancelled = cancel.cancelled();
        tokio::pin!(overdue, cancelled);
        loop {
            if let Some(refused) = self.progress.refused.take() {
                return Err(refused);
            }
            if let Some(ending) = self.known() {
                return Ok(self.finished(ending));
            }
            let may_be_ended = self.progress.may_be_ended();
            tokio::select! {
                // After the last report the socket ends, which would look like a death.
                report = self.supervisor.reports.next(), if !self.progress.tree_is_gone => {
                    self.handle_report(report).await;
                }
                () = self.supervisor.commands.send() => {}
                () = self.pipes.stdin.feed() => {}
                // Also of a program that has exited: what it printed is read after that.
                read = self.pipes.stdout.read() => if read == Err(OverLimit) && self.progress.verdict.is_none() {
                    self.end(Ending::OutputTooLarge, wire::KILL);
                },
                () = self.pipes.stderr.read() => {}
                () = &mut overdue, if may_be_ended => {
                    self.end(Ending::TimedOut, wire::TERMINATE);
                }
                () = &mut cancelled, if may_be_ended => {
                    self.end(Ending::Cancelled, wire::TERMINATE);
                }
                () = caller.closed(), if may_be_ended => {
                    self.end(Ending::Cancelled, wire::TERMINATE);
                }
                // Only to look again whether the answer is known.
                () = at(self.progress.answer_by) => {}
                () = at(self.progress.give_up_at) => self.abandon_supervisor().await,
            }
        }
    }

    /// Waits until no process of the run is left.
    pub(super) async fn finish(mut self) {
        // What is left of the tree writes to nobody.
        self.pipes.stdout.close();
        self.pipes.stderr.close();
        self.pipes.stdin.close();
        while !self.progress.tree_is_gone {
            tokio::select! {
                report = self.supervisor.reports.next() => self.handle_report(report).await,
                () = self.supervisor.commands.send() => {}
                () = at(self.progress.give_up_at) => self.abandon_supervisor().await,
            }
        }
        if self.progress.supervisor_is_as_new() {
            self.supervisors.take_back(self.supervisor).await;
        } else {
            self.supervisor.retire().await;
        }
    }

    fn known(&self) -> Option<Ending> {
        let progress = &self.progress;
        let ending = progress.verdict.or(progress.ended)?;
        // A run that the server ends keeps its place until its tree is gone.
        let ended = progress.tree_is_gone || progress.verdict.is_none();
        let quiet = !self.pipes.stdout.is_open() && !self.pipes.stderr.is_open();
        let late = progress.answer_by.is_some_and(|by| by <= Instant::now());
        ((ended && quiet) || late).then_some(ending)
    }

    fn finished(&mut self, ending: Ending) -> Finished {
        self.pipes.stderr.close();
        Finished {
            ending,
            stdout: self.pipes.stdout.take(),
            stderr_tail: self.pipes.stderr.take(),
        }
    }

    async fn handle_report(&mut self, report: Option<Report>) {
        let progress = &mut self.progress;
        match report {
            Some(Report::Started) => progress.started = true,
            Some(Report::Failed(errno)) => {
                progress.refused = Some(NotRun::Refused(errno));
                progress.tree_is_gone = true;
            }
            Some(Report::Exited(status)) => progress.program_ended(Ending::Exited(status)),
            Some(Report::Signalled(signal)) => progress.program_ended(Ending::Signalled(signal)),
            Some(Report::Done) => progress.tree_ended(),
            None => self.abandon_supervisor().await,
        }
    }

    fn end(&mut self, verdict: Ending, command: u8) {
        self.supervisor.commands.push(command);
        self.progress
            .is_being_ended(verdict, command == wire::TERMINATE);
    }

    /// The supervisor is dead or does not answer: its orphans have come to this process.
    async fn abandon_supervisor(&mut self) {
        self.progress.supervisor_is_lost = true;
        self.supervisor.kill().await;
        self.supervisors.end_orphans().await;
        if !self.progress.started && self.progress.verdict.is_none() {
            self.progress.refused = Some(NotRun::Lost);
        }
        self.progress.ended.get_or_insert(Ending::SupervisorLost);
        self.progress.tree_ended();
    }
}

impl Progress {
    fn may_be_ended(&self) -> bool {
        self.ended.is_none() && self.verdict.is_none()
    }

    /// Whether it has done all of its work, and no command can still be on its way to it.
    fn supervisor_is_as_new(&self) -> bool {
        let by_itself = matches!(self.ended, Some(Ending::Exited(_) | Ending::Signalled(_)));
        self.tree_is_gone && by_itself && self.verdict.is_none() && !self.supervisor_is_lost
    }

    fn program_ended(&mut self, ending: Ending) {
        let now = Instant::now();
        self.ended = Some(ending);
        self.answer_by.get_or_insert(now + PIPES_GRACE);
        let due = now + LEFTOVER_GRACE + SUPERVISOR_GRACE;
        self.give_up_at.get_or_insert(due);
    }

    fn is_being_ended(&mut self, verdict: Ending, gently: bool) {
        let grace = if gently {
            TERMINATE_GRACE
        } else {
            Duration::ZERO
        };
        let now = Instant::now();
        self.verdict = Some(verdict);
        self.answer_by = Some(now + grace + PIPES_GRACE);
        self.give_up_at = (!self.tree_is_gone).then(|| now + grace + SUPERVISOR_GRACE);
    }

    fn tree_ended(&mut self) {
        self.tree_is_gone = true;
        self.give_up_at = None;
        let soon = Instant::now() + PIPES_GRACE;
        self.answer_by = Some(self.answer_by.map_or(soon, |by| by.min(soon)));
    }
}

/// What the program is given to read.
#[derive(Debug)]
pub(super) struct Stdin {
    /// `None` when all is written or nobody reads.
    pipe: Option<pipe::Sender>,
    unsent: Vec<u8>,
    sent: usize,
}

impl Stdin {
    pub(super) fn new(pipe: Option<pipe::Sender>, bytes: Vec<u8>) -> Self {
        Self {
            pipe,
            unsent: bytes,
            sent: 0,
        }
    }

    fn close(&mut self) {
        self.pipe = None;
    }

    /// Writes once, and closes at the end. Never ready when closed; safe to drop while it waits.
    async fn feed(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return pending().await;
        };
        let rest = &self.unsent[self.sent..];
        let written: io::Result<usize> = match rest {
            [] => Ok(0),
            rest => pipe.write(rest).await,
        };
        match written {
            Ok(more @ 1..) => self.sent += more,
            // All is written, or a program that does not read has gone: both are its own affair.
            _ => {
                self.close();
                self.unsent = Vec::new();
            }
        }
    }
}

/// Ready at that moment; never without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => pending().await,
    }
}
