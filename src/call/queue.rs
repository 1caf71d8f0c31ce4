//! Places to run: how many calls run at once, who waits, and who is next.
//!
//! Knows no process and no tool: a [`Demand`] says who wants a place and within which limits.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// How many calls may wait in all.
pub const WAITING: usize = 1_024;

/// How many calls of one client may wait.
pub const WAITING_OF_ONE: usize = 256;

/// Who wants a place, and what bounds it besides the number of all places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    /// Whose call it is. Parties take turns, so that one with many calls does not hold up the others.
    pub client: String,
    /// Names of limits and how many calls under each may run at once.
    pub limits: Vec<(String, usize)>,
}

/// Places for running calls, shared by all.
#[derive(Debug, Clone)]
pub struct Queue {
    state: Arc<Mutex<State>>,
}

/// A place that is taken until it is dropped.
#[derive(Debug)]
pub struct Permit {
    queue: Queue,
    demand: Demand,
}

/// Why there is not even a place to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// All waiting places are taken.
    ForAll,
    /// This client's waiting places are taken.
    ForClient,
}

#[derive(Debug)]
struct State {
    places: usize,
    running: usize,
    by_party: HashMap<String, usize>,
    by_limit: HashMap<String, usize>,
    /// In the order of their coming.
    waiting: Vec<Waiter>,
    next_ticket: u64,
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    demand: Demand,
    turn: oneshot::Sender<Permit>,
}

/// A call that waits; leaving gives its waiting place back.
struct Ticket<'q> {
    queue: &'q Queue,
    number: u64,
}

impl Queue {
    /// A queue before `places` places.
    pub fn new(places: usize) -> Self {
        let state = State {
            places: places.max(1),
            running: 0,
            by_party: HashMap::new(),
            by_limit: HashMap::new(),
            waiting: Vec::new(),
            next_ticket: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Waits for a place. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`Full`] when there is no place to wait.
    pub async fn place(&self, demand: Demand) -> Result<Permit, Full> {
        let (turn, my_turn) = oneshot::channel();
        let ticket = {
            let mut state = self.lock();
            if state.admits(&demand) && !state.someone_is_before(&demand) {
                state.enter(&demand);
                return Ok(Permit {
                    queue: self.clone(),
                    demand,
                });
            }
            Ticket {
                queue: self,
                number: state.wait(demand, turn)?,
            }
        };
        let place = my_turn.await;
        drop(ticket);
        Ok(place.expect("a waiter leaves the queue only by its own ticket or with its place"))
    }

    /// How many calls run and how many wait.
    pub fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.running, state.waiting.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives the free places to those whose turn it is.
    fn hand_out(&self) {
        loop {
            let next = {
                let mut state = self.lock();
                let Some(index) = state.next() else { return };
                let waiter = state.waiting.remove(index);
                state.enter(&waiter.demand);
                waiter
            };
            let place = Permit {
                queue: self.clone(),
                demand: next.demand,
            };
            // Whoever left at this moment drops the place, which hands it out again.
            let _ = next.turn.send(place);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.queue.lock().leave(&self.demand);
        self.queue.hand_out();
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

impl State {
    fn admits(&self, demand: &Demand) -> bool {
        let of_party = self.by_party.get(&demand.client).copied().unwrap_or(0);
        let within = |(name, limit): &(String, usize)| {
            self.by_limit.get(name).copied().unwrap_or(0) < *limit
        };
        self.running < self.places
            && of_party < self.most_of_one()
            && demand.limits.iter().all(within)
    }

    /// One client alone leaves a quarter of the places to whoever comes next.
    fn most_of_one(&self) -> usize {
        self.places - self.places / 4
    }

    /// Whether somebody waits who could take the place instead.
    fn someone_is_before(&self, demand: &Demand) -> bool {
        self.waiting.iter().any(|waiter| {
            self.admits(&waiter.demand) && self.turn_of(&waiter.demand) <= self.turn_of(demand)
        })
    }

    /// The fewer calls of a client run, the sooner it is its turn.
    fn turn_of(&self, demand: &Demand) -> usize {
        self.by_party.get(&demand.client).copied().unwrap_or(0)
    }

    fn next(&self) -> Option<usize> {
        let admitted = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, waiter)| self.admits(&waiter.demand));
        admitted
            .min_by_key(|(_, waiter)| (self.turn_of(&waiter.demand), waiter.ticket))
            .map(|(index, _)| index)
    }

    fn wait(&mut self, demand: Demand, turn: oneshot::Sender<Permit>) -> Result<u64, Full> {
        if self.waiting.len() >= WAITING {
            return Err(Full::ForAll);
        }
        if self
            .waiting
            .iter()
            .filter(|waiter| waiter.demand.client == demand.client)
            .count()
            >= WAITING_OF_ONE
        {
            return Err(Full::ForClient);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.push(Waiter {
            ticket,
            demand,
            turn,
        });
        Ok(ticket)
    }

    fn enter(&mut self, demand: &Demand) {
        self.running += 1;
        *self.by_party.entry(demand.client.clone()).or_default() += 1;
        for (name, _) in &demand.limits {
            *self.by_limit.entry(name.clone()).or_default() += 1;
        }
    }

    fn leave(&mut self, demand: &Demand) {
        self.running -= 1;
        give_back(&mut self.by_party, &demand.client);
        for (name, _) in &demand.limits {
            give_back(&mut self.by_limit, name);
        }
    }
}

fn give_back(counts: &mut HashMap<String, usize>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count -= 1;
        if *count == 0 {
            counts.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::Pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn demand(client: &str) -> Demand {
        Demand {
            client: client.to_owned(),
            limits: Vec::new(),
        }
    }

    fn limited(client: &str, limit: usize) -> Demand {
        Demand {
            client: client.to_owned(),
            limits: vec![("tool".to_owned(), limit)],
        }
    }

    type Waiting<'q> = Pin<Box<dyn Future<Output = Result<Permit, Full>> + 'q>>;

    fn ask(queue: &Queue, demand: Demand) -> Waiting<'_> {
        let mut waiting: Waiting<'_> = Box::pin(queue.place(demand));
        assert!(poll(&mut waiting).is_none(), "it is to wait");
        waiting
    }

    fn poll(waiting: &mut Waiting<'_>) -> Option<Result<Permit, Full>> {
        match waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    fn place(queue: &Queue, demand: Demand) -> Permit {
        let mut waiting: Waiting<'_> = Box::pin(queue.place(demand));
        poll(&mut waiting)
            .expect("there is a place")
            .expect("the queue is not full")
    }

    #[test]
    fn one_place_serialises_all_calls_in_the_order_of_their_coming() {
        let queue = Queue::new(1);
        let first = place(&queue, demand("a"));
        let (mut second, mut third) = (ask(&queue, demand("a")), ask(&queue, demand("b")));
        drop(first);
        let second = poll(&mut second).expect("its turn has come");
        assert!(poll(&mut third).is_none(), "one place, one call");
        drop(second);
        assert!(poll(&mut third).is_some());
    }

    #[test]
    fn the_party_with_fewer_running_calls_is_next_whoever_came_first() {
        let queue = Queue::new(4);
        let busy: Vec<_> = (0..3).map(|_| place(&queue, demand("busy"))).collect();
        let other = place(&queue, demand("other"));
        let mut fourth = ask(&queue, demand("busy"));
        let mut newcomer = ask(&queue, demand("newcomer"));
        drop(other);
        assert!(poll(&mut newcomer).is_some());
        assert!(poll(&mut fourth).is_none());
        drop((busy, newcomer));
        assert!(poll(&mut fourth).is_some());
    }

    #[test]
    fn one_party_leaves_places_to_the_others() {
        let queue = Queue::new(4);
        let _busy: Vec<_> = (0..3).map(|_| place(&queue, demand("busy"))).collect();
        let _waits = ask(&queue, demand("busy"));
        place(&queue, demand("other"));
    }

    #[test]
    fn a_full_limit_holds_up_its_own_calls_alone() {
        let queue = Queue::new(8);
        let first = place(&queue, limited("a", 1));
        let mut second = ask(&queue, limited("b", 1));
        drop(place(&queue, demand("a")));
        drop(first);
        assert!(poll(&mut second).is_some());
    }

    #[test]
    fn a_call_that_left_the_queue_takes_no_place() {
        let queue = Queue::new(1);
        let first = place(&queue, demand("a"));
        let gone = ask(&queue, demand("b"));
        let gone_with_its_place = ask(&queue, demand("c"));
        drop(gone);
        drop(first);
        // Its turn has come, but nobody is there to see it.
        drop(gone_with_its_place);
        assert_eq!(queue.load(), (0, 0));
        place(&queue, demand("d"));
    }

    #[test]
    fn waiting_is_bounded_for_one_party_and_for_all() {
        let queue = Queue::new(1);
        let _running = place(&queue, demand("first"));
        let client = |number: usize| demand(&format!("p{}", number / WAITING_OF_ONE));
        let _waiting: Vec<_> = (0..WAITING - 1)
            .map(|number| ask(&queue, client(number)))
            .collect();
        let refused = |demand| {
            let mut waiting: Waiting<'_> = Box::pin(queue.place(demand));
            poll(&mut waiting)
                .expect("it does not wait")
                .expect_err("it is refused")
        };
        assert_eq!(refused(client(0)), Full::ForClient);
        let _last = ask(&queue, demand("last"));
        assert_eq!(refused(demand("late")), Full::ForAll);
    }
}
