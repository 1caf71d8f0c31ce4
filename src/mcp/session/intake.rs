//! What a client sends, taken into its session: requests begin, answers and cancellations find theirs.
//!
//! Knows no method: a request is admitted here and served by `serve`.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt;

use super::Session;
use crate::jsonrpc::{self, Fault, RpcError};
use crate::mcp::budget::NoRoom;
use crate::mcp::inbound::{Inbound, Received, Request, no_batches};
use crate::mcp::inflight::{Admitted, Batch};
use crate::mcp::method::Method;
use crate::mcp::outbox::Outbox;
use crate::mcp::principal::Principal;
use crate::mcp::revision::Revision;
use crate::mcp::serve::{NotAdmitted, Reply};
use crate::mcp::stateless;

impl Session {
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
        let mut work = Box::pin(async move {
            let inbound = Inbound::receive(body).await;
            session.take_in(inbound, &principal).await
        });
        // Most of it is done at once, and who looks once cannot hang up in between.
        let first_look = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx)));
        match AssertUnwindSafe(first_look).catch_unwind().await {
            Ok(Poll::Ready(taken)) => return taken,
            Ok(Poll::Pending) => {}
            // What panicked is in the log, and no client's fault.
            Err(_) => return Ok(()),
        }
        // A task of its own: whoever handed it in may hang up before it is done.
        self.services.tasks.spawn(work).await.unwrap_or(Ok(()))
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
        self.usage.touch();
        match received {
            Received::Cancelled(id) => self.in_flight.cancel(&id),
            Received::Response(response) => self.server_requests.answer(response),
            Received::Notification | Received::Request(_) => {}
        }
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
                    let context = self.context_of_none(principal, outbox);
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
        let in_use = self.usage.hold(request.method.runs_a_program());
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
                let context = self.context_of_none(principal, outbox);
                return Err(refused(request, context, error));
            }
        };
        let (cancel, ending) = (slot.cancel().clone(), slot.ending().clone());
        let context = self.context(principal, outbox, cancel, ending);
        if !(self.transport.mixes_eras() && request.is_stateless()) {
            return Ok(Admitted::new(request, context, slot, in_use));
        }
        let meta = stateless::read_meta(&request).and_then(|meta| {
            let known = Revision::parse(&meta.version) == Some(Revision::V2026_07_28);
            let unsupported = || stateless::unsupported(&meta.version);
            known.then_some(()).ok_or_else(unsupported).map(|()| meta)
        });
        match meta {
            Ok(meta) => {
                let context = stateless::context(context, meta);
                Ok(Admitted::new(request, context, slot, in_use))
            }
            Err(error) => Err(refused(request, context, error)),
        }
    }

    async fn deliver(&self, reply: Reply) {
        if let Some(answer) = reply.answer {
            // A closed outbox means that the client has gone, and its session with it.
            let _ = self.outbox.send(answer.into_bytes()).await;
        }
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
