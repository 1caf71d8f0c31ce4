//! Whose call it is, and at which levels it counts.

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
