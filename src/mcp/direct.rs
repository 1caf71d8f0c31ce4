//! Direct mode: one message without a session, answered in place. Knows no HTTP.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use super::context::{Context, Services};
use super::dispatch::{self, guarded};
use super::methods::{Outcome, lifecycle, logging};
use super::principal::{Principal, Transport};
use super::record::Record;
use super::revision::Revision;
use crate::jsonrpc::{self, Body, Fault, Message, Request, RpcError};

/// What a message sent without a session is answered with.
#[derive(Debug)]
pub enum Reply {
    /// A JSON-RPC response, errors included.
    Response(Bytes),
    /// Nothing: it was a notification, a response, or it was cancelled.
    Nothing,
}

/// Runs one message by the rules of 2025-11-25. Cancelling the token, or dropping the future, ends
/// what it runs. The error is a body from which no id could be read.
pub async fn answer(
    services: &Arc<Services>,
    principal: Principal,
    body: &[u8],
    cancel: CancellationToken,
) -> Result<Reply, Fault> {
    services.counters.received(body.len() as u64);
    let request = match jsonrpc::parse(body) {
        Body::Single(Ok(Message::Request(request))) => request,
        Body::Single(Ok(Message::Notification(_) | Message::Response(_))) => {
            return Ok(Reply::Nothing);
        }
        Body::Single(Err(fault)) if fault.id.is_some() => {
            return Ok(Reply::Response(fault.to_bytes()));
        }
        Body::Single(Err(fault)) => return Err(fault),
        Body::Batch(_) => {
            let error = RpcError::new(
                jsonrpc::INVALID_REQUEST,
                "batches need a session of revision 2025-03-26; send one message",
            );
            return Err(Fault { id: None, error });
        }
    };
    let context = context(services, principal, cancel);
    let record = Record::of(
        services,
        Transport::Direct,
        None,
        &context.principal,
        &request,
    );
    let outcome = if services.draining.is_cancelled() {
        Err(dispatch::refused_while_draining().into())
    } else {
        guarded(perform(&context, &request)).await
    };
    Ok(record.end(outcome).map_or(Reply::Nothing, Reply::Response))
}

async fn perform(context: &Context, request: &Request) -> Outcome {
    let params: Option<&RawValue> = request.params.as_deref();
    match request.method.as_str() {
        "initialize" => {
            let handshake = lifecycle::read_handshake(params)?;
            Ok(lifecycle::initialize(&context.services, handshake.revision)
                .await
                .into())
        }
        // There is no session that could remember it; what it says is checked all the same.
        "logging/setLevel" => {
            logging::read_level(params)?;
            Ok(lifecycle::empty().into())
        }
        method => dispatch::dispatch(context, method, params).await,
    }
}

fn context(services: &Arc<Services>, principal: Principal, cancel: CancellationToken) -> Context {
    Context {
        services: Arc::clone(services),
        transport: Transport::Direct,
        revision: Revision::NEWEST_WITH_HANDSHAKE,
        session: String::new(),
        principal,
        client: Arc::default(),
        log_level: None,
        outbox: None,
        server_requests: None,
        round_trips: None,
        cancel,
    }
}
