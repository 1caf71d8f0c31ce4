//! `/mcp` under revision 2026-07-28: one request, one answer, nothing kept. Knows no session.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::auth::Identity;
use super::body::Accepted;
use super::events::{self, CloseOnDrop, EventBody};
use super::state::AppState;
use super::{answer, mcp_headers, reply};
use crate::jsonrpc::{
    self, Fault, HEADER_MISMATCH, MISSING_CAPABILITY, REQUEST_CANCELLED, RequestId, RpcError,
    UNSUPPORTED_REVISION,
};
use crate::mcp::direct;
use crate::mcp::inbound::{Inbound, Received, Request, no_batches};
use crate::mcp::method::Method;
use crate::mcp::outbox::Outbox;
use crate::mcp::principal::Transport;
use crate::mcp::revision::Revision;
use crate::mcp::serve::{self, Reply};
use crate::mcp::stateless::{self, Meta};

/// Answers one POST.
pub async fn take_in(
    state: &Arc<AppState>,
    identity: &Identity,
    headers: &HeaderMap,
    accepted: Accepted,
    inbound: Inbound,
) -> Response {
    let request = match inbound {
        Inbound::One(Ok(Received::Request(request))) => request,
        Inbound::One(Ok(Received::Response(_))) => return reply::fault(&nobody_asked()),
        Inbound::One(Ok(_)) => return reply::empty(StatusCode::ACCEPTED),
        Inbound::One(Err(fault)) => return reply::fault(&fault),
        Inbound::Batch(_) => return reply::fault(&no_batches()),
    };
    if request.method.is_open_ended() && !accepted.events {
        let why = "what is asked for is a stream: send the header Accept: application/json, text/event-stream";
        return reply::refusal(StatusCode::NOT_ACCEPTABLE, "not_acceptable", why);
    }
    let checked = check(headers, &request);
    match checked {
        Err(error) => reply::json(
            StatusCode::BAD_REQUEST,
            jsonrpc::encode_error(Some(&request.id), &error),
        ),
        Ok(meta) => match check_params(state, headers, &request) {
            Err(error) => reply::json(
                StatusCode::BAD_REQUEST,
                jsonrpc::encode_error(Some(&request.id), &error),
            ),
            Ok(()) => run(state, identity, accepted, request, meta).await,
        },
    }
}

fn nobody_asked() -> Fault {
    let why = "this revision has no requests of the server, so there is nothing to respond to";
    Fault {
        id: None,
        error: RpcError::new(jsonrpc::INVALID_REQUEST, why),
    }
}

/// Headers against body, in the order in which a client can mend them.
fn check(headers: &HeaderMap, request: &Request) -> Result<Meta, RpcError> {
    let in_header = mcp_headers::version(headers);
    let in_body = request.version();
    let Some(in_header) = in_header else {
        return Err(RpcError::new(
            HEADER_MISMATCH,
            "the header MCP-Protocol-Version must name the revision of the request",
        ));
    };
    if in_body
        .as_deref()
        .is_some_and(|in_body| in_body != in_header)
    {
        return Err(RpcError::new(
            HEADER_MISMATCH,
            "the header MCP-Protocol-Version and params._meta name different revisions",
        ));
    }
    if Revision::parse(in_header) != Some(Revision::V2026_07_28) {
        return Err(stateless::unsupported(in_header));
    }
    let meta = stateless::read_meta(request)?;
    mcp_headers::check_names(headers, request)?;
    Ok(meta)
}

fn check_params(state: &AppState, headers: &HeaderMap, request: &Request) -> Result<(), RpcError> {
    if request.method != Method::CallTool {
        return Ok(());
    }
    let catalog = &state.sessions.services().catalog;
    let tool = request
        .params
        .string("name")
        .and_then(|name| catalog.snapshot().resolve(&name).ok());
    tool.map_or(Ok(()), |tool| {
        mcp_headers::check_params(headers, &tool.input_schema, request.params.get("arguments"))
    })
}

/// Runs the request. Its end is the connection's: when the client goes, so does what it asked for. It ends with its key,
/// too.
async fn run(
    state: &AppState,
    identity: &Identity,
    accepted: Accepted,
    request: Request,
    meta: Meta,
) -> Response {
    let services = state.sessions.services();
    let principal = identity.principal.clone();
    let cancel = principal.validity.token();
    let gone = cancel.clone().drop_guard();
    let account = services.budget.open(principal.key);
    let outbox = Outbox::new(Arc::clone(&account));
    account.held_by(Arc::downgrade(&outbox) as _);
    let transport = Transport::Streamable;
    let mut context = direct::context(services, transport, principal, account, cancel);
    context.outbox = Some(Arc::clone(&outbox));
    let context = stateless::context(context, meta);
    let id = request.id.clone();
    let work = async move { serve::serve(&context, &request).await };
    let (tasks, draining) = (&services.tasks, &services.draining);
    let silence = state.settings.keep_alive;
    match answer::first(tasks, draining, accepted, silence, &outbox, work).await {
        Some(reply) => whole(&id, reply, &outbox, gone),
        None => {
            let held = (gone, CloseOnDrop(Arc::clone(&outbox)));
            let body = EventBody::new(None, outbox.attach(), silence, held);
            events::event_stream(Body::new(body))
        }
    }
}

/// An answer that came before anything else was said.
fn whole(
    id: &RequestId,
    reply: Reply,
    outbox: &Arc<Outbox>,
    held: impl Send + Unpin + 'static,
) -> Response {
    let status = match reply.code {
        Some(jsonrpc::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_REVISION) => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::OK,
    };
    let mut response = match reply.answer {
        Some(answer) => events::json(status, answer.into_bytes(), outbox, held),
        None => cancelled(Some(id)),
    };
    response.extensions_mut().insert(reply::Recorded);
    response
}

/// The answer to a request that was cancelled, where one has to be given.
pub fn cancelled(id: Option<&RequestId>) -> Response {
    let error = RpcError::new(REQUEST_CANCELLED, "the request was cancelled");
    reply::json(StatusCode::OK, jsonrpc::encode_error(id, &error))
}
