//! Whether what is seen has come to rest: what is being copied, checked out or deleted looks different at each look.

use std::time::Duration;

use tokio::time::Instant;

/// How long something must look the same …
pub const REST: Duration = Duration::from_millis(400);

/// … and how long it is waited for.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// What was seen at looks that gave no reason to act yet.
#[derive(Debug)]
pub struct Unsteady<T> {
    seen: T,
    /// Since when it looks so.
    at: Instant,
    /// When it was first seen to be other than what is served.
    since: Instant,
}

/// Whether `seen`, which is other than what is served, looked the same for long enough, or was waited for long enough.
pub fn is_steady<T: PartialEq>(slot: &mut Option<Unsteady<T>>, seen: T, now: Instant) -> bool {
    match slot {
        Some(known) => {
            if known.seen != seen {
                (known.seen, known.at) = (seen, now);
            }
            now >= known.at + REST || now >= known.since + MAX_WAIT
        }
        None => {
            *slot = Some(Unsteady {
                seen,
                at: now,
                since: now,
            });
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_for_a_while_is_steady_and_what_never_does_is_not_waited_for_for_ever() {
        let start = Instant::now();
        let mut slot = None;
        assert!(!is_steady(&mut slot, 1, start));
        assert!(!is_steady(&mut slot, 1, start + REST / 2));
        assert!(!is_steady(&mut slot, 2, start + REST), "it has changed");
        assert!(is_steady(&mut slot, 2, start + REST * 2));
        let mut slot = None;
        let steady = (0..).find(|look| is_steady(&mut slot, *look, start + REST * *look));
        let waited = REST * steady.expect("it is not waited for for ever");
        assert!(waited >= MAX_WAIT && waited < MAX_WAIT + REST);
    }
}
