//! The server's own children: started, waited for, and told apart from orphans that came to it.
//!
//! Knows neither what a child is for nor how to talk to it. Every child that the server starts
//! on purpose is [`Owned`]; any other one was left behind by a child that is gone, and is ended.

use std::collections::HashSet;
use std::io;
use std::sync::mpsc as blocking;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait, waitpid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::tree::{self, Member};

/// How long an orphan that came to PID 1 may stay unreaped; it costs a line in the process table.
const INIT_REAPS_EVERY: Duration = Duration::from_secs(1);

/// An orphan that still lives so long after the first SIGKILL is no longer waited for by others.
const UNKILLABLE_AFTER: Duration = Duration::from_secs(2);

/// The longest time between two rounds of SIGKILL.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The children of the process. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Children {
    table: Arc<Table>,
    /// Reaps as PID 1; ended with the last clone.
    _init: Option<Arc<Init>>,
}

type Work = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
struct Table {
    owned: Mutex<HashSet<Pid>>,
    /// Orphans that outlived SIGKILL.
    unkillable: Mutex<HashSet<Pid>>,
    /// One thread starts children and looks for orphans, one after the other: a child that is being
    /// started is never taken for an orphan, and a system without a thread to spare cannot stop it.
    worker: blocking::Sender<Work>,
}

#[derive(Debug)]
struct Init(AbortHandle);

impl Drop for Init {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Children {
    /// Makes the process a sub-reaper. Must be called within a tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        rustix::process::set_child_subreaper(Some(getpid()))?;
        let (worker, work) = blocking::channel::<Work>();
        // Ends with the last sender, which is the table.
        std::thread::Builder::new()
            .name("smcp-children".to_owned())
            .spawn(move || work.iter().for_each(|work| work()))?;
        let table = Arc::new(Table {
            owned: Mutex::default(),
            unkillable: Mutex::default(),
            worker,
        });
        let init = getpid().is_init().then(|| {
            let task = tokio::spawn(reap_as_init(Arc::downgrade(&table)));
            Arc::new(Init(task.abort_handle()))
        });
        Ok(Self { table, _init: init })
    }

    /// Calls `start`, which starts one child, off the runtime's threads, and owns the child.
    pub(super) async fn start<T, E>(
        &self,
        start: impl FnOnce() -> Result<(Pid, T), E> + Send + 'static,
    ) -> Result<(Owned, T), E>
    where
        T: Send + 'static,
        E: From<io::Error> + Send + 'static,
    {
        let table = Arc::clone(&self.table);
        let started = self.table.in_worker(move || {
            let (pid, rest) = start()?;
            table.owned().insert(pid);
            Ok((Owned { pid, table }, rest))
        });
        started.await?
    }

    /// Ends every process below this one that is not [`Owned`] or below an owned one. Returns when
    /// none is left of those that it finds, but for those that others have found to be unkillable.
    pub(super) async fn end_orphans(&self) {
        let others = self.table.unkillable().clone();
        let begun = Instant::now();
        let mut pause = Duration::from_millis(5);
        loop {
            let table = Arc::clone(&self.table);
            let overdue = begun.elapsed() >= UNKILLABLE_AFTER;
            let round = move || table.kill_orphans(overdue);
            let found = self.table.in_worker(round).await.unwrap_or_default();
            if found.iter().all(|pid| others.contains(pid)) {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// How many orphans have outlived SIGKILL.
    pub(super) fn unkillable(&self) -> usize {
        self.table.unkillable().len()
    }
}

impl Table {
    fn owned(&self) -> MutexGuard<'_, HashSet<Pid>> {
        // A set of numbers is whole at every moment.
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unkillable(&self) -> MutexGuard<'_, HashSet<Pid>> {
        self.unkillable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    async fn in_worker<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let (done, result) = oneshot::channel();
        let work = Box::new(move || _ = done.send(work()));
        let gone = |_| io::Error::other("the thread that starts processes is gone");
        self.worker.send(work).map_err(|_| gone(()))?;
        result.await.map_err(|_| gone(()))
    }

    /// Whether the child is gone; takes its exit status if it is.
    fn is_gone(&self, pid: Pid) -> bool {
        let mut owned = self.owned();
        // Not in the table: reaped already, and the number may be another process's by now.
        if !owned.contains(&pid) {
            return true;
        }
        let gone = !matches!(waitpid(Some(pid), WaitOptions::NOHANG), Ok(None));
        if gone {
            owned.remove(&pid);
        }
        gone
    }

    /// One round of SIGKILL; whom it was sent to. `overdue`: who still lives counts as unkillable.
    fn kill_orphans(&self, overdue: bool) -> HashSet<Pid> {
        let owned = self.owned().clone();
        let orphans = tree::below_this_process(&owned);
        tree::kill(&orphans, &[]);
        let left: HashSet<Pid> = orphans
            .iter()
            .filter(|orphan| !is_reaped(orphan))
            .map(|orphan| orphan.pid)
            .collect();
        let mut unkillable = self.unkillable();
        unkillable.retain(|pid| left.contains(pid));
        if overdue {
            unkillable.extend(&left);
        }
        // The dead ones too: one of them may have had a child that is an orphan now.
        orphans.iter().map(|orphan| orphan.pid).collect()
    }

    fn reap_all(&self) {
        let mut owned = self.owned();
        while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
            owned.remove(&pid);
        }
    }
}

/// Takes the exit status of a dead child of this process.
fn is_reaped(orphan: &Member) -> bool {
    orphan.parent == getpid()
        && matches!(
            waitpid(Some(orphan.pid), WaitOptions::NOHANG),
            Ok(Some(_)) | Err(_)
        )
}

/// PID 1 of a container is given every orphan of it, those of `docker exec` too.
async fn reap_as_init(table: Weak<Table>) {
    let Ok(mut exits) = signal(SignalKind::child()) else {
        return;
    };
    while exits.recv().await.is_some() {
        tokio::time::sleep(INIT_REAPS_EVERY).await;
        let Some(table) = table.upgrade() else { return };
        // In the worker: a child that is being started must be in the table before it can be reaped.
        let reaping = Arc::clone(&table);
        if table.in_worker(move || reaping.reap_all()).await.is_err() {
            return;
        }
    }
}

/// A child that the server started. Whoever holds it waits for it.
#[derive(Debug)]
pub(super) struct Owned {
    pid: Pid,
    table: Arc<Table>,
}

impl Owned {
    /// Its number.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends SIGKILL, unless the child is gone.
    pub(super) fn kill(&self) {
        let owned = self.table.owned();
        if owned.contains(&self.pid) {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }

    /// Waits until the child is gone and its exit status taken.
    pub(super) async fn gone(&self) {
        let mut exits = signal(SignalKind::child());
        while !self.table.is_gone(self.pid) {
            match &mut exits {
                Ok(exits) => _ = exits.recv().await,
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // Dropped early only by a runtime that shuts down. A supervisor then ends by the end of
        // its socket; killing it here would set its tree free.
        self.table.is_gone(self.pid);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_child_is_waited_for_by_its_owner() {
        let children = Children::new().expect("a sub-reaper");
        let (child, ()) = children
            .start(|| {
                let child = Command::new("sleep").arg("60").spawn()?;
                Ok::<_, io::Error>((Pid::from_child(&child), ()))
            })
            .await
            .expect("sleep starts");
        assert!(!children.table.is_gone(child.pid));
        child.kill();
        child.gone().await;
        assert!(children.table.owned().is_empty());
        // The number is free for others now: nothing may be sent to it.
        child.kill();
    }

    #[tokio::test]
    async fn a_failed_start_owns_nothing() {
        let children = Children::new().expect("a sub-reaper");
        let failed = children
            .start(|| Err::<(Pid, ()), _>(io::Error::from(io::ErrorKind::NotFound)))
            .await;
        assert_eq!(
            failed.expect_err("it failed").kind(),
            io::ErrorKind::NotFound
        );
        assert!(children.table.owned().is_empty());
    }
}
