//! Who has permits, who waits, and who is next. Knows not what a permit is.

use std::collections::HashMap;

use tokio::sync::oneshot;

use super::demand::{
    Bounds, Demand, Full, MAX_RUNNING_BYTES, MAX_WAITING, MAX_WAITING_BYTES,
    MAX_WAITING_BYTES_OF_ONE, MAX_WAITING_OF_ONE, Share,
};

/// How many clients without a running call are remembered for when they had their last turn.
const MAX_REMEMBERED: usize = 4_096;

#[derive(Debug)]
pub(super) struct State<P> {
    bounds: Bounds,
    /// All permits that are given.
    taken: Taken,
    by_client: HashMap<Share, Turns>,
    by_limit: HashMap<String, usize>,
    /// In the order of their coming.
    pub(super) waiting: Vec<Waiter<P>>,
    /// What the calls hold that do not wait for a permit yet, in bytes, by who pays.
    pub(super) held: HashMap<Share, usize>,
    /// What the calls in progress were asked with, in bytes.
    running_bytes: usize,
    next_ticket: u64,
    /// How many calls were let in so far.
    given: u64,
}

/// Permits that are given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) running: usize,
    pub(super) computing: usize,
}

/// What a client has, and when it last had a turn.
#[derive(Debug, Clone, Copy, Default)]
struct Turns {
    taken: Taken,
    last: u64,
}

/// When it is a client's turn: the smaller is next.
type Turn = (u128, u64);

#[derive(Debug)]
pub(super) struct Waiter<P> {
    pub(super) ticket: u64,
    pub(super) demand: Demand,
    pub(super) turn: oneshot::Sender<Result<P, Full>>,
}

impl Taken {
    /// Its share of the gate that it uses most, as a number that grows with it.
    fn dominant_share(self, bounds: Bounds) -> u128 {
        let of_running = self.running as u128 * bounds.computing as u128;
        let of_computing = self.computing as u128 * bounds.running as u128;
        of_running.max(of_computing)
    }

    fn fits(self, bounds: Bounds) -> bool {
        self.running < bounds.running && self.computing < bounds.computing
    }

    fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl<P> State<P> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            taken: Taken::default(),
            by_client: HashMap::new(),
            by_limit: HashMap::new(),
            waiting: Vec::new(),
            held: HashMap::new(),
            running_bytes: 0,
            next_ticket: 0,
            given: 0,
        }
    }

    /// The permits that are given.
    pub(super) fn taken(&self) -> Taken {
        self.taken
    }

    pub(super) fn admits(&self, demand: &Demand) -> bool {
        let within = |(name, limit): &(String, usize)| {
            self.by_limit.get(name).copied().unwrap_or(0) < *limit
        };
        let narrowest = demand.client.narrowest();
        self.taken.fits(self.bounds)
            && narrowest.is_none_or(|client| {
                let of_client = self.turns_of(&client).taken;
                of_client.fits(self.bounds.of_one_session())
            })
            && demand.limits.iter().all(within)
            && demand.client_reads()
            && self.has_room_for(demand.size)
    }

    /// What a call was asked with is kept until it is answered. One alone may be as large as it likes.
    fn has_room_for(&self, size: usize) -> bool {
        self.running_bytes == 0 || self.running_bytes.saturating_add(size) <= MAX_RUNNING_BYTES
    }

    fn turns_of(&self, level: &Share) -> Turns {
        self.by_client.get(level).copied().unwrap_or_default()
    }

    /// Whether somebody waits who could take the permit instead.
    pub(super) fn someone_is_before(&self, demand: &Demand) -> bool {
        self.waiting.iter().any(|waiter| {
            self.admits(&waiter.demand) && self.turn_of(&waiter.demand) <= self.turn_of(demand)
        })
    }

    /// The smaller the share of a key, the sooner it is its turn; of equal ones, of an agent of it, and
    /// then of a session.
    fn turn_of(&self, demand: &Demand) -> [Turn; 3] {
        demand.client.levels().map(|level| {
            let turns = self.turns_of(&level);
            (turns.taken.dominant_share(self.bounds), turns.last)
        })
    }

    pub(super) fn next(&self) -> Option<usize> {
        let admitted = self
            .waiting
            .iter()
            .enumerate()
            .filter(|(_, waiter)| self.admits(&waiter.demand));
        admitted
            .min_by_key(|(_, waiter)| (self.turn_of(&waiter.demand), waiter.ticket))
            .map(|(index, _)| index)
    }

    /// Enters a waiter. Where the queue is full, the key with the most calls in it loses its newest.
    pub(super) fn wait(
        &mut self,
        demand: Demand,
        turn: oneshot::Sender<Result<P, Full>>,
    ) -> Result<(u64, Option<Waiter<P>>), Full> {
        let of_session = demand.client.narrowest().map_or(0, |client| {
            let same =
                |waiter: &&Waiter<P>| waiter.demand.client.narrowest().as_ref() == Some(&client);
            self.waiting.iter().filter(same).count()
        });
        if of_session >= MAX_WAITING_OF_ONE {
            return Err(Full::ForSession);
        }
        self.check_bytes(&demand.client.payer(), demand.size)?;
        let mut outvoted = None;
        if self.waiting.len() >= MAX_WAITING {
            outvoted = Some(self.outvote(&demand.client.key).ok_or(Full::ForAll)?);
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.waiting.push(Waiter {
            ticket,
            demand,
            turn,
        });
        Ok((ticket, outvoted))
    }

    /// Whether there is room for what a call holds, `size` bytes.
    pub(super) fn check_bytes(&self, payer: &Share, size: usize) -> Result<(), Full> {
        let waiting = self.waiting.iter().map(|waiter| &waiter.demand);
        let held = self.held.values().sum::<usize>();
        let all = size + held + waiting.clone().map(|demand| demand.size).sum::<usize>();
        // So it is nearly always, and who holds what need not be looked at.
        if all <= MAX_WAITING_BYTES_OF_ONE {
            return Ok(());
        }
        let same = waiting.filter(|demand| demand.client.payer() == *payer);
        let held = self.held.get(payer).copied().unwrap_or(0);
        let own = size + held + same.map(|demand| demand.size).sum::<usize>();
        if own > MAX_WAITING_BYTES_OF_ONE {
            return Err(Full::BytesOfClient);
        }
        if all > MAX_WAITING_BYTES {
            return Err(Full::BytesOfAll);
        }
        Ok(())
    }

    /// The newest waiter of the key that has the most, if `key` has fewer than that one would be left with.
    fn outvote(&mut self, key: &Option<String>) -> Option<Waiter<P>> {
        let mut by_key: HashMap<&Option<String>, usize> = HashMap::new();
        for waiter in &self.waiting {
            *by_key.entry(&waiter.demand.client.key).or_default() += 1;
        }
        let own = by_key.get(key).copied().unwrap_or(0);
        let (largest, most) = by_key.into_iter().max_by_key(|(_, count)| *count)?;
        if own + 1 >= most {
            return None;
        }
        let is_of_largest = |waiter: &Waiter<P>| waiter.demand.client.key == *largest;
        let index = self.waiting.iter().rposition(is_of_largest)?;
        Some(self.waiting.remove(index))
    }

    /// Gives both permits.
    pub(super) fn enter(&mut self, demand: &Demand) {
        self.given += 1;
        self.taken.running += 1;
        self.taken.computing += 1;
        self.running_bytes = self.running_bytes.saturating_add(demand.size);
        for level in demand.client.levels() {
            let turns = self.by_client.entry(level).or_default();
            turns.taken.running += 1;
            turns.taken.computing += 1;
            turns.last = self.given;
        }
        for (name, _) in &demand.limits {
            *self.by_limit.entry(name.clone()).or_default() += 1;
        }
    }

    /// Takes the permit to compute back.
    pub(super) fn leave_computing(&mut self, demand: &Demand) {
        self.taken.computing -= 1;
        self.for_each_level(demand, |taken| taken.computing -= 1);
    }

    /// Takes the permit to run back.
    pub(super) fn leave(&mut self, demand: &Demand) {
        self.taken.running -= 1;
        self.running_bytes = self.running_bytes.saturating_sub(demand.size);
        self.for_each_level(demand, |taken| taken.running -= 1);
        for (name, _) in &demand.limits {
            give_back(&mut self.by_limit, name);
        }
    }

    fn for_each_level(&mut self, demand: &Demand, change: impl Fn(&mut Taken)) {
        for level in demand.client.levels() {
            if let Some(turns) = self.by_client.get_mut(&level) {
                change(&mut turns.taken);
            }
        }
        // Whose turn it was matters only while others wait.
        if self.waiting.is_empty() || self.by_client.len() > MAX_REMEMBERED {
            self.by_client.retain(|_, turns| !turns.taken.is_none());
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
