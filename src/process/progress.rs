//! How far a run has come: what was reported of it, and by when something must happen.
//!
//! Knows no pipe and no supervisor: `run` reports events to it.

use std::time::Duration;

use tokio::time::Instant;

use super::job::Ending;
use super::watch::{DETACH_GRACE, LEFTOVER_GRACE, TERMINATE_GRACE};

/// How long the pipes may stay open after the program, held by what it left behind.
pub(super) const PIPES_GRACE: Duration = Duration::from_secs(2);

/// How much later than it promised a supervisor may be before it is given up.
pub(super) const SUPERVISOR_GRACE: Duration = Duration::from_secs(2);

/// How long the system may take to execute a program: one on a file system that hangs never starts.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Why a program has not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotRun {
    /// The system refused to execute it, by this errno.
    Refused(i32),
    /// The system has not executed it in time.
    Overdue,
    /// The supervisor died before it had started it.
    Lost,
}

/// How far a run has come.
#[derive(Debug)]
pub(super) struct RunState {
    /// The program runs, or ran.
    pub(super) started: bool,
    /// Why it never will.
    pub(super) not_run: Option<NotRun>,
    /// How many processes live on as a background job.
    pub(super) kept: Option<usize>,
    /// How the program ended.
    pub(super) ended: Option<Ending>,
    /// Why the server ended it.
    pub(super) verdict: Option<Ending>,
    /// No process of the tree is left.
    pub(super) tree_is_gone: bool,
    /// The supervisor is dead or given up.
    pub(super) supervisor_is_lost: bool,
    /// The supervisor takes no further order.
    pub(super) supervisor_is_spent: bool,
    /// The supervisor was asked for a sign of life and has reported nothing since.
    pub(super) owes_sign_of_life: bool,
    /// Commands that the supervisor answers and has not answered: each may still lie unread in its socket, where the
    /// next order would follow it.
    pub(super) unanswered: usize,
    /// The answer does not wait longer than this for the pipes and the tree.
    pub(super) answer_by: Option<Instant>,
    /// The supervisor is given up when it has not done by then what it has to do.
    pub(super) give_up_at: Option<Instant>,
    /// When the supervisor is asked for a sign of life, or given up for want of it.
    pub(super) look_at: Instant,
}

impl RunState {
    /// A run whose supervisor has just got its order.
    pub(super) fn new() -> Self {
        Self {
            started: false,
            not_run: None,
            kept: None,
            ended: None,
            verdict: None,
            tree_is_gone: false,
            supervisor_is_lost: false,
            supervisor_is_spent: false,
            owes_sign_of_life: false,
            unanswered: 0,
            answer_by: None,
            give_up_at: None,
            look_at: Instant::now() + START_LIMIT,
        }
    }

    /// How many processes live on as a background job of a program that ended with success.
    pub(super) fn kept(&self) -> Option<usize> {
        let by_itself = self.verdict.is_none() && self.ended == Some(Ending::Exited(0));
        let is_there = by_itself && !self.tree_is_gone && !self.supervisor_is_lost;
        self.kept.filter(|_| is_there)
    }

    /// Whether there is still something to end.
    pub(super) fn may_be_ended(&self) -> bool {
        self.ended.is_none() && self.verdict.is_none()
    }

    /// Whether it has done all of its work, and no command can still be on its way to it.
    pub(super) fn supervisor_is_as_new(&self) -> bool {
        let by_itself = matches!(self.ended, Some(Ending::Exited(_) | Ending::Signalled(_)));
        let idle = self.tree_is_gone && by_itself && self.verdict.is_none();
        idle && !self.supervisor_is_lost && !self.supervisor_is_spent && self.unanswered == 0
    }

    /// The supervisor has answered a command.
    pub(super) fn note_answer(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
    }

    /// The program ended by itself.
    pub(super) fn program_ended(&mut self, ending: Ending) {
        let now = Instant::now();
        self.ended = Some(ending);
        self.answer_by.get_or_insert(now + PIPES_GRACE);
        // What is kept lives as long as it likes.
        if self.kept.is_none() {
            let due = now + DETACH_GRACE + LEFTOVER_GRACE + SUPERVISOR_GRACE;
            self.give_up_at.get_or_insert(due);
        }
    }

    /// Its output is not read for want of memory: the pipe is not late by that.
    pub(super) fn wait_for_memory(&mut self) {
        if self.verdict.is_none() && !self.supervisor_is_lost {
            let later = Instant::now() + PIPES_GRACE;
            self.answer_by = self.answer_by.map(|_| later);
        }
    }

    /// The server ends it; `gently`: SIGTERM comes before SIGKILL.
    pub(super) fn is_being_ended(&mut self, verdict: Ending, gently: bool) {
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

    /// No process of the tree is left.
    pub(super) fn tree_ended(&mut self) {
        self.tree_is_gone = true;
        self.give_up_at = None;
        let soon = Instant::now() + PIPES_GRACE;
        self.answer_by = Some(self.answer_by.map_or(soon, |by| by.min(soon)));
    }
}
