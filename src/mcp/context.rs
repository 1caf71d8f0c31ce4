//! What a method may know of its caller and of the server. Knows no method and no transport: what a
//! method must know of either is a capability here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::activity::{Activity, NewCall, Watched};
use super::budget::{Account, Budget};
use super::changes::Changes;
use super::client_state::ClientState;
use super::messages::{ClientDetails, LogLevel};
use super::method::{Method, Setting};
use super::outbox::Outbox;
use super::principal::{KeyId, Principal, Transport};
use super::request_state::Sealer;
use super::revision::Revision;
use super::round_trips::RoundTrips;
use super::server_requests::ServerRequests;
use crate::call::types::Caller;
use crate::catalog::Catalog;
use crate::governor::{Client, Governor};
use crate::letta::Letta;
use crate::services::PluginServices;
use crate::shutdown::ReadinessChecks;
use crate::tasks::{Live, Owner, Tasks};
use crate::telemetry::Counters;
use crate::telemetry::trace::{Trace, Tracer};

/// What all clients share.
#[derive(Debug)]
pub struct Services {
    /// The tools.
    pub catalog: Catalog,
    /// Until when first answers wait for plugins that are still being asked.
    pub discovery_deadline: Instant,
    /// How long lists wait for them, from when the first of them could be asked.
    pub list_wait: Duration,
    /// Distributes notices of changed lists and resources.
    pub changes: Changes,
    /// What runs for as long as plugins are served.
    pub plugin_services: PluginServices,
    /// The calls that run, and the last ones.
    pub activity: Activity,
    /// Signs the request states that travel through clients.
    pub sealer: Sealer,
    /// Which tools each client sees.
    pub governor: Governor,
    /// The agents' secrets.
    pub letta: Arc<Letta>,
    /// The memory for everything that waits for clients.
    pub budget: Arc<Budget>,
    /// Calls whose results outlive the connection that asked for them.
    pub kept: Tasks,
    /// What is counted.
    pub counters: Counters,
    /// Records spans, or passes traces on.
    pub tracer: Tracer,
    /// Owns every task that the server starts.
    pub tasks: TaskTracker,
    /// Cancelled when the server is going to stop: it is not ready any more, and refuses nothing yet.
    pub leaving: CancellationToken,
    /// Where it is noted that somebody asks whether the server is ready.
    pub readiness_checks: ReadinessChecks,
    /// Cancelled when the server begins to stop: new work is refused.
    pub draining: CancellationToken,
    /// Cancelled when requests have had the time that a stopping server leaves them: what still runs is ended, and
    /// its client told.
    pub overdue: CancellationToken,
}

/// How the client of a request can be asked something while it runs.
#[derive(Debug, Clone)]
pub enum Asking {
    /// By requests of this server on the request's stream.
    Session(Arc<ServerRequests>),
    /// By ending the request with questions, which the client repeats with the answers (2026-07-28).
    RoundTrips(Arc<RoundTrips>),
    /// By the questions of the task that it runs in, which its owner answers when it looks at the task.
    Task(Arc<Live>),
    /// As before, and once the run is kept, by the questions of its task (2026-07-28).
    Turning(Arc<RoundTrips>, Arc<Live>),
    /// Not at all.
    Nobody,
}

/// What it means that a request has ended before its answer.
#[derive(Debug, Clone)]
pub enum Ending {
    /// Its client wants it no more: one that goes says so by that.
    Cancels,
    /// Its client has gone and may come back, unless it has said before that it wants it no more. What came first is
    /// stored where it came: whoever looks later could not tell.
    Leaves(Arc<AtomicBool>),
}

impl Ending {
    /// The client says that it wants the request no more.
    pub fn cancelled_by_client(&self) {
        if let Self::Leaves(cancelled) = self {
            cancelled.store(true, Ordering::SeqCst);
        }
    }

    /// Whether the client wants it no more.
    pub fn cancels(&self) -> bool {
        match self {
            Self::Cancels => true,
            Self::Leaves(cancelled) => cancelled.load(Ordering::SeqCst),
        }
    }
}

/// One request's surroundings.
#[derive(Debug, Clone)]
pub struct Context {
    /// What all clients share.
    pub services: Arc<Services>,
    /// Through which transport it came, for the log. What follows from that for a method is a member
    /// of its own.
    pub transport: Transport,
    /// What the request is part of.
    pub setting: Setting,
    /// The rules that hold for it.
    pub revision: Revision,
    /// Its session's id; empty where there is none.
    pub session: String,
    /// What its session remembers; `None` where there is none.
    pub state: Option<Arc<ClientState>>,
    /// Who sent it.
    pub principal: Principal,
    /// What the client said of itself.
    pub client: Arc<ClientDetails>,
    /// The least grave log message that the client wants, where the request says it; a session remembers it.
    pub log_level: Option<LogLevel>,
    /// Where notifications that belong to the request go; `None` where they reach nobody.
    pub outbox: Option<Arc<Outbox>>,
    /// Where notifications go that belong to no request of the client; `None` where there is no such stream.
    pub standing: Option<Arc<Outbox>>,
    /// What it means when `cancel` is cancelled.
    pub ending: Ending,
    /// Whose memory its answer is.
    pub account: Arc<Account>,
    /// How the client can be asked.
    pub asking: Asking,
    /// Whether an unknown tool is a protocol error; else it is a failed result.
    pub refuses_unknown_tools: bool,
    /// Whether the client can leave the request's stream and come back to it.
    pub can_come_back: bool,
    /// Where what is done for it belongs in a trace.
    pub trace: Trace,
    /// Whether its answer is one of several that go out together: then none waits for room.
    pub in_batch: bool,
    /// Cancelled when the request is.
    pub cancel: CancellationToken,
    /// Cancelled when what is open-ended has to end, with a proper result.
    pub closing: CancellationToken,
}

/// The request was cancelled, or its client has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cancelled")]
pub struct Cancelled;

impl Context {
    /// Waits for `work` for as long as somebody waits for the request. Everything that a request
    /// waits for hears its cancellation in this way, or by its own token.
    ///
    /// # Errors
    /// [`Cancelled`] when the request was cancelled first.
    pub async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Result<T, Cancelled> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(Cancelled),
            done = work => Ok(done),
        }
    }

    /// On whose behalf a plugin runs for this request. Waits for the agent's variables.
    ///
    /// # Errors
    /// [`Cancelled`] when the request was cancelled meanwhile.
    pub async fn caller(&self) -> Result<Caller, Cancelled> {
        let agent = self.principal.agent.as_deref();
        let environment = self.services.letta.environment_for(agent);
        Ok(Caller {
            key: self.principal.key.map(|key| key.to_string()),
            call_id: uuid::Uuid::new_v4().simple().to_string(),
            session_id: self.session.clone(),
            agent_id: self.principal.agent.clone(),
            client: self.client.for_plugin(self.revision),
            capabilities: self.client.declared(self.revision),
            environment: self.unless_cancelled(environment).await?,
            trace: self.trace.clone(),
            // Nobody has to read before a task goes on.
            unread: match self.task() {
                Some(_) => None,
                None => self.outbox.as_ref().map(|outbox| outbox.unread()),
            },
        })
    }

    /// The run of what is called `name`, for those who watch the server. `run` is cancelled when one of them stops it.
    pub fn watched(&self, method: Method, name: &str, run: CancellationToken) -> Watched {
        let call = NewCall {
            method: method.name(),
            name,
            transport: self.transport,
            session: &self.session,
            client: self.client.name(),
            principal: &self.principal,
        };
        self.services.activity.begin(&call, run)
    }

    /// The least grave log message that the client wants at this moment; `None` where it wants none.
    pub fn log_level(&self) -> Option<LogLevel> {
        let state = self.state.as_ref();
        state.map(|state| state.log_level()).or(self.log_level)
    }

    /// The task that it runs in.
    pub fn task(&self) -> Option<&Arc<Live>> {
        match &self.asking {
            Asking::Task(live) | Asking::Turning(_, live) => Some(live),
            _ => None,
        }
    }

    /// Whose tasks it makes and sees.
    pub fn owner(&self) -> Owner {
        let key = self.principal.key.as_ref().map(KeyId::digest);
        Owner::new(key, self.principal.agent.clone())
    }

    /// Whose attachments hold for this request.
    pub fn governed(&self) -> Client {
        let key = self.principal.key.map(|key| *key.digest());
        if self.revision.has_handshake() {
            let program = self.client.name().zip(self.principal.address);
            let agent = self.principal.agent.as_deref();
            Client::of(agent, key, program, Some(&self.session))
        } else {
            Client::by_authorization(key)
        }
    }
}
