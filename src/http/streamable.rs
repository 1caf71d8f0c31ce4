//! Streamable HTTP at `/mcp`: which era a request belongs to, and sessions of the older one.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http>
//!
//! Knows no method beyond `initialize`; requests without a session are `stateless`.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;

use super::auth::Identity;
use super::body::Accepted;
use super::events::{self, EventBody};
use super::state::AppState;
use super::{answer, body, mcp_headers, reply, stateless};
use crate::jsonrpc::{self, Fault, RequestId, RpcError};
use crate::mcp::inbound::{Inbound, Received};
use crate::mcp::inflight::{Admitted, Batch};
use crate::mcp::method::Method as McpMethod;
use crate::mcp::outbox::Outbox;
use crate::mcp::principal::Transport;
use crate::mcp::revision::Revision;
use crate::mcp::serve::{DRAINING, Reply};
use crate::mcp::session::Session;
use crate::mcp::sessions::Sessions;
use crate::mcp::stateless::unsupported;

const SESSION_HEADER: HeaderName = HeaderName::from_static("mcp-session-id");

/// All of `/mcp`.
pub async fn serve(
    State(state): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
    request: HttpRequest,
) -> Response {
    if state.sessions.services().draining.is_cancelled() && request.method() != Method::DELETE {
        return reply::unavailable(DRAINING);
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
        _ => reply::method_not_allowed("POST, OPTIONS"),
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
    let (bytes, charge) = match body::read(request).await {
        Ok(read) => read,
        Err(fault) => return fault.response(),
    };
    state
        .sessions
        .services()
        .counters
        .received(bytes.len() as u64);
    let inbound = Inbound::receive(bytes).await;
    drop(charge);
    if is_stateless(&headers, &inbound) {
        return stateless::take_in(state, identity, &headers, accepted, inbound).await;
    }
    match session_for(state, identity, &headers, &inbound) {
        Ok(session) if headers.contains_key(SESSION_HEADER) => {
            take_in(state, &session, identity, accepted, inbound).await
        }
        Ok(session) => {
            let mut opening = Opening {
                sessions: &state.sessions,
                session: &session,
                is_known: false,
            };
            let mut response = take_in(state, &session, identity, accepted, inbound).await;
            if session.revision().is_some() {
                let id = HeaderValue::from_str(session.id()).expect("session ids are hex digits");
                response.headers_mut().insert(SESSION_HEADER, id);
                opening.is_known = true;
            }
            response
        }
        Err(response) => *response,
    }
}

/// A session that its client does not know yet. It ends when the handshake fails, or when the client
/// hangs up before it has learned the session's id.
struct Opening<'a> {
    sessions: &'a Sessions,
    session: &'a Session,
    is_known: bool,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if !self.is_known {
            self.sessions.close(self.session);
        }
    }
}

/// Revision 2026-07-28 names itself in a header and in the body; either is enough to be judged by it.
fn is_stateless(headers: &HeaderMap, inbound: &Inbound) -> bool {
    let request = inbound.request();
    if request.is_some_and(|request| request.version().is_some()) {
        return true;
    }
    let initializes = request.is_some_and(|request| request.method == McpMethod::Initialize);
    match mcp_headers::version(headers) {
        Some(version) if Revision::parse(version).is_some_and(Revision::has_handshake) => false,
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
    inbound: &Inbound,
) -> Result<Arc<Session>, Box<Response>> {
    if headers.contains_key(SESSION_HEADER) {
        return known_session(state, identity, headers);
    }
    let request = inbound.request();
    let initializes = request.is_some_and(|request| request.method == McpMethod::Initialize);
    match inbound {
        // What cannot be read is refused for that, whether or not there is a session.
        Inbound::One(Err(fault)) => Err(Box::new(reply::fault(fault))),
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
    inbound: Inbound,
) -> Response {
    // An answer that has to be JSON has no room for anything before it: that goes to the GET stream.
    let outbox = if accepted.events {
        Outbox::new(Arc::clone(session.account()))
    } else {
        Arc::clone(session.outbox())
    };
    let principal = &identity.principal;
    let work = match inbound {
        Inbound::One(Ok(Received::Request(request))) => session
            .admit(request, principal, &outbox)
            .map(|admitted| Work::One(Box::new(admitted)))
            .map_err(|refused| refused.unrecorded()),
        Inbound::One(Ok(other)) => {
            session.received(other);
            return reply::empty(StatusCode::ACCEPTED);
        }
        Inbound::One(Err(fault)) => Err(fault),
        Inbound::Batch(messages) => session
            .admit_batch(messages, principal, &outbox)
            .map(Work::Several),
    };
    match work {
        Ok(Work::Several(batch)) if batch.is_silent() => reply::empty(StatusCode::ACCEPTED),
        Ok(work) => run(state, session, accepted, work, outbox).await,
        Err(fault) => reply::fault(&fault),
    }
}

enum Work {
    One(Box<Admitted>),
    Several(Batch),
}

impl Work {
    fn id(&self) -> Option<RequestId> {
        match self {
            Self::One(admitted) => Some(admitted.request().id.clone()),
            Self::Several(_) => None,
        }
    }

    async fn run(self) -> Reply {
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
    let id = work.id();
    let services = state.sessions.services();
    let (tasks, draining) = (&services.tasks, &services.draining);
    let silence = state.settings.keep_alive;
    match answer::first(tasks, draining, accepted, silence, &outbox, work.run()).await {
        Some(Reply {
            answer: Some(answer),
            ..
        }) => {
            let waiting = Outbox::new(Arc::clone(session.account()));
            session.streams().note_answer(&waiting);
            let text = answer.into_bytes();
            events::json(StatusCode::OK, text, &waiting, session.hold())
        }
        // A cancelled request has no answer, but its POST has.
        Some(_) => stateless::cancelled(id.as_ref()),
        None => {
            let stream = session.streams().open(outbox, is_resumable(session));
            let body = EventBody::new(None, stream.read(), silence, session.hold());
            events::event_stream(Body::new(body))
        }
    }
}

fn is_resumable(session: &Session) -> bool {
    session
        .revision()
        .is_some_and(Revision::has_resumable_streams)
}

/// `GET /mcp`: the session's own stream, or after `Last-Event-ID` the one that it names.
/// <https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#resumability-and-redelivery>
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
    let standalone = session
        .streams()
        .standalone(session.outbox(), is_resumable(&session));
    let last_event_id = request.headers().get("last-event-id");
    let reading = match last_event_id.map(|id| id.to_str().unwrap_or_default()) {
        Some(id) if !id.is_empty() => match session.streams().resume(id) {
            Some((stream, position)) => stream.read_from(position),
            None => {
                return reply::refusal(
                    StatusCode::NOT_FOUND,
                    "stream_gone",
                    "the stream that Last-Event-ID names is not kept any more; send the request without it for the session's own stream",
                );
            }
        },
        _ if standalone.is_read() => {
            return reply::refusal(
                StatusCode::CONFLICT,
                "stream_open",
                "this session's stream is open already; a session has one",
            );
        }
        _ => standalone.read(),
    };
    let silence = state.settings.keep_alive;
    let body = EventBody::new(None, reading, silence, session.hold());
    events::lasting_stream(Body::new(body))
}

/// `DELETE /mcp`.
fn end(state: &AppState, identity: &Identity, request: &HttpRequest) -> Response {
    match known_session(state, identity, request.headers()) {
        Ok(session) => {
            state.sessions.close(&session);
            reply::empty(StatusCode::NO_CONTENT)
        }
        Err(response) => *response,
    }
}
