//! `/mcp` under revision 2026-07-28: one request, one answer, nothing kept. Knows no session.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::answer::{self, Answer};
use super::auth::Identity;
use super::body::Accepted;
use super::events::{self, OutboxStream};
use super::state::AppState;

use super::{mcp_headers, reply};
use crate::jsonrpc::{
    self, Body as Messages, Fault, HEADER_MISMATCH, MISSING_CAPABILITY, Message, Request, RpcError,
    UNSUPPORTED_REVISION,
};
use crate::mcp::outbox::Outbox;
use crate::mcp::principal::Transport;
use crate::mcp::revision::Revision;
use crate::mcp::stateless::{self, Meta, Stateless};

/// Answers one POST.
pub async fn take_in(
    state: &Arc<AppState>,
    identity: &Identity,
    headers: &HeaderMap,
    accepted: Accepted,
    messages: Messages,
) -> Response {
    let request = match messages {
        Messages::Single(Ok(Message::Request(request))) => request,
        Messages::Single(Ok(Message::Notification(_))) => {
            return reply::empty(StatusCode::ACCEPTED);
        }
        Messages::Single(Ok(Message::Response(_))) => return reply::fault(&nobody_asked()),
        Messages::Single(Err(fault)) => return reply::fault(&fault),
        Messages::Batch(_) => return reply::fault(&no_batches()),
    };
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

fn no_batches() -> Fault {
    Fault {
        id: None,
        error: RpcError::new(
            jsonrpc::INVALID_REQUEST,
            "batches exist in revision 2025-03-26 only; send one message",
        ),
    }
}

/// Headers against body, in the order in which a client can mend them.
fn check(headers: &HeaderMap, request: &Request) -> Result<Meta, RpcError> {
    let in_header = mcp_headers::version(headers);
    let params = request.params.as_deref();
    let Some(in_header) = in_header else {
        return Err(RpcError::new(
            HEADER_MISMATCH,
            "the header MCP-Protocol-Version must name the revision of the request",
        ));
    };
    if let Some(in_body) = stateless::named_version(params)
        && in_body != in_header
    {
        return Err(RpcError::new(
            HEADER_MISMATCH,
            "the header MCP-Protocol-Version and params._meta name different revisions",
        ));
    }
    if Revision::parse(in_header) != Some(Revision::V2026_07_28)
        && stateless::named_version(params).is_none_or(|version| version == in_header)
    {
        return Err(stateless::unsupported(in_header));
    }
    let meta = stateless::read_meta(params)?;
    mcp_headers::check_names(headers, request)?;
    Ok(meta)
}

fn check_params(state: &AppState, headers: &HeaderMap, request: &Request) -> Result<(), RpcError> {
    if request.method != "tools/call" {
        return Ok(());
    }
    let params = request.params.as_deref();
    let name = params
        .and_then(|params| serde_json::from_str::<Value>(params.get()).ok())
        .and_then(|params| Some(params.get("name")?.as_str()?.to_owned()));
    let tool = name.and_then(|name| {
        state
            .sessions
            .services()
            .catalog
            .snapshot()
            .resolve(&name)
            .ok()
    });
    tool.map_or(Ok(()), |tool| {
        mcp_headers::check_params(headers, &tool.input_schema, params)
    })
}

/// Runs the request. Its end is the connection's: when the client goes, so does what it asked for.
async fn run(
    state: &AppState,
    identity: &Identity,
    accepted: Accepted,
    request: Request,
    meta: Meta,
) -> Response {
    let services = state.sessions.services();
    let cancel = CancellationToken::new();
    let gone = cancel.clone().drop_guard();
    let outbox = Arc::new(Outbox::default());
    let stateless = Stateless::new(
        services,
        Transport::Streamable,
        identity.principal.clone(),
        request,
        meta,
        Arc::clone(&outbox),
        cancel,
    );
    let work = async {
        let (response, code) = stateless.run().await;
        Answer { response, code }
    };
    match answer::first(&services.tasks, accepted, &outbox, work).await {
        Some(answer) => whole(answer),
        None => events::event_stream(Body::new(OutboxStream::new(None, outbox, gone))),
    }
}

/// An answer that came before anything else was said.
fn whole(answer: Answer) -> Response {
    let status = match answer.code {
        Some(jsonrpc::METHOD_NOT_FOUND) => StatusCode::NOT_FOUND,
        Some(HEADER_MISMATCH | MISSING_CAPABILITY | UNSUPPORTED_REVISION) => {
            StatusCode::BAD_REQUEST
        }
        _ => StatusCode::OK,
    };
    let mut response = answer.response.map_or_else(
        || reply::empty(StatusCode::ACCEPTED),
        |response| reply::json(status, response),
    );
    response.extensions_mut().insert(reply::Recorded);
    response
}
