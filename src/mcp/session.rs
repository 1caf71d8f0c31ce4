//! One client, independent of transport: owner of everything that belongs to it. What ends the
//! session, whatever the reason, ends its streams, what is kept of them, its requests and ours.
//!
//! Knows no HTTP and no pipe. Transports hand bodies in, see `intake`, and read the outbox.

mod intake;

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::budget::{Account, Holder};
use super::changes::Change;
use super::client_state::ClientState;
use super::context::{Asking, Context, Ending, Services};
use super::inflight::InFlight;
use super::method::Setting;
use super::methods::tools;
use super::outbox::Outbox;
use super::principal::{Principal, Transport};
use super::revision::Revision;
use super::server_requests::ServerRequests;
use super::streams::Streams;
use super::usage::{InUse, Usage};
use crate::call::types::Listed;
use crate::governor::Client;
use crate::jsonrpc;
use crate::telemetry::audit::session_beginning;
use crate::telemetry::trace::Trace;

/// One client's session.
#[derive(Debug)]
pub struct Session {
    usage: Arc<Usage>,
    transport: Transport,
    principal: Principal,
    services: Arc<Services>,
    account: Arc<Account>,
    outbox: Arc<Outbox>,
    streams: Streams,
    server_requests: Arc<ServerRequests>,
    state: Arc<ClientState>,
    in_flight: Arc<InFlight>,
    ended: CancellationToken,
    closing: CancellationToken,
    opened: Instant,
}

impl Session {
    /// A session that has not shaken hands yet. It ends with `ended`.
    pub fn new(
        usage: Arc<Usage>,
        transport: Transport,
        principal: Principal,
        services: Arc<Services>,
        ended: CancellationToken,
    ) -> Arc<Self> {
        let account = services.budget.open(principal.key);
        let session = Arc::new(Self {
            usage,
            transport,
            outbox: Outbox::new(Arc::clone(&account)),
            account,
            principal,
            streams: Streams::default(),
            server_requests: Arc::default(),
            state: Arc::default(),
            in_flight: Arc::default(),
            ended,
            closing: services.draining.child_token(),
            services,
            opened: Instant::now(),
        });
        let holder: Weak<Self> = Arc::downgrade(&session);
        session.account.held_by(holder);
        session
    }

    /// Its id on the wire.
    pub fn id(&self) -> &str {
        self.usage.session()
    }

    /// How it is used.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// Through which transport it came.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// Who opened it.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// What waits to go to the client, outside of any one request's own stream.
    pub fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    /// Whose memory its lines are.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Its streams that can be taken up again.
    pub fn streams(&self) -> &Streams {
        &self.streams
    }

    /// When it was opened.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// What the client calls itself, once it has said so.
    pub fn client_name(&self) -> Option<String> {
        let handshake = self.state.handshake()?;
        handshake.client.name().map(str::to_owned)
    }

    /// Cancelled when the session has ended.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Ends the session: its calls are cancelled, its streams closed and what was kept of them freed,
    /// and the requests that it was sent are given up.
    pub fn close(&self) {
        self.ended.cancel();
        self.outbox.close();
        self.streams.close();
        self.server_requests.abandon();
        self.services.governor.forget_session(self.id());
    }

    /// Nothing more comes from the client: what is open-ended ends with a proper result, and so does what waits for
    /// its answers.
    pub fn finish_input(&self) {
        self.closing.cancel();
        self.server_requests.abandon();
    }

    /// Lets its streams end when what waits has been read.
    pub fn finish(&self) {
        self.outbox.finish();
        self.streams.finish();
    }

    /// Whether its readers have taken everything.
    pub fn is_read(&self) -> bool {
        (!self.outbox.has_reader() || self.outbox.is_read()) && self.streams.are_read()
    }

    /// The revision that was agreed on; `None` before the handshake.
    pub fn revision(&self) -> Option<Revision> {
        self.state.revision()
    }

    /// Holds the session open for as long as the returned value lives.
    pub fn hold(self: &Arc<Self>) -> Held {
        Held {
            _in_use: self.usage.hold(false),
            _session: Arc::clone(self),
        }
    }

    /// How long nothing has held it open and no request has come; zero while something holds it.
    pub fn idle_for(&self) -> Duration {
        let since = self.usage.idle_since();
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Waits until one more request may be in flight. For one waiter.
    pub async fn room(&self) {
        self.in_flight.room().await;
    }

    /// Who it is for the governor, whose attachments hold for it.
    fn client(&self) -> Client {
        let key = self.principal.key.map(|key| *key.digest());
        let handshake = self.state.handshake();
        let name = handshake.as_ref().and_then(|known| known.client.name());
        let program = name.zip(self.principal.address);
        Client::of(
            self.principal.agent.as_deref(),
            key,
            program,
            Some(self.id()),
        )
    }

    /// Notifies the client of a change, if it wants to hear of it.
    pub fn changed(&self, change: &Change) {
        if !self.state.wants(change, &self.client()) {
            return;
        }
        let params = change.params();
        let what: String = params.values().map(Value::to_string).collect();
        let key = format!("{} {what}", change.method());
        let line = jsonrpc::encode_notification(change.method(), &params);
        self.outbox.offer_latest(&key, line);
    }

    /// Sends the client all tools unasked, in the form that version 2 used.
    pub fn announce_tools(&self) {
        let generation = self.services.catalog.changes().borrow().catalogue;
        self.state.reads(Listed::Tools, generation);
        let context = self.context_of_none(&self.principal, &self.outbox);
        self.outbox.offer_latest(
            "manifest",
            jsonrpc::encode_notification("notifications/tools/list", &tools::listing(&context)),
        );
    }

    /// The surroundings of what is no request in flight.
    fn context_of_none(&self, principal: &Principal, outbox: &Arc<Outbox>) -> Context {
        let ending = Ending::Leaves(Arc::default());
        self.context(principal, outbox, self.ended.child_token(), ending)
    }

    fn context(
        &self,
        principal: &Principal,
        outbox: &Arc<Outbox>,
        cancel: CancellationToken,
        ending: Ending,
    ) -> Context {
        let handshake = self.state.handshake();
        let revision = handshake
            .as_ref()
            .map_or(Revision::NEWEST_WITH_HANDSHAKE, |known| known.revision);
        let agent = principal.agent.clone();
        Context {
            services: Arc::clone(&self.services),
            transport: self.transport,
            setting: Setting::Session,
            revision,
            session: self.id().to_owned(),
            state: Some(Arc::clone(&self.state)),
            principal: Principal {
                key: principal.key,
                validity: principal.validity.clone(),
                agent: agent.or_else(|| self.principal.agent.clone()),
                address: self.principal.address,
                trace: principal.trace.clone(),
            },
            client: handshake.map(|known| known.client).unwrap_or_default(),
            log_level: None,
            outbox: Some(Arc::clone(outbox)),
            standing: Some(Arc::clone(&self.outbox)),
            ending,
            account: Arc::clone(&self.account),
            asking: Asking::Session(Arc::clone(&self.server_requests)),
            refuses_unknown_tools: self.transport.refuses_unknown_tools(),
            can_come_back: self.transport.has_streams_to_return_to()
                && revision.has_resumable_streams(),
            trace: Trace::default(),
            in_batch: false,
            cancel,
            closing: self.closing.clone(),
        }
    }
}

impl Holder for Session {
    fn give_back(&self) -> bool {
        self.streams.give_back()
    }

    fn cut(&self) {
        tracing::warn!(
            session = session_beginning(self.id()),
            "others need the memory of what the client does not read; its streams end"
        );
        if self.transport.ends_with_its_stream() {
            self.close();
        } else {
            self.streams.cut();
            self.outbox.clear();
        }
    }

    fn cut_if_stalled(&self, limit: Duration) {
        if !self.transport.ends_with_its_stream() {
            self.streams.cut_if_stalled(limit);
        } else if self.outbox.stalled_for() >= limit {
            tracing::warn!(
                session = session_beginning(self.id()),
                "the client has read nothing for {} s; its session ends",
                limit.as_secs()
            );
            self.close();
        }
    }
}

/// Keeps a session from counting as idle.
#[derive(Debug)]
pub struct Held {
    _in_use: InUse,
    _session: Arc<Session>,
}
