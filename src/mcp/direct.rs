//! Direct mode: one message without a session, by the rules of the newest revision with sessions.
//! Knows no HTTP.

use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;

use super::budget::Account;
use super::context::{Asking, Context, Ending, Services};
use super::inbound::{Inbound, Received, Request};
use super::method::Setting;
use super::principal::{Principal, Transport};
use super::revision::Revision;
use crate::jsonrpc::{self, Fault, RpcError};
use crate::telemetry::trace::Trace;

/// The request in a body; `None` for what wants no answer.
///
/// # Errors
/// Why it is no message; with an id where one could be read.
pub async fn read(services: &Services, body: Bytes) -> Result<Option<Request>, Fault> {
    services.counters.received(body.len() as u64);
    match Inbound::receive(body).await {
        Inbound::One(Ok(Received::Request(request))) => Ok(Some(request)),
        Inbound::One(Ok(_)) => Ok(None),
        Inbound::One(Err(fault)) => Err(fault),
        Inbound::Batch(_) => {
            let error = RpcError::new(
                jsonrpc::INVALID_REQUEST,
                "batches need a session of revision 2025-03-26; send one message",
            );
            Err(Fault { id: None, error })
        }
    }
}

/// What a request without a session is served with. Cancelling the token ends what it runs.
pub fn context(
    services: &Arc<Services>,
    transport: Transport,
    principal: Principal,
    account: Arc<Account>,
    cancel: CancellationToken,
) -> Context {
    Context {
        services: Arc::clone(services),
        transport,
        setting: Setting::Direct,
        revision: Revision::NEWEST_WITH_HANDSHAKE,
        session: String::new(),
        state: None,
        principal,
        client: Arc::default(),
        log_level: None,
        outbox: None,
        standing: None,
        ending: Ending::Leaves(Arc::default()),
        account,
        asking: Asking::Nobody,
        refuses_unknown_tools: transport.refuses_unknown_tools(),
        can_come_back: false,
        trace: Trace::default(),
        in_batch: false,
        cancel,
        closing: services.draining.clone(),
    }
}
