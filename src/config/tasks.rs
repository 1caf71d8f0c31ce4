//! Settings of tasks: where calls are kept that outlive the connection, for how long, and how many.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::reader::{Purpose, Reader};
use crate::tasks::Settings;
use crate::tasks::settings::{DEFAULT_BYTES, DEFAULT_COUNT, DEFAULT_TTL, MIN_TTL};

/// The least and the most for which results may be kept.
const TTL: RangeInclusive<Duration> = MIN_TTL..=Duration::from_secs(30 * 24 * 60 * 60);
/// Most tasks that a setting may keep.
const MAX_COUNT: usize = 1_000_000;
/// The least and the most bytes that a setting may give to results: 1 MiB, 1 TiB.
const BYTES: RangeInclusive<u64> = 1 << 20..=1 << 40;

/// `None` where no directory is named, and for commands that serve nobody.
pub(super) fn read(reader: &mut Reader, purpose: Purpose) -> Option<Settings> {
    let directory = reader.path("MCP_STATE_DIR");
    let ttl = reader.duration("MCP_TASK_TTL", DEFAULT_TTL, TTL);
    let max_count = reader.count("MCP_MAX_TASKS", DEFAULT_COUNT, MAX_COUNT);
    let max_bytes = reader.whole("MCP_MAX_TASK_BYTES", DEFAULT_BYTES, BYTES);
    if purpose == Purpose::Once {
        return None;
    }
    if directory.is_none() {
        for variable in ["MCP_TASK_TTL", "MCP_MAX_TASKS", "MCP_MAX_TASK_BYTES"] {
            reader.note_useless(
                variable,
                "no results are kept without MCP_STATE_DIR; set that to a directory, or leave this out",
            );
        }
    }
    Some(Settings {
        directory: directory?,
        ttl,
        max_count,
        max_bytes,
    })
}
