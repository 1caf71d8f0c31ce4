//! One run in progress: hears the supervisor, reads the pipes, decides when the answer is known.
//!
//! Knows no way to start a process; [`super::process`] hands it one that is started.

use std::future::pending;
use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::capture::{OverLimit, Stderr, Stdout};
use super::control::{self, Report};
use super::job::{Ending, Finished};
use super::reap::{Children, Owned};
use super::supervise::{LEFTOVER_GRACE, TERMINATE_GRACE};

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

/// A run whose supervisor is started.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) children: Children,
    pub(super) supervisor: Owned,
    pub(super) wires: Wires,
    pub(super) progress: Progress,
}

/// The server's ends of all that it shares with a supervisor and its program.
#[derive(Debug)]
pub(super) struct Wires {
    pub(super) reports: Reports,
    pub(super) commands: Commands,
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
                report = self.wires.reports.next() => self.hear(report).await,
                () = self.wires.commands.send() => {}
                () = self.wires.stdin.feed() => {}
                // Also of a program that has exited: what it printed is read after that.
                read = self.wires.stdout.read() => if read == Err(OverLimit) && self.progress.verdict.is_none() {
                    self.end(Ending::OutputTooLarge, control::KILL);
                },
                () = self.wires.stderr.read() => {}
                () = &mut overdue, if may_be_ended => {
                    self.end(Ending::TimedOut, control::TERMINATE);
                }
                () = &mut cancelled, if may_be_ended => {
                    self.end(Ending::Cancelled, control::TERMINATE);
                }
                () = caller.closed(), if may_be_ended => {
                    self.end(Ending::Cancelled, control::TERMINATE);
                }
                // Only to look again whether the answer is known.
                () = at(self.progress.answer_by) => {}
                () = at(self.progress.give_up_at) => self.bury().await,
            }
        }
    }

    /// Waits until no process of the run is left.
    pub(super) async fn finish(mut self) {
        // What is left of the tree writes to nobody.
        self.wires.stdout.close();
        self.wires.stderr.close();
        self.wires.stdin.close();
        while !self.progress.tree_is_gone {
            tokio::select! {
                report = self.wires.reports.next() => self.hear(report).await,
                () = self.wires.commands.send() => {}
                () = at(self.progress.give_up_at) => self.bury().await,
            }
        }
        self.supervisor.gone().await;
    }

    fn known(&self) -> Option<Ending> {
        let progress = &self.progress;
        let ending = progress.verdict.or(progress.ended)?;
        // A run that the server ends keeps its place until its tree is gone.
        let ended = progress.tree_is_gone || progress.verdict.is_none();
        let quiet = !self.wires.stdout.is_open() && !self.wires.stderr.is_open();
        let late = progress.answer_by.is_some_and(|by| by <= Instant::now());
        ((ended && quiet) || late).then_some(ending)
    }

    fn finished(&mut self, ending: Ending) -> Finished {
        self.wires.stderr.close();
        Finished {
            ending,
            stdout: self.wires.stdout.take(),
            stderr_tail: self.wires.stderr.take(),
        }
    }

    async fn hear(&mut self, report: Option<Report>) {
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
            None => self.bury().await,
        }
    }

    fn end(&mut self, verdict: Ending, command: u8) {
        self.wires.commands.push(command);
        self.progress
            .is_being_ended(verdict, command == control::TERMINATE);
    }

    /// The supervisor is dead or does not answer: its orphans have come to this process.
    async fn bury(&mut self) {
        self.supervisor.kill();
        self.supervisor.gone().await;
        self.children.end_orphans().await;
        if !self.progress.started {
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

/// What the supervisor says.
#[derive(Debug)]
pub(super) struct Reports {
    socket: OwnedReadHalf,
    received: Vec<u8>,
}

impl Reports {
    pub(super) fn new(socket: OwnedReadHalf) -> Self {
        let received = Vec::with_capacity(4 * Report::SIZE);
        Self { socket, received }
    }

    /// The next report; `None` when there will be none. Safe to drop while it waits.
    async fn next(&mut self) -> Option<Report> {
        loop {
            if let Some((report, _)) = self.received.split_first_chunk() {
                let report = Report::decode(*report);
                self.received.drain(..Report::SIZE);
                return report;
            }
            if !matches!(self.socket.read_buf(&mut self.received).await, Ok(1..)) {
                return None;
            }
        }
    }
}

/// What the supervisor is told. Dropping it tells it to kill the tree.
#[derive(Debug)]
pub(super) struct Commands {
    socket: OwnedWriteHalf,
    unsent: Vec<u8>,
    sent: usize,
}

impl Commands {
    /// `sent` bytes of `order` are on their way already.
    pub(super) fn new(socket: OwnedWriteHalf, order: Vec<u8>, sent: usize) -> Self {
        Self {
            socket,
            unsent: order,
            sent,
        }
    }

    fn push(&mut self, command: u8) {
        self.unsent.push(command);
    }

    /// Sends once. Never ready when all is sent; safe to drop while it waits.
    async fn send(&mut self) {
        let rest = &self.unsent[self.sent..];
        if rest.is_empty() {
            return pending().await;
        }
        match self.socket.write(rest).await {
            Ok(more @ 1..) => self.sent += more,
            // The end of the reports will tell what there is to tell.
            _ => self.sent = self.unsent.len(),
        }
        if self.sent == self.unsent.len() {
            self.unsent = Vec::new();
            self.sent = 0;
        }
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
