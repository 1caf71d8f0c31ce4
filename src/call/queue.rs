//! Permits to run: how many calls run at once, who waits, and who is next.
//!
//! Knows no process and no tool: a [`Demand`] says who wants a permit and within which limits.
//!
//! Clients take turns at three levels: the key first, then the agent, then the session. Whoever has
//! the fewest calls running is next, and of equal ones whoever had a turn the longest ago: a key that
//! floods by many sessions, or by calls without one, lets another key's call wait for one turn at most.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};

/// How many calls may wait in all.
pub const MAX_WAITING: usize = 1_024;

/// How many calls of one session, or of one agent without a session, may wait.
pub const MAX_WAITING_OF_ONE: usize = 256;

/// What the calls that wait may hold in all, in bytes.
pub const MAX_WAITING_BYTES: usize = 64 << 20;

/// What the waiting calls of one key, or without a key of one session or agent, may hold, in bytes.
pub const MAX_WAITING_BYTES_OF_ONE: usize = MAX_WAITING_BYTES / 4;

/// How many clients without a running call are remembered for when they had their last turn.
const MAX_REMEMBERED: usize = 4_096;

/// Whose call it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// The key that it was sent with; calls without a key share one turn.
    pub key: Option<String>,
    /// The agent that it was sent for.
    pub agent: Option<String>,
    /// The session that it belongs to.
    pub session: Option<String>,
}

/// Who wants a permit, and what bounds it besides the number of all permits.
#[derive(Debug, Clone, Default)]
pub struct Demand {
    /// Whose call it is.
    pub client: Client,
    /// Names of limits and how many calls under each may run at once.
    pub limits: Vec<(String, usize)>,
    /// What the call holds of memory while it waits, in bytes.
    pub size: usize,
    /// How many answers the client has not read; above zero its calls wait, and others pass them.
    pub unread: Option<watch::Receiver<usize>>,
}

/// Permits for running calls, shared by all.
#[derive(Debug, Clone)]
pub struct Queue {
    state: Arc<Mutex<State>>,
}

/// The permission to run, until it is dropped.
#[derive(Debug)]
pub struct Permit {
    queue: Queue,
    demand: Demand,
}

/// What a call holds of memory while it waits for something before its permit, until it is dropped.
#[derive(Debug)]
pub struct Held {
    queue: Queue,
    payer: Share,
    bytes: usize,
}

/// Why a call may not even wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// As many calls wait as may wait.
    #[error("too many calls wait already; call again later, or raise MCP_MAX_CALLS")]
    ForAll,
    /// As many calls of this session wait as may wait.
    #[error("too many calls of this session wait already; wait for their answers first")]
    ForSession,
    /// The queue is full, and this key has the most calls in it.
    #[error(
        "too many calls wait already, and most are of this key; wait for their answers first, or raise MCP_MAX_CALLS"
    )]
    ForKey,
    /// The calls that wait hold as much as they may.
    #[error(
        "the calls that wait hold too much memory already; call again later, or pass a path to a file"
    )]
    BytesOfAll,
    /// The calls of this client that wait hold as much as they may.
    #[error(
        "the calls of this client that wait hold too much memory already; wait for their answers first, or pass a path to a file"
    )]
    BytesOfClient,
}

#[derive(Debug)]
struct State {
    permits: usize,
    running: usize,
    by_client: HashMap<Share, Turns>,
    by_limit: HashMap<String, usize>,
    /// In the order of their coming.
    waiting: Vec<Waiter>,
    /// What the calls hold that do not wait for a permit yet, in bytes, by who pays.
    held: HashMap<Share, usize>,
    next_ticket: u64,
    /// How many permits were given so far.
    given: u64,
}

/// How many calls of a client run, and when it last had a turn. The smaller is next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Turns {
    running: usize,
    last: u64,
}

/// A key, an agent of a key, or a session of an agent of a key. `None` stands for all calls without one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Share {
    Key(Option<String>),
    Agent(Option<String>, Option<String>),
    Session(Option<String>, Option<String>, Option<String>),
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    demand: Demand,
    turn: oneshot::Sender<Result<Permit, Full>>,
}

/// A call that waits. Dropping it leaves the queue.
struct Ticket<'q> {
    queue: &'q Queue,
    number: u64,
}

impl Client {
    /// The levels at which its calls are counted, from the widest.
    fn levels(&self) -> [Share; 3] {
        let (key, agent) = (self.key.clone(), self.agent.clone());
        [
            Share::Key(key.clone()),
            Share::Agent(key.clone(), agent.clone()),
            Share::Session(key, agent, self.session.clone()),
        ]
    }

    /// The session, or without one the agent; `None` for a call that stands alone.
    fn narrowest(&self) -> Option<Share> {
        let [_, agent, session] = self.levels();
        if self.session.is_some() {
            Some(session)
        } else {
            self.agent.is_some().then_some(agent)
        }
    }

    /// Whose share of the waiting bytes its calls take: the key's, for a key can open many sessions.
    fn payer(&self) -> Share {
        match &self.key {
            Some(key) => Share::Key(Some(key.clone())),
            None => self.narrowest().unwrap_or(Share::Key(None)),
        }
    }
}

impl Demand {
    fn client_reads(&self) -> bool {
        self.unread
            .as_ref()
            .is_none_or(|unread| *unread.borrow() == 0)
    }
}

impl Queue {
    /// A queue before `permits` permits, one at least.
    pub fn new(permits: usize) -> Self {
        let state = State {
            permits: permits.max(1),
            running: 0,
            by_client: HashMap::new(),
            by_limit: HashMap::new(),
            waiting: Vec::new(),
            held: HashMap::new(),
            next_ticket: 0,
            given: 0,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    /// Waits for a permit. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// [`Full`] when the call may not wait, or not any longer.
    pub async fn acquire(&self, demand: Demand) -> Result<Permit, Full> {
        let (turn, my_turn) = oneshot::channel();
        let unread = demand.unread.clone();
        let (ticket, outvoted) = {
            let mut state = self.lock();
            if state.admits(&demand) && !state.someone_is_before(&demand) {
                state.enter(&demand);
                return Ok(Permit {
                    queue: self.clone(),
                    demand,
                });
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

    /// How many calls run and how many wait.
    pub fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.running, state.waiting.len())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
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
            let permit = Permit {
                queue: self.clone(),
                demand: next.demand,
            };
            // Whoever left at this moment drops the permit, which hands it out again.
            let _ = next.turn.send(Ok(permit));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.queue.lock().leave(&self.demand);
        self.queue.hand_out();
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

impl State {
    fn admits(&self, demand: &Demand) -> bool {
        let within = |(name, limit): &(String, usize)| {
            self.by_limit.get(name).copied().unwrap_or(0) < *limit
        };
        let narrowest = demand.client.narrowest();
        self.running < self.permits
            && narrowest.is_none_or(|client| self.turns_of(&client).running < self.most_of_one())
            && demand.limits.iter().all(within)
            && demand.client_reads()
    }

    /// One session alone leaves a quarter of the permits to whoever comes next.
    fn most_of_one(&self) -> usize {
        self.permits - self.permits / 4
    }

    fn turns_of(&self, level: &Share) -> Turns {
        self.by_client.get(level).copied().unwrap_or_default()
    }

    /// Whether somebody waits who could take the permit instead.
    fn someone_is_before(&self, demand: &Demand) -> bool {
        self.waiting.iter().any(|waiter| {
            self.admits(&waiter.demand) && self.turn_of(&waiter.demand) <= self.turn_of(demand)
        })
    }

    /// The fewer calls of a key run, the sooner it is its turn; of equal ones, of an agent of it, and
    /// then of a session.
    fn turn_of(&self, demand: &Demand) -> [Turns; 3] {
        demand.client.levels().map(|level| self.turns_of(&level))
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

    /// Enters a waiter. Where the queue is full, the key with the most calls in it loses its newest.
    fn wait(
        &mut self,
        demand: Demand,
        turn: oneshot::Sender<Result<Permit, Full>>,
    ) -> Result<(u64, Option<Waiter>), Full> {
        let of_session = demand.client.narrowest().map_or(0, |client| {
            let same =
                |waiter: &&Waiter| waiter.demand.client.narrowest().as_ref() == Some(&client);
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
    fn check_bytes(&self, payer: &Share, size: usize) -> Result<(), Full> {
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
    fn outvote(&mut self, key: &Option<String>) -> Option<Waiter> {
        let mut by_key: HashMap<&Option<String>, usize> = HashMap::new();
        for waiter in &self.waiting {
            *by_key.entry(&waiter.demand.client.key).or_default() += 1;
        }
        let own = by_key.get(key).copied().unwrap_or(0);
        let (largest, most) = by_key.into_iter().max_by_key(|(_, count)| *count)?;
        if own + 1 >= most {
            return None;
        }
        let is_of_largest = |waiter: &Waiter| waiter.demand.client.key == *largest;
        let index = self.waiting.iter().rposition(is_of_largest)?;
        Some(self.waiting.remove(index))
    }

    fn enter(&mut self, demand: &Demand) {
        self.running += 1;
        self.given += 1;
        for level in demand.client.levels() {
            let turns = self.by_client.entry(level).or_default();
            turns.running += 1;
            turns.last = self.given;
        }
        for (name, _) in &demand.limits {
            *self.by_limit.entry(name.clone()).or_default() += 1;
        }
    }

    fn leave(&mut self, demand: &Demand) {
        self.running -= 1;
        for level in demand.client.levels() {
            if let Some(turns) = self.by_client.get_mut(&level) {
                turns.running -= 1;
            }
        }
        // Whose turn it was matters only while others wait.
        if self.waiting.is_empty() || self.by_client.len() > MAX_REMEMBERED {
            self.by_client.retain(|_, turns| turns.running > 0);
        }
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
mod tests;
