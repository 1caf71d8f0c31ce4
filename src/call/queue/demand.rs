//! Who wants permits, what bounds them, and why a call may not wait for them.

use tokio::sync::watch;

/// How many calls may wait in all.
pub const MAX_WAITING: usize = 1_024;

/// How many calls of one session, or of one agent without a session, may wait.
pub const MAX_WAITING_OF_ONE: usize = 256;

/// What the calls that wait may hold in all, in bytes.
pub const MAX_WAITING_BYTES: usize = 64 << 20;

/// What the waiting calls of one key, or without a key of one session or agent, may hold, in bytes.
pub const MAX_WAITING_BYTES_OF_ONE: usize = MAX_WAITING_BYTES / 4;

/// What the calls in progress may have been asked with in all, in bytes; a larger call waits until it is alone.
pub const MAX_RUNNING_BYTES: usize = 128 << 20;

/// How many calls the two gates let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Calls in progress.
    pub running: usize,
    /// Calls that start or compute.
    pub computing: usize,
}

/// Who wants permits, and what bounds it besides the number of all permits.
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

/// A key, an agent of a key, or a session of an agent of a key. `None` stands for all calls without one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Share {
    Key(Option<String>),
    Agent(Option<String>, Option<String>),
    Session(Option<String>, Option<String>, Option<String>),
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

impl Client {
    /// The levels at which its calls are counted, from the widest.
    pub(super) fn levels(&self) -> [Share; 3] {
        let (key, agent) = (self.key.clone(), self.agent.clone());
        [
            Share::Key(key.clone()),
            Share::Agent(key.clone(), agent.clone()),
            Share::Session(key, agent, self.session.clone()),
        ]
    }

    /// The session, or without one the agent; `None` for a call that stands alone.
    pub(super) fn narrowest(&self) -> Option<Share> {
        let [_, agent, session] = self.levels();
        if self.session.is_some() {
            Some(session)
        } else {
            self.agent.is_some().then_some(agent)
        }
    }

    /// Whose share of the waiting bytes its calls take: the key's, for a key can open many sessions.
    pub(super) fn payer(&self) -> Share {
        match &self.key {
            Some(key) => Share::Key(Some(key.clone())),
            None => self.narrowest().unwrap_or(Share::Key(None)),
        }
    }
}

impl Bounds {
    /// At least one of each, and no more to compute than to run.
    pub(super) fn usable(self) -> Self {
        let running = self.running.max(1);
        let computing = self.computing.clamp(1, running);
        Self { running, computing }
    }

    /// One session alone leaves a quarter of the permits to whoever comes next.
    pub(super) fn of_one_session(self) -> Self {
        Self {
            running: self.running - self.running / 4,
            computing: self.computing - self.computing / 4,
        }
    }
}

impl Demand {
    pub(super) fn client_reads(&self) -> bool {
        self.unread
            .as_ref()
            .is_none_or(|unread| *unread.borrow() == 0)
    }
}
