//! How the server ends: signals to cancellation tokens, and the tasks that are waited for. Knows nobody who works.
//!
//! The first SIGTERM or SIGINT says that the end is near ([`Shutdown::leaving`]) and, after a delay if there is one,
//! asks everyone to finish ([`Shutdown::draining`]); the delay is for those who look whether the server is ready, and
//! is left out where nobody does ([`ReadinessChecks`]). The second signal ends everything at once ([`Shutdown::forced`]). A
//! SIGHUP asks a daemon that can reload to do so; for everybody else, and for a server in a terminal, it means that the
//! terminal is gone, and counts like a SIGTERM. Signals that have no meaning here end nothing.

use std::io::{self, IsTerminal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

/// Whoever asks less often than this whether the server is ready would not learn of its end in time either.
const CHECKED_WITHIN: Duration = Duration::from_secs(120);

/// When somebody last asked whether the server is ready, as balancers do again and again. Clones speak of the same.
#[derive(Clone, Debug, Default)]
pub struct ReadinessChecks(Arc<Mutex<Option<Instant>>>);

/// The end of the server, as everyone who must know of it sees it. Clones speak of the same end.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    leaving: CancellationToken,
    /// From `leaving` to `draining`, where somebody looks.
    delay: Duration,
    checks: ReadinessChecks,
    draining: CancellationToken,
    overdue: CancellationToken,
    forced: CancellationToken,
    tasks: TaskTracker,
    /// Holds one SIGHUP that nobody has taken: several that come together ask for one reload.
    hangups: Arc<Notify>,
}

/// Listens for signals until it is dropped.
#[derive(Debug)]
#[must_use = "signals are listened to until this is dropped"]
pub struct Listener {
    _task: AbortOnDropHandle<()>,
}

/// Tasks were still running when the waiting ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{running} task(s) still running {why}")]
pub struct Unfinished {
    /// How many.
    pub running: usize,
    /// Why nobody waits any longer.
    pub why: &'static str,
}

impl ReadinessChecks {
    /// Notes that somebody asks.
    pub fn note(&self) {
        *self.last() = Some(Instant::now());
    }

    fn are_recent(&self) -> bool {
        self.last()
            .is_some_and(|last| last.elapsed() <= CHECKED_WITHIN)
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shutdown {
    /// A shutdown that nobody has asked for.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that goes on working for `delay` after it was asked for, so that whoever sends clients here can see
    /// in time that it leaves. Where nobody has looked, it does not.
    pub fn delayed(delay: Duration) -> Self {
        Self {
            delay,
            ..Self::default()
        }
    }

    /// Cancelled once the server should end, before anything is refused.
    pub fn leaving(&self) -> &CancellationToken {
        &self.leaving
    }

    /// From [`leaving`](Self::leaving) to [`draining`](Self::draining).
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Where those who look are noted.
    pub fn checks(&self) -> &ReadinessChecks {
        &self.checks
    }

    /// Waits for a SIGHUP that asks for a reload.
    pub async fn hung_up(&self) {
        self.hangups.notified().await;
    }

    /// Cancelled once the server should end: take no new work, finish what runs.
    pub fn draining(&self) -> &CancellationToken {
        &self.draining
    }

    /// Cancelled when what ran has had its grace: who still waits is told that nothing more comes.
    pub fn overdue(&self) -> &CancellationToken {
        &self.overdue
    }

    /// Cancelled when the end was asked for once more: everything ends now, and nobody waits for anything.
    pub fn forced(&self) -> &CancellationToken {
        &self.forced
    }

    /// The tasks that [`finish`](Self::finish) waits for.
    pub fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Asks for the end; asked again, forces it. `why` goes to the log: `SIGTERM`, `end of input` …
    ///
    /// Must be called in a tokio runtime where there is a delay.
    pub fn request(&self, why: &str) {
        if !self.leaving.is_cancelled() {
            tracing::info!(why, "shutting down; once more forces it");
            self.leaving.cancel();
            self.drain_after_delay();
        } else if !self.forced.is_cancelled() {
            tracing::warn!(why, "shutting down at once");
            self.draining.cancel();
            self.forced.cancel();
        }
    }

    fn drain_after_delay(&self) {
        if self.delay.is_zero() {
            return self.draining.cancel();
        }
        if !self.checks.are_recent() {
            tracing::info!("nobody asks whether this server is ready: it ends without a delay");
            return self.draining.cancel();
        }
        let (delay, draining) = (self.delay, self.draining.clone());
        // Ends with the delay at the latest.
        tokio::spawn(async move {
            tokio::select! {
                () = draining.cancelled() => {}
                () = tokio::time::sleep(delay) => draining.cancel(),
            }
        });
    }

    /// Turns the process's signals into requests for the end, until the returned listener is dropped.
    ///
    /// Must be called in a tokio runtime.
    ///
    /// # Errors
    /// The system refuses a signal handler.
    pub fn listen(&self) -> io::Result<Listener> {
        self.listen_to(false)
    }

    /// The same for a daemon that waits for [`hung_up`](Self::hung_up): with a unit or in a container a SIGHUP asks for a
    /// reload.
    ///
    /// # Errors
    /// The system refuses a signal handler.
    pub fn listen_and_reload(&self) -> io::Result<Listener> {
        // With a unit or in a container none of the two is a terminal.
        self.listen_to(!io::stdin().is_terminal() && !io::stderr().is_terminal())
    }

    fn listen_to(&self, reloads: bool) -> io::Result<Listener> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        // `nohup` ignores it for its program, which must not undo that. Without a handler it stays ignored.
        let mut hangup = match crate::process::is_ignored(Signal::HUP) {
            true => None,
            false => Some(signal(SignalKind::hangup())?),
        };
        let shutdown = self.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => shutdown.request("SIGTERM"),
                    _ = interrupt.recv() => shutdown.request("SIGINT"),
                    () = received(hangup.as_mut()) => shutdown.hang_up(reloads),
                }
            }
        });
        Ok(Listener {
            _task: AbortOnDropHandle::new(task),
        })
    }

    fn hang_up(&self, reloads: bool) {
        if reloads {
            self.hangups.notify_one();
        } else {
            self.request("SIGHUP");
        }
    }

    /// Waits until every tracked task has ended, for `grace` at most and no longer than until the end is forced.
    ///
    /// # Errors
    /// How many tasks were still running when the waiting ended.
    pub async fn finish(&self, grace: Duration) -> Result<(), Unfinished> {
        self.tasks.close();
        let why = tokio::select! {
            biased;
            () = self.tasks.wait() => return Ok(()),
            () = self.forced.cancelled() => "when the end was forced",
            () = tokio::time::sleep(grace) => "when the grace was over",
        };
        Err(Unfinished {
            running: self.tasks.len(),
            why,
        })
    }
}

async fn received(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn the_first_request_drains_and_the_second_forces() {
        let shutdown = Shutdown::new();
        shutdown.request("test");
        assert!(shutdown.draining().is_cancelled() && !shutdown.forced().is_cancelled());
        shutdown.request("test");
        assert!(shutdown.forced().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_shutdown_with_a_delay_leaves_first_and_drains_when_the_delay_is_over() {
        let shutdown = Shutdown::delayed(LONG);
        shutdown.checks().note();
        let asked = tokio::time::Instant::now();
        shutdown.request("test");
        assert!(shutdown.leaving().is_cancelled() && !shutdown.draining().is_cancelled());
        shutdown.draining().cancelled().await;
        assert_eq!(asked.elapsed(), LONG);
        assert!(!shutdown.forced().is_cancelled());

        let shutdown = Shutdown::delayed(LONG);
        shutdown.checks().note();
        shutdown.request("test");
        shutdown.request("test");
        assert!(shutdown.draining().is_cancelled() && shutdown.forced().is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_that_nobody_would_see_is_left_out() {
        let unseen = Shutdown::delayed(LONG);
        unseen.request("test");
        assert!(unseen.draining().is_cancelled() && !unseen.forced().is_cancelled());

        for (ago, drains) in [(CHECKED_WITHIN, false), (CHECKED_WITHIN + LONG, true)] {
            let shutdown = Shutdown::delayed(LONG);
            shutdown.checks().note();
            tokio::time::advance(ago).await;
            shutdown.request("test");
            assert_eq!(shutdown.draining().is_cancelled(), drains, "{ago:?}");
        }
    }

    #[tokio::test]
    async fn hangups_that_come_together_ask_for_one_reload() {
        let shutdown = Shutdown::new();
        shutdown.hang_up(true);
        shutdown.hang_up(true);
        shutdown.hung_up().await;
        let another = tokio::time::timeout(Duration::from_millis(20), shutdown.hung_up());
        assert!(another.await.is_err());
    }

    #[tokio::test]
    async fn signals_drain_then_force_and_a_hangup_kills_nothing_that_reloads() {
        use rustix::process::{getpid, kill_process};

        let shutdown = Shutdown::new();
        let listener = shutdown.listen_to(true).unwrap();
        kill_process(getpid(), Signal::HUP).unwrap();
        kill_process(getpid(), Signal::TERM).unwrap();
        tokio::time::timeout(LONG, shutdown.draining().cancelled())
            .await
            .unwrap();
        kill_process(getpid(), Signal::INT).unwrap();
        tokio::time::timeout(LONG, shutdown.forced().cancelled())
            .await
            .unwrap();
        drop(listener);
    }

    #[test]
    fn a_hangup_is_an_end_only_where_nothing_reloads() {
        let shutdown = Shutdown::new();
        shutdown.hang_up(true);
        assert!(!shutdown.draining().is_cancelled());
        shutdown.hang_up(false);
        assert!(shutdown.draining().is_cancelled() && !shutdown.forced().is_cancelled());
    }

    #[tokio::test]
    async fn tasks_that_end_in_time_are_waited_for() {
        let shutdown = Shutdown::new();
        let token = shutdown.draining().clone();
        let task = shutdown
            .tasks()
            .spawn(async move { token.cancelled().await });
        shutdown.request("test");
        assert_eq!(shutdown.finish(LONG).await, Ok(()));
        assert!(task.is_finished());
        assert!(!shutdown.forced().is_cancelled());
    }

    #[tokio::test]
    async fn when_the_grace_is_over_what_still_runs_is_counted() {
        let shutdown = Shutdown::new();
        shutdown.tasks().spawn(std::future::pending::<()>());
        shutdown.request("test");
        let unfinished = shutdown
            .finish(Duration::from_millis(20))
            .await
            .unwrap_err();
        assert_eq!(
            unfinished.to_string(),
            "1 task(s) still running when the grace was over"
        );
        assert!(
            !shutdown.forced().is_cancelled(),
            "only a second request forces the end"
        );
    }

    #[tokio::test]
    async fn a_second_request_ends_the_waiting() {
        let shutdown = Shutdown::new();
        shutdown.tasks().spawn(std::future::pending::<()>());
        shutdown.request("test");
        let (unfinished, ()) =
            tokio::join!(shutdown.finish(LONG), async { shutdown.request("test") });
        let unfinished = unfinished.unwrap_err();
        assert_eq!(unfinished.why, "when the end was forced");
    }
}
