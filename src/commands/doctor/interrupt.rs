//! The signals by which somebody ends an examination before its time.

use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use crate::process::is_ignored;

/// A signal that ends an examination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ending {
    /// Its name.
    pub(super) name: &'static str,
    /// The exit status of a command that it has ended, as shells have it.
    pub(super) status: u8,
}

/// Ctrl-C, the end that is asked for by others, and a terminal that was closed.
const ENDINGS: [(Signal, Ending); 3] = [
    (Signal::INT, ending("SIGINT", 130)),
    (Signal::TERM, ending("SIGTERM", 143)),
    (Signal::HUP, ending("SIGHUP", 129)),
];

const fn ending(name: &'static str, status: u8) -> Ending {
    Ending { name, status }
}

/// The signals that have come. Dropping it ends the task that takes them.
pub(super) struct Interrupt {
    seen: watch::Receiver<Seen>,
    _listeners: Vec<AbortOnDropHandle<()>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    first: Option<Ending>,
    count: u64,
}

impl Interrupt {
    /// Takes the signals from now on, but for those that whoever started this process had ignored.
    ///
    /// # Errors
    /// The system refuses a signal handler.
    pub(super) fn listen() -> io::Result<Self> {
        let (sender, seen) = watch::channel(Seen::default());
        let mut listeners = Vec::new();
        for (number, ending) in ENDINGS {
            if is_ignored(number) {
                continue;
            }
            let mut signals = signal(SignalKind::from_raw(number.as_raw()))?;
            let sender = sender.clone();
            let task = tokio::spawn(async move {
                while signals.recv().await.is_some() {
                    sender.send_modify(|seen| {
                        seen.first = seen.first.or(Some(ending));
                        seen.count = seen.count.saturating_add(1);
                    });
                }
            });
            listeners.push(AbortOnDropHandle::new(task));
        }
        Ok(Self {
            seen,
            _listeners: listeners,
        })
    }

    /// The first of them, if there was any.
    pub(super) fn by(&self) -> Option<Ending> {
        self.seen.borrow().first
    }

    /// Waits for `work`; `None` where a signal came before or comes meanwhile.
    pub(super) async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.beyond(0) => None,
            done = work => Some(done),
        }
    }

    /// Waits for the next signal.
    pub(super) async fn next(&self) {
        let known = self.seen.borrow().count;
        self.beyond(known).await;
    }

    /// Waits until so many signals have come, and one more.
    async fn beyond(&self, known: u64) {
        let mut seen = self.seen.clone();
        if seen.wait_for(|seen| seen.count > known).await.is_err() {
            // All of them are ignored.
            std::future::pending().await
        }
    }
}
