//! Whether the processes of a program compute or wait, as their supervisor sees them from time to time.
//!
//! Knows no deadline of a call and no permit. A tree waits when two looks in a row find none of its threads running,
//! ready to run or reading from a disk, and no processor time was used in between. One look would take a pause between two steps for
//! waiting; processor time alone would take a program that gets no processor for one that wants none.

use std::time::{Duration, Instant};

use super::tree;

/// From the start to the first look, and from a look that found nothing running to the next.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// The longest time between two looks.
const MAX_PAUSE: Duration = Duration::from_millis(250);

/// The looks at one tree, until it waits.
#[derive(Debug)]
pub(super) struct Activity {
    began: Instant,
    look_at: Instant,
    /// The processor time at the last look, if nothing ran then.
    idle_at: Option<u64>,
}

impl Activity {
    /// Of a program that was just started.
    pub(super) fn begin() -> Self {
        let now = Instant::now();
        Self {
            began: now,
            look_at: now + FIRST_PAUSE,
            idle_at: None,
        }
    }

    /// When the next look is due.
    pub(super) fn due(&self) -> Instant {
        self.look_at
    }

    /// Looks, and says whether the tree below this process waits.
    pub(super) fn waits(&mut self) -> bool {
        self.judge(tree::activity_below_this_process(), Instant::now())
    }

    fn judge(&mut self, seen: tree::ProcessorUse, now: Instant) -> bool {
        let waits = !seen.runs && self.idle_at == Some(seen.ticks);
        self.idle_at = (!seen.runs).then_some(seen.ticks);
        // The longer it has computed, the less an early answer is worth.
        let pause = if seen.runs {
            (now.duration_since(self.began) / 4).clamp(FIRST_PAUSE, MAX_PAUSE)
        } else {
            FIRST_PAUSE
        };
        self.look_at = now + pause;
        waits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(activity: &mut Activity, runs: bool, ticks: u64) -> bool {
        let now = activity.due();
        activity.judge(tree::ProcessorUse { runs, ticks }, now)
    }

    #[test]
    fn a_tree_waits_when_two_looks_in_a_row_find_it_idle() {
        let mut activity = Activity::begin();
        assert!(!look(&mut activity, true, 1));
        assert!(!look(&mut activity, false, 2));
        assert!(!look(&mut activity, false, 3), "it has run in between");
        assert!(!look(&mut activity, true, 3), "it is ready to run");
        assert!(!look(&mut activity, false, 3));
        assert!(look(&mut activity, false, 3));
    }

    #[test]
    fn what_computes_for_long_is_looked_at_seldom() {
        let mut activity = Activity::begin();
        let (began, mut looks) = (activity.began, 0);
        while activity.due() < began + Duration::from_secs(10) {
            assert!(!look(&mut activity, true, looks));
            looks += 1;
        }
        assert!(looks < 70, "{looks}");
    }
}
