//! What is known of one service, shared by the task that keeps it running and by whoever asks.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::catalog::Service;
use crate::telemetry::{PluginService, ServiceState};

/// What is known of one service. All clones are one.
#[derive(Debug, Clone)]
pub(super) struct Status {
    plugin: String,
    name: String,
    now: Arc<Mutex<Now>>,
}

#[derive(Debug)]
struct Now {
    state: ServiceState,
    since: Instant,
    starts: u64,
    last_end: Option<String>,
}

impl Status {
    /// Of a service that is about to be started.
    pub(super) fn of(service: &Service) -> Self {
        let now = Now {
            state: ServiceState::Waiting,
            since: Instant::now(),
            starts: 0,
            last_end: None,
        };
        Self {
            plugin: service.plugin.clone(),
            name: service.name.clone(),
            now: Arc::new(Mutex::new(now)),
        }
    }

    /// Its program is started.
    pub(super) fn runs(&self) {
        self.change(|now| {
            now.state = ServiceState::Running;
            now.starts += 1;
        });
    }

    /// Its program has ended, as `how` says.
    pub(super) fn ended(&self, how: String) {
        self.change(|now| {
            now.state = ServiceState::Waiting;
            now.last_end = Some(how);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut now);
        now.since = Instant::now();
    }

    /// As it is at this moment.
    pub(super) fn read(&self) -> PluginService {
        let now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        PluginService {
            plugin: self.plugin.clone(),
            name: self.name.clone(),
            state: now.state,
            seconds: now.since.elapsed().as_secs(),
            starts: now.starts,
            last_end: now.last_end.clone(),
            reason: None,
        }
    }
}
