//! The memory for everything that waits for clients: answers, events, what is kept for a client
//! that comes back. One budget for the server, with shares for each key and each client.
//!
//! A line counts from the moment it is written until the last copy of it is gone, wherever it waits.
//! Knows no line's meaning and no transport.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;

use super::principal::KeyId;
use crate::telemetry::ByteCount;

/// What waits for clients at most by default, in bytes.
pub const DEFAULT_BYTES: usize = 256 << 20;
/// How long an answer waits for room before it is given up.
const WAIT_LIMIT: Duration = Duration::from_secs(5);
/// A client that has taken nothing for this long may be cut for the sake of others.
const STALLED: Duration = Duration::from_secs(1);

/// There is no room, and none became free in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "too much waits for clients that do not read; read the answers, ask for less, or raise MCP_MAX_WAITING_BYTES"
)]
pub struct NoRoom;

/// Who holds the lines of an account.
pub trait Holder: Send + Sync + std::fmt::Debug {
    /// Gives back the oldest of what is kept for convenience, such as events that were sent already;
    /// whether there was anything.
    fn give_back(&self) -> bool;

    /// Drops what waits: others need the memory, and the client has taken nothing for longest.
    fn cut(&self);

    /// Drops what a reader could have taken for `limit` without taking any of it.
    fn cut_if_stalled(&self, limit: Duration);
}

/// The budget of the server.
#[derive(Debug)]
pub struct Budget {
    max_bytes: usize,
    state: Mutex<State>,
    room: Notify,
    /// What clients have taken of it.
    sent: ByteCount,
}

#[derive(Debug, Default)]
struct State {
    used: usize,
    /// Bytes of lines that wait for room.
    waiting: usize,
    by_key: HashMap<Option<KeyId>, usize>,
    accounts: HashMap<u64, Entry>,
    opened: u64,
}

#[derive(Debug)]
struct Entry {
    account: Weak<Account>,
    used: usize,
    moved: Instant,
}

/// What one client uses of the budget: a session, or a request without one.
#[derive(Debug)]
pub struct Account {
    budget: Arc<Budget>,
    number: u64,
    key: Option<KeyId>,
    holder: Mutex<Option<Weak<dyn Holder>>>,
}

/// Bytes of a budget that are taken until this is dropped.
#[derive(Debug)]
pub struct Reserved {
    account: Arc<Account>,
    bytes: usize,
}

/// A line with its place in the budget.
#[derive(Debug)]
pub struct Counted {
    text: Bytes,
    reserved: Reserved,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(DEFAULT_BYTES)
    }
}

impl Budget {
    /// A budget of `max_bytes` bytes. One key may use half of it, one client a quarter.
    pub fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            state: Mutex::default(),
            room: Notify::new(),
            sent: ByteCount::default(),
        }
    }

    /// The same, which counts in `sent` what clients take.
    pub fn counting(self, sent: ByteCount) -> Self {
        Self { sent, ..self }
    }

    /// Opens an account for one client.
    pub fn open(self: &Arc<Self>, key: Option<KeyId>) -> Arc<Account> {
        let mut state = self.lock();
        state.opened += 1;
        let number = state.opened;
        let account = Arc::new(Account {
            budget: Arc::clone(self),
            number,
            key,
            holder: Mutex::default(),
        });
        let entry = Entry {
            account: Arc::downgrade(&account),
            used: 0,
            moved: Instant::now(),
        };
        state.accounts.insert(number, entry);
        account
    }

    /// Drops what readers have stalled on for `limit`.
    pub fn cut_stalled(&self, limit: Duration) {
        let accounts: Vec<_> = {
            let state = self.lock();
            let entries = state.accounts.values();
            entries
                .filter_map(|entry| entry.account.upgrade())
                .collect()
        };
        for holder in accounts.iter().filter_map(|account| account.holder()) {
            holder.cut_if_stalled(limit);
        }
    }

    /// How many bytes may wait for clients.
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Bytes that wait for clients now.
    pub fn used(&self) -> usize {
        self.lock().used
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which share is used up.
enum Short {
    Client,
    Key,
    All,
}

impl Account {
    /// Names who holds its lines.
    pub fn held_by(&self, holder: Weak<dyn Holder>) {
        *self.holder_slot() = Some(holder);
    }

    fn holder(&self) -> Option<Arc<dyn Holder>> {
        self.holder_slot().as_ref().and_then(Weak::upgrade)
    }

    fn holder_slot(&self) -> MutexGuard<'_, Option<Weak<dyn Holder>>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client has taken some bytes.
    pub fn moved(&self) {
        if let Some(entry) = self.budget.lock().accounts.get_mut(&self.number) {
            entry.moved = Instant::now();
        }
    }

    /// The client takes a whole message of so many bytes. One that is sent again is taken once.
    pub fn takes(&self, bytes: usize) {
        self.budget.sent.add(bytes);
    }

    /// Counts a line that must not be lost, such as a short error. Above the budget it is counted all
    /// the same, and the client that has taken nothing for longest makes room.
    pub fn count(self: &Arc<Self>, text: Bytes) -> Counted {
        let bytes = text.len();
        let mut state = self.budget.lock();
        self.enter(&mut state, bytes);
        let is_over = state.used > self.budget.max_bytes;
        drop(state);
        if is_over && !self.make_room(&Short::All) {
            self.cut_the_longest_stalled(&Short::All);
        }
        Counted {
            text,
            reserved: self.reserved(bytes),
        }
    }

    /// Counts a line if there is room.
    ///
    /// # Errors
    /// [`NoRoom`] where there is none, and none can be made at once.
    pub fn try_count(self: &Arc<Self>, text: Bytes) -> Result<Counted, NoRoom> {
        let bytes = text.len();
        while let Err(short) = self.try_enter(bytes) {
            if !self.make_room(&short) {
                return Err(NoRoom);
            }
        }
        Ok(Counted {
            text,
            reserved: self.reserved(bytes),
        })
    }

    /// Counts a line as soon as there is room.
    ///
    /// # Errors
    /// [`NoRoom`] when none became free within five seconds, or when too much waits like this already.
    pub async fn count_soon(self: &Arc<Self>, text: Bytes) -> Result<Counted, NoRoom> {
        let bytes = text.len();
        if self.make_room_for(bytes) {
            return Ok(Counted {
                text,
                reserved: self.reserved(bytes),
            });
        }
        let _waiting = Waiting::join(&self.budget, bytes)?;
        let entered = tokio::time::timeout(WAIT_LIMIT, async {
            loop {
                let room = self.budget.room.notified();
                tokio::pin!(room);
                // Registered before the look, so that room made in between is not missed.
                room.as_mut().enable();
                if self.make_room_for(bytes) {
                    return;
                }
                // Clients become stalled by the passing of time alone.
                let _ = tokio::time::timeout(STALLED, room).await;
            }
        });
        entered.await.map_err(|_| NoRoom)?;
        Ok(Counted {
            text,
            reserved: self.reserved(bytes),
        })
    }

    fn make_room_for(&self, bytes: usize) -> bool {
        loop {
            match self.try_enter(bytes) {
                Ok(()) => return true,
                Err(short) if self.make_room(&short) => {}
                Err(Short::Client) => return false,
                Err(short) => {
                    self.cut_the_longest_stalled(&short);
                    return false;
                }
            }
        }
    }

    fn try_enter(&self, bytes: usize) -> Result<(), Short> {
        let max_bytes = self.budget.max_bytes;
        let mut state = self.budget.lock();
        let own = state
            .accounts
            .get(&self.number)
            .map_or(0, |entry| entry.used);
        let of_key = state.by_key.get(&self.key).copied().unwrap_or(0);
        // A single line of a client is let in above its share, else a long one would never go.
        if own > 0 && own + bytes > max_bytes / 4 {
            return Err(Short::Client);
        }
        if of_key > 0 && of_key + bytes > max_bytes / 2 {
            return Err(Short::Key);
        }
        if state.used > 0 && state.used + bytes > max_bytes {
            return Err(Short::All);
        }
        self.enter(&mut state, bytes);
        Ok(())
    }

    fn enter(&self, state: &mut State, bytes: usize) {
        state.used += bytes;
        *state.by_key.entry(self.key).or_default() += bytes;
        if let Some(entry) = state.accounts.get_mut(&self.number) {
            if entry.used == 0 {
                // What was taken long ago says nothing of what begins to wait now.
                entry.moved = Instant::now();
            }
            entry.used += bytes;
        }
    }

    fn reserved(self: &Arc<Self>, bytes: usize) -> Reserved {
        Reserved {
            account: Arc::clone(self),
            bytes,
        }
    }

    fn leave(&self, bytes: usize) {
        let mut state = self.budget.lock();
        state.used -= bytes;
        if let Some(of_key) = state.by_key.get_mut(&self.key) {
            *of_key -= bytes;
            if *of_key == 0 {
                state.by_key.remove(&self.key);
            }
        }
        if let Some(entry) = state.accounts.get_mut(&self.number) {
            entry.used -= bytes;
        }
        drop(state);
        self.budget.room.notify_waiters();
    }

    /// Those who could make room for this account, the one that took nothing for longest first.
    fn rivals(&self, short: &Short) -> Vec<(Duration, Arc<Self>)> {
        let state = self.budget.lock();
        let entries = state.accounts.values().filter(|entry| entry.used > 0);
        let mut rivals: Vec<_> = entries
            .filter_map(|entry| Some((entry.moved.elapsed(), entry.account.upgrade()?)))
            .collect();
        // Outside of the lock: the last holder of an account takes it on leaving.
        drop(state);
        rivals.retain(|(_, rival)| match short {
            Short::Client => rival.number == self.number,
            Short::Key => rival.key == self.key,
            Short::All => true,
        });
        rivals.sort_by_key(|(stalled, _)| std::cmp::Reverse(*stalled));
        rivals
    }

    fn make_room(&self, short: &Short) -> bool {
        let mut rivals = self.rivals(short).into_iter();
        rivals.any(|(_, rival)| rival.holder().is_some_and(|holder| holder.give_back()))
    }

    fn cut_the_longest_stalled(&self, short: &Short) {
        for (stalled, rival) in self.rivals(short) {
            if stalled < STALLED {
                return;
            }
            if let Some(holder) = rival.holder().filter(|_| rival.number != self.number) {
                holder.cut();
                return;
            }
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.budget.lock().accounts.remove(&self.number);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.account.leave(self.bytes);
        }
    }
}

impl Reserved {
    /// Takes over what another has reserved of the same account.
    fn absorb(&mut self, mut other: Self) {
        debug_assert!(self.account.number == other.account.number);
        self.bytes += std::mem::take(&mut other.bytes);
    }
}

impl Counted {
    /// How long it is, in bytes.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The line, whose last copy gives its place back.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }

    /// The answers of a batch as one array. Each is let go of once it is copied.
    pub fn array(answers: Vec<Self>) -> Option<Self> {
        let length = answers.iter().map(|answer| answer.len() + 1).sum::<usize>() + 1;
        let mut text = Vec::with_capacity(length);
        let mut reserved: Option<Reserved> = None;
        for answer in answers {
            text.push(if text.is_empty() { b'[' } else { b',' });
            text.extend_from_slice(&answer.text);
            match &mut reserved {
                Some(reserved) => reserved.absorb(answer.reserved),
                None => reserved = Some(answer.reserved),
            }
        }
        text.push(b']');
        Some(Self {
            text: text.into(),
            reserved: reserved?,
        })
    }
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

/// A line that waits for room, itself within a quarter of the budget.
struct Waiting<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl<'a> Waiting<'a> {
    fn join(budget: &'a Budget, bytes: usize) -> Result<Self, NoRoom> {
        let mut state = budget.lock();
        if state.waiting + bytes > budget.max_bytes / 4 {
            return Err(NoRoom);
        }
        state.waiting += bytes;
        Ok(Self { budget, bytes })
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.budget.lock().waiting -= self.bytes;
    }
}

#[cfg(test)]
mod tests;
