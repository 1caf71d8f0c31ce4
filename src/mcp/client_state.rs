//! What a session remembers of its client between requests. Knows no handler.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard};

use super::changes::Change;
use super::messages::{ClientDetails, LogLevel};
use super::method::Family;
use super::revision::Revision;
use crate::call::types::Listed;
use crate::governor::Client;
use crate::jsonrpc::{self, RpcError};

/// How many resources a session may subscribe to.
pub const MAX_SUBSCRIPTIONS: usize = 1024;

/// A session's handshake, its log level, its subscriptions, and what it has seen of the lists.
#[derive(Debug, Default)]
pub struct ClientState(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    handshake: Option<Handshake>,
    log_level: LogLevel,
    subscriptions: HashSet<String>,
    /// What the answer to the handshake says that the server has.
    offered: Vec<Family>,
    /// The generation of the catalogue at the handshake, and when each list was last asked for.
    catalogue: u64,
    asked_for: HashMap<Listed, u64>,
}

/// What `initialize` settled.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The revision that both sides speak.
    pub revision: Revision,
    /// What the client said of itself.
    pub client: Arc<ClientDetails>,
}

impl ClientState {
    /// The handshake, once there was one.
    pub fn handshake(&self) -> Option<Handshake> {
        self.lock().handshake.clone()
    }

    /// The revision that was agreed on.
    pub fn revision(&self) -> Option<Revision> {
        self.lock().handshake.as_ref().map(|known| known.revision)
    }

    /// Settles the handshake, which is done once. `offered` is what its answer says that the server has, in the
    /// catalogue of the generation `catalogue`.
    ///
    /// # Errors
    /// [`INVALID_REQUEST`](jsonrpc::INVALID_REQUEST) for a second one.
    pub fn settle(
        &self,
        handshake: Handshake,
        offered: Vec<Family>,
        catalogue: u64,
    ) -> Result<(), RpcError> {
        let mut state = self.lock();
        if state.handshake.is_some() {
            return Err(initialized_already());
        }
        state.offered = offered;
        state.catalogue = catalogue;
        state.handshake = Some(handshake);
        Ok(())
    }

    /// Whether the answer to the handshake says that the server has this.
    pub fn was_offered(&self, family: Family) -> bool {
        self.lock().offered.contains(&family)
    }

    /// The least grave log message that the client wants.
    pub fn log_level(&self) -> LogLevel {
        self.lock().log_level
    }

    /// Sets the least grave log message that the client wants.
    pub fn set_log_level(&self, level: LogLevel) {
        self.lock().log_level = level;
    }

    /// Notes that the client wants to hear of a resource.
    ///
    /// # Errors
    /// [`INVALID_PARAMS`](jsonrpc::INVALID_PARAMS) when it has too many subscriptions.
    pub fn subscribe(&self, uri: String) -> Result<(), RpcError> {
        let mut state = self.lock();
        if state.subscriptions.len() >= MAX_SUBSCRIPTIONS && !state.subscriptions.contains(&uri) {
            return Err(RpcError::invalid_params(format!(
                "this session has {MAX_SUBSCRIPTIONS} subscriptions, which is the limit; send resources/unsubscribe first"
            )));
        }
        state.subscriptions.insert(uri);
        Ok(())
    }

    /// Notes that the client no longer wants to hear of a resource.
    pub fn unsubscribe(&self, uri: &str) {
        self.lock().subscriptions.remove(uri);
    }

    /// Notes that a list of this generation is about to be read: a change in between is then
    /// notified of rather than lost.
    pub fn reads(&self, list: Listed, generation: u64) {
        self.lock().asked_for.insert(list, generation);
    }

    /// Whether the client is to be notified of a change. `client` is who it is for the governor.
    pub fn wants(&self, change: &Change, client: &Client) -> bool {
        let state = self.lock();
        state.handshake.is_some()
            && match change {
                // What the client could read already is no news; and short-lived clients that shut
                // down while an unneeded notification comes in have been seen to fail.
                Change::Catalogue(list, generation) => {
                    let seen = state.asked_for.get(list).copied();
                    state.offered.contains(&Family::of(*list))
                        && seen.unwrap_or(state.catalogue) < *generation
                }
                Change::ToolsOf(changed) => changed == client,
                Change::Resource(uri) => state.subscriptions.contains(uri),
            }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

/// The error for a second `initialize`.
pub fn initialized_already() -> RpcError {
    RpcError::new(
        jsonrpc::INVALID_REQUEST,
        "this session is initialized already; open another one to begin anew",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready() -> ClientState {
        let state = ClientState::default();
        let handshake = Handshake {
            revision: Revision::V2025_11_25,
            client: Arc::default(),
        };
        let offered = vec![Family::Tools, Family::Prompts];
        state.settle(handshake, offered, 1).unwrap();
        state
    }

    #[test]
    fn a_second_handshake_is_refused_and_changes_nothing() {
        let state = ready();
        let second = Handshake {
            revision: Revision::V2024_11_05,
            client: Arc::default(),
        };
        assert!(state.settle(second, Vec::new(), 2).is_err());
        assert_eq!(state.revision(), Some(Revision::V2025_11_25));
    }

    #[test]
    fn subscriptions_are_capped_and_a_known_one_may_be_repeated() {
        let state = ready();
        for number in 0..MAX_SUBSCRIPTIONS {
            state.subscribe(format!("r:{number}")).unwrap();
        }
        assert!(state.subscribe("r:0".to_owned()).is_ok());
        let refused = state.subscribe("r:more".to_owned()).unwrap_err();
        assert!(refused.message.contains("unsubscribe"), "{refused}");
        state.unsubscribe("r:0");
        assert!(state.subscribe("r:more".to_owned()).is_ok());
    }

    #[test]
    fn a_list_that_was_read_since_it_changed_is_no_news() {
        let state = ready();
        let who = Client::by_authorization(None);
        let change = Change::Catalogue(Listed::Tools, 2);
        assert!(state.wants(&change, &who));
        state.reads(Listed::Tools, 2);
        assert!(!state.wants(&change, &who));
        assert!(state.wants(&Change::Catalogue(Listed::Prompts, 2), &who));
        assert!(!ClientState::default().wants(&change, &who), "no handshake");
    }

    #[test]
    fn a_list_that_was_not_offered_is_no_news() {
        let state = ready();
        let who = Client::by_authorization(None);
        assert!(!state.wants(&Change::Catalogue(Listed::Resources, 2), &who));
        assert!(!state.was_offered(Family::Resources));
        assert!(state.was_offered(Family::Prompts));
    }
}
