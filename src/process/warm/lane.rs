//! Lanes: supervisors that a warm interpreter has started, each with a copy of it, which serves the calls.
//!
//! Knows no plugin. A lane serves one call after the other, never two at once.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::super::pool::{Commands, Process, Reports, Supervisor, channels};
use super::super::wire::Report;
use super::idle::{Counts, Idle, LaneProcess};
use super::parent::Parent;

/// How long an interpreter may take to start a lane. A call waits for that; the program is executed then.
const OPEN_LIMIT: Duration = Duration::from_secs(2);

/// Signals by which an interpreter ends that something is wrong with.
const CRASHES: [Signal; 4] = [Signal::SEGV, Signal::BUS, Signal::ILL, Signal::ABORT];

/// Why a call gets no lane.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoLane {
    /// The interpreter, or what it has started for it, has ended.
    #[error("it, or what it had started for the call, has ended")]
    Lost,
    /// The interpreter has not started one in time.
    #[error("it has not answered within {OPEN_LIMIT:?}")]
    Late,
    /// The server cannot make what belongs to one.
    #[error("{0}")]
    Shortage(io::Error),
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
    /// There is none for this call.
    pub(super) async fn lane(
        self: &Arc<Self>,
        counts: &Arc<Counts>,
        reuse: bool,
    ) -> Result<Supervisor, NoLane> {
        loop {
            let idle = self.lanes().take(reuse);
            let Some(idle) = idle else { break };
            // One that was killed while it was idle has harmed nobody.
            if idle.commands.is_connected() {
                return Ok(self.used(idle.process, idle.reports, idle.commands, counts, reuse));
            }
        }
        let opening = timeout(OPEN_LIMIT, self.new_lane()).await;
        let (process, reports, commands) = opening.map_err(|_| NoLane::Late)??;
        self.late.store(0, Ordering::Relaxed);
        Ok(self.used(process, reports, commands, counts, reuse))
    }

    async fn new_lane(&self) -> Result<(LaneProcess, Reports, Commands), NoLane> {
        let (ours, theirs) = StdUnixStream::pair().map_err(NoLane::Shortage)?;
        let (mut reports, commands) = channels(ours).map_err(NoLane::Shortage)?;
        let asked = self.open_lane(theirs.as_fd()).await;
        asked.map_err(|fault| match fault.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => NoLane::Lost,
            _ => NoLane::Shortage(fault),
        })?;
        drop(theirs);
        let Some(Report::Lane(pid)) = reports.next().await else {
            return Err(NoLane::Lost);
        };
        let pid = Pid::from_raw(pid).ok_or(NoLane::Lost)?;
        let handle = pidfd_open(pid, PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(pipe::Receiver::from_owned_fd_unchecked);
        let handle = handle.map_err(NoLane::Shortage)?;
        // Only now is it certain that the number was not another's already.
        if !commands.is_connected() {
            return Err(NoLane::Lost);
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
            if !is_retired {
                used.parent.lanes().keep(Idle {
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
            Report::Started if !self.fell_back.load(Ordering::Relaxed) => {
                self.parent.refused.store(0, Ordering::Relaxed);
            }
            Report::FellBack => {
                self.fell_back.store(true, Ordering::Relaxed);
                self.parent.refused.fetch_add(1, Ordering::Relaxed);
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
