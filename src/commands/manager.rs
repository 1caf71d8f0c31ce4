//! The service manager: what it is told of the server, and the reload that it asks for. sd_notify(3).

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;

use super::setup::counted;
use crate::config::KeySources;
use crate::http::auth::Keys;
use crate::mcp::sessions::Sessions;
use crate::shutdown::Shutdown;

/// How often the status line is made anew.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// A start asks again and again for this much more time, for as long as the plugins are being asked …
const MORE_TIME: Duration = Duration::from_secs(30);
/// … but not longer than this after its beginning.
const LONGEST_START: Duration = Duration::from_secs(300);
/// What an end takes at most, beside the delay: the grace of calls, last answers, the end of the processes.
const LONGEST_END: Duration = Duration::from_secs(25);

/// What a reload works on.
pub(super) struct Reloadable {
    /// The sessions, and the plugins behind them.
    pub(super) sessions: Arc<Sessions>,
    /// The keys that count.
    pub(super) keys: Keys,
    /// Where they come from.
    pub(super) sources: KeySources,
}

/// Tells the service manager, if there is one, how the server is, and reloads when it is asked to, until it is
/// dropped.
pub(super) fn attend(
    managed: bool,
    server: Reloadable,
    shutdown: Shutdown,
) -> AbortOnDropHandle<()> {
    let attendant = Attendant {
        managed,
        watchdog: sd_notify::watchdog_enabled().filter(|_| managed),
        server: Arc::new(server),
        shutdown,
        started: Instant::now(),
        stage: Stage::Starting,
        status: String::new(),
    };
    AbortOnDropHandle::new(tokio::spawn(attendant.run()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Plugins are being asked for the first time.
    Starting,
    Ready,
    Stopping,
}

struct Attendant {
    managed: bool,
    /// Without a sign of life for this long the service manager starts the server anew.
    watchdog: Option<Duration>,
    server: Arc<Reloadable>,
    shutdown: Shutdown,
    started: Instant,
    stage: Stage,
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
        let mut reload: Option<AbortOnDropHandle<()>> = None;
        loop {
            tokio::select! {
                _ = ticks.tick(), if self.managed => self.give_a_sign_of_life().await,
                () = shutdown.leaving().cancelled(), if self.stage != Stage::Stopping => {
                    // A reload that is not over is of no use to anybody.
                    reload = None;
                    self.stop().await;
                }
                () = catalog.complete(), if self.stage == Stage::Starting => self.ready().await,
                () = shutdown.hung_up(), if reload.is_none() && self.stage != Stage::Stopping => {
                    self.reloading().await;
                    let server = Arc::clone(&self.server);
                    reload = Some(AbortOnDropHandle::new(tokio::spawn(async move {
                        server.reload().await;
                    })));
                }
                () = ended(reload.as_mut()), if reload.is_some() => {
                    reload = None;
                    // A start whose plugins have not answered is no more ready than before.
                    if self.stage == Stage::Ready {
                        self.ready().await;
                    }
                }
                // It stops, and nobody wants to hear how.
                else => return,
            }
        }
    }

    /// The status is made by another task, which takes the locks that every request takes. Where the event loop does
    /// not come round to it, or a lock is never given back, nothing is said.
    async fn give_a_sign_of_life(&mut self) {
        let server = Arc::clone(&self.server);
        let Ok(status) = tokio::spawn(async move { server.status() }).await else {
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
        tell(&said).await;
        self.status = status;
    }

    fn in_words(&self, status: String) -> String {
        match self.stage {
            Stage::Starting => format!("starting: {status}"),
            Stage::Ready => status,
            Stage::Stopping => format!("stopping: {status}"),
        }
    }

    async fn ready(&mut self) {
        self.stage = Stage::Ready;
        self.status = self.server.status();
        if self.managed {
            tell(&[NotifyState::Ready, NotifyState::Status(&self.status)]).await;
        }
    }

    async fn reloading(&mut self) {
        tracing::info!("SIGHUP: reloading the plugins and the keys that are in files");
        if !self.managed || self.stage != Stage::Ready {
            return;
        }
        self.status = "reloading".to_owned();
        match NotifyState::monotonic_usec_now() {
            Ok(now) => {
                let status = NotifyState::Status(&self.status);
                tell(&[NotifyState::Reloading, now, status]).await;
            }
            Err(error) => tracing::warn!("the system has no clock: {error}"),
        }
    }

    async fn stop(&mut self) {
        self.stage = Stage::Stopping;
        self.status = self.in_words(self.server.status());
        if self.managed {
            // Said once: an end that takes longer than it may is one that hangs.
            let most = self.shutdown.delay().saturating_add(LONGEST_END);
            tell(&[
                NotifyState::Stopping,
                NotifyState::ExtendTimeoutUsec(micros(most)),
                NotifyState::Status(&self.status),
            ])
            .await;
        }
    }
}

impl Reloadable {
    /// How the server is, in a line: `12 plugins, 3 sessions, 1 call running`.
    fn status(&self) -> String {
        let services = self.sessions.services();
        let snapshot = services.catalog.snapshot();
        let load = services.catalog.load();
        let mut status = format!(
            "{}, {}, {} running",
            counted(snapshot.plugins.len(), "plugin"),
            counted(self.sessions.count(), "session"),
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

    /// Asks every plugin again and reads the key files again. What fails leaves things as they were.
    async fn reload(&self) {
        self.reload_keys();
        let catalog = &self.sessions.services().catalog;
        catalog.reload();
        catalog.reloaded().await;
        tracing::info!(status = self.status(), "reloaded");
    }

    fn reload_keys(&self) {
        if !self.sources.can_change() {
            return;
        }
        match self.sources.read_again() {
            Ok(keys) => {
                self.keys.replace(keys);
                self.end_sessions_of_old_keys();
            }
            Err(why) => tracing::error!("the keys stay as they were: {why}"),
        }
    }

    /// Whoever has lost the key loses the streams that it opened.
    fn end_sessions_of_old_keys(&self) {
        self.sessions.each(|session| {
            let key = session.principal().key;
            if key.is_some_and(|key| !self.keys.accept(&key)) {
                self.sessions.close(session);
            }
        });
    }
}

async fn ended(reload: Option<&mut AbortOnDropHandle<()>>) {
    match reload {
        Some(reload) => {
            let _ = reload.await;
        }
        None => std::future::pending().await,
    }
}

/// Sends a message. A service manager that does not take it is not one to end for.
async fn tell(said: &[NotifyState<'_>]) {
    if said.is_empty() {
        return;
    }
    let lines: Vec<String> = said.iter().map(ToString::to_string).collect();
    // Sending waits while the service manager's queue is full, and nobody else must.
    let sent = tokio::task::spawn_blocking(move || {
        sd_notify::notify(&[NotifyState::Custom(&lines.join("\n"))])
    });
    if let Ok(Err(error)) = sent.await {
        tracing::warn!("cannot tell the service manager how the server is: {error}");
    }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
