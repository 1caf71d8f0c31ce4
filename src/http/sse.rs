//! HTTP+SSE: `GET /sse`, `POST /messages/`, and direct mode. Knows no method.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;

use super::auth::Identity;
use super::body::{self, BodyFault};
use super::events::{self, EventBody};
use super::reply;
use super::state::AppState;
use crate::mcp::direct;
use crate::mcp::outbox::Outbox;
use crate::mcp::principal::Transport;
use crate::mcp::serve;
use crate::mcp::session::{Held, Session};
use crate::mcp::sessions::Sessions;

/// The prefix that a proxy on this machine took off the path.
const PREFIX_HEADER: &str = "x-forwarded-prefix";

/// `GET /sse`: opens a session and streams to it.
pub async fn open(
    State(state): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    match *request.method() {
        Method::GET => {}
        Method::POST => return posted_to_sse(),
        _ => return reply::method_not_allowed("GET"),
    }
    if !body::accepts(request.headers(), "text/event-stream") {
        return reply::refusal(
            StatusCode::NOT_ACCEPTABLE,
            "not_acceptable",
            "this path answers text/event-stream",
        );
    }
    if state.sessions.services().draining.is_cancelled() {
        return reply::unavailable(serve::DRAINING);
    }
    let session = match state
        .sessions
        .open(Transport::Sse, identity.principal.clone())
    {
        Ok(session) => session,
        Err(full) => return reply::unavailable(&full.to_string()),
    };
    let endpoint = format!(
        "{}/messages/?session_id={}",
        state.prefix(&identity, request.headers()),
        session.id()
    );
    if state.settings.manifest || wants_manifest(request.uri().query()) {
        session.announce_tools();
    }
    let first = Some(events::endpoint(&endpoint));
    let lines = session.outbox().attach();
    let opened = Opened {
        sessions: Arc::clone(&state.sessions),
        _held: session.hold(),
        session,
    };
    let silence = state.settings.keep_alive;
    events::lasting_stream(Body::new(EventBody::new(first, lines, silence, opened)))
}

/// `POST /sse`: clients that try Streamable HTTP first fall back to HTTP+SSE on a 400.
fn posted_to_sse() -> Response {
    reply::text(
        StatusCode::BAD_REQUEST,
        "this is the HTTP+SSE endpoint: open it with GET and post to the path of its first event, or use /mcp for Streamable HTTP",
    )
}

/// `POST /messages/`: a message for a session, or, without a session id, a message of its own.
pub async fn message(
    State(state): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
    request: Request,
) -> Response {
    if request.method() != Method::POST {
        return reply::method_not_allowed("POST");
    }
    if !body::is_json(request.headers()) {
        return body::not_json();
    }
    match session_id(request.uri().query()) {
        None => answer_directly(&state, identity, request).await,
        Some(id) => match well_formed(id) {
            None => reply::text(StatusCode::BAD_REQUEST, "Invalid session ID"),
            Some(id) => match state
                .sessions
                .find(&id, Transport::Sse, &identity.principal)
            {
                Some(session) => hand_in(&state, &session, &identity, request).await,
                None => reply::text(StatusCode::NOT_FOUND, "Could not find session"),
            },
        },
    }
}

async fn hand_in(
    state: &AppState,
    session: &Arc<Session>,
    identity: &Identity,
    request: Request,
) -> Response {
    let (message, _charge) = match body::read(request).await {
        Ok(read) => read,
        Err(fault) => {
            if fault != BodyFault::Broken {
                // The client's writer does not survive this answer; an open stream would let its
                // caller wait for ever.
                state.sessions.close(session);
            }
            return fault.response();
        }
    };
    match session.receive(message, &identity.principal).await {
        Ok(()) => reply::text(StatusCode::ACCEPTED, "Accepted"),
        Err(fault) => reply::fault(&fault),
    }
}

async fn answer_directly(state: &AppState, identity: Identity, request: Request) -> Response {
    if !body::accepts(request.headers(), "application/json") {
        return reply::refusal(
            StatusCode::NOT_ACCEPTABLE,
            "not_acceptable",
            "this path answers application/json",
        );
    }
    let (message, charge) = match body::read(request).await {
        Ok(read) => read,
        Err(fault) => return fault.response(),
    };
    let services = state.sessions.services();
    let read = direct::read(services, message).await;
    drop(charge);
    let request = match read {
        Ok(Some(request)) => request,
        Ok(None) => return reply::text(StatusCode::ACCEPTED, "Accepted"),
        Err(fault) if fault.id.is_some() => {
            let answer = fault.to_bytes();
            services.counters.sent().add(answer.len());
            return reply::json(StatusCode::OK, answer);
        }
        Err(fault) => return reply::fault(&fault),
    };
    let account = services.budget.open(identity.principal.key);
    let outbox = Outbox::new(Arc::clone(&account));
    account.held_by(Arc::downgrade(&outbox) as _);
    let principal = identity.principal;
    let cancel = principal.validity.token();
    // The connection closed: nobody waits for the answer any more.
    let gone = cancel.clone().drop_guard();
    let context = direct::context(services, Transport::Direct, principal, account, cancel);
    // A task that the end of the server waits for, like those of every other call.
    let served = services
        .tasks
        .spawn(async move { serve::serve(&context, &request).await });
    match served.await.unwrap_or_default().answer {
        Some(answer) => events::json(StatusCode::OK, answer.into_bytes(), &outbox, gone),
        None => reply::text(StatusCode::ACCEPTED, "Accepted"),
    }
}

fn session_id(query: Option<&str>) -> Option<&str> {
    query?
        .split('&')
        .find_map(|pair| pair.strip_prefix("session_id="))
}

fn wants_manifest(query: Option<&str>) -> bool {
    query.is_some_and(|query| {
        query
            .split('&')
            .any(|pair| matches!(pair, "manifest=1" | "manifest=true"))
    })
}

/// 32 hex digits; with the hyphens of a UUID they are the same id.
fn well_formed(id: &str) -> Option<String> {
    let hyphens = id.bytes().filter(|byte| *byte == b'-').count();
    let is_known = |byte: u8| byte == b'-' || byte.is_ascii_hexdigit();
    if id.len() != 32 + hyphens || !matches!(hyphens, 0 | 4) || !id.bytes().all(is_known) {
        return None;
    }
    let mut digits = String::with_capacity(32);
    digits.extend(id.chars().filter(|character| *character != '-'));
    digits.make_ascii_lowercase();
    Some(digits)
}

/// A session that ends with the stream that opened it.
#[derive(Debug)]
struct Opened {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
    _held: Held,
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.sessions.close(&self.session);
    }
}

impl AppState {
    /// What stands before this server's paths for the client: configured, or named by a proxy on
    /// this machine.
    fn prefix(&self, identity: &Identity, headers: &HeaderMap) -> String {
        if !self.settings.root_path.is_empty() {
            return self.settings.root_path.clone();
        }
        let prefix = headers
            .get(PREFIX_HEADER)
            .filter(|_| identity.loopback)
            .and_then(|prefix| prefix.to_str().ok());
        prefix.and_then(clean_prefix).unwrap_or_default()
    }
}

/// A path prefix without a final slash; `None` for anything that is no plain path.
pub fn clean_prefix(prefix: &str) -> Option<String> {
    let trimmed = prefix.trim().trim_end_matches('/');
    let plain = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '/' | '-' | '_' | '.' | '~')
    };
    if trimmed.is_empty() {
        return Some(String::new());
    }
    (trimmed.starts_with('/') && !trimmed.starts_with("//") && trimmed.chars().all(plain))
        .then(|| trimmed.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn session_ids_are_32_hex_digits() {
        let id = "0123456789abcdef0123456789ABCDEF";
        assert_eq!(
            well_formed(id).as_deref(),
            Some("0123456789abcdef0123456789abcdef")
        );
        assert_eq!(
            well_formed("01234567-89ab-cdef-0123-456789abcdef").as_deref(),
            Some("0123456789abcdef0123456789abcdef")
        );
        for bad in [
            "",
            "x",
            "0123456789abcdef0123456789abcde",
            "0123456789abcdef0123456789abcdeg",
            "0123456789abcdef0123456789abcdef0",
        ] {
            assert_eq!(well_formed(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_prefix_is_a_plain_path_or_nothing() {
        assert_eq!(clean_prefix("/smcp/").as_deref(), Some("/smcp"));
        assert_eq!(clean_prefix("/").as_deref(), Some(""));
        for bad in [
            "smcp",
            "//evil.test",
            "/a b",
            "/a\r\nx",
            "/a?b",
            "https://evil.test",
        ] {
            assert_eq!(clean_prefix(bad), None, "{bad}");
        }
    }
}
