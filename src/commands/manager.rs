//! The service manager: the notices that it gets of the server (sd_notify(3)), and when a reload begins and ends.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::reload::{Reloadable, Reloaded};
use super::setup::counted;
use crate::app::END_LIMIT;
use crate::config::Manager;
use crate::mcp::sessions::Sessions;
use crate::shutdown::Shutdown;

/// How often the status line is made anew.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// A start asks again and again for this much more time, for as long as the plugins are being asked …
const MORE_TIME: Duration = Duration::from_secs(30);
/// … but not longer than this after its beginning.
const LONGEST_START: Duration = Duration::from_secs(300);
/// How long the end waits for a service manager that does not take what it is told.
const LAST_NOTICE: Duration = Duration::from_secs(1);

/// Notifies the service manager, if there is one, of how the server is, and reloads when a SIGHUP asks for it, until it
/// is dropped.
#[must_use = "nothing is said any more when this is dropped"]
pub(super) struct Attended {
    _task: AbortOnDropHandle<()>,
    shutdown: Shutdown,
    /// Cancelled once the service manager was told that the server ends.
    end_is_said: CancellationToken,
}

impl Attended {
    /// Waits until the service manager was told of an end that was asked for; not for long, and not where the end is
    /// forced. A server with nothing to do ends sooner than a notice is sent.
    pub(super) async fn say_the_end(self) {
        let said = tokio::time::timeout(LAST_NOTICE, self.end_is_said.cancelled());
        let _ = self.shutdown.forced().run_until_cancelled(said).await;
    }
}

/// Begins to attend to the service manager and to reloads.
pub(super) fn attend(manager: Option<Manager>, server: Reloadable, shutdown: Shutdown) -> Attended {
    let end_is_said = CancellationToken::new();
    let attendant = Attendant {
        managed: manager.is_some(),
        watchdog: manager.and_then(|manager| manager.watchdog),
        server: Arc::new(server),
        shutdown: shutdown.clone(),
        end_is_said: end_is_said.clone(),
        started: Instant::now(),
        stage: Stage::Starting,
        reload: Reload::None,
        status: String::new(),
    };
    Attended {
        _task: AbortOnDropHandle::new(tokio::spawn(attendant.run())),
        shutdown,
        end_is_said,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Plugins are being asked for the first time.
    Starting,
    Ready,
    Stopping,
}

/// Whether a reload runs, and whether the service manager waits for its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reload {
    None,
    /// During the start, whose end is what the service manager waits for.
    Unannounced,
    Announced,
}

struct Attendant {
    managed: bool,
    /// Without a sign of life for this long the service manager starts the server anew.
    watchdog: Option<Duration>,
    server: Arc<Reloadable>,
    shutdown: Shutdown,
    end_is_said: CancellationToken,
    started: Instant,
    stage: Stage,
    reload: Reload,
    /// What was said last.
    status: String,
}

impl Attendant {
    async fn run(mut self) {
        let server = Arc::clone(&self.server);
        let shutdown = self.shutdown.clone();
        let catalog = &server.sessions.services().catalog;
        let pace = self
            .watchdog
            .map_or(STATUS_EVERY, |limit| STATUS_EVERY.min(limit / 3));
        let mut ticks = interval(pace.max(Duration::from_millis(1)));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reload: Option<AbortOnDropHandle<Reloaded>> = None;
        loop {
            tokio::select! {
                _ = ticks.tick(), if self.managed => self.give_a_sign_of_life().await,
                () = shutdown.leaving().cancelled(), if self.stage != Stage::Stopping => {
                    // A reload that is not over is of no use to anybody.
                    reload = None;
                    self.stop().await;
                }
                () = catalog.complete(), if self.stage == Stage::Starting => self.ready().await,
                () = shutdown.hung_up(), if reload.is_none() => {
                    if self.stage == Stage::Stopping {
                        tracing::warn!("SIGHUP: nothing is reloaded, for the server is shutting down");
                        continue;
                    }
                    self.reloading().await;
                    let server = Arc::clone(&self.server);
                    reload = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                        server.reload().await
                    })));
                }
                reloaded = ended(reload.as_mut()), if reload.is_some() => {
                    reload = None;
                    self.reloaded(reloaded).await;
                }
            }
        }
    }

    /// The status is made by another task, which takes the locks that every request takes. Where the event loop does
    /// not come round to it, or a lock is never given back, nothing is said.
    async fn give_a_sign_of_life(&mut self) {
        let server = Arc::clone(&self.server);
        let Ok(status) = tokio::spawn(async move { status(&server.sessions) }).await else {
            return;
        };
        let mut said = Vec::new();
        if self.watchdog.is_some() {
            said.push(NotifyState::Watchdog);
        }
        if self.stage == Stage::Starting && self.started.elapsed() < LONGEST_START {
            said.push(NotifyState::ExtendTimeoutUsec(micros(MORE_TIME)));
        }
        let status = self.in_words(status);
        if status != self.status {
            said.push(NotifyState::Status(&status));
        }
        notify(&said).await;
        self.status = status;
    }

    fn in_words(&self, status: String) -> String {
        match (self.stage, self.reload) {
            (Stage::Stopping, _) => format!("stopping: {status}"),
            (Stage::Starting, _) => format!("starting: {status}"),
            (Stage::Ready, Reload::None) => status,
            (Stage::Ready, _) => format!("reloading: {status}"),
        }
    }

    fn status_in_words(&self) -> String {
        self.in_words(status(&self.server.sessions))
    }

    async fn ready(&mut self) {
        self.stage = Stage::Ready;
        self.status = self.status_in_words();
        if self.managed {
            notify(&[NotifyState::Ready, NotifyState::Status(&self.status)]).await;
        }
    }

    async fn reloading(&mut self) {
        tracing::info!("SIGHUP: reloading the plugins and the keys that are in files");
        self.reload = Reload::Unannounced;
        if !self.managed || self.stage != Stage::Ready {
            return;
        }
        self.status = self.status_in_words();
        match NotifyState::monotonic_usec_now() {
            Ok(now) => {
                self.reload = Reload::Announced;
                let status = NotifyState::Status(&self.status);
                notify(&[NotifyState::Reloading, now, status]).await;
            }
            Err(error) => tracing::warn!("the system has no clock: {error}"),
        }
    }

    async fn reloaded(&mut self, reloaded: Option<Reloaded>) {
        let announced = self.reload == Reload::Announced;
        self.reload = Reload::None;
        let status = status(&self.server.sessions);
        match reloaded {
            Some(Reloaded::Whole) => tracing::info!(status, "reloaded"),
            Some(Reloaded::WithoutKeys) => {
                tracing::warn!(status, "reloaded the plugins, and not the keys");
            }
            None => tracing::error!("the reload failed; this is a fault of smcp"),
        }
        // A start is said to be over once, by itself.
        if announced {
            self.ready().await;
        }
    }

    async fn stop(&mut self) {
        self.stage = Stage::Stopping;
        self.status = self.status_in_words();
        if self.managed {
            // Said once: an end that takes longer than it may is one that hangs.
            let most = self.shutdown.delay().saturating_add(END_LIMIT);
            notify(&[
                NotifyState::Stopping,
                NotifyState::ExtendTimeoutUsec(micros(most)),
                NotifyState::Status(&self.status),
            ])
            .await;
        }
        self.end_is_said.cancel();
    }
}

/// How the server is, in a line: `12 plugins, 3 sessions, 1 call running`.
fn status(sessions: &Sessions) -> String {
    let services = sessions.services();
    let snapshot = services.catalog.snapshot();
    let load = services.catalog.load();
    let mut status = format!(
        "{}, {}, {} running",
        counted(snapshot.plugins.len(), "plugin"),
        counted(sessions.count(), "session"),
        counted(load.running, "call"),
    );
    if load.waiting > 0 {
        status.push_str(&format!(", {} waiting", load.waiting));
    }
    if !snapshot.skipped.is_empty() {
        let skipped = counted(snapshot.skipped.len(), "plugin");
        status.push_str(&format!("; {skipped} not served"));
    }
    status
}

/// `None` where it panicked.
async fn ended(reload: Option<&mut AbortOnDropHandle<Reloaded>>) -> Option<Reloaded> {
    match reload {
        Some(reload) => reload.await.ok(),
        None => std::future::pending().await,
    }
}

/// Sends a message. A service manager that does not take it is not one to end for.
async fn notify(said: &[NotifyState<'_>]) {
    if said.is_empty() {
        return;
    }
    let lines: Vec<String> = said.iter().map(ToString::to_string).collect();
    // Sending waits while the service manager's queue is full, and nobody else must.
    let sent = tokio::task::spawn_blocking(move || {
        sd_notify::notify(&[NotifyState::Custom(&lines.join("\n"))])
    });
    if let Ok(Err(error)) = sent.await {
        tracing::warn!("cannot notify the service manager of how the server is: {error}");
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
