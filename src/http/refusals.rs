//! What is turned away: counted, and one audit line each. Knows no rule by which it happens.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::throttle::Throttle;
use crate::telemetry::{Counters, audit};

/// Refusals that get an audit line of their own in one second. Whoever needs no key can cause any
/// number of them, and the counters have them all.
const LINES_PER_SECOND: u32 = 50;

/// Counts refusals and writes their audit lines. Clones share both.
#[derive(Debug, Clone)]
pub struct Refusals(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    counters: Counters,
    throttle: Throttle,
}

/// What is known of something that was turned away.
#[derive(Debug, Default)]
pub struct Refused<'a> {
    /// The stable code of the reason.
    pub reason: &'static str,
    /// Who asked.
    pub peer: Option<IpAddr>,
    /// Method and path, where there was a request. The query stays out: people put secrets there.
    pub request: Option<&'a str>,
    /// What the client says to be (`X-Agent-Id`).
    pub agent: Option<&'a str>,
    /// Fingerprint of the key that was shown.
    pub key: Option<&'a str>,
    /// From the request's arrival to its answer.
    pub duration: Option<Duration>,
}

impl Refusals {
    /// Counts in `counters`.
    pub fn new(counters: Counters) -> Self {
        Self(Arc::new(Inner {
            counters,
            throttle: Throttle::new(LINES_PER_SECOND),
        }))
    }

    /// Counts what has no audit line: it is turned away before anything is read of it.
    pub fn count(&self, reason: &'static str) {
        self.0.counters.refused(reason);
    }

    /// Counts a refusal and puts it on record.
    pub fn record(&self, refused: &Refused<'_>) {
        self.count(refused.reason);
        let Some(left_out) = self.0.throttle.admit() else {
            return;
        };
        tracing::info!(
            target: audit::TARGET,
            outcome = refused.reason,
            peer = refused.peer.map(|address| address.to_canonical().to_string()),
            request = refused.request,
            agent = refused.agent,
            key = refused.key,
            duration_ms = refused.duration.map(|duration| duration.as_micros() as f64 / 1000.0),
            left_out = (left_out > 0).then_some(left_out),
            "refused",
        );
    }
}
