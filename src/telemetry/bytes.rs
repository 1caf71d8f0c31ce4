//! A count of bytes that is handed to whoever moves them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes so far; clones count together.
#[derive(Clone, Debug, Default)]
pub struct ByteCount(Arc<AtomicU64>);

impl ByteCount {
    /// So many more.
    pub fn add(&self, bytes: usize) {
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// All so far.
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
