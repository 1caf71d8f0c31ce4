//! How soon a service is replaced that is replaced again and again: one that changes its own program would be for ever.

use std::time::Duration;

use tokio::time::Instant;

/// How often a service is replaced at once.
const FREE: u32 = 5;

/// How long each runs after that at least.
pub(super) const MIN_RUN: Duration = Duration::from_secs(60);

/// Nothing is held against one that has run for so long.
const FORGIVEN: Duration = Duration::from_secs(10 * 60);

/// How often a service was replaced of late.
#[derive(Debug)]
pub(super) struct Pace {
    /// Since when this one runs.
    since: Instant,
    /// How often others ran in its place before it.
    replaced: u32,
}

impl Pace {
    /// Of the first one, which begins now.
    pub(super) fn first(now: Instant) -> Self {
        Self {
            since: now,
            replaced: 0,
        }
    }

    /// When another one may take its place.
    pub(super) fn due(&self) -> Instant {
        match self.replaced {
            FREE.. => self.since + MIN_RUN,
            _ => self.since,
        }
    }

    /// Of the one that takes its place now.
    pub(super) fn next(&self, now: Instant) -> Self {
        let is_forgiven = now.duration_since(self.since) >= FORGIVEN;
        Self {
            since: now,
            replaced: if is_forgiven { 1 } else { self.replaced + 1 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_replaced_at_once_a_few_times_then_once_a_minute_and_forgiven_after_rest() {
        let start = Instant::now();
        let mut now = start;
        let mut pace = Pace::first(now);
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pauses.push(pace.due().duration_since(now).as_secs());
            now = pace.due();
            pace = pace.next(now);
        }
        assert_eq!(pauses, [0, 0, 0, 0, 0, 60, 60, 60]);
        now += FORGIVEN;
        assert!(pace.due() < now);
        pace = pace.next(now);
        assert_eq!(pace.due(), now, "it was left alone");
    }
}
