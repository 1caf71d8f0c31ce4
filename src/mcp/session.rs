//! One client, independent of transport: owner of everything that belongs to it. What ends the
//! session, whatever the reason, ends its streams, what is kept of them, its requests and ours.
//!
//! Knows no HTTP and no pipe. Transports hand bodies in and read the outbox.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::budget::{Account, Holder, NoRoom};
use super::changes::Change;
use super::client_state::ClientState;
use super::context::{Asking, Context, Services};
use super::inbound::{Inbound, Received, Request, no_batches};
use super::inflight::{Admitted, Batch, InFlight};
use super::method::{Method, Setting};
use super::methods::tools;
use super::outbox::Outbox;
use super::principal::{Principal, Transport};
use super::revision::Revision;
use super::serve::{NotAdmitted, Reply};
use super::server_requests::ServerRequests;
use super::stateless;
use super::streams::Streams;
use crate::call::types::Listed;
use crate::governor::Client;
use crate::jsonrpc::{self, Fault, Response, RpcError};
use crate::telemetry::audit::session_beginning;

/// One client's session.
#[derive(Debug)]
pub struct Session {
    id: String,
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
    holders: AtomicUsize,
    used: Mutex<Instant>,
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
        let account = services.budget.open(principal.key);
        let session = Arc::new(Self {
            id,
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
            holders: AtomicUsize::new(0),
            used: Mutex::new(Instant::now()),
        });
        let holder: Weak<Self> = Arc::downgrade(&session);
        session.account.held_by(holder);
        session
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

    /// Whose memory its lines are.
    pub fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// Its streams that can be taken up again.
    pub fn streams(&self) -> &Streams {
        &self.streams
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
        self.services.governor.forget_session(&self.id);
    }

    /// Ends what is open-ended, with a proper result: the client will ask for nothing more.
    pub fn finish_listening(&self) {
        self.closing.cancel();
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
        self.holders.fetch_add(1, Ordering::Relaxed);
        Held(Arc::clone(self))
    }

    /// How long nothing has held it open and no request has come; zero while something holds it.
    pub fn idle_for(&self) -> Duration {
        let busy = self.holders.load(Ordering::Relaxed) > 0 || !self.in_flight.is_empty();
        if busy {
            Duration::ZERO
        } else {
            let last_end = self.in_flight.last_end();
            self.last_used().max(last_end).elapsed()
        }
    }

    /// Takes a body from a transport whose answers go to the outbox. Once it was called it is carried
    /// out, also when the returned future is dropped.
    ///
    /// # Errors
    /// What cannot be said on the stream, because no id was readable or the id belongs to a call that
    /// must not be disturbed.
    pub async fn receive(
        self: &Arc<Self>,
        body: Bytes,
        principal: &Principal,
    ) -> Result<(), Fault> {
        self.services.counters.received(body.len() as u64);
        let (session, principal) = (Arc::clone(self), principal.clone());
        // A task of its own: whoever handed it in may hang up before it is done.
        let done = self.services.tasks.spawn(async move {
            let inbound = Inbound::receive(body).await;
            session.take_in(inbound, &principal).await
        });
        // What panicked is in the log, and no client's fault.
        done.await.unwrap_or(Ok(()))
    }

    async fn take_in(
        self: &Arc<Self>,
        inbound: Inbound,
        principal: &Principal,
    ) -> Result<(), Fault> {
        // Answers that nobody reads must not pile up, and an error on the stream would be one more.
        if inbound.wants_an_answer() {
            if self.transport.waits_for_its_reader() {
                self.outbox.until_it_moves().await;
            } else if self.outbox.is_overfull() {
                return Err(too_much_unread(inbound));
            }
        }
        match inbound {
            Inbound::One(Ok(Received::Request(request))) => {
                self.take_in_request(request, principal).await
            }
            Inbound::One(Ok(other)) => {
                self.received(other);
                Ok(())
            }
            Inbound::One(Err(fault)) if fault.id.is_some() => {
                self.refused("invalid_message");
                self.answer_on_the_stream(fault).await
            }
            Inbound::One(Err(fault)) => Err(fault),
            Inbound::Batch(messages) => {
                let batch = self.admit_batch(messages, principal, &self.outbox)?;
                let session = Arc::clone(self);
                self.services.tasks.spawn(async move {
                    let reply = Box::pin(batch.run()).await;
                    session.deliver(reply).await;
                });
                Ok(())
            }
        }
    }

    async fn take_in_request(
        self: &Arc<Self>,
        request: Request,
        principal: &Principal,
    ) -> Result<(), Fault> {
        let admitted = match self.admit(request, principal, &self.outbox) {
            Ok(admitted) => admitted,
            // On the stream, an error for a repeated id would end the call that has it.
            Err(refused) if refused.error.code == jsonrpc::INVALID_REQUEST => {
                return Err(if self.transport.records_refusals() {
                    refused.unrecorded()
                } else {
                    refused.recorded()
                });
            }
            Err(refused) => return self.answer_on_the_stream(refused.recorded()).await,
        };
        if admitted.is_long() {
            let session = Arc::clone(self);
            self.services.tasks.spawn(async move {
                // Boxed, so that what waits for its reader is the answer and nothing of the request.
                let reply = Box::pin(admitted.run()).await;
                session.deliver(reply).await;
            });
        } else {
            // In order, so that a pipelined handshake is over before what follows it.
            let reply = Box::pin(admitted.run()).await;
            self.deliver(reply).await;
        }
        Ok(())
    }

    /// Counts what was turned away before it became a request.
    pub fn refused(&self, reason: &'static str) {
        self.services.counters.refused(reason);
    }

    async fn answer_on_the_stream(&self, fault: Fault) -> Result<(), Fault> {
        let answer = Some(self.account.count(fault.to_bytes()));
        self.deliver(Reply { answer, code: None }).await;
        Ok(())
    }

    /// Takes in what is no request.
    pub fn received(&self, received: Received) {
        *self.last_used() = Instant::now();
        match received {
            Received::Cancelled(id) => self.in_flight.cancel(&id),
            Received::Response(response) => self.answered(response),
            Received::Notification | Received::Request(_) => {}
        }
    }

    fn answered(&self, response: Response) {
        self.server_requests.answer(response);
    }

    /// Admits every message of a batch.
    ///
    /// # Errors
    /// Refused as a whole where the revision has no batches, and where there is no room for the errors
    /// in it. Then nothing of it has begun.
    pub fn admit_batch(
        self: &Arc<Self>,
        messages: Vec<Result<Received, Fault>>,
        principal: &Principal,
        outbox: &Arc<Outbox>,
    ) -> Result<Batch, Fault> {
        if !self.revision().is_some_and(Revision::has_batches) {
            return Err(no_batches());
        }
        let mut batch = Batch::default();
        for message in messages {
            let admitted = match message {
                Ok(Received::Request(request)) if request.method == Method::Initialize => {
                    let why = "initialize must not be part of a batch";
                    let error = RpcError::new(jsonrpc::INVALID_REQUEST, why);
                    let context = self.context(principal, outbox, self.ended.child_token());
                    Err(NotAdmitted {
                        request,
                        context,
                        error,
                    }
                    .recorded())
                }
                Ok(Received::Request(request)) => self
                    .admit(request, principal, outbox)
                    .map_err(|refused| refused.recorded()),
                Ok(other) => {
                    self.received(other);
                    continue;
                }
                Err(fault) => Err(fault),
            };
            match admitted {
                Ok(admitted) => batch.add(admitted),
                Err(fault) => batch
                    .refuse(&self.account, &fault)
                    .map_err(batch_overloaded)?,
            }
        }
        Ok(batch)
    }

    /// Takes a request in. Notifications that belong to it will go to `outbox`.
    ///
    /// # Errors
    /// Why it cannot begin: its id is in flight, or too many requests are.
    pub fn admit(
        self: &Arc<Self>,
        request: Request,
        principal: &Principal,
        outbox: &Arc<Outbox>,
    ) -> Result<Admitted, Box<NotAdmitted>> {
        *self.last_used() = Instant::now();
        let refused = |request, context, error| {
            Box::new(NotAdmitted {
                request,
                context,
                error,
            })
        };
        let slot = match self.in_flight.enter(&request.id, &self.ended) {
            Ok(slot) => slot,
            Err(error) => {
                let context = self.context(principal, outbox, self.ended.child_token());
                return Err(refused(request, context, error));
            }
        };
        let context = self.context(principal, outbox, slot.cancel().clone());
        if !(self.transport.mixes_eras() && request.is_stateless()) {
            return Ok(Admitted::new(request, context, slot));
        }
        let meta = stateless::read_meta(&request).and_then(|meta| {
            let known = Revision::parse(&meta.version) == Some(Revision::V2026_07_28);
            let unsupported = || stateless::unsupported(&meta.version);
            known.then_some(()).ok_or_else(unsupported).map(|()| meta)
        });
        match meta {
            Ok(meta) => {
                let context = stateless::context(context, meta);
                Ok(Admitted::new(request, context, slot))
            }
            Err(error) => Err(refused(request, context, error)),
        }
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
            Some(&self.id),
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
        let context = self.context(&self.principal, &self.outbox, self.ended.child_token());
        self.outbox.offer_latest(
            "manifest",
            jsonrpc::encode_notification("notifications/tools/list", &tools::listing(&context)),
        );
    }

    async fn deliver(&self, reply: Reply) {
        if let Some(answer) = reply.answer {
            // A closed outbox means that the client has gone, and its session with it.
            let _ = self.outbox.send(answer.into_bytes()).await;
        }
    }

    fn context(
        &self,
        principal: &Principal,
        outbox: &Arc<Outbox>,
        cancel: CancellationToken,
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
            session: self.id.clone(),
            state: Some(Arc::clone(&self.state)),
            principal: Principal {
                key: principal.key,
                agent: agent.or_else(|| self.principal.agent.clone()),
                address: self.principal.address,
            },
            client: handshake.map(|known| known.client).unwrap_or_default(),
            log_level: None,
            outbox: Some(Arc::clone(outbox)),
            account: Arc::clone(&self.account),
            asking: Asking::Session(Arc::clone(&self.server_requests)),
            refuses_unknown_tools: self.transport.refuses_unknown_tools(),
            can_come_back: self.transport.has_streams_to_return_to()
                && revision.has_resumable_streams(),
            in_batch: false,
            cancel,
            closing: self.closing.clone(),
        }
    }

    fn last_used(&self) -> MutexGuard<'_, Instant> {
        self.used
            .lock()
            .expect("no code that holds this lock can panic")
    }
}

fn too_much_unread(inbound: Inbound) -> Fault {
    let id = match inbound {
        Inbound::One(Ok(Received::Request(request))) => Some(request.id),
        Inbound::One(Err(fault)) => fault.id,
        Inbound::One(Ok(_)) | Inbound::Batch(_) => None,
    };
    let why = "too many answers of this session are unread; read its stream, then try again";
    let error = RpcError::new(jsonrpc::INTERNAL_ERROR, why);
    Fault { id, error }
}

fn batch_overloaded(no_room: NoRoom) -> Fault {
    let error = RpcError::new(jsonrpc::INTERNAL_ERROR, no_room.to_string());
    Fault { id: None, error }
}

impl Holder for Session {
    fn give_back(&self) -> bool {
        self.streams.give_back()
    }

    fn cut(&self) {
        tracing::warn!(
            session = session_beginning(&self.id),
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
                session = session_beginning(&self.id),
                "the client has read nothing for {} s; its session ends",
                limit.as_secs()
            );
            self.close();
        }
    }
}

/// Keeps a session from counting as idle.
#[derive(Debug)]
pub struct Held(Arc<Session>);

impl Drop for Held {
    fn drop(&mut self) {
        *self.0.last_used() = Instant::now();
        self.0.holders.fetch_sub(1, Ordering::Relaxed);
    }
}
