//! The services of plugins: programs that run for as long as their plugin is served, started, watched and ended.
//!
//! Knows no client and no transport: it follows the catalogue, and says how each service is.

mod keep;
mod kept;
mod pace;
mod status;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::catalog::{Catalog, Service};
use crate::process::Launcher;
use crate::telemetry::{PluginService, ServiceState};
use keep::Starter;
use kept::{Kept, Next};
use pace::Pace;

/// How many services run at once. Each is a process that is always there.
pub const MAX_RUNNING: usize = 64;

/// How long a service waits for the first environment of its plugin: an installer may take as long.
const MAX_WAIT: Duration = Duration::from_secs(600);

/// The same while the installer has found nothing. Longer than calls wait, for which somebody waits.
const NOTHING_FOUND: Duration = Duration::from_secs(60);

/// How often it is looked whether that is there, or will not be.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// By which a service is told from all others: its plugin's name and its own.
type Key = (String, String);

/// The services of the plugins. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct PluginServices(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    kept: BTreeMap<Key, Kept>,
    /// Those that are not run.
    not_run: BTreeMap<Key, NotRun>,
}

/// Why a service is not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotRun {
    /// Services are turned off.
    Off,
    /// There are as many as may be.
    TooMany,
    /// The first environment of its plugin is being made.
    Preparing {
        /// Since when it waits for that.
        since: Instant,
    },
}

impl NotRun {
    fn told(self) -> (ServiceState, String) {
        match self {
            Self::Off => (
                ServiceState::Off,
                "services are turned off by MCP_SERVICES".to_owned(),
            ),
            Self::TooMany => (
                ServiceState::Refused,
                format!("{MAX_RUNNING} services run already, and no more may"),
            ),
            Self::Preparing { .. } => (
                ServiceState::Waiting,
                "the environment of its plugin is being made".to_owned(),
            ),
        }
    }
}

impl PluginServices {
    /// Every service, by plugin and name.
    pub fn list(&self) -> Vec<PluginService> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = all.kept.values().filter(|kept| !kept.end.is_cancelled());
        let running = wanted.map(|kept| kept.status.read());
        let not_run = all.not_run.iter().map(|((plugin, name), why)| {
            let (state, reason) = why.told();
            PluginService::not_run(plugin.clone(), name.clone(), state, reason)
        });
        let mut list: Vec<PluginService> = running.chain(not_run).collect();
        list.sort_by(|one, other| (&one.plugin, &one.name).cmp(&(&other.plugin, &other.name)));
        list
    }

    /// Runs what the catalogue names at each moment until `end` is cancelled, and then ends all of it. Where services
    /// are turned off, `is_on` is not set and they are only listed.
    pub async fn follow(
        self,
        catalog: Catalog,
        launcher: Launcher,
        is_on: bool,
        end: CancellationToken,
    ) {
        let starter = Starter {
            launcher,
            catalog: catalog.clone(),
        };
        let mut changes = catalog.changes();
        // The first may be in place already.
        changes.mark_changed();
        let mut due = None;
        loop {
            tokio::select! {
                () = end.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
            }
            changes.borrow_and_update();
            let snapshot = catalog.snapshot();
            let now = Instant::now();
            let awaits = |service: &Service| {
                snapshot.awaits_environment(&service.plugin, now, NOTHING_FOUND)
            };
            due = self.run_only(&snapshot.services, awaits, &starter, is_on, &end);
        }
        self.run_only(&[], |_| false, &starter, is_on, &end);
    }

    /// Starts those of `wanted` that do not run as they are wanted now, and ends all others. One that does not run and
    /// `awaits` its environment is started when that is there, or will not be: without it, it may fail at once. Returns
    /// when to look again for those that wait, and for those that run on for now and are to be replaced.
    fn run_only(
        &self,
        wanted: &[Arc<Service>],
        awaits: impl Fn(&Service) -> bool,
        starter: &Starter,
        is_on: bool,
        end: &CancellationToken,
    ) -> Option<Instant> {
        let wanted: BTreeMap<Key, &Arc<Service>> = wanted
            .iter()
            .map(|service| ((service.plugin.clone(), service.name.clone()), service))
            .collect();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let All { kept, not_run } = &mut *all;
        kept.retain(|key, kept| {
            if !wanted.contains_key(key) {
                kept.end.cancel();
            }
            // What is being ended keeps the next of its name from being started.
            !(kept.end.is_cancelled() && kept.task.is_empty())
        });
        let known = std::mem::take(not_run);
        let now = Instant::now();
        let mut dues = Vec::new();
        for (key, service) in wanted {
            let former = kept.get_mut(&key);
            let has_place = former.is_some();
            let runs = former.as_ref().is_some_and(|kept| !kept.end.is_cancelled());
            let since = match known.get(&key) {
                Some(NotRun::Preparing { since }) => *since,
                _ => now,
            };
            let pace = match former.map(|kept| kept.next(service, now)) {
                Some(Next::Stays) => continue,
                Some(Next::Later(due)) => {
                    dues.push(due);
                    continue;
                }
                Some(Next::Replaced(pace)) => pace,
                None => Pace::first(now),
            };
            let running = kept.values().filter(|kept| !kept.end.is_cancelled());
            let why = if !is_on {
                Some(NotRun::Off)
            } else if !runs && now < since + MAX_WAIT && awaits(service) {
                dues.push(now + LOOK_EVERY);
                Some(NotRun::Preparing { since })
            } else if !has_place && running.count() >= MAX_RUNNING {
                Some(NotRun::TooMany)
            } else {
                None
            };
            if let Some(why) = why {
                if known.get(&key) != Some(&why) {
                    let (plugin, service) = (&service.plugin, &service.name);
                    let (state, reason) = why.told();
                    match state {
                        ServiceState::Waiting => {
                            tracing::info!(plugin, service, "the service waits: {reason}");
                        }
                        _ => tracing::warn!(plugin, service, "the service is not run: {reason}"),
                    }
                }
                not_run.insert(key, why);
                continue;
            }
            let before = kept.get(&key).map(Kept::make_way);
            kept.insert(key, Kept::start(service, before, pace, starter, end));
        }
        dues.into_iter().min()
    }
}
