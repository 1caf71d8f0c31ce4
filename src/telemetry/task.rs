//! What is known of tasks, as `health` and the metrics have it. Knows no task.

use serde::Serialize;

/// The tasks of one moment, where a directory is named to keep them in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TaskCounts {
    /// Whether the directory can be used.
    pub is_usable: bool,
    /// Those that run or wait for their turn.
    pub working: u64,
    /// Those that wait for answers of their clients.
    pub input_required: u64,
    /// Those that are kept, running ones included.
    pub kept: u64,
    /// What their results take.
    pub bytes: u64,
    /// How many may be kept.
    #[serde(skip)]
    pub max_kept: u64,
    /// How many bytes their results may take.
    #[serde(skip)]
    pub max_bytes: u64,
    /// Those that are over since the start, by status.
    #[serde(skip)]
    pub ended: [(&'static str, u64); 3],
    /// How often the store could not be read or written.
    pub faults: u64,
    /// Those whose begin or end could not be written yet.
    pub unwritten: u64,
    /// Those that did not begin, or were not kept, since the start, by reason.
    #[serde(skip)]
    pub refused: [(&'static str, u64); 3],
    /// Results that were lost since the start, by reason.
    #[serde(skip)]
    pub lost: [(&'static str, u64); 3],
}
