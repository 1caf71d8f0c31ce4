//! Permits to run and to compute: how many calls there are of each, who waits, and who is next.
//!
//! Knows no process and no tool: a [`Demand`] says who wants permits and within which limits.
//!
//! A call enters when both of two gates have room: one counts the calls in progress, the other those
//! that start or compute. The second permit is given back as soon as the call is seen to wait, the first
//! when nothing of it is left. Both are given under one lock, so that a call waits once, in one queue,
//! under one set of bounds.
//!
//! Clients take turns at three levels: the key first, then the agent, then the session. Whoever has the
//! smallest share of the gate that it uses most is next, and of equal ones whoever had a turn the longest
//! ago: a key that floods by many sessions, or by calls without one, lets another key's call wait for one
//! turn at most, and a key whose calls all wait holds nobody up who computes.

mod demand;
mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

use demand::Share;
pub use demand::{
    Bounds, Client, Demand, Full, MAX_RUNNING_BYTES, MAX_WAITING, MAX_WAITING_BYTES,
    MAX_WAITING_BYTES_OF_ONE, MAX_WAITING_OF_ONE,
};
use state::State;

/// The permits of all calls, and the calls that wait for them.
#[derive(Debug, Clone)]
pub struct Queue {
    state: Arc<Mutex<State<Permits>>>,
}

/// Both permits of a call that is let in.
#[derive(Debug)]
pub struct Permits {
    /// For as long as anything of the call is left.
    pub run: RunPermit,
    /// For as long as it starts or computes.
    pub compute: ComputePermit,
}

/// The permission to be in progress, until it is dropped.
#[derive(Debug)]
pub struct RunPermit(Given);

/// The permission to start and to compute, until it is dropped.
#[derive(Debug)]
pub struct ComputePermit(Given);

#[derive(Debug)]
struct Given {
    queue: Queue,
    demand: Arc<Demand>,
}

/// How many calls are where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// In progress.
    pub running: usize,
    /// Of those, starting or computing.
    pub computing: usize,
    /// Waiting to be let in.
    pub waiting: usize,
}

/// What a call holds of memory while it waits for something before its permit, until it is dropped.
#[derive(Debug)]
pub struct Held {
    queue: Queue,
    payer: Share,
    bytes: usize,
}

/// A call that waits. Dropping it leaves the queue.
struct Ticket<'q> {
    queue: &'q Queue,
    number: u64,
}

impl Queue {
    /// A queue before two gates, each of which lets in one call at least.
    pub fn new(bounds: Bounds) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(bounds.usable()))),
        }
    }

    /// Waits for the permits. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`Full`] when the call may not wait, or not any longer.
    pub async fn acquire(&self, demand: Demand) -> Result<Permits, Full> {
        let (turn, my_turn) = oneshot::channel();
        let unread = demand.unread.clone();
        let (ticket, outvoted) = {
            let mut state = self.lock();
            if state.admits(&demand) && !state.someone_is_before(&demand) {
                state.enter(&demand);
                return Ok(self.permits(demand));
            }
            let (number, outvoted) = state.wait(demand, turn)?;
            let ticket = Ticket {
                queue: self,
                number,
            };
            (ticket, outvoted)
        };
        if let Some(waiter) = outvoted {
            let _ = waiter.turn.send(Err(Full::ForKey));
        }
        let permit = tokio::select! {
            biased;
            permit = my_turn => permit,
            never = self.hand_out_when_read(unread) => match never {},
        };
        drop(ticket);
        permit
            .expect("a waiter leaves the queue only by its own ticket, with its permit or outvoted")
    }

    /// Counts what a call holds while it waits for something before its permit, with what the calls
    /// in the queue hold.
    ///
    /// # Errors
    /// [`Full`] when there is no room for so many `bytes`.
    pub fn hold(&self, client: &Client, bytes: usize) -> Result<Held, Full> {
        let payer = client.payer();
        let mut state = self.lock();
        state.check_bytes(&payer, bytes)?;
        *state.held.entry(payer.clone()).or_default() += bytes;
        drop(state);
        Ok(Held {
            queue: self.clone(),
            payer,
            bytes,
        })
    }

    /// How many calls are where at this moment.
    pub fn load(&self) -> Load {
        let state = self.lock();
        let taken = state.taken();
        Load {
            running: taken.running,
            computing: taken.computing,
            waiting: state.waiting.len(),
        }
    }

    fn permits(&self, demand: Demand) -> Permits {
        let demand = Arc::new(demand);
        let given = || Given {
            queue: self.clone(),
            demand: Arc::clone(&demand),
        };
        Permits {
            run: RunPermit(given()),
            compute: ComputePermit(given()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<Permits>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client that has begun to read again may be the one that free permits wait for.
    async fn hand_out_when_read(
        &self,
        unread: Option<watch::Receiver<usize>>,
    ) -> std::convert::Infallible {
        if let Some(mut unread) = unread {
            while unread.changed().await.is_ok() {
                if *unread.borrow() == 0 {
                    self.hand_out();
                }
            }
        }
        // Nothing is to be learnt any more; the turn comes, or the session ends.
        std::future::pending().await
    }

    /// Gives the free permits to those whose turn it is.
    fn hand_out(&self) {
        loop {
            let next = {
                let mut state = self.lock();
                let Some(index) = state.next() else { return };
                let waiter = state.waiting.remove(index);
                state.enter(&waiter.demand);
                waiter
            };
            // Whoever left at this moment drops the permits, which hands them out again.
            let _ = next.turn.send(Ok(self.permits(next.demand)));
        }
    }
}

impl Drop for RunPermit {
    fn drop(&mut self) {
        let Given { queue, demand } = &self.0;
        queue.lock().leave(demand);
        queue.hand_out();
    }
}

impl Drop for ComputePermit {
    fn drop(&mut self) {
        let Given { queue, demand } = &self.0;
        queue.lock().leave_computing(demand);
        queue.hand_out();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        if let Some(held) = state.held.get_mut(&self.payer) {
            *held -= self.bytes;
            if *held == 0 {
                state.held.remove(&self.payer);
            }
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.queue
            .lock()
            .waiting
            .retain(|waiter| waiter.ticket != self.number);
    }
}

#[cfg(test)]
mod tests;
