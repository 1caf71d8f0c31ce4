//! What a method may know of its caller and of the server. Knows no method and no transport.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::changes::Changes;
use super::messages::{ClientDetails, LogLevel};
use super::outbox::Outbox;
use super::principal::{Principal, Transport};
use super::request_state::Sealer;
use super::revision::Revision;
use super::round_trips::RoundTrips;
use super::server_requests::ServerRequests;
use crate::call::types::Caller;
use crate::catalog::Catalog;
use crate::governor::{Client, Governor};
use crate::letta::Letta;
use crate::telemetry::Counters;

/// What all clients share.
#[derive(Debug)]
pub struct Services {
    /// The tools.
    pub catalog: Catalog,
    /// Until when first answers wait for plugins that are still being asked.
    pub discovery_deadline: Instant,
    /// Who is told when lists and resources change.
    pub changes: Changes,
    /// Signs the request states that travel through clients.
    pub sealer: Sealer,
    /// Which tools each client sees.
    pub governor: Governor,
    /// The agents' secrets.
    pub letta: Letta,
    /// What is counted.
    pub counters: Counters,
    /// Owns every task that the server starts.
    pub tasks: TaskTracker,
    /// Cancelled when the server begins to stop: new work is refused.
    pub draining: CancellationToken,
}

/// One request's surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// What all clients share.
    pub services: Arc<Services>,
    /// Through which transport it came.
    pub transport: Transport,
    /// The rules that hold for it.
    pub revision: Revision,
    /// Its session's id; empty where there is none.
    pub session: String,
    /// Who sent it.
    pub principal: Principal,
    /// What the client said of itself.
    pub client: Arc<ClientDetails>,
    /// The least grave log message that the client wants; `None` where it wants none.
    pub log_level: Option<LogLevel>,
    /// Where notifications that belong to the request go; `None` where they reach nobody.
    pub outbox: Option<Arc<Outbox>>,
    /// Where the client can be asked; `None` where it cannot.
    pub server_requests: Option<Arc<ServerRequests>>,
    /// What a request without a session brought for its server_requests; `None` where it has none.
    pub round_trips: Option<Arc<RoundTrips>>,
    /// Cancelled when the request is.
    pub cancel: CancellationToken,
}

impl Context {
    /// On whose behalf a plugin runs for this request.
    pub async fn caller(&self) -> Caller {
        Caller {
            key: self.principal.key.map(|key| key.to_string()),
            call_id: uuid::Uuid::new_v4().simple().to_string(),
            session_id: self.session.clone(),
            agent_id: self.principal.agent.clone(),
            client: self.client.for_plugin(self.revision),
            capabilities: self.client.declared(),
            environment: self
                .services
                .letta
                .environment_for(self.principal.agent.as_deref())
                .await,
            unread: self.outbox.as_ref().map(|outbox| outbox.unread()),
        }
    }

    /// Whose attachments hold for this request.
    pub fn governed(&self) -> Client {
        let key = self.principal.key.map(|key| *key.digest());
        if self.revision.has_handshake() {
            Client::of(self.principal.agent.as_deref(), key, Some(&self.session))
        } else {
            Client::by_authorization(key)
        }
    }
}
