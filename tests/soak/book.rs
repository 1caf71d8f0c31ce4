//! What became of every call: which ended, which were excused, and what should not have happened.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// One book for all workers.
#[derive(Debug, Default)]
pub struct Book {
    next_id: AtomicU64,
    answered: AtomicU64,
    failed_as_asked: AtomicU64,
    excused: AtomicU64,
    injected: AtomicU64,
    faults: Mutex<Vec<String>>,
}

impl Book {
    /// Ids that nobody else has: the first of `count`.
    pub fn reserve(&self, count: usize) -> u64 {
        // Twice as many, since faults send requests of their own.
        self.next_id
            .fetch_add(2 * count as u64 + 100, Ordering::Relaxed)
            + 1
    }

    /// A call gave the answer that it had to give.
    pub fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    /// A call that was to fail has failed as it had to.
    pub fn failed_as_asked(&self) {
        self.failed_as_asked.fetch_add(1, Ordering::Relaxed);
    }

    /// Its client or its session had gone: no answer is due.
    pub fn excused(&self, calls: usize) {
        self.excused.fetch_add(calls as u64, Ordering::Relaxed);
    }

    /// Something was done that a well-behaved client does not do.
    pub fn injected(&self) {
        self.injected.fetch_add(1, Ordering::Relaxed);
    }

    /// Something that must not happen.
    pub fn fault(&self, what: String) {
        self.faults.lock().expect("nobody panics here").push(what);
    }

    pub fn faults(&self) -> Vec<String> {
        self.faults.lock().expect("nobody panics here").clone()
    }

    /// How many calls were answered, and how many faults injected.
    pub fn counts(&self) -> (u64, u64) {
        (
            self.answered.load(Ordering::Relaxed),
            self.injected.load(Ordering::Relaxed),
        )
    }

    pub fn summary(&self) -> String {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        format!(
            "{} answered, {} failed as asked, {} excused, {} faults injected, {} wrong",
            of(&self.answered),
            of(&self.failed_as_asked),
            of(&self.excused),
            of(&self.injected),
            self.faults().len()
        )
    }
}
