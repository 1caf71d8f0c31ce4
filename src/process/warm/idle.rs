//! Lanes that nobody uses, kept while they may be of use again.
//!
//! Knows no interpreter: a lane is its supervisor's process and the two directions of its socket.

use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use tokio::net::unix::pipe;

use super::super::pool::{Commands, Reports};

/// How long an idle lane is kept after its last call.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// How long an idle lane is kept beyond those that are kept for every parent: as many calls as there were at once may
/// come again.
const SURPLUS_KEPT_FOR: Duration = Duration::from_secs(3);

/// The most idle lanes of one parent.
const MAX_IDLE: usize = 256;

/// What is counted of the calls of one plugin.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Calls that might have been warm.
    pub(super) calls: AtomicU64,
    /// Those that found a warm interpreter.
    pub(super) given: AtomicU64,
    /// Those that a warm interpreter was to run, and that were executed after all.
    pub(super) fell_back: AtomicU64,
}

/// The idle lanes of one parent, the last used last.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    idle: Vec<Idle>,
}

#[derive(Debug)]
pub(super) struct Idle {
    pub(super) process: LaneProcess,
    pub(super) reports: Reports,
    pub(super) commands: Commands,
    /// Since when nobody calls.
    pub(super) since: Instant,
    /// Whether a worker of it has run the last call.
    pub(super) reuse: bool,
}

impl Lanes {
    /// Keeps one, unless there are too many.
    pub(super) fn keep(&mut self, idle: Idle) {
        if self.idle.len() < MAX_IDLE {
            self.idle.push(idle);
        }
    }

    /// Takes all of them.
    pub(super) fn take_all(&mut self) -> Vec<Idle> {
        std::mem::take(&mut self.idle)
    }

    /// Takes those that were idle for too long. `kept` are kept longer than others.
    pub(super) fn take_old(&mut self, kept: usize) -> Vec<Idle> {
        let now = Instant::now();
        let surplus = self.idle.len().saturating_sub(kept);
        let mut number = 0;
        // The oldest come first.
        let old = self.idle.extract_if(.., |idle| {
            let limit = if number < surplus {
                SURPLUS_KEPT_FOR
            } else {
                KEPT_FOR
            };
            number += 1;
            now.duration_since(idle.since) >= limit
        });
        old.collect()
    }

    /// Takes the one that was used last, of those that have run the same kind of call where there is one.
    pub(super) fn take(&mut self, reuse: bool) -> Option<Idle> {
        let fitting = self.idle.iter().rposition(|idle| idle.reuse == reuse);
        let place = fitting.or_else(|| self.idle.len().checked_sub(1))?;
        Some(self.idle.remove(place))
    }
}

/// The supervisor of a lane, a child of the warm interpreter.
#[derive(Debug)]
pub(super) struct LaneProcess {
    pub(super) pid: Pid,
    /// Names the process also when its number is another's, and can be read from its end on: what the runtime needs to
    /// wait for that is the same as for a pipe.
    pub(super) handle: pipe::Receiver,
}
