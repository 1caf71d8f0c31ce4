//! The server's own children: started, waited for, and told apart from orphans that came to it.
//!
//! Knows neither what a child is for nor what is said to it. Every child that the server starts
//! on purpose is [`Owned`]; any other one was left behind by a child that is gone, and is ended.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait, waitpid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::RwLock;
use tokio::task::{AbortHandle, spawn_blocking};

use super::tree;

/// How long an orphan that came to PID 1 may stay unreaped; it costs a line in the process table.
const INIT_REAPS_EVERY: Duration = Duration::from_secs(1);

/// The children of the process. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Children {
    table: Arc<Table>,
    /// Reaps as PID 1; ended with the last clone.
    _init: Option<Arc<Init>>,
}

#[derive(Debug, Default)]
struct Table {
    owned: Mutex<HashSet<Pid>>,
    /// Read while a child is being started: it must not be taken for an orphan before it is owned.
    starting: Arc<RwLock<()>>,
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
        let table = Arc::new(Table::default());
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
        let starting = Arc::clone(&self.table.starting).read_owned().await;
        let table = Arc::clone(&self.table);
        let started = spawn_blocking(move || {
            let (pid, rest) = start()?;
            table.owned().insert(pid);
            drop(starting);
            Ok((Owned { pid, table }, rest))
        });
        started
            .await
            .unwrap_or_else(|lost| Err(io::Error::other(lost).into()))
    }

    /// Ends every process below this one that is not [`Owned`] or below an owned one; returns when none is left.
    pub(super) async fn end_orphans(&self) {
        let mut pause = Duration::from_millis(5);
        loop {
            let nobody_starts = Arc::clone(&self.table.starting).write_owned().await;
            let table = Arc::clone(&self.table);
            let left = spawn_blocking(move || {
                let left = table.kill_orphans();
                drop(nobody_starts);
                left
            });
            if !left.await.unwrap_or(false) {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(250));
        }
    }
}

impl Table {
    fn owned(&self) -> MutexGuard<'_, HashSet<Pid>> {
        // A set of numbers is whole at every moment.
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// One round; whether there was an orphan.
    fn kill_orphans(&self) -> bool {
        let owned = self.owned().clone();
        let orphans = tree::below(getpid(), &owned);
        tree::kill(&orphans);
        for orphan in orphans.iter().filter(|orphan| orphan.parent == getpid()) {
            let _ = waitpid(Some(orphan.pid), WaitOptions::NOHANG);
        }
        !orphans.is_empty()
    }

    fn reap_all(&self) {
        let mut owned = self.owned();
        while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
            owned.remove(&pid);
        }
    }
}

/// PID 1 of a container is given every orphan of it, those of `docker exec` too.
async fn reap_as_init(table: Weak<Table>) {
    let Ok(mut exits) = signal(SignalKind::child()) else {
        return;
    };
    while exits.recv().await.is_some() {
        tokio::time::sleep(INIT_REAPS_EVERY).await;
        let Some(table) = table.upgrade() else { return };
        // A child that is being started must be in the table before it can be reaped here.
        let nobody_starts = table.starting.write().await;
        table.reap_all();
        drop(nobody_starts);
    }
}

/// A child that the server started. Whoever holds it waits for it.
#[derive(Debug)]
pub(super) struct Owned {
    pid: Pid,
    table: Arc<Table>,
}

impl Owned {
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
