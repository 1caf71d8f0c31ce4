//! A running server, and clients for it that take nothing for granted. Knows nothing of the server's code.
//!
//! The clients are blocking and hand-made on purpose: what they send is what stands in the test, byte
//! for byte, and every message they receive is held against the official SDK's types and the official
//! schema before a test sees it.

#![allow(dead_code, reason = "each test program uses its own part")]

pub mod alone;
pub mod chance;
pub mod commands;
pub mod executable;
pub mod hangups;
pub mod http;
pub mod plugins;
pub mod processes;
pub mod rows;
pub mod server;
pub mod session;
pub mod streamable;
pub mod wire;
pub mod witness;

use std::time::{Duration, Instant};

/// How often a condition is looked at: at first, and when it takes long.
const PACE: Duration = Duration::from_millis(10);
const SLOW_PACE: Duration = Duration::from_millis(50);

/// Looks until there is something to see, and says what it was that did not come within `limit`.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    let mut pace = PACE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        std::thread::sleep(pace);
        pace = (pace + PACE / 10).min(SLOW_PACE);
    }
}

/// The variable by which a server that is measured for coverage knows where to write it; `None` in every other build.
pub const COVERAGE: Option<(&str, &str)> = match option_env!("LLVM_PROFILE_FILE") {
    Some(file) => Some(("LLVM_PROFILE_FILE", file)),
    None => None,
};

/// Seconds, shorter to read in a table.
pub const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
