//! How soon a plugin whose files have changed is asked again. One that writes into its own directory, even when it is
//! asked, must neither be asked all the time nor keep its author waiting.

use std::time::Duration;

use tokio::time::Instant;

use crate::discovery::cache::Difference;

/// How often a plugin is asked at once although it said what it had said before.
const FREE: u32 = 2;

/// The pause after that; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// The longest, where the text of a program has changed.
const MAX_PAUSE_OF_TEXTS: Duration = Duration::from_secs(5);

/// The longest, where anything else has.
const MAX_PAUSE: Duration = Duration::from_secs(10 * 60);

/// Nothing is held against a plugin that was left alone for so many of its pauses.
const FORGIVEN: u32 = 10;

/// How often a plugin was asked of late because it had changed, and said the same.
#[derive(Debug, Default)]
pub struct Pace {
    /// When it was asked last because it had changed.
    asked: Option<Instant>,
    /// How often it has said since what it had said before.
    same: u32,
    /// Whether it is being asked because it has changed.
    is_asked: bool,
}

impl Pace {
    /// When it may be asked because of this.
    pub fn next(&self, difference: Difference) -> Option<Instant> {
        let longest = match difference {
            Difference::Texts => MAX_PAUSE_OF_TEXTS,
            _ => MAX_PAUSE,
        };
        self.asked.map(|asked| asked + self.pause().min(longest))
    }

    /// It is asked because it has changed.
    pub fn begin(&mut self, now: Instant) {
        let rest = self.asked.map(|asked| now.duration_since(asked));
        if rest.is_some_and(|rest| rest >= self.pause() * FORGIVEN) && self.pause() > Duration::ZERO
        {
            self.same = 0;
        }
        self.asked = Some(now);
        self.is_asked = true;
    }

    /// It has answered: as before or not.
    pub fn end(&mut self, is_same: bool) {
        if std::mem::take(&mut self.is_asked) {
            self.same = if is_same {
                self.same.saturating_add(1)
            } else {
                0
            };
        }
    }

    fn pause(&self) -> Duration {
        match self.same.checked_sub(FREE) {
            None => Duration::ZERO,
            Some(doublings) => {
                let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
                FIRST_PAUSE.saturating_mul(factor).min(MAX_PAUSE)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pauses before each of so many questions, to a plugin that changes all the time.
    fn pauses(difference: Difference, is_same: bool, count: u32) -> Vec<u64> {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        let asked = (0..count).map(|_| {
            let next = pace.next(difference).unwrap_or(now);
            let pause = next.saturating_duration_since(now);
            now += pause;
            pace.begin(now);
            pace.end(is_same);
            pause.as_secs()
        });
        asked.collect()
    }

    #[test]
    fn who_says_the_same_again_and_again_is_asked_ever_less() {
        let data = pauses(Difference::Else, true, 16);
        assert_eq!(data[..7], [0, 0, 1, 2, 4, 8, 16]);
        assert_eq!(data[14..], [600, 600]);
        let texts = pauses(Difference::Texts, true, 40);
        assert_eq!(texts[..7], [0, 0, 1, 2, 4, 5, 5]);
        assert_eq!(texts[39], 5);
    }

    #[test]
    fn who_says_something_new_each_time_is_asked_at_once() {
        assert_eq!(pauses(Difference::Else, false, 9), [0; 9]);
    }

    #[test]
    fn who_was_left_alone_for_long_is_asked_at_once_again() {
        let mut pace = Pace::default();
        let mut now = Instant::now();
        for _ in 0..5 {
            pace.begin(now);
            pace.end(true);
        }
        assert_eq!(pace.next(Difference::Else), Some(now + FIRST_PAUSE * 8));
        now += FIRST_PAUSE * 80;
        pace.begin(now);
        pace.end(true);
        assert_eq!(pace.next(Difference::Else), Some(now));
    }

    #[test]
    fn a_reload_that_somebody_asked_for_counts_for_nothing() {
        let mut pace = Pace::default();
        (0..9).for_each(|_| pace.end(true));
        assert_eq!(pace.next(Difference::Else), None);
    }
}
