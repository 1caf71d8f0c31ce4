//! What the server counts about itself, for the `health` tool and for Prometheus. Knows no log and no protocol.
//!
//! Each number is kept once; what a person or a scraper sees is read from it when it is asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::histogram::Histogram;
use tokio::sync::Notify;

use super::by_plugin::ByPlugin;
use super::bytes::ByteCount;
use super::exposition::Format;
use super::labels::{KeyLabel, REFUSALS};
use super::metrics;
use super::moment::Moment;
use super::queue::Losses;
use super::snapshot::CountersSnapshot;
use super::tables::{CallLabels, Numbers, Sessions, Tables};

pub use super::tables::OK;

/// Upper bounds in seconds; from a warm call to a long one.
const DURATION_BUCKETS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 300.0,
];

/// The server's counters; clones count together.
#[derive(Clone, Debug)]
pub struct Counters(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    /// Unix time of the start, in seconds.
    start_seconds: f64,
    losses: Losses,
    received: AtomicU64,
    sent: ByteCount,
    client_logs_lost: AtomicU64,
    sessions_refused: AtomicU64,
    idle_sessions_ended: AtomicU64,
    sessions_given_up: AtomicU64,
    answers_refused: AtomicU64,
    call_duration: Histogram,
    tables: Mutex<Tables>,
    /// Told whenever the last running call has ended.
    last_call_ended: Notify,
}

impl Counters {
    /// Counters that begin now. `losses` comes from the log's guard.
    pub fn new(losses: Losses) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(Arc::new(Inner {
            started: Instant::now(),
            start_seconds: since_epoch.unwrap_or_default().as_secs_f64(),
            losses,
            received: AtomicU64::new(0),
            sent: ByteCount::default(),
            client_logs_lost: AtomicU64::new(0),
            sessions_refused: AtomicU64::new(0),
            idle_sessions_ended: AtomicU64::new(0),
            sessions_given_up: AtomicU64::new(0),
            answers_refused: AtomicU64::new(0),
            call_duration: Histogram::new(DURATION_BUCKETS),
            tables: Mutex::default(),
            last_call_ended: Notify::new(),
        }))
    }

    /// Time since the counters began. Measured by the monotonic clock: a clock that is set does not change it.
    pub fn uptime(&self) -> Duration {
        self.0.started.elapsed()
    }

    /// Counts a request that was answered with `outcome`: [`OK`] or a code. Both words are `'static`, so that no
    /// client can invent time series; name unknown methods `other`. `key` is one that was accepted.
    pub fn request(&self, method: &'static str, outcome: &'static str, key: KeyLabel) {
        let mut tables = self.tables();
        *tables.requests.entry((method, outcome)).or_default() += 1;
        tables.keys.entry(&key).requests += 1;
    }

    /// A tool call begins; it ends with the returned [`RunningCall`].
    pub fn call_started(&self, of: CallLabels<'_>) -> RunningCall {
        self.tables().call_started(of.plugin);
        RunningCall {
            tool: of.tool.map(str::to_owned),
            plugin: of.plugin.map(str::to_owned),
            key: of.key,
            started: Instant::now(),
            outcome: "cancelled",
            counters: self.clone(),
        }
    }

    /// Waits until no tool call is under way, through whichever transport it came.
    pub async fn no_call_runs(&self) {
        loop {
            // Made before the look, so that no end is missed between the two.
            let ended = self.0.last_call_ended.notified();
            if self.tables().calls_running == 0 {
                return;
            }
            ended.await;
        }
    }

    /// A session opens at `transport` (`sse`, `mcp`, `stdio`); it closes when the returned [`OpenSession`] is dropped.
    pub fn session_opened(&self, transport: &'static str) -> OpenSession {
        self.tables().sessions.entry(transport).or_default().opened += 1;
        OpenSession {
            counters: self.clone(),
            transport,
        }
    }

    /// Counts what was turned away before it became a request: `unauthorized`, `too_large` …
    pub fn refused(&self, reason: &'static str) {
        debug_assert!(
            REFUSALS.contains(&reason),
            "{reason} is not exposed before it happens"
        );
        *self.tables().refused.entry(reason).or_default() += 1;
    }

    /// Counts a session that was not opened, for there are as many as may be.
    pub fn session_refused(&self) {
        self.0.sessions_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a session that was ended, for it was idle and a new one needed its place.
    pub fn idle_session_ended(&self) {
        self.0.idle_sessions_ended.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a session that was ended although it was in use, for its key holds more than the key that needed its place.
    pub fn session_given_up(&self) {
        self.0.sessions_given_up.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer that was given up, for too much waits for clients.
    pub fn answer_refused(&self) {
        self.0.answers_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts bytes of messages that came in.
    pub fn received(&self, bytes: u64) {
        self.0.received.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The count of the bytes of messages that clients take, for whoever hands them out.
    pub fn sent(&self) -> &ByteCount {
        &self.0.sent
    }

    /// Counts a log message of a plugin that found no room on its way to the client.
    pub fn client_log_lost(&self) {
        self.0.client_logs_lost.fetch_add(1, Ordering::Relaxed);
    }

    /// Sessions open now.
    pub fn sessions_active(&self) -> u64 {
        let tables = self.tables();
        let open = tables.sessions.values().map(Sessions::open);
        open.sum()
    }

    /// All counters at this moment.
    pub fn snapshot(&self) -> CountersSnapshot {
        let numbers = self.numbers();
        CountersSnapshot::of(self.uptime(), &numbers, self.0.losses.lines())
    }

    /// All counters, and what the server is at this `moment`, as a scraper reads it.
    pub fn render_prometheus(&self, moment: Moment, format: Format) -> String {
        let by_plugin = ByPlugin::of(&moment, &mut self.tables().plugin_names);
        let text = metrics::render(metrics::Exposed {
            numbers: self.numbers(),
            by_plugin,
            moment,
            call_duration: self.0.call_duration.clone(),
            start_seconds: self.0.start_seconds,
            losses: self.0.losses.clone(),
        });
        format.of(text)
    }

    fn numbers(&self) -> Numbers {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        Numbers {
            tables: self.tables().clone(),
            received: of(&self.0.received),
            sent: self.0.sent.get(),
            client_logs_lost: of(&self.0.client_logs_lost),
            sessions_refused: of(&self.0.sessions_refused),
            idle_sessions_ended: of(&self.0.idle_sessions_ended),
            sessions_given_up: of(&self.0.sessions_given_up),
            answers_refused: of(&self.0.answers_refused),
        }
    }

    /// Counters stay usable after a panic elsewhere: no count is left half done.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A tool call under way. Dropped without [`finish`](Self::finish), it counts as `cancelled`.
#[derive(Debug)]
#[must_use = "a call that is dropped at once counts as cancelled"]
pub struct RunningCall {
    counters: Counters,
    tool: Option<String>,
    plugin: Option<String>,
    key: KeyLabel,
    started: Instant,
    outcome: &'static str,
}

impl RunningCall {
    /// The call ended with `outcome`: [`OK`] or a stable code. Returns how long it took.
    pub fn finish(mut self, outcome: &'static str) -> Duration {
        self.outcome = outcome;
        self.started.elapsed()
    }
}

impl Drop for RunningCall {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.counters.0.call_duration.observe(seconds);
        let of = CallLabels {
            tool: self.tool.as_deref(),
            plugin: self.plugin.as_deref(),
            key: self.key,
        };
        let mut tables = self.counters.tables();
        tables.call_ended(of, self.outcome, seconds);
        if tables.calls_running == 0 {
            self.counters.0.last_call_ended.notify_waiters();
        }
    }
}

/// An open session; dropping it counts it as closed.
#[derive(Debug)]
#[must_use = "a session that is dropped at once counts as closed"]
pub struct OpenSession {
    counters: Counters,
    transport: &'static str,
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        let mut tables = self.counters.tables();
        tables.sessions.entry(self.transport).or_default().closed += 1;
    }
}

#[cfg(test)]
mod tests;
