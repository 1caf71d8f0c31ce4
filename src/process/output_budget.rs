//! The memory for what all running programs print, until it is written as their answers.
//!
//! Knows no pipe and no program. Every run may keep [`FREE`] without asking. Beyond that it takes memory from the
//! budget in steps; without room it waits in line, and its program with it, because nobody reads its pipe. One run
//! at a time may go on above the budget, up to its own limit, so that runs that wait for each other's memory end.
//!
//! What a run has taken is given back when its [`OutputShare`] is dropped: with its answer, or with the run.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// What all outputs together may take where nobody says otherwise, in bytes.
pub const DEFAULT_OUTPUT_BUDGET: usize = 64 << 20;

/// What each run may keep of its output without asking, in bytes: as much as a pipe holds.
const FREE: usize = 64 << 10;

/// The least that is taken at once, in bytes.
const STEP: usize = 256 << 10;

/// The memory for outputs. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct OutputBudget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    state: Mutex<State>,
    /// Notified when something was given back, or somebody has left the line.
    freed: Notify,
}

#[derive(Debug, Default)]
struct State {
    taken: usize,
    /// Whether a run goes on above the budget.
    is_overdrawn: bool,
    /// Tickets of those that wait, the oldest first.
    line: BTreeSet<u64>,
    next_ticket: u64,
}

/// How much memory outputs take.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OutputLoad {
    /// Bytes taken from the budget.
    pub bytes: usize,
    /// Runs that wait for memory.
    pub waiting: usize,
}

/// What one run has of the budget, until it is dropped.
#[derive(Debug, Default)]
pub struct OutputShare {
    /// `None` of a run that never asks.
    budget: Option<OutputBudget>,
    taken: usize,
    overdraws: bool,
    /// Its place in the line, kept also while nobody polls.
    ticket: Option<u64>,
}

impl OutputBudget {
    pub(super) fn new(limit: usize) -> Self {
        Self(Arc::new(Inner {
            limit,
            state: Mutex::default(),
            freed: Notify::new(),
        }))
    }

    /// The share of a run that has printed nothing.
    pub(super) fn share(&self) -> OutputShare {
        OutputShare {
            budget: Some(self.clone()),
            ..OutputShare::default()
        }
    }

    pub(super) fn load(&self) -> OutputLoad {
        let state = self.state();
        OutputLoad {
            bytes: state.taken,
            waiting: state.line.len(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers that are changed together, with nothing between that could panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OutputShare {
    /// How much may be kept by now, in bytes.
    pub(super) fn room(&self) -> usize {
        FREE + self.taken
    }

    /// Whether it stands in line.
    pub(super) fn waits(&self) -> bool {
        self.ticket.is_some()
    }

    /// Waits until `size` bytes may be kept, of at most `most`. Safe to drop while it waits: its place in the
    /// line is kept.
    pub(super) async fn grow(&mut self, size: usize, most: usize) {
        while self.room() < size {
            let Some(budget) = self.budget.clone() else {
                self.taken = size;
                return;
            };
            let freed = budget.0.freed.notified();
            tokio::pin!(freed);
            // From now on nothing that is given back is missed.
            freed.as_mut().enable();
            let more = (size - self.room())
                .max(STEP)
                .min(most.saturating_sub(self.room()));
            if self.take(&budget, more) {
                return;
            }
            freed.await;
        }
    }

    /// Takes `more` bytes, or a place in the line.
    fn take(&mut self, budget: &OutputBudget, more: usize) -> bool {
        let mut state = budget.state();
        if !self.overdraws {
            let first = state.line.first().copied();
            let is_first = first.is_none_or(|first| Some(first) == self.ticket);
            let has_room = state.taken.saturating_add(more) <= budget.0.limit;
            if !is_first || (!has_room && state.is_overdrawn) {
                let State {
                    line, next_ticket, ..
                } = &mut *state;
                self.ticket.get_or_insert_with(|| {
                    *next_ticket += 1;
                    line.insert(*next_ticket);
                    *next_ticket
                });
                return false;
            }
            if !has_room {
                state.is_overdrawn = true;
                self.overdraws = true;
            }
        }
        state.taken += more;
        self.taken += more;
        let was_waiting = self.ticket.take();
        if let Some(ticket) = was_waiting {
            state.line.remove(&ticket);
        }
        drop(state);
        if was_waiting.is_some() {
            // There may be room for the next one too.
            budget.0.freed.notify_waiters();
        }
        true
    }
}

impl Drop for OutputShare {
    fn drop(&mut self) {
        let Some(budget) = &self.budget else { return };
        if self.taken == 0 && self.ticket.is_none() {
            return;
        }
        let mut state = budget.state();
        state.taken -= self.taken;
        if self.overdraws {
            state.is_overdrawn = false;
        }
        if let Some(ticket) = self.ticket {
            state.line.remove(&ticket);
        }
        drop(state);
        budget.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MOST: usize = 16 << 20;

    /// Whether the share grows at once.
    async fn grows(share: &mut OutputShare, size: usize) -> bool {
        let soon = tokio::time::timeout(Duration::from_millis(1), share.grow(size, MOST));
        soon.await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn small_outputs_never_wait_and_large_ones_wait_in_line_for_room() {
        let budget = OutputBudget::new(4 * STEP);
        let [mut one, mut two, mut three, mut four] = [(); 4].map(|()| budget.share());
        assert!(grows(&mut one, FREE + 4 * STEP).await, "all of the budget");
        assert!(grows(&mut two, FREE + 2 * STEP).await, "one may overdraw");
        assert!(!grows(&mut three, FREE + 1).await);
        assert!(!grows(&mut four, FREE + 1).await);
        assert!(grows(&mut four, FREE).await, "what is free is free");
        assert!(grows(&mut two, MOST).await, "it goes on to its end");
        assert_eq!(budget.load().waiting, 2);
        drop(one);
        assert!(!grows(&mut four, FREE + 1).await, "it is not its turn");
        drop(two);
        assert!(grows(&mut three, FREE + 1).await);
        assert!(grows(&mut four, FREE + 1).await);
        drop((three, four));
        assert_eq!(budget.load(), OutputLoad::default(), "all came back");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_leaves_the_line_or_ends_above_the_budget_lets_the_next_go_on() {
        let budget = OutputBudget::new(STEP);
        let mut full = budget.share();
        assert!(grows(&mut full, FREE + STEP).await);
        let [mut above, mut leaves, mut next] = [(); 3].map(|()| budget.share());
        assert!(grows(&mut above, FREE + STEP).await);
        assert!(!grows(&mut leaves, MOST).await);
        let waiting = async {
            next.grow(MOST, MOST).await;
        };
        let others = async {
            tokio::task::yield_now().await;
            drop(leaves);
            drop(above);
        };
        let both = async { tokio::join!(waiting, others) };
        let ended = tokio::time::timeout(Duration::from_secs(1), both).await;
        assert!(ended.is_ok(), "the budget is still full, but one may go on");
    }
}
