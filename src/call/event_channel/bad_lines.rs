//! Lines that are no events: counted, and logged now and then.

use std::time::{Duration, Instant};

use super::lines::Line;
use super::parse::BadLine;
use crate::text::shown;

/// The least time between two log lines about what is no event.
const LOG_PAUSE: Duration = Duration::from_secs(1);

/// The lines of one call that were no events.
#[derive(Debug, Default)]
pub(super) struct BadLines {
    /// How many there were.
    pub(super) count: usize,
    logged: Option<Instant>,
    /// How many have come since one was logged.
    unlogged: usize,
}

impl BadLines {
    /// Counts one more, and logs it unless one was logged just now.
    pub(super) fn log(&mut self, tool: &str, fault: &BadLine, line: &Line) {
        self.count += 1;
        if self.logged.is_some_and(|at| at.elapsed() < LOG_PAUSE) {
            self.unlogged += 1;
            return;
        }
        self.logged = Some(Instant::now());
        let quoted = match line {
            Line::Whole(bytes) => shown(&String::from_utf8_lossy(bytes), 120),
            Line::Blank | Line::TooLong { .. } => String::new(),
        };
        let more = std::mem::take(&mut self.unlogged);
        tracing::warn!(tool, more, "a line that is no event: {fault}: {quoted}");
    }
}
