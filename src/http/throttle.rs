//! Limits log lines per second and counts those left out. Knows no log.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

const WINDOW: Duration = Duration::from_secs(1);

/// Says which lines may be written. What can happen as often as a client likes must not fill a log.
#[derive(Debug)]
pub struct Throttle {
    per_second: u32,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    began: Option<Instant>,
    written: u32,
    left_out: u64,
}

impl Throttle {
    /// Lets `per_second` lines through in each second.
    pub fn new(per_second: u32) -> Self {
        Self {
            per_second,
            state: Mutex::default(),
        }
    }

    /// Whether a line may be written now; if so, how many were left out since the last one.
    pub fn admit(&self) -> Option<u64> {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.began.is_none_or(|began| now >= began + WINDOW) {
            state.began = Some(now);
            state.written = 0;
        }
        if state.written >= self.per_second {
            state.left_out += 1;
            return None;
        }
        state.written += 1;
        Some(std::mem::take(&mut state.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_writes_so_many_lines_a_second_and_counts_the_rest() {
        let throttle = Throttle::new(2);
        let admitted: Vec<_> = (0..7).map(|_| throttle.admit()).collect();
        assert_eq!(admitted, [Some(0), Some(0), None, None, None, None, None]);
        tokio::time::advance(WINDOW).await;
        assert_eq!((throttle.admit(), throttle.admit()), (Some(5), Some(0)));
    }
}
