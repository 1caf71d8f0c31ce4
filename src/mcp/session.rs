//! One client, independent of transport: its handshake, its running requests, what waits for it.
//!
//! Knows no HTTP and no pipe. AppState hand bodies in and read the outbox.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::changes::{self, Change};
use super::context::{Context, Services};
use super::dispatch::{self, guarded};
use super::messages::{self, CancelledParams, ClientDetails, LogLevel};
use super::methods::{Failure, Outcome, lifecycle, logging, resources, tools};
use super::outbox::Outbox;
use super::principal::{Principal, Transport};
use super::record::Record;
use super::revision::Revision;
use super::server_requests::ServerRequests;
use super::stateless::{self, Stateless};
use crate::call::types::Listed;
use crate::governor::Client;
use crate::jsonrpc::{
    self, Body, Fault, IdKey, Message, Notification, Request, RequestId, RpcError,
};

/// Requests of one session that may be in flight at once: more than a catalogue lets wait.
const MAX_IN_FLIGHT: usize = 1024;

/// One client's session.
#[derive(Debug)]
pub struct Session {
    id: String,
    transport: Transport,
    principal: Principal,
    services: Arc<Services>,
    outbox: Arc<Outbox>,
    server_requests: Arc<ServerRequests>,
    state: Mutex<State>,
    running: Mutex<HashMap<IdKey, CancellationToken>>,
    ended: CancellationToken,
    streams: AtomicUsize,
    used: Mutex<Instant>,
}

#[derive(Debug, Default)]
struct State {
    handshake: Option<Settled>,
    log_level: LogLevel,
    /// The resources whose updates the client wants to hear of.
    subscriptions: HashSet<String>,
    /// The generation of the catalogue at the handshake, and when each list was last asked for.
    catalogue: u64,
    asked_for: HashMap<Listed, u64>,
}

impl State {
    /// The newest generation that the client can have seen of a list.
    fn known(&self, list: Listed) -> u64 {
        self.asked_for.get(&list).copied().unwrap_or(self.catalogue)
    }
}

#[derive(Debug, Clone)]
struct Settled {
    revision: Revision,
    client: Arc<ClientDetails>,
}

impl Session {
    /// A session that has not shaken hands yet. It ends with `ended`.
    pub fn new(
        id: String,
        transport: Transport,
        principal: Principal,
        services: Arc<Services>,
        ended: CancellationToken,
    ) -> Arc<Self> {
        Arc::new(Self {
            id,
            transport,
            principal,
            services,
            outbox: Arc::default(),
            server_requests: Arc::default(),
            state: Mutex::default(),
            running: Mutex::default(),
            ended,
            streams: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
        })
    }

    /// Its id on the wire.
    pub fn id(&self) -> &str {
        &self.id
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

    /// Cancelled when the session has ended.
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    /// Ends the session: running calls are cancelled, streams closed.
    pub fn close(&self) {
        self.ended.cancel();
        self.outbox.close();
        self.server_requests.abandon();
        self.services.governor.forget_session(&self.id);
    }

    /// The revision that was agreed on; `None` before the handshake.
    pub fn revision(&self) -> Option<Revision> {
        self.state()
            .handshake
            .as_ref()
            .map(|settled| settled.revision)
    }

    /// Holds the session open for as long as the returned value lives.
    pub fn hold(self: &Arc<Self>) -> Held {
        self.streams.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(self))
    }

    /// How long nothing has held it open and no request has come; zero while something holds it.
    pub fn idle_for(&self) -> Duration {
        let busy = self.streams.load(Ordering::Relaxed) > 0 || !self.running().is_empty();
        if busy {
            Duration::ZERO
        } else {
            self.last_used().elapsed()
        }
    }

    /// Takes a body from a transport whose answers go to the outbox. What cannot be told there, because
    /// no id was readable or the id belongs to a call that must not be disturbed, is the error.
    pub async fn receive(
        self: &Arc<Self>,
        body: &[u8],
        principal: &Principal,
    ) -> Result<(), Fault> {
        *self.last_used() = Instant::now();
        self.services.counters.received(body.len() as u64);
        match jsonrpc::parse(body) {
            Body::Single(message) => self.receive_message(message, principal).await,
            Body::Batch(messages) => self.receive_batch(messages, principal),
        }
    }

    async fn receive_message(
        self: &Arc<Self>,
        message: Result<Message, Fault>,
        principal: &Principal,
    ) -> Result<(), Fault> {
        match message {
            Ok(Message::Request(request)) => {
                let admitted = match self.admit(request, principal, &self.outbox) {
                    Ok(admitted) => admitted,
                    // On the stream, an error for a repeated id would end the call that has it.
                    Err(fault) if fault.error.code == jsonrpc::INVALID_REQUEST => {
                        return Err(fault);
                    }
                    Err(fault) => {
                        self.deliver(Some(fault.to_bytes())).await;
                        return Ok(());
                    }
                };
                if self.transport == Transport::Stdio && admitted.is_sessionless() {
                    let session = Arc::clone(self);
                    self.services.tasks.spawn(async move {
                        session.deliver(admitted.run_sessionless().await).await;
                    });
                } else if admitted.is_long() {
                    let session = Arc::clone(self);
                    self.services.tasks.spawn(async move {
                        session.deliver(admitted.run().await).await;
                    });
                } else {
                    // In place, so that a pipelined handshake is over before what follows it.
                    self.deliver(admitted.run().await).await;
                }
                Ok(())
            }
            Ok(Message::Notification(notification)) => {
                self.notified(&notification);
                Ok(())
            }
            Ok(Message::Response(response)) => {
                self.server_requests.answer(response);
                Ok(())
            }
            Err(fault) if fault.id.is_some() => {
                self.deliver(Some(fault.to_bytes())).await;
                Ok(())
            }
            Err(fault) => Err(fault),
        }
    }

    fn receive_batch(
        self: &Arc<Self>,
        messages: Vec<Result<Message, Fault>>,
        principal: &Principal,
    ) -> Result<(), Fault> {
        let batch = self.admit_batch(messages, principal, &self.outbox)?;
        let session = Arc::clone(self);
        self.services.tasks.spawn(async move {
            session.deliver(batch.run().await).await;
        });
        Ok(())
    }

    /// Admits every message of a batch; refused as a whole where the revision has no batches.
    pub fn admit_batch(
        self: &Arc<Self>,
        messages: Vec<Result<Message, Fault>>,
        principal: &Principal,
        outbox: &Arc<Outbox>,
    ) -> Result<Batch, Fault> {
        if !self.revision().is_some_and(Revision::has_batches) {
            let error = RpcError::new(
                jsonrpc::INVALID_REQUEST,
                "batches exist in revision 2025-03-26 only; send one message",
            );
            return Err(Fault { id: None, error });
        }
        let mut batch = Batch {
            admitted: Vec::new(),
            refused: Vec::new(),
        };
        for message in messages {
            match message {
                Ok(Message::Request(request)) => match self.admit(request, principal, outbox) {
                    Ok(admitted) => batch.admitted.push(admitted),
                    Err(fault) => batch.refused.push(fault.to_bytes()),
                },
                Ok(Message::Notification(notification)) => self.notified(&notification),
                Ok(Message::Response(response)) => self.server_requests.answer(response),
                Err(fault) => batch.refused.push(fault.to_bytes()),
            }
        }
        Ok(batch)
    }

    /// Takes a request in. Notifications that belong to it will go to `outbox`. An id that is in
    /// flight is refused, and the request that has it goes on.
    pub fn admit(
        self: &Arc<Self>,
        request: Request,
        principal: &Principal,
        outbox: &Arc<Outbox>,
    ) -> Result<Admitted, Fault> {
        let key = request.id.key();
        let cancel = self.ended.child_token();
        let mut running = self.running();
        if running.len() >= MAX_IN_FLIGHT {
            let why =
                format!("{MAX_IN_FLIGHT} requests of this session are in flight; wait for answers");
            return Err(Fault {
                id: Some(request.id),
                error: RpcError::new(jsonrpc::INTERNAL_ERROR, why),
            });
        }
        if running.contains_key(&key) {
            let why = format!(
                "id {} is in flight already; use another",
                crate::text::quoted(request.id.raw().get())
            );
            return Err(Fault {
                id: Some(request.id),
                error: RpcError::new(jsonrpc::INVALID_REQUEST, why),
            });
        }
        running.insert(key.clone(), cancel.clone());
        drop(running);
        let principal = Principal {
            key: principal.key,
            agent: principal
                .agent
                .clone()
                .or_else(|| self.principal.agent.clone()),
        };
        Ok(Admitted {
            session: Arc::clone(self),
            request,
            key,
            cancel,
            principal,
            outbox: Arc::clone(outbox),
        })
    }

    /// Takes a notification in.
    pub fn notified(&self, notification: &Notification) {
        if notification.method == "notifications/cancelled" {
            let params = notification.params.as_deref();
            if let Ok(params) = messages::read::<CancelledParams>("notifications/cancelled", params)
            {
                self.cancel(params.request_id);
            }
        }
        // `notifications/initialized` changes nothing here: a client may list tools before it. Any
        // other is unknown, and unknown notifications are passed over.
    }

    /// Whose attachments hold for it.
    fn client(&self) -> Client {
        let key = self.principal.key.map(|key| *key.digest());
        Client::of(self.principal.agent.as_deref(), key, Some(&self.id))
    }

    /// Tells the client of a change, if it has shaken hands and, for a resource, subscribed to it.
    pub fn changed(&self, change: &Change) {
        let state = self.state();
        let wanted = match change {
            Change::List(_) => true,
            // What the client could read already is no news; and short-lived clients that shut
            // down while an unneeded notification comes in have been seen to fail.
            Change::Catalogue(list, generation) => state.known(*list) < *generation,
            Change::ToolsOf(client) => *client == self.client(),
            Change::Resource(uri) => state.subscriptions.contains(uri),
        };
        if state.handshake.is_some() && wanted {
            let params = change.params();
            let key = format!(
                "{} {}",
                change.method(),
                params.values().map(Value::to_string).collect::<String>()
            );
            self.outbox
                .offer_latest(&key, jsonrpc::encode_notification(change.method(), &params));
        }
    }

    /// Notes a list that is about to be read: a change in between is then told rather than lost.
    fn asks_for(&self, list: Listed) {
        let generation = *self.services.catalog.changes().borrow();
        self.state().asked_for.insert(list, generation);
    }

    /// Tells the client all tools unasked, in the form that version 2 used.
    pub fn announce_tools(&self) {
        self.asks_for(Listed::Tools);
        let context = self.context(&self.principal, &self.outbox, &self.ended);
        self.outbox.offer_latest(
            "manifest",
            jsonrpc::encode_notification("notifications/tools/list", &tools::listing(&context)),
        );
    }

    /// Hands a client's answer to who asked.
    pub fn answered(&self, response: jsonrpc::Response) {
        self.server_requests.answer(response);
    }

    fn cancel(&self, id: &RawValue) {
        let Ok(id) = RequestId::parse(id) else { return };
        if let Some(call) = self.running().get(&id.key()) {
            call.cancel();
        }
    }

    async fn deliver(&self, response: Option<Bytes>) {
        if let Some(response) = response {
            // A closed outbox means that the client has gone, and its session with it.
            let _ = self.outbox.send(response).await;
        }
    }

    async fn perform(&self, context: &Context, request: &Request) -> Outcome {
        let params = request.params.as_deref();
        if let Some(list) = changes::list_asked_for(&request.method) {
            self.asks_for(list);
        }
        match request.method.as_str() {
            "initialize" => self.initialize(params).await,
            "logging/setLevel" if self.revision().is_some() => {
                self.state().log_level = logging::read_level(params)?;
                Ok(lifecycle::empty().into())
            }
            "resources/subscribe" if self.revision().is_some() => {
                let uri = resources::read_subscription(context, params)?;
                self.state().subscriptions.insert(uri);
                Ok(lifecycle::empty().into())
            }
            "resources/unsubscribe" if self.revision().is_some() => {
                let uri = resources::read_subscription(context, params)?;
                self.state().subscriptions.remove(&uri);
                Ok(lifecycle::empty().into())
            }
            // Clients of both eras probe with it, and read this code as "shake hands".
            "server/discover" => Err(RpcError::method_not_found("server/discover").into()),
            "ping" => Ok(lifecycle::empty().into()),
            method if self.revision().is_none() => Err(RpcError::invalid_params(format!(
                "{} before initialize: send initialize first, then notifications/initialized",
                crate::text::quoted(method)
            ))
            .into()),
            method => dispatch::dispatch(context, method, params).await,
        }
    }

    async fn initialize(&self, params: Option<&RawValue>) -> Outcome {
        let handshake = lifecycle::read_handshake(params)?;
        let result = lifecycle::initialize(&self.services, handshake.revision).await;
        let settled = Settled {
            revision: handshake.revision,
            client: Arc::new(handshake.client),
        };
        let mut state = self.state();
        state.catalogue = *self.services.catalog.changes().borrow();
        state.handshake = Some(settled);
        drop(state);
        Ok(result.into())
    }

    fn context(
        &self,
        principal: &Principal,
        outbox: &Arc<Outbox>,
        cancel: &CancellationToken,
    ) -> Context {
        let state = self.state();
        let settled = state.handshake.clone();
        Context {
            services: Arc::clone(&self.services),
            transport: self.transport,
            revision: settled
                .as_ref()
                .map_or(Revision::NEWEST_WITH_HANDSHAKE, |settled| settled.revision),
            session: self.id.clone(),
            principal: principal.clone(),
            client: settled.map(|settled| settled.client).unwrap_or_default(),
            log_level: Some(state.log_level),
            outbox: Some(Arc::clone(outbox)),
            server_requests: Some(Arc::clone(&self.server_requests)),
            round_trips: None,
            cancel: cancel.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no code that holds this lock can panic")
    }

    fn running(&self) -> MutexGuard<'_, HashMap<IdKey, CancellationToken>> {
        self.running
            .lock()
            .expect("no code that holds this lock can panic")
    }

    fn last_used(&self) -> MutexGuard<'_, Instant> {
        self.used
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

/// Keeps a session from counting as idle.
#[derive(Debug)]
pub struct Held(Arc<Session>);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.last_used() = Instant::now();
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that is in flight for as long as this value lives.
#[derive(Debug)]
pub struct Admitted {
    session: Arc<Session>,
    request: Request,
    key: IdKey,
    cancel: CancellationToken,
    principal: Principal,
    outbox: Arc<Outbox>,
}

impl Admitted {
    /// Whether it may take long, so that others must not wait behind it.
    pub fn is_long(&self) -> bool {
        dispatch::runs_a_program(&self.request.method)
    }

    /// Whether it belongs to a revision without sessions, as its `_meta` says.
    fn is_sessionless(&self) -> bool {
        let version = stateless::named_version(self.request.params.as_deref());
        version
            .is_some_and(|version| !Revision::parse(&version).is_some_and(Revision::has_handshake))
    }

    /// Runs it by the rules of the revision that it names.
    async fn run_sessionless(self) -> Option<Bytes> {
        let params = self.request.params.as_deref();
        let meta = match stateless::read_meta(params) {
            Ok(meta) if Revision::parse(&meta.version) == Some(Revision::V2026_07_28) => meta,
            Ok(meta) => {
                let error = stateless::unsupported(&meta.version);
                return Some(jsonrpc::encode_error(Some(&self.request.id), &error));
            }
            Err(error) => return Some(jsonrpc::encode_error(Some(&self.request.id), &error)),
        };
        let services = &self.session.services;
        let request = Request {
            id: self.request.id.clone(),
            method: self.request.method.clone(),
            params: self.request.params.clone(),
        };
        let (principal, outbox, cancel) = (
            self.principal.clone(),
            Arc::clone(&self.outbox),
            self.cancel.clone(),
        );
        let (response, _) = Stateless::new(
            services,
            self.session.transport,
            principal,
            request,
            meta,
            outbox,
            cancel,
        )
        .run()
        .await;
        response.filter(|_| !self.cancel.is_cancelled())
    }

    /// Cancelling it stops the request, without an answer.
    pub fn cancel(&self) -> &CancellationToken {
        &self.cancel
    }

    /// Runs it; `None` when it was cancelled and nobody waits for an answer.
    pub async fn run(self) -> Option<Bytes> {
        let context = self
            .session
            .context(&self.principal, &self.outbox, &self.cancel);
        let record = Record::of(
            &context.services,
            context.transport,
            Some(&context.session),
            &self.principal,
            &self.request,
        );
        let outcome = if context.services.draining.is_cancelled() {
            Err(dispatch::refused_while_draining().into())
        } else {
            guarded(self.session.perform(&context, &self.request)).await
        };
        let silent = self.cancel.is_cancelled() && self.request.method != "initialize";
        record.end(if silent {
            Err(Failure::Cancelled)
        } else {
            outcome
        })
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.session.running().remove(&self.key);
        *self.session.last_used() = Instant::now();
    }
}

/// A batch in flight.
#[derive(Debug)]
pub struct Batch {
    admitted: Vec<Admitted>,
    refused: Vec<Bytes>,
}

impl Batch {
    /// Whether nothing in it wants an answer.
    pub fn is_silent(&self) -> bool {
        self.admitted.is_empty() && self.refused.is_empty()
    }

    /// Runs its requests side by side and gives their answers as one array; `None` when there is none.
    pub async fn run(self) -> Option<Bytes> {
        let answers = join_all(self.admitted.into_iter().map(Admitted::run)).await;
        let all: Vec<Bytes> = self
            .refused
            .into_iter()
            .chain(answers.into_iter().flatten())
            .collect();
        (!all.is_empty()).then(|| {
            [b"[".as_slice(), &all.join(&b","[..]), b"]"]
                .concat()
                .into()
        })
    }
}
