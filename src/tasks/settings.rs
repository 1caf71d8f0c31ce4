//! Where tasks are kept, for how long, and how many. Knows no environment.

use std::path::PathBuf;
use std::time::Duration;

/// The shortest time for which a task is kept, and for which what it gave can be fetched after its end.
pub const MIN_TTL: Duration = Duration::from_secs(60);
/// How long what a task gave is kept, unless its client asks for less.
pub const DEFAULT_TTL: Duration = Duration::from_secs(24 * 60 * 60);
/// How many tasks are kept.
pub const DEFAULT_COUNT: usize = 10_000;
/// How many bytes the results of all tasks may take.
pub const DEFAULT_BYTES: u64 = 64 << 20;

/// What bounds the tasks of a server.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory in which they are kept.
    pub directory: PathBuf,
    /// The longest time for which one is kept, counted from its begin; also where its client names none.
    pub ttl: Duration,
    /// How many there may be, running ones included.
    pub max_count: usize,
    /// How many bytes their results may take together.
    pub max_bytes: u64,
}

impl Settings {
    /// How many tasks one owner may have: half, so that one key cannot take the room of all others.
    pub fn max_count_of_one(&self) -> usize {
        (self.max_count / 2).max(1)
    }

    /// How many bytes the results of one owner may take.
    pub fn max_bytes_of_one(&self) -> u64 {
        self.max_bytes / 2
    }
}
