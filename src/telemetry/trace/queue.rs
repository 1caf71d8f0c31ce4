//! Spans that wait for their export, bounded, and counts of what became of all. Never holds up a call.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use super::record::Record;

/// Spans that wait at most; what comes on top is dropped and counted. The default of OpenTelemetry.
const MAX_SPANS: usize = 2_048;

/// Takes spans that are over. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    spans: mpsc::Sender<Record>,
    counts: SpanCounts,
}

impl Queue {
    /// A queue, and its other end.
    pub(super) fn new() -> (Self, mpsc::Receiver<Record>) {
        let (sender, spans) = mpsc::channel(MAX_SPANS);
        let queue = Self {
            spans: sender,
            counts: SpanCounts::default(),
        };
        (queue, spans)
    }

    /// Takes a span, or drops and counts it where there is no room.
    pub(super) fn take(&self, record: Record) {
        if self.spans.try_send(record).is_err() {
            self.counts.0.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn counts(&self) -> &SpanCounts {
        &self.counts
    }
}

/// What became of spans; clones count together.
#[derive(Clone, Debug, Default)]
pub struct SpanCounts(Arc<Numbers>);

#[derive(Debug, Default)]
struct Numbers {
    exported: AtomicU64,
    overflowed: AtomicU64,
    unsent: AtomicU64,
    rejected: AtomicU64,
}

impl SpanCounts {
    /// A request was taken, but for some spans in it.
    pub(super) fn sent(&self, exported: u64, rejected: u64) {
        self.0.exported.fetch_add(exported, Ordering::Relaxed);
        self.0.rejected.fetch_add(rejected, Ordering::Relaxed);
    }

    /// A request was not taken.
    pub(super) fn unsent(&self, spans: u64) {
        self.0.unsent.fetch_add(spans, Ordering::Relaxed);
    }

    /// Those that the collector has taken.
    pub(in crate::telemetry) fn exported(&self) -> u64 {
        self.0.exported.load(Ordering::Relaxed)
    }

    /// Those that it has not, by reason.
    pub(in crate::telemetry) fn lost(&self) -> [(&'static str, u64); 3] {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        [
            ("queue_full", of(&self.0.overflowed)),
            ("not_sent", of(&self.0.unsent)),
            ("rejected", of(&self.0.rejected)),
        ]
    }
}
