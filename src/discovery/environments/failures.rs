//! Environments that could not be made, and when it is tried again.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::install::Failure;

/// How long after a failure that may pass it is tried again, at first; each pause is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// The longest.
const MAX_PAUSE: Duration = Duration::from_secs(3600);

/// How many failures are remembered. More are only tried more often.
const MAX_REMEMBERED: usize = 4096;

/// One environment that could not be made.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) failure: Failure,
    /// What the interpreter lacks.
    pub(super) missing: Vec<String>,
    /// Why it is none of those that are asked for, where it is not.
    pub(super) unfit: Option<String>,
    pause: Duration,
    /// When it is tried again; `None` where that does not help, or where it may be tried at any time.
    again: Option<Instant>,
    /// Whether it may be tried at any time.
    is_due: bool,
}

/// All of them, by key.
#[derive(Debug, Default)]
pub(super) struct Failures(HashMap<String, Failed>);

impl Failures {
    /// Why there is none, while it is not to be tried again.
    pub(super) fn standing(&self, key: &str, now: Instant) -> Option<&Failed> {
        let is_standing =
            |failed: &&Failed| !failed.is_due && failed.again.is_none_or(|at| at > now);
        self.0.get(key).filter(is_standing)
    }

    /// Why there is none, as it was last.
    pub(super) fn last(&self, key: &str) -> Option<&Failed> {
        self.0.get(key)
    }

    /// Remembers a failure, for longer where it is not the first.
    pub(super) fn note(
        &mut self,
        key: &str,
        failure: Failure,
        missing: Vec<String>,
        unfit: Option<String>,
        now: Instant,
    ) -> Failed {
        // Several may have waited for one answer.
        if let Some(standing) = self.standing(key, now) {
            return standing.clone();
        }
        let before = self.0.get(key).map(|failed| failed.pause);
        let pause = before.map_or(FIRST_PAUSE, |pause| MAX_PAUSE.min(pause * 2));
        let failed = Failed {
            again: failure.passes.then(|| now + pause),
            is_due: false,
            pause,
            failure,
            missing,
            unfit,
        };
        if self.0.len() >= MAX_REMEMBERED {
            self.0.clear();
        }
        self.0.insert(key.to_owned(), failed.clone());
        failed
    }

    /// When the first of them is to be tried again.
    pub(super) fn next(&self) -> Option<Instant> {
        self.0.values().filter_map(|failed| failed.again).min()
    }

    /// Lets those be tried whose time has come. Each is told of once: whoever still needs it asks for it.
    pub(super) fn fall_due(&mut self, now: Instant) {
        for failed in self.0.values_mut() {
            if failed.again.is_some_and(|at| at <= now) {
                (failed.again, failed.is_due) = (None, true);
            }
        }
    }

    /// One is no failure any more.
    pub(super) fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// The next to need any of them tries again.
    pub(super) fn forget_all(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_after_ever_longer_pauses_and_told_of_once() {
        let mut failures = Failures::default();
        let mut now = Instant::now();
        let failure = Failure::of_system("no network");
        for seconds in [60, 120, 240] {
            failures.note("a", failure.clone(), Vec::new(), None, now);
            let at = now + Duration::from_secs(seconds);
            assert_eq!(failures.next(), Some(at));
            assert!(failures.standing("a", now).is_some());
            failures.fall_due(at);
            assert_eq!(failures.next(), None, "nobody is woken twice");
            assert!(failures.standing("a", at).is_none());
            now = at;
        }
        for _ in 0..10 {
            failures.note("a", failure.clone(), Vec::new(), None, now);
            let at = failures.next().expect("it may pass");
            failures.note("a", failure.clone(), Vec::new(), None, now);
            assert_eq!(failures.next(), Some(at), "it is one failure");
            failures.fall_due(at);
            now = at;
        }
        failures.note("a", failure.clone(), Vec::new(), None, now);
        assert_eq!(failures.next(), Some(now + MAX_PAUSE));
    }

    #[test]
    fn what_stays_is_not_tried_again_by_itself() {
        let mut failures = Failures::default();
        let now = Instant::now();
        let failure = Failure {
            reason: "no such version".to_owned(),
            passes: false,
        };
        failures.note("a", failure, Vec::new(), None, now);
        assert_eq!(failures.next(), None);
        assert!(failures.standing("a", now + MAX_PAUSE).is_some());
        failures.forget_all();
        assert!(failures.standing("a", now).is_none());
    }
}
