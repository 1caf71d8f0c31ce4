//! Who has what attached. Knows names of tools and profiles, no catalogue and no session.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::profiles::Profile;

/// How long the attachments of an agent or a program outlive its last request: both may connect anew for each call.
const RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// Agents and programs whose attachments are kept; beyond it the one unheard of for longest is forgotten.
const MAX_REMEMBERED: usize = 10_000;
/// How many programs without a key are remembered beside them.
const MAX_PROGRAMS: usize = 1_000;
/// The longest id of an agent or name of a program that counts as one, in bytes; real ids have 42.
const MAX_NAME: usize = 256;

/// Whose attachments hold for a request.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Client {
    /// The agent that `X-Agent-Id` names, over however many connections, as far as one key speaks for it:
    /// another key that names the same agent is another client.
    Agent {
        /// Its id.
        id: String,
        /// The key (its SHA-256) that the request showed; `None` where no key is needed.
        key: Option<[u8; 32]>,
    },
    /// Everybody who holds this key (its SHA-256).
    Key([u8; 32]),
    /// Whoever calls itself so and comes from there, over however many connections.
    Program {
        /// The name in `clientInfo`.
        name: String,
        /// The address that it connects from.
        address: IpAddr,
    },
    /// One session.
    Session(String),
    /// Whoever asks without any of these: direct mode without a key.
    Process,
    /// Nobody in particular: the start profile holds and cannot be changed.
    Nobody,
}

impl Client {
    /// Under revisions with sessions, and in direct mode: the key's agent, else the key, else the program by its
    /// name and address, else the session, else the process.
    pub fn of(
        agent: Option<&str>,
        key: Option<[u8; 32]>,
        program: Option<(&str, IpAddr)>,
        session: Option<&str>,
    ) -> Self {
        let counts = |name: &&str| !name.is_empty() && name.len() <= MAX_NAME;
        let program = program.filter(|(name, _)| counts(name));
        let session = session.filter(|id| !id.is_empty());
        match (agent.filter(counts), key, program, session) {
            (Some(id), key, _, _) => Self::Agent {
                id: id.to_owned(),
                key,
            },
            (None, Some(key), _, _) => Self::Key(key),
            (None, None, Some((name, address)), _) => Self::Program {
                name: name.to_owned(),
                address,
            },
            (None, None, None, Some(id)) => Self::Session(id.to_owned()),
            (None, None, None, None) => Self::Process,
        }
    }

    /// Whether its attachments outlive its connection, for a time: nothing says when it has gone for good.
    fn is_remembered(&self) -> bool {
        matches!(self, Self::Agent { .. } | Self::Program { .. })
    }

    /// Under 2026-07-28, whose lists may vary by authorization and by nothing else: the key, else nobody.
    pub fn by_authorization(key: Option<[u8; 32]>) -> Self {
        key.map_or(Self::Nobody, Self::Key)
    }
}

impl fmt::Debug for Client {
    /// As logs name it: of a key only as much as tells keys apart, too little to search for one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent { id, key: None } => write!(f, "agent {id:?}"),
            Self::Agent { id, key: Some(key) } => {
                write!(f, "agent {id:?} of key {}", beginning(key))
            }
            Self::Key(key) => write!(f, "key {}", beginning(key)),
            Self::Program { name, address } => write!(f, "program {name:?} at {address}"),
            Self::Session(id) => write!(f, "session {id:?}"),
            Self::Process => f.write_str("process"),
            Self::Nobody => f.write_str("nobody"),
        }
    }
}

/// As much of a key's digest as tells keys apart.
fn beginning(key: &[u8; 32]) -> String {
    key[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What one client has attached: a profile, and the exceptions that were made from it.
///
/// It is a rule and no list, so a tool that appears later is judged like those that were there.
#[derive(Debug, Clone)]
pub struct Attached {
    profile: Arc<Profile>,
    added: BTreeSet<String>,
    removed: BTreeSet<String>,
}

impl Attached {
    /// What the profile gives, without exceptions.
    pub fn by(profile: Arc<Profile>) -> Self {
        Self {
            profile,
            added: BTreeSet::new(),
            removed: BTreeSet::new(),
        }
    }

    /// The profile that was attached last.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Whether a tool of this name is attached.
    pub fn holds(&self, tool: &str) -> bool {
        !self.removed.contains(tool) && (self.added.contains(tool) || self.profile.admits(tool))
    }

    /// Whether whatever there is, is attached.
    pub fn holds_all(&self) -> bool {
        self.profile.admits_all() && self.removed.is_empty()
    }

    /// Attaches one more tool.
    pub fn add(&mut self, tool: &str) {
        self.removed.remove(tool);
        if !self.profile.admits(tool) {
            self.added.insert(tool.to_owned());
        }
    }

    /// Detaches a tool, also one that the profile gives.
    pub fn remove(&mut self, tool: &str) {
        self.added.remove(tool);
        if self.profile.admits(tool) {
            self.removed.insert(tool.to_owned());
        }
    }

    /// Tools that were attached by name and not by the profile.
    pub fn added(&self) -> impl Iterator<Item = &str> {
        self.added.iter().map(String::as_str)
    }

    /// How many exceptions from the profile there are.
    pub fn exceptions(&self) -> usize {
        self.added.len() + self.removed.len()
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.profile, &other.profile)
            && self.added == other.added
            && self.removed == other.removed
    }
}

/// The attachments of all clients. Only those that differ from the start take memory.
#[derive(Debug)]
pub struct Attachments {
    start: Arc<Attached>,
    changed: Mutex<Changed>,
}

#[derive(Debug, Default)]
struct Changed {
    /// Those of agents and programs, which expire.
    remembered: HashMap<Client, Remembered>,
    others: HashMap<Client, Arc<Attached>>,
}

#[derive(Debug)]
struct Remembered {
    attached: Arc<Attached>,
    used: Instant,
}

impl Attachments {
    /// Every client starts with `profile`.
    pub fn new(profile: Arc<Profile>) -> Self {
        Self {
            start: Arc::new(Attached::by(profile)),
            changed: Mutex::default(),
        }
    }

    /// What `who` has attached at this moment.
    pub fn of(&self, who: &Client, now: Instant) -> Arc<Attached> {
        let mut changed = self.lock();
        let found = match who {
            Client::Nobody => None,
            who if who.is_remembered() => changed.recall(who, now),
            other => changed.others.get(other).cloned(),
        };
        found.unwrap_or_else(|| Arc::clone(&self.start))
    }

    /// Changes what `who` has attached.
    ///
    /// # Errors
    /// What `change` refuses, which leaves everything as it was.
    pub fn change<T, E>(
        &self,
        who: &Client,
        now: Instant,
        change: impl FnOnce(&mut Attached) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut changed = self.lock();
        let found = match who {
            who if who.is_remembered() => changed.recall(who, now),
            other => changed.others.get(other).cloned(),
        };
        let mut attached = (*found.unwrap_or_else(|| Arc::clone(&self.start))).clone();
        let outcome = change(&mut attached)?;
        if *who != Client::Nobody {
            changed.keep(who, attached, &self.start, now);
        }
        Ok(outcome)
    }

    /// Forgets a session that has ended. Agents, keys and programs outlive their sessions.
    pub fn forget_session(&self, id: &str) {
        self.lock().others.remove(&Client::Session(id.to_owned()));
    }

    // A panic elsewhere leaves whole entries behind: each change is one insert or one remove.
    fn lock(&self) -> MutexGuard<'_, Changed> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Changed {
    fn recall(&mut self, who: &Client, now: Instant) -> Option<Arc<Attached>> {
        let known = self.remembered.get_mut(who)?;
        if now.saturating_duration_since(known.used) >= RETENTION {
            self.remembered.remove(who);
            return None;
        }
        known.used = now;
        Some(Arc::clone(&known.attached))
    }

    fn keep(&mut self, who: &Client, attached: Attached, start: &Attached, now: Instant) {
        // Whoever is back at the start costs nothing any more.
        let attached = (!attached.is(start)).then(|| Arc::new(attached));
        match (who, attached) {
            (who, Some(attached)) if who.is_remembered() => {
                if !self.remembered.contains_key(who) {
                    self.make_room(who, now);
                }
                let remembered = Remembered {
                    attached,
                    used: now,
                };
                self.remembered.insert(who.clone(), remembered);
            }
            (who, None) if who.is_remembered() => drop(self.remembered.remove(who)),
            (other, Some(attached)) => drop(self.others.insert(other.clone(), attached)),
            (other, None) => drop(self.others.remove(other)),
        }
    }

    /// Makes room for one more of `who`'s kind. Names of programs are made up freely, so they never drive out agents.
    fn make_room(&mut self, who: &Client, now: Instant) {
        let is_program = |known: &Client| matches!(known, Client::Program { .. });
        let same = |known: &Client| is_program(known) == is_program(who);
        let most = if is_program(who) {
            MAX_PROGRAMS
        } else {
            MAX_REMEMBERED
        };
        let is_full = |all: &HashMap<Client, Remembered>| {
            all.keys().filter(|known| same(known)).count() >= most
        };
        if !is_full(&self.remembered) {
            return;
        }
        self.remembered
            .retain(|_, known| now.saturating_duration_since(known.used) < RETENTION);
        if !is_full(&self.remembered) {
            return;
        }
        let alike = self.remembered.iter().filter(|(known, _)| same(known));
        let oldest = alike.min_by_key(|(_, known)| known.used);
        if let Some(oldest) = oldest.map(|(who, _)| who.clone()) {
            self.remembered.remove(&oldest);
        }
    }
}
