//! When directories are to be looked at: soon after the system says that something happened there, and now and then
//! without that. Knows no plugin, and not what has changed.
//!
//! Whatever is lost (events, watches that the system does not give, changes that another machine makes), a look finds
//! it: the clock asks for one, so nothing depends on this being told everything.

#[cfg(target_os = "linux")]
mod events;
#[cfg(not(target_os = "linux"))]
#[path = "watch/no_events.rs"]
mod events;
mod untold;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use self::events::Events;
use self::untold::Untold;
pub use self::untold::Watched;

/// No look before nothing has happened for this long …
const QUIET: Duration = Duration::from_millis(200);

/// … but where something happens all the time, after this at the latest.
const MAX_DELAY: Duration = Duration::from_secs(5);

/// How long after a start there is the first look: the first clients come first.
const FIRST: Duration = Duration::from_millis(500);

/// How often there is a look although nothing seems to have happened.
const EVERY: Duration = Duration::from_secs(30);

/// The same where the system does not say of every directory what happens there.
const EVERY_UNTOLD: Duration = Duration::from_secs(10);

/// A look is followed by a pause of so many times what it took.
const PAUSE: u32 = 20;

/// The same where nothing seems to have happened.
const IDLE_PAUSE: u32 = 100;

/// Says when to look. Dropping it ends all watching.
#[derive(Debug)]
pub struct Watch {
    events: Result<Arc<Events>, Untold>,
    /// Since when something has happened that nobody has looked at.
    since: Option<Instant>,
    /// By when it may be quiet.
    settles: Instant,
    /// When to look although nothing has happened.
    next: Instant,
    /// The pause after the last look.
    not_before: Instant,
    /// Whether it was said that not everything is told.
    is_warned: bool,
}

impl Watch {
    /// Asks for a first look soon. To be called where a runtime is.
    pub fn begin() -> Self {
        Self::told_by(open())
    }

    fn told_by(events: Result<Arc<Events>, Untold>) -> Self {
        let now = Instant::now();
        Self {
            events,
            since: None,
            settles: now,
            next: now + FIRST,
            not_before: now,
            is_warned: false,
        }
    }

    /// Done when it is time to look. What was waited for is kept when this is dropped.
    pub async fn due(&mut self) {
        loop {
            let next = self.next.max(self.not_before);
            let Some(since) = self.since else {
                tokio::select! {
                    () = sleep_until(next) => return,
                    () = happened(&self.events) => {}
                }
                if self.has_news() {
                    let now = Instant::now();
                    (self.since, self.settles) = (Some(now), now + QUIET);
                } else {
                    // What others do beside a link is read in bulk.
                    sleep_until(next.min(Instant::now() + QUIET)).await;
                }
                continue;
            };
            sleep_until(next.min(self.settles.max(self.not_before))).await;
            let now = Instant::now();
            if now >= next || now >= since + MAX_DELAY || !self.has_news() {
                return;
            }
            self.settles = (now + QUIET).min(since + MAX_DELAY);
        }
    }

    /// What watches directories, for the thread that looks at them.
    pub fn watcher(&mut self) -> Watcher {
        if self.events.is_err() {
            self.events = open();
        }
        Watcher {
            events: self.events.clone(),
        }
    }

    /// There was a look, which took so long, and what came of watching. The next is at `again` at the latest.
    pub fn looked(&mut self, took: Duration, watched: &Watched, again: Option<Instant>) {
        let now = Instant::now();
        let every = if watched.untold.is_some() {
            EVERY_UNTOLD
        } else {
            EVERY
        };
        // A directory that was not watched when it was looked at may have changed since.
        let fresh = watched.is_new.then_some(now + QUIET);
        let idle = now + every.max(took * IDLE_PAUSE);
        self.next = again.into_iter().chain(fresh).fold(idle, Instant::min);
        self.not_before = now + took * PAUSE;
        self.since = None;
        if let Some(untold) = &watched.untold
            && !self.is_warned
        {
            self.is_warned = true;
            tracing::warn!("{}", untold.in_words(EVERY_UNTOLD));
        }
    }

    fn has_news(&self) -> bool {
        self.events.as_ref().is_ok_and(|events| events.drain())
    }
}

async fn happened(events: &Result<Arc<Events>, Untold>) {
    match events {
        Ok(events) => events.readable().await,
        Err(_) => std::future::pending().await,
    }
}

fn open() -> Result<Arc<Events>, Untold> {
    Events::open().map(Arc::new).map_err(|fault| {
        let advice = match fault.kind() {
            io::ErrorKind::Unsupported => "",
            _ => {
                "; raise fs.inotify.max_user_instances, as by sysctl fs.inotify.max_user_instances=512, or the limit of \
                 open files"
            }
        };
        Untold::Events(format!("the system gives no inotify events ({fault}){advice}"))
    })
}

/// Watches directories.
#[derive(Debug)]
pub struct Watcher {
    events: Result<Arc<Events>, Untold>,
}

impl Watcher {
    /// Watches `root` and these directories, and no others any more. Where `root` is a link, it is seen when that leads
    /// elsewhere. Reads file systems.
    pub fn watch(&self, root: &Path, directories: &[PathBuf]) -> Watched {
        match &self.events {
            Ok(events) => events.watch(root, directories),
            Err(untold) => Watched {
                is_new: false,
                untold: Some(untold.clone()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(untold: Option<Untold>) -> Watched {
        Watched {
            is_new: false,
            untold,
        }
    }

    async fn wait_of(watch: &mut Watch) -> Duration {
        let began = Instant::now();
        watch.due().await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn where_nothing_is_told_the_clock_says_when_to_look() {
        let why = Untold::Events("it has none".to_owned());
        let mut watch = Watch::told_by(Err(why.clone()));
        assert_eq!(wait_of(&mut watch).await, FIRST);
        watch.looked(Duration::ZERO, &watched(Some(why.clone())), None);
        assert_eq!(wait_of(&mut watch).await, EVERY_UNTOLD);
        watch.looked(Duration::from_secs(1), &watched(Some(why)), None);
        assert_eq!(wait_of(&mut watch).await, Duration::from_secs(100));
        let soon = Instant::now() + Duration::from_secs(1);
        watch.looked(Duration::ZERO, &watched(None), Some(soon));
        assert_eq!(wait_of(&mut watch).await, Duration::from_secs(1));
        let soon = Instant::now();
        watch.looked(Duration::from_secs(1), &watched(None), Some(soon));
        assert_eq!(wait_of(&mut watch).await, Duration::from_secs(20), "paused");
    }

    #[test]
    fn what_is_said_of_a_limit_names_what_to_raise() {
        let said = Untold::Watches.in_words(EVERY_UNTOLD);
        for part in ["every 10 s", "fs.inotify.max_user_watches", "SIGHUP"] {
            assert!(said.contains(part), "{said}");
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_happens_in_a_directory_brings_the_look_forward() {
        let directory = tempfile::tempdir().expect("there is room");
        let mut watch = Watch::begin();
        let root = directory.path();
        let first = watch.watcher().watch(root, &[]);
        assert_eq!((first.is_new, &first.untold), (true, &None));
        watch.looked(Duration::ZERO, &watched(None), None);
        std::fs::write(root.join("one"), "").expect("there is room");
        assert!(wait_of(&mut watch).await < EVERY / 2);
        assert!(!watch.watcher().watch(root, &[]).is_new);
    }
}
