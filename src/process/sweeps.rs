//! Requests to end what has come to the supervisor of a warm interpreter from supervisors below that are gone.
//!
//! Knows no process: the run that the requests are for passes them on.

use std::future::pending;

use tokio::sync::{mpsc, oneshot};

/// Who asks is told by this when nothing is left.
pub(super) type Sweep = oneshot::Sender<()>;

/// Requests that wait to be passed on. Each comes from a call whose supervisor is gone.
const WAITING: usize = 64;

/// The requests for one run. The default has none, ever.
#[derive(Debug, Default)]
pub(super) struct Sweeps {
    requests: Option<mpsc::Receiver<Sweep>>,
    /// Passed on, and not yet done.
    asked: Vec<Sweep>,
    /// Come while the ones before them were under way: what they mean may have come too late for those.
    next: Vec<Sweep>,
}

impl Sweeps {
    /// With a way to ask.
    pub(super) fn open() -> (mpsc::Sender<Sweep>, Self) {
        let (ask, requests) = mpsc::channel(WAITING);
        let sweeps = Self {
            requests: Some(requests),
            ..Self::default()
        };
        (ask, sweeps)
    }

    /// Ready when the supervisor is to be asked. Safe to drop while it waits.
    pub(super) async fn asked(&mut self) {
        if self.asked.is_empty() && !self.next.is_empty() {
            self.asked = std::mem::take(&mut self.next);
            return;
        }
        while let Some(requests) = &mut self.requests {
            match requests.recv().await {
                Some(sweep) if self.asked.is_empty() => {
                    self.asked.push(sweep);
                    return;
                }
                Some(sweep) => self.next.push(sweep),
                None => self.requests = None,
            }
        }
        pending().await
    }

    /// The supervisor has done what it was asked for.
    pub(super) fn done(&mut self) {
        for sweep in self.asked.drain(..) {
            // Who has asked may have left.
            let _ = sweep.send(());
        }
    }
}
