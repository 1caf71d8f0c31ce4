//! The processes that do not end although they were sent SIGKILL, by run, for the log and `health`.
//!
//! Knows no process: runs report what they are left with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::job::Leftover;

/// All leftovers. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub(super) struct Leftovers {
    entries: Arc<Mutex<Entries>>,
}

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    by_number: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    program: String,
    processes: usize,
    since: Instant,
}

/// One run that has processes left. Dropped when they are gone.
#[derive(Debug)]
pub(super) struct Registered {
    number: u64,
    leftovers: Leftovers,
}

impl Leftovers {
    /// What is left at this moment, the oldest first.
    pub(super) fn now(&self) -> Vec<Leftover> {
        let entries = self.entries();
        let shown = entries.by_number.values().map(|entry| Leftover {
            program: entry.program.clone(),
            processes: entry.processes,
            seconds: entry.since.elapsed().as_secs(),
        });
        shown.collect()
    }

    /// Enters a run of `program`, and writes a line to the log.
    pub(super) fn register(&self, program: String, processes: usize) -> Registered {
        tracing::warn!(
            program,
            processes,
            "processes of a run do not end although they were sent SIGKILL; its place stays taken"
        );
        let mut entries = self.entries();
        let number = entries.next;
        entries.next += 1;
        let since = Instant::now();
        let entry = Entry {
            program,
            processes,
            since,
        };
        entries.by_number.insert(number, entry);
        Registered {
            number,
            leftovers: self.clone(),
        }
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        // Every change is one call: the map is whole at every moment.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registered {
    /// The number of processes has changed.
    pub(super) fn update(&self, processes: usize) {
        if let Some(entry) = self.leftovers.entries().by_number.get_mut(&self.number) {
            entry.processes = processes;
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        let gone = self.leftovers.entries().by_number.remove(&self.number);
        if let Some(entry) = gone {
            tracing::info!(
                program = entry.program,
                "the processes that were left are gone"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_listed_until_it_is_gone() {
        let leftovers = Leftovers::default();
        let first = leftovers.register("first".to_owned(), 2);
        let second = leftovers.register("second".to_owned(), 1);
        first.update(1);
        let listed = |leftovers: &Leftovers| -> Vec<(String, usize)> {
            let now = leftovers.now().into_iter();
            now.map(|left| (left.program, left.processes)).collect()
        };
        assert_eq!(
            listed(&leftovers),
            [("first".to_owned(), 1), ("second".to_owned(), 1)]
        );
        drop(first);
        assert_eq!(listed(&leftovers), [("second".to_owned(), 1)]);
        drop(second);
        assert_eq!(listed(&leftovers), []);
    }
}
