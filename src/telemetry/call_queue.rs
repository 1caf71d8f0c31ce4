//! How long calls wait for their turn, and which limits kept them from it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

/// Upper bounds in seconds, from a turn at once to one that nobody waits for.
const WAIT_BUCKETS: [f64; 12] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0,
];

/// A limit of the queue that a call has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueLimit {
    /// As many calls wait as may wait.
    Calls,
    /// As many of one session.
    OfSession,
    /// The queue is full, and the key has the most calls in it.
    OfKey,
    /// What the calls that wait may hold of memory.
    Bytes,
    /// The share of one client in it.
    BytesOfClient,
}

impl QueueLimit {
    /// All of them.
    const ALL: [Self; 5] = [
        Self::Calls,
        Self::OfSession,
        Self::OfKey,
        Self::Bytes,
        Self::BytesOfClient,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Calls => "waiting_calls",
            Self::OfSession => "waiting_calls_of_session",
            Self::OfKey => "waiting_calls_of_key",
            Self::Bytes => "waiting_arguments",
            Self::BytesOfClient => "waiting_arguments_of_client",
        }
    }
}

/// The counts of the calls' queue; clones count together.
#[derive(Clone, Debug)]
pub struct CallQueueCounts {
    wait: Histogram,
    refused: Arc<[AtomicU64; QueueLimit::ALL.len()]>,
}

impl Default for CallQueueCounts {
    fn default() -> Self {
        Self {
            wait: Histogram::new(WAIT_BUCKETS),
            refused: Arc::default(),
        }
    }
}

impl CallQueueCounts {
    /// A call waits no longer, whether it had its turn or not.
    pub fn waited(&self, duration: Duration) {
        self.wait.observe(duration.as_secs_f64());
    }

    /// A call was refused by a limit.
    pub fn refused(&self, limit: QueueLimit) {
        self.refused[limit as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// How long calls waited.
    pub(super) fn wait(&self) -> &Histogram {
        &self.wait
    }

    /// How many were refused by each limit.
    pub(super) fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        QueueLimit::ALL.into_iter().map(|limit| {
            let count = &self.refused[limit as usize];
            (limit.label(), count.load(Ordering::Relaxed))
        })
    }
}
