//! The program that a forker has started, until it is known how that ended.
//!
//! Only its parent learns how a process ended, and that is the forker, which a program can stop as any process of its
//! user. So the supervisor sees the end for itself, and does not wait for ever to be told how it was.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// From a program's end until its forker has to have told it. It needs less than a millisecond, on a busy machine
/// some more.
const TELL_LIMIT: Duration = Duration::from_secs(1);

/// A program that was forked.
#[derive(Debug)]
pub(super) struct Forked {
    pub(super) pid: Pid,
    /// Whether it is a worker, which goes on to the next program.
    pub(super) is_worker: bool,
    /// Readable from its end on. `None` where the system has no such thing to give.
    handle: Option<OwnedFd>,
    /// Until when the forker has to tell; `None` as long as the program has not ended.
    due: Option<Instant>,
}

impl Forked {
    /// A program that lives.
    pub(super) fn new(pid: Pid, is_worker: bool) -> Self {
        Self {
            pid,
            is_worker,
            handle: handle_of(pid),
            due: None,
        }
    }

    /// What becomes readable when it ends, until that has been seen.
    pub(super) fn source(&self) -> Option<PollFd<'_>> {
        let handle = self.handle.as_ref().filter(|_| self.due.is_none())?;
        Some(PollFd::new(handle, PollFlags::IN))
    }

    /// Until when the forker has to tell how it ended, if it has ended.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether it ended some time ago, and the forker had the time to tell. Counts anew when it says so.
    pub(super) fn is_overdue(&mut self) -> bool {
        let now = Instant::now();
        match self.due {
            None if !self.has_ended() => false,
            Some(due) if now < due => false,
            due => {
                self.due = Some(now + TELL_LIMIT);
                due.is_some()
            }
        }
    }

    /// Whether its parent has taken its exit status. Certain while the parent stands still.
    pub(super) fn is_taken(&self) -> bool {
        test_kill_process(self.pid) == Err(Errno::SRCH)
    }

    fn has_ended(&self) -> bool {
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut source = [match &self.handle {
            Some(handle) => PollFd::new(handle, PollFlags::IN),
            None => return false,
        }];
        poll(&mut source, Some(&now)).is_ok_and(|ready| ready > 0)
    }
}

#[cfg(target_os = "linux")]
fn handle_of(pid: Pid) -> Option<OwnedFd> {
    use rustix::process::{PidfdFlags, pidfd_open};
    pidfd_open(pid, PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn handle_of(_pid: Pid) -> Option<OwnedFd> {
    None
}
