//! Streamable HTTP at `/mcp`: which era a request belongs to, and sessions of the older one.
//!
//! Knows no method beyond `initialize`; requests without a session are `stateless`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use bytes::Bytes;

use super::answer::{self, Answer};
use super::auth::Identity;
use super::body::Accepted;
use super::events;
use super::state::AppState;
use super::streams::Stream;
use super::{body, mcp_headers, reply, stateless};
use crate::jsonrpc::{self, Body as Messages, Fault, Message, Request, RpcError};
use crate::mcp::outbox::Outbox;
use crate::mcp::principal::Transport;
use crate::mcp::revision::Revision;
use crate::mcp::session::{Admitted, Batch, Session};
use crate::mcp::stateless::{named_version, unsupported};

const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// All of `/mcp`.
pub async fn serve(
    State(state): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
    request: HttpRequest,
) -> Response {
    if state.sessions.services().draining.is_cancelled() && request.method() != Method::DELETE {
        return reply::unavailable("the server is shutting down; connect again in a moment");
    }
    match *request.method() {
        Method::POST => post(&state, &identity, request).await,
        Method::GET if request.headers().contains_key(SESSION_HEADER) => {
            listen(&state, &identity, &request)
        }
        Method::DELETE if request.headers().contains_key(SESSION_HEADER) => {
            end(&state, &identity, &request)
        }
        // Without a session there is nothing to listen to and nothing to end.
        _ => reply::method_not_allowed("POST"),
    }
}

async fn post(state: &Arc<AppState>, identity: &Identity, request: HttpRequest) -> Response {
    let headers = request.headers().clone();
    if !body::is_json(&headers) {
        return body::not_json();
    }
    let accepted = Accepted::of(&headers);
    if !accepted.json && !accepted.events {
        let why = "send the header Accept: application/json, text/event-stream";
        return reply::refusal(StatusCode::NOT_ACCEPTABLE, "not_acceptable", why);
    }
    let bytes = match body::read(request).await {
        Ok(bytes) => bytes,
        Err(fault) => return fault.response(),
    };
    state
        .sessions
        .services()
        .counters
        .received(bytes.len() as u64);
    let messages = jsonrpc::parse(&bytes);
    if is_sessionless(&headers, &messages) {
        return stateless::take_in(state, identity, &headers, accepted, messages).await;
    }
    match session_for(state, identity, &headers, &messages) {
        Ok(session) => {
            let opened = !headers.contains_key(SESSION_HEADER);
            let mut response = take_in(state, &session, identity, accepted, messages).await;
            if opened && session.revision().is_none() {
                // The handshake failed: nobody knows the session.
                state.sessions.close(&session);
            } else if opened {
                let id = HeaderValue::from_str(session.id()).expect("session ids are hex digits");
                response.headers_mut().insert(SESSION_HEADER, id);
            }
            response
        }
        Err(response) => *response,
    }
}

/// Revision 2026-07-28 names itself in a header and in the body; either is enough to be judged by it.
fn is_sessionless(headers: &HeaderMap, messages: &Messages) -> bool {
    let in_header = mcp_headers::version(headers).map(str::to_owned);
    let (initializes, in_body) = match messages {
        Messages::Single(Ok(Message::Request(request))) => (
            request.method == "initialize",
            named_version(request.params.as_deref()),
        ),
        _ => (false, None),
    };
    let legacy = |version: &String| Revision::parse(version).is_some_and(Revision::has_handshake);
    if in_body.is_some() {
        return true;
    }
    match in_header {
        Some(version) if legacy(&version) => false,
        Some(_) => {
            initializes || !headers.contains_key(SESSION_HEADER) || in_header_is_newest(headers)
        }
        None => false,
    }
}

fn in_header_is_newest(headers: &HeaderMap) -> bool {
    mcp_headers::version(headers) == Some(Revision::V2026_07_28.name())
}

fn session_for(
    state: &AppState,
    identity: &Identity,
    headers: &HeaderMap,
    messages: &Messages,
) -> Result<Arc<Session>, Box<Response>> {
    if headers.contains_key(SESSION_HEADER) {
        return known_session(state, identity, headers);
    }
    let initializes = matches!(messages, Messages::Single(Ok(Message::Request(Request { method, .. }))) if method == "initialize");
    match messages {
        // What cannot be read is told so, whether or not there is a session.
        Messages::Single(Err(fault)) => Err(Box::new(reply::fault(fault))),
        _ if !initializes => {
            let why = "send initialize first, then its Mcp-Session-Id with every request";
            Err(Box::new(reply::fault(&Fault {
                id: None,
                error: RpcError::new(jsonrpc::INVALID_REQUEST, why),
            })))
        }
        _ => state
            .sessions
            .open(Transport::Streamable, identity.principal.clone())
            .map_err(|full| Box::new(reply::unavailable(&full.to_string()))),
    }
}

/// The session that a request names; 404 tells its client to begin anew.
fn known_session(
    state: &AppState,
    identity: &Identity,
    headers: &HeaderMap,
) -> Result<Arc<Session>, Box<Response>> {
    if let Some(version) = mcp_headers::version(headers)
        && !Revision::parse(version).is_some_and(Revision::has_handshake)
    {
        let error = RpcError::new(jsonrpc::INVALID_REQUEST, unsupported(version).message);
        return Err(Box::new(reply::fault(&Fault { id: None, error })));
    }
    let id = headers
        .get(SESSION_HEADER)
        .and_then(|id| id.to_str().ok())
        .unwrap_or_default();
    state
        .sessions
        .find(id, Transport::Streamable, &identity.principal)
        .ok_or_else(|| {
            let error = RpcError::new(
                jsonrpc::INVALID_REQUEST,
                "Could not find session; send initialize to open a new one",
            );
            Box::new(reply::json(
                StatusCode::NOT_FOUND,
                jsonrpc::encode_error(None, &error),
            ))
        })
}

async fn take_in(
    state: &Arc<AppState>,
    session: &Arc<Session>,
    identity: &Identity,
    accepted: Accepted,
    messages: Messages,
) -> Response {
    // An answer that has to be JSON has no room for anything before it: that goes to the GET stream.
    let outbox = if accepted.events {
        Arc::default()
    } else {
        Arc::clone(session.outbox())
    };
    let work = match messages {
        Messages::Single(Ok(Message::Request(request))) => session
            .admit(request, &identity.principal, &outbox)
            .map(Work::One),
        Messages::Single(Ok(Message::Notification(notification))) => {
            session.notified(&notification);
            return reply::empty(StatusCode::ACCEPTED);
        }
        Messages::Single(Ok(Message::Response(response))) => {
            session.answered(response);
            return reply::empty(StatusCode::ACCEPTED);
        }
        Messages::Single(Err(fault)) => Err(fault),
        Messages::Batch(messages) => session
            .admit_batch(messages, &identity.principal, &outbox)
            .map(Work::Several),
    };
    match work {
        Ok(Work::Several(batch)) if batch.is_silent() => reply::empty(StatusCode::ACCEPTED),
        Ok(work) => run(state, session, accepted, work, outbox).await,
        Err(fault) => reply::fault(&fault),
    }
}

enum Work {
    One(Admitted),
    Several(Batch),
}

impl Work {
    async fn run(self) -> Option<Bytes> {
        match self {
            Self::One(admitted) => admitted.run().await,
            Self::Several(batch) => batch.run().await,
        }
    }
}

/// Runs the work. Under these revisions a connection that is lost is no cancellation: the answer
/// waits for a client that comes back.
async fn run(
    state: &Arc<AppState>,
    session: &Arc<Session>,
    accepted: Accepted,
    work: Work,
    outbox: Arc<Outbox>,
) -> Response {
    let work = async {
        Answer {
            response: work.run().await,
            code: None,
        }
    };
    match answer::first(&state.sessions.services().tasks, accepted, &outbox, work).await {
        Some(Answer {
            response: Some(response),
            ..
        }) => reply::json(StatusCode::OK, response),
        // A cancelled request has no answer.
        Some(_) => reply::empty(StatusCode::ACCEPTED),
        None => {
            let resumable = session
                .revision()
                .is_some_and(Revision::has_resumable_streams);
            let stream = state.streams.of(session).open(outbox, resumable);
            events::event_stream(Body::new(stream.read(Some(session.hold()))))
        }
    }
}

/// `GET /mcp`: the session's own stream, or another one again after `Last-Event-ID`.
fn listen(state: &AppState, identity: &Identity, request: &HttpRequest) -> Response {
    if !body::accepts(request.headers(), "text/event-stream") {
        return reply::refusal(
            StatusCode::NOT_ACCEPTABLE,
            "not_acceptable",
            "send the header Accept: text/event-stream",
        );
    }
    let session = match known_session(state, identity, request.headers()) {
        Ok(session) => session,
        Err(response) => return *response,
    };
    let streams = state.streams.of(&session);
    let resumable = session
        .revision()
        .is_some_and(Revision::has_resumable_streams);
    let standing: Arc<Stream> = streams.standing(session.outbox(), resumable);
    let resumed = request
        .headers()
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .and_then(|id| streams.resume(id));
    let reading = match resumed {
        Some((stream, position)) => stream.read_from(position, Some(session.hold())),
        None if standing.is_read() => {
            return reply::refusal(
                StatusCode::CONFLICT,
                "stream_open",
                "this session's stream is open already; a session has one",
            );
        }
        None => standing.read(Some(session.hold())),
    };
    events::event_stream(Body::new(reading))
}

/// `DELETE /mcp`.
fn end(state: &AppState, identity: &Identity, request: &HttpRequest) -> Response {
    match known_session(state, identity, request.headers()) {
        Ok(session) => {
            state.sessions.close(&session);
            state.streams.forget(session.id());
            reply::empty(StatusCode::NO_CONTENT)
        }
        Err(response) => *response,
    }
}
