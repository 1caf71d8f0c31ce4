//! Lanes: supervisors that a warm interpreter has started, each with a copy of it, kept while they are of use.
//!
//! Knows no plugin. A lane serves one call after the other, never two at once.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::pool::{Commands, Process, Reports, Supervisor, channels};
use super::super::wire::Report;
use super::parent::Parent;

/// How long an interpreter may take to start a lane. A call waits for that; the program is executed then.
const OPEN_LIMIT: Duration = Duration::from_secs(2);

/// How long an idle lane is kept after its last call.
const KEPT_FOR: Duration = Duration::from_secs(30);

/// How long an idle lane is kept beyond those that are kept for every parent: as many calls as there were at once may
/// come again.
const SURPLUS_KEPT_FOR: Duration = Duration::from_secs(3);

/// The most idle lanes of one parent.
const MAX_IDLE: usize = 256;

/// Signals by which an interpreter ends that something is wrong with.
const CRASHES: [Signal; 4] = [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::ABORT];

/// What is counted of the calls of one plugin.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Calls that might have been warm.
    pub(super) calls: AtomicU64,
    /// Those that were given to a lane.
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
    process: LaneProcess,
    reports: Reports,
    commands: Commands,
    since: Instant,
    /// Whether a worker of it has run the last call.
    reuse: bool,
}

impl Lanes {
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

    fn take(&mut self, reuse: bool) -> Option<Idle> {
        let fitting = self.idle.iter().rposition(|idle| idle.reuse == reuse);
        let place = fitting.or_else(|| self.idle.len().checked_sub(1))?;
        Some(self.idle.remove(place))
    }
}

/// The supervisor of a lane, a child of the warm interpreter.
#[derive(Debug)]
struct LaneProcess {
    pid: Pid,
    /// Names the process also when its number is another's, and can be read from its end on: what the runtime needs to
    /// wait for that is the same as for a pipe.
    handle: pipe::Receiver,
}

/// A lane in use.
#[derive(Debug)]
struct Used {
    process: LaneProcess,
    parent: Arc<Parent>,
    counts: Arc<Counts>,
    reuse: bool,
    fell_back: AtomicBool,
}

impl Parent {
    /// A lane for one call: an idle one, or a new one.
    ///
    /// # Errors
    /// The interpreter starts none.
    pub(super) async fn lane(
        self: &Arc<Self>,
        counts: &Arc<Counts>,
        reuse: bool,
    ) -> io::Result<Supervisor> {
        loop {
            let idle = self.lanes().take(reuse);
            let Some(idle) = idle else { break };
            // One that was killed while it was idle has harmed nobody.
            if idle.commands.is_connected() {
                return Ok(self.used(idle.process, idle.reports, idle.commands, counts, reuse));
            }
        }
        let (process, reports, commands) = timeout(OPEN_LIMIT, self.new_lane())
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
        Ok(self.used(process, reports, commands, counts, reuse))
    }

    async fn new_lane(&self) -> io::Result<(LaneProcess, Reports, Commands)> {
        let (ours, theirs) = StdUnixStream::pair()?;
        self.open_lane(theirs.as_fd()).await?;
        drop(theirs);
        let (mut reports, commands) = channels(ours)?;
        let Some(Report::Lane(pid)) = reports.next().await else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let pid = Pid::from_raw(pid).ok_or(io::ErrorKind::InvalidData)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())?;
        let handle = pipe::Receiver::from_owned_fd_unchecked(handle)?;
        // Only now is it certain that the number was not another's already.
        if !commands.is_connected() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok((LaneProcess { pid, handle }, reports, commands))
    }

    fn used(
        self: &Arc<Self>,
        process: LaneProcess,
        reports: Reports,
        commands: Commands,
        counts: &Arc<Counts>,
        reuse: bool,
    ) -> Supervisor {
        self.served.fetch_add(1, Ordering::Relaxed);
        let process = Arc::new(Used {
            process,
            parent: Arc::clone(self),
            counts: Arc::clone(counts),
            reuse,
            fell_back: AtomicBool::new(false),
        });
        Supervisor {
            process,
            reports,
            commands,
        }
    }

    pub(super) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        // A list is whole at every moment.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Process for Used {
    fn pid(&self) -> Pid {
        self.process.pid
    }

    fn kill(&self) {
        let _ = pidfd_send_signal(&self.process.handle, Signal::KILL);
    }

    fn gone(&self) -> BoxFuture<'_, ()> {
        // Readable from its end on; an error would come at once, and again.
        self.process.handle.readable().map(|_| ()).boxed()
    }

    /// What it has below it comes to the supervisor of the warm interpreter.
    fn end_tree(self: Arc<Self>) -> BoxFuture<'static, ()> {
        async move {
            self.gone().await;
            let (done, told) = oneshot::channel();
            if self.parent.sweeps.send(done).await.is_ok() && told.await.is_ok() {
                return;
            }
            self.parent.over.cancelled().await;
        }
        .boxed()
    }

    fn unkillable(&self) -> usize {
        1
    }

    fn take_back(self: Arc<Self>, reports: Reports, commands: Commands) -> BoxFuture<'static, ()> {
        if let Some(used) = Arc::into_inner(self) {
            let is_retired = used.parent.is_retired.load(Ordering::Relaxed);
            let mut lanes = used.parent.lanes();
            if !is_retired && lanes.idle.len() < MAX_IDLE {
                lanes.idle.push(Idle {
                    process: used.process,
                    reports,
                    commands,
                    since: Instant::now(),
                    reuse: used.reuse,
                });
            }
        }
        async {}.boxed()
    }

    fn note(&self, report: Report) {
        match report {
            Report::FellBack => {
                self.fell_back.store(true, Ordering::Relaxed);
                self.counts.fell_back.fetch_add(1, Ordering::Relaxed);
            }
            Report::Signalled(signal)
                if !self.fell_back.load(Ordering::Relaxed)
                    && CRASHES.iter().any(|crash| crash.as_raw() == signal) =>
            {
                let mut crash = self
                    .parent
                    .crash
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                crash.get_or_insert(signal);
            }
            _ => {}
        }
    }
}
