//! The catalogue of tools of now: what the layers above see of plugins.

mod build;
mod calls;
mod home;
mod keeper;
mod load;
pub mod plugin;
mod presence;
pub mod snapshot;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::call::runner::Runner;
use crate::contract::environment::Environment;
pub use crate::contract::{OfferKind, Reference};
use crate::discovery::describe::Asker;
use crate::discovery::interpreter::Resolved;
use crate::process::Launcher;
pub use calls::Printed;
use home::Home;
use load::Loader;
pub use plugin::{Offering, PluginInfo, Skipped, Tool};
pub use snapshot::{Readable, Snapshot};

/// The server's own tool that says how it is.
pub const HEALTH_TOOL: &str = "health";

/// The server's own tool that says and changes which tools an agent sees.
pub const GOVERNOR_TOOL: &str = "sanctum__tools";

/// The names that no plugin's tool can have, because the server's own tools have them.
pub const BUILT_IN: [&str; 2] = [HEALTH_TOOL, GOVERNOR_TOOL];

/// Where plugins come from and how they run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory that is scanned; `None` serves the embedded demo plugins.
    pub directory: Option<PathBuf>,
    /// `MCP_PYTHON`: the interpreter for every plugin.
    pub python: Option<PathBuf>,
    /// What plugins inherit: the server's environment without its own secrets.
    pub environment: Vec<(OsString, OsString)>,
    /// The time limit of a call; a command's own smaller one wins.
    pub time_limit: Option<Duration>,
    /// Calls that run at once; more wait in a bounded queue.
    pub max_calls: usize,
    /// How long a plugin may take to describe itself.
    pub describe_limit: Duration,
}

/// The catalogue: cheap to clone, shared by all sessions.
#[derive(Debug, Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    current: ArcSwap<Snapshot>,
    changes: watch::Sender<u64>,
    /// How many loads were asked for, and how many of these are done.
    wanted: watch::Sender<u64>,
    done: watch::Sender<u64>,
    runner: Runner,
    stop: CancellationToken,
    home: Arc<Home>,
    /// When plugins were last asked again because the files of one were gone.
    healed: Mutex<Option<Instant>>,
}

impl Catalog {
    /// Begins to find and ask plugins; returns at once. `stop` ends the asking.
    pub fn start(settings: Settings, launcher: Launcher, stop: CancellationToken) -> Self {
        let environment = Environment::new(&settings.environment);
        let runner = Runner::new(
            launcher.clone(),
            environment.clone(),
            settings.max_calls,
            settings.time_limit,
        );
        let inner = Arc::new(Inner {
            current: ArcSwap::default(),
            changes: watch::Sender::new(0),
            wanted: watch::Sender::new(1),
            done: watch::Sender::new(0),
            runner,
            stop: stop.clone(),
            home: Arc::new(Home::new(settings.directory)),
            healed: Mutex::default(),
        });
        let asker = Asker {
            launcher,
            environment,
            limit: settings.describe_limit,
            stop,
        };
        let loader = Loader {
            asker,
            home: Arc::clone(&inner.home),
            python: settings.python,
            resolved: Arc::new(Resolved::default()),
        };
        // Ends with `stop`.
        tokio::spawn(keeper::keep_loaded(Arc::clone(&inner), loader));
        Self { inner }
    }

    /// The tools of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.current.load_full()
    }

    /// Changes whenever a snapshot is in place that is not like the one before.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Asks every plugin again, in the background.
    pub fn reload(&self) {
        self.inner.wanted.send_modify(|loads| *loads += 1);
    }

    /// Waits until every load that was asked for by now is done.
    pub async fn reloaded(&self) {
        let wanted = *self.inner.wanted.borrow();
        let mut done = self.inner.done.subscribe();
        tokio::select! {
            _ = done.wait_for(|done| *done >= wanted) => {}
            () = self.inner.stop.cancelled() => {}
        }
    }

    /// Waits until every plugin has answered or timed out.
    pub async fn complete(&self) {
        let mut changes = self.changes();
        while !self.snapshot().complete {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = self.inner.stop.cancelled() => return,
            }
        }
    }

    /// Removes the demo plugins, where they were unpacked. Nothing can be called afterwards.
    pub fn close(&self) {
        self.inner.home.close();
    }

    /// [Closes](Self::close) the catalogue when the returned value is dropped, on whichever way.
    pub fn close_on_drop(&self) -> impl Drop + use<> {
        struct Closing(Arc<Home>);
        impl Drop for Closing {
            fn drop(&mut self) {
                self.0.close();
            }
        }
        Closing(Arc::clone(&self.inner.home))
    }

    /// How many calls run and how many wait for a place.
    pub fn load(&self) -> (usize, usize) {
        self.inner.runner.load()
    }
}

impl Inner {
    /// Puts `snapshot` in place. Nobody is told of one that looks the same to clients.
    fn publish(&self, snapshot: Snapshot) {
        let before = self.current.swap(Arc::new(snapshot));
        if !self.current.load().looks_like(&before) {
            self.changes.send_modify(|count| *count += 1);
        }
    }
}
