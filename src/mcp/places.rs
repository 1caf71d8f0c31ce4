//! How many sessions each key holds, and whose make room for whose when there are as many as may be. Knows no session
//! and closes none.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::principal::KeyId;
use super::usage::{Idle, Usage};

/// A session that has been idle for this long makes room for whoever comes.
const FORGOTTEN: Duration = Duration::from_secs(5 * 60);
/// How often the log says of one key that its sessions make room.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// Whose a session is: a key's, or of all who come without one, who are one.
type Whose = Option<KeyId>;

/// The places for sessions, and who has them.
#[derive(Debug)]
pub struct Places {
    max: usize,
    taken: usize,
    /// Keys that hold sessions, no others.
    by_key: HashMap<Whose, Share>,
}

/// The sessions of one key.
#[derive(Debug, Default)]
struct Share {
    open: HashMap<Arc<str>, Arc<Usage>>,
    idle: Arc<Idle>,
    said: Option<Instant>,
}

/// A session that makes room for another.
#[derive(Debug)]
pub struct GivenUp {
    /// How it was used.
    pub usage: Arc<Usage>,
    /// The key that holds it.
    pub key: Whose,
    /// How many that key held.
    pub held: usize,
    /// Whether nothing held it open.
    pub was_idle: bool,
}

/// As many sessions are open as may be, and none of them can make room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub struct AllInUse {
    /// How many may be.
    pub max: usize,
    /// How many of them are of who asked.
    pub own: usize,
    /// Whether that is a key.
    pub with_key: bool,
}

impl fmt::Display for AllInUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max, own, with_key } = *self;
        let whose = if with_key {
            "with your key"
        } else {
            "without a key"
        };
        write!(f, "all {max} sessions are in use, ")?;
        match own {
            0 => write!(
                f,
                "none of them {whose}, and none can make room; try again later"
            )?,
            _ => write!(f, "{own} of them {whose}; end one of these")?,
        }
        f.write_str(", or raise MCP_MAX_SESSIONS")
    }
}

impl Places {
    /// All `max` of them are free.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            taken: 0,
            by_key: HashMap::new(),
        }
    }

    /// Which session is to end so that `key` can have one more; `None` where a place is free. It has to [leave](Self::leave).
    ///
    /// Each choice but the first is a step towards even shares, or leaves them as even as they were, and what is
    /// in use is only ever ended for a step towards them. So no two keys take each other's streams in turn. The first
    /// takes a session that nobody has used for minutes, so it cannot be repeated faster than that.
    ///
    /// # Errors
    /// [`AllInUse`] when none can make room.
    pub fn room_for(&self, key: Whose, now: Instant) -> Result<Option<GivenUp>, AllInUse> {
        if self.taken < self.max {
            return Ok(None);
        }
        let own = self.held_by(key);
        let mut larger: Vec<_> = self.by_key.iter().collect();
        larger.retain(|(_, share)| share.open.len() > own);
        larger.sort_unstable_by_key(|(_, share)| Reverse(share.open.len()));
        let much_larger = || {
            larger
                .iter()
                .filter(|(_, share)| share.open.len() >= own + 2)
        };
        let found = self
            .forgotten(now)
            .or_else(|| much_larger().find_map(|(key, share)| share.idlest(**key)))
            .or_else(|| much_larger().find_map(|(key, share)| share.least_used(**key)))
            .or_else(|| self.by_key.get(&key)?.idlest(key))
            .or_else(|| larger.iter().find_map(|(key, share)| share.idlest(**key)));
        found.map(Some).ok_or(AllInUse {
            max: self.max,
            own,
            with_key: key.is_some(),
        })
    }

    /// A place is taken by a session of this id.
    pub fn enter(&mut self, session: Arc<str>, key: Whose) -> Arc<Usage> {
        let share = self.by_key.entry(key).or_default();
        let usage = Usage::new(Arc::clone(&session), Arc::clone(&share.idle));
        share.open.insert(session, Arc::clone(&usage));
        self.taken += 1;
        usage
    }

    /// The session has ended, and its place is free. Done once for each.
    pub fn leave(&mut self, usage: &Usage, key: Whose) {
        usage.end();
        let Some(share) = self.by_key.get_mut(&key) else {
            return;
        };
        if share.open.remove(usage.session()).is_some() {
            self.taken -= 1;
        }
        if share.open.is_empty() {
            self.by_key.remove(&key);
        }
    }

    /// Whether the log is to say now that sessions of this key make room, which it does once in a minute.
    pub fn is_to_be_said(&mut self, key: Whose, now: Instant) -> bool {
        let Some(share) = self.by_key.get_mut(&key) else {
            return false;
        };
        let is_due = share
            .said
            .is_none_or(|said| now.duration_since(said) >= SAY_EVERY);
        if is_due {
            share.said = Some(now);
        }
        is_due
    }

    fn held_by(&self, key: Whose) -> usize {
        self.by_key.get(&key).map_or(0, |share| share.open.len())
    }

    /// The session that has been idle longest, whoever's, if it has been for minutes.
    fn forgotten(&self, now: Instant) -> Option<GivenUp> {
        let all = self.by_key.iter();
        let idle = all.filter_map(|(key, share)| Some((share.idle.longest()?.0, key, share)));
        let (since, key, share) = idle.min_by_key(|(since, ..)| *since)?;
        if now.duration_since(since) < FORGOTTEN {
            return None;
        }
        share.idlest(*key)
    }
}

impl Share {
    fn idlest(&self, key: Whose) -> Option<GivenUp> {
        let (_, usage) = self.idle.longest()?;
        Some(self.gives_up(usage, key, true))
    }

    /// Of those without a running call the one that was used least recently. A call is never ended for a session of
    /// somebody else: what its program has half done nobody can take back, while a stream can be opened again.
    ///
    /// It looks at all of them, but only when there is one to give up, or when each has a call, and calls are bounded.
    fn least_used(&self, key: Whose) -> Option<GivenUp> {
        let all = self.open.values();
        let used = all.filter_map(|usage| Some((usage.last_used_without_a_call()?, usage)));
        let (_, usage) = used.min_by_key(|(used, _)| *used)?;
        Some(self.gives_up(Arc::clone(usage), key, false))
    }

    fn gives_up(&self, usage: Arc<Usage>, key: Whose, was_idle: bool) -> GivenUp {
        GivenUp {
            usage,
            key,
            held: self.open.len(),
            was_idle,
        }
    }
}

#[cfg(test)]
mod tests;
