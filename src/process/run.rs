//! One run in progress: reports of the supervisor, pipes, deadlines, and when the answer is known.
//!
//! Knows no way to start a process; [`crate::process`] hands it one that is started. Nothing here
//! waits for a process to end: a process that cannot be ended must not hold up an answer.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use rustix::process::Pid;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::background::Kept;
use super::busy::Busy;
use super::job::{Ending, Finished, Job};
use super::leftovers::{Leftovers, Registered};
use super::pipes::{OverLimit, Stderr, Stdin, Stdout};
use super::pool::Supervisor;
use super::progress::{NotRun, PIPES_GRACE, RunState, SUPERVISOR_GRACE};
use super::spare::Spare;
use super::sweeps::Sweeps;
use super::time_limit::{TimeLimit, at};
use super::wire::{self, Report};

/// A supervisor that has reported nothing for so long is asked for a sign of life.
const PING_AFTER: Duration = Duration::from_secs(5);

/// How long it may take to give one. It only has to be scheduled.
const PONG_LIMIT: Duration = Duration::from_secs(10);

/// The sender of the answer. Closed by a caller who has left.
pub(super) type ResultSender<E> = oneshot::Sender<Result<Finished, E>>;

/// A run whose supervisor has its order.
pub(super) struct Run {
    program: String,
    /// What was run, in the words of whoever started it.
    tool: Option<String>,
    supervisor: Supervisor,
    /// What a second start takes, until the program runs.
    pub(super) spare: Option<Spare>,
    /// Who wants what came to a nest to be ended.
    sweeps: Sweeps,
    pipes: Pipes,
    progress: RunState,
    /// What is held while the program starts or computes.
    busy: Busy,
    /// Ends what a lost supervisor leaves.
    cleanup: Option<BoxFuture<'static, ()>>,
    leftovers: Leftovers,
    /// Set while processes outlive SIGKILL.
    left: Option<Registered>,
}

/// The server's ends of the program's pipes.
#[derive(Debug)]
pub(super) struct Pipes {
    pub(super) stdin: Stdin,
    pub(super) stdout: Stdout,
    pub(super) stderr: Stderr,
}

impl Run {
    /// A run of `job` by a supervisor that has just got its order.
    pub(super) fn new(
        job: &Job,
        supervisor: Supervisor,
        sweeps: Sweeps,
        pipes: Pipes,
        leftovers: Leftovers,
        busy: Busy,
    ) -> Self {
        let owner = job.background.as_ref().map(|background| &background.owner);
        Self {
            program: job.program(),
            tool: owner.map(|owner| owner.tool.clone()),
            supervisor,
            spare: None,
            sweeps,
            pipes,
            progress: RunState::new(),
            busy,
            cleanup: None,
            leftovers,
            left: None,
        }
    }

    /// Runs until the answer is known; [`Run::until_call_is_over`] must follow, and then
    /// [`Run::until_job_is_over`] where something is kept, else [`Run::until_tree_is_gone`].
    ///
    /// # Errors
    /// Why the program has not run at all.
    pub(super) async fn until_known<E>(
        &mut self,
        mut time: TimeLimit,
        cancel: &CancellationToken,
        caller: &mut ResultSender<E>,
    ) -> Result<Finished, NotRun> {
        let cancelled = cancel.cancelled();
        tokio::pin!(cancelled);
        loop {
            if let Some(not_run) = self.progress.not_run {
                return Err(not_run);
            }
            let waits_for_memory = self.pipes.stdout.waits_for_memory();
            if waits_for_memory {
                self.progress.wait_for_memory();
            }
            if let Some(ending) = self.known() {
                return Ok(self.finished(ending));
            }
            let may_be_ended = self.progress.may_be_ended()
                || (waits_for_memory && self.progress.verdict.is_none());
            tokio::select! {
                () = self.pipes.stdin.feed() => {}
                // Also of a program that has exited: what it printed is read after that.
                read = self.pipes.stdout.read() => if read == Err(OverLimit) && self.progress.verdict.is_none() {
                    self.end(Ending::OutputTooLarge, wire::KILL);
                },
                () = self.pipes.stderr.read() => {}
                () = time.is_over(), if may_be_ended => {
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
                event = next_event(&mut self.supervisor, &mut self.cleanup, &self.progress, &mut self.busy, &mut self.sweeps) => {
                    self.handle(event);
                }
            }
        }
    }

    /// Whether no process of the run is left.
    pub(super) fn tree_is_gone(&self) -> bool {
        self.progress.tree_is_gone
    }

    /// How many processes live on as a background job; `None` while there is none.
    pub(super) fn kept(&self) -> Option<usize> {
        self.progress.kept()
    }

    /// The supervisor's process, which keeps what is kept.
    pub(super) fn keeper(&self) -> Pid {
        self.supervisor.process.pid()
    }

    /// Waits until no process of the run is left but a background job.
    pub(super) async fn until_call_is_over(&mut self) {
        // What is left of the tree writes to nobody.
        self.pipes.stdout.close();
        self.pipes.stderr.close();
        self.pipes.stdin.close();
        while !self.progress.tree_is_gone && self.progress.kept().is_none() {
            self.handle_next_event().await;
        }
    }

    /// Waits until no process of the run is left, and ends what is left once `end` is cancelled.
    pub(super) async fn until_job_is_over(&mut self, job: &Kept) {
        let end = job.end().cancelled();
        tokio::pin!(end);
        while !self.progress.tree_is_gone {
            tokio::select! {
                () = &mut end, if self.kept().is_some() => self.end_job(),
                () = self.handle_next_event() => {}
            }
            if self.progress.supervisor_is_lost {
                job.keeper_is_lost();
            }
        }
    }

    /// Waits for the next event and takes it into account. Safe to drop while it waits.
    async fn handle_next_event(&mut self) {
        let event = next_event(
            &mut self.supervisor,
            &mut self.cleanup,
            &self.progress,
            &mut self.busy,
            &mut self.sweeps,
        );
        let event = event.await;
        self.handle(event);
    }

    /// Begins to end what is kept.
    pub(super) fn end_job(&mut self) {
        self.end(Ending::Cancelled, wire::TERMINATE);
    }

    /// Waits until no process of the run is left.
    pub(super) async fn until_tree_is_gone(&mut self) {
        while !self.progress.tree_is_gone {
            self.handle_next_event().await;
        }
        self.left = None;
    }

    /// Keeps the supervisor for the next run, or lets it end.
    pub(super) async fn release_supervisor(self) {
        if self.progress.supervisor_is_as_new() {
            self.supervisor.give_back().await;
        } else {
            self.supervisor.retire().await;
        }
    }

    fn known(&self) -> Option<Ending> {
        let progress = &self.progress;
        let ending = progress.verdict.or(progress.ended)?;
        // A program that ended by itself is answered although something of its tree is left.
        let by_itself = progress.verdict.is_none() && !progress.supervisor_is_lost;
        // What the server has ended is not waited for until there is memory for the rest of its output.
        let unread = progress.verdict.is_some() && self.pipes.stdout.waits_for_memory();
        let quiet = (unread || !self.pipes.stdout.is_open()) && !self.pipes.stderr.is_open();
        let late = progress.answer_by.is_some_and(|by| by <= Instant::now());
        (((progress.tree_is_gone || by_itself) && quiet) || late).then_some(ending)
    }

    fn finished(&mut self, ending: Ending) -> Finished {
        self.pipes.stderr.close();
        let (stdout, share) = self.pipes.stdout.take();
        Finished {
            ending,
            stdout,
            stderr_tail: self.pipes.stderr.take(),
            share,
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Report(Some(report)) => self.handle_report(report),
            Event::Report(None) | Event::GiveUp => self.abandon_supervisor(),
            Event::Sent => {}
            Event::Look => self.look_for_life(),
            Event::Cleaned => {
                self.cleanup = None;
                self.busy.give_back();
                self.progress.tree_ended();
            }
            Event::BusyForLong => self.busy.give_back(),
            Event::CleaningTakesLong => {
                self.progress.give_up_at = None;
                self.register_left(self.supervisor.process.unkillable().max(1));
            }
            Event::Sweep => self.ask(wire::SWEEP),
        }
    }

    fn handle_report(&mut self, report: Report) {
        self.supervisor.process.note(report);
        let progress = &mut self.progress;
        progress.owes_sign_of_life = false;
        progress.look_at = Instant::now() + PING_AFTER;
        match report {
            Report::Started => {
                progress.started = true;
                self.spare = None;
            }
            Report::Failed(errno) => {
                progress.not_run = Some(NotRun::Refused(errno));
                progress.tree_is_gone = true;
                self.busy.give_back();
            }
            Report::Waits => self.busy.give_back(),
            Report::Exited(status) => {
                progress.program_ended(Ending::Exited(status));
                self.busy.give_back();
            }
            Report::Signalled(signal) => {
                progress.program_ended(Ending::Signalled(signal));
                self.busy.give_back();
            }
            Report::Leftovers(processes) => self.log_leftovers(processes),
            Report::Kept(processes) => {
                progress.kept = Some(usize::try_from(processes).unwrap_or(1));
                progress.give_up_at = None;
                // What did not end at once has ended by now.
                self.left = None;
            }
            // What comes before there is a run, and what only its process takes note of.
            Report::Lane(_) | Report::FellBack => {}
            Report::Spent => progress.supervisor_is_spent = true,
            Report::Alive => progress.note_answer(),
            Report::Swept => {
                progress.note_answer();
                self.sweeps.done();
            }
            Report::Unkillable(processes) => {
                // It does what it can; giving it up would free nobody.
                progress.give_up_at = None;
                self.register_left(usize::try_from(processes).unwrap_or(1));
            }
            Report::Done => {
                progress.tree_ended();
                self.busy.give_back();
            }
        }
    }

    fn log_leftovers(&self, processes: i32) {
        // What the server ends itself is said of the call.
        if self.progress.verdict.is_none() {
            let (program, tool) = (&self.program, &self.tool);
            tracing::info!(
                program,
                tool,
                processes,
                "ending what a program left behind; if it is meant to live on, start it with setsid, nohup or \
                 start_new_session=True, or declare \"background\": true"
            );
        }
    }

    fn register_left(&mut self, processes: usize) {
        match &self.left {
            Some(left) => left.update(processes),
            None => {
                let program = self.program.clone();
                self.left = Some(self.leftovers.register(program, processes));
            }
        }
    }

    fn look_for_life(&mut self) {
        if !self.progress.started {
            self.progress.not_run = Some(NotRun::Overdue);
            return self.abandon_supervisor();
        }
        if std::mem::replace(&mut self.progress.owes_sign_of_life, true) {
            return self.abandon_supervisor();
        }
        self.ask(wire::PING);
        self.progress.look_at = Instant::now() + PONG_LIMIT;
    }

    /// Sends a command that the supervisor answers.
    fn ask(&mut self, command: u8) {
        self.supervisor.commands.push(command);
        self.progress.unanswered += 1;
    }

    fn end(&mut self, verdict: Ending, command: u8) {
        // Of a program that has ended, what waits for memory is not read any more.
        if self.progress.ended.is_some() && self.pipes.stdout.waits_for_memory() {
            self.pipes.stdout.close();
        }
        self.supervisor.commands.push(command);
        self.progress
            .is_being_ended(verdict, command == wire::TERMINATE);
    }

    /// The supervisor is dead or does not answer: its orphans come to this process.
    fn abandon_supervisor(&mut self) {
        let progress = &mut self.progress;
        progress.supervisor_is_lost = true;
        self.supervisor.process.kill();
        self.cleanup = Some(Arc::clone(&self.supervisor.process).end_tree());
        if !progress.started && progress.verdict.is_none() {
            progress.not_run.get_or_insert(NotRun::Lost);
            self.supervisor.process.note(Report::FellBack);
        }
        progress.ended.get_or_insert(Ending::SupervisorLost);
        let soon = Instant::now() + PIPES_GRACE;
        progress.answer_by = Some(progress.answer_by.map_or(soon, |by| by.min(soon)));
        progress.give_up_at = Some(Instant::now() + SUPERVISOR_GRACE);
    }
}

/// What happens between the server and the supervisor of a run.
enum Event {
    /// A report, or the end of them.
    Report(Option<Report>),
    /// A part of the order or of a command was sent.
    Sent,
    /// It is time for a sign of life.
    Look,
    /// The supervisor has not kept its promise.
    GiveUp,
    /// What a lost supervisor left is gone.
    Cleaned,
    /// What a lost supervisor left does not end.
    CleaningTakesLong,
    /// What is held while the program is busy was held for as long as may be.
    BusyForLong,
    /// What came to a nest is to be ended.
    Sweep,
}

/// The next event. Safe to drop while it waits.
async fn next_event(
    supervisor: &mut Supervisor,
    cleanup: &mut Option<BoxFuture<'static, ()>>,
    progress: &RunState,
    busy: &mut Busy,
    sweeps: &mut Sweeps,
) -> Event {
    if progress.tree_is_gone {
        // After the last report the socket ends, which would look like a death.
        return pending().await;
    }
    if let Some(cleanup) = cleanup {
        return tokio::select! {
            () = cleanup => Event::Cleaned,
            () = at(progress.give_up_at) => Event::CleaningTakesLong,
            () = busy.is_over() => Event::BusyForLong,
        };
    }
    tokio::select! {
        report = supervisor.reports.next() => Event::Report(report),
        () = supervisor.commands.send() => Event::Sent,
        () = at(progress.give_up_at) => Event::GiveUp,
        () = sleep_until(progress.look_at) => Event::Look,
        () = busy.is_over() => Event::BusyForLong,
        () = sweeps.asked() => Event::Sweep,
    }
}

#[cfg(test)]
mod tests;
