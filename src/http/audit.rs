//! One audit line and one count for each request that did not reach a record of its own. Judges nothing.
//!
//! A request whose message was handed to the MCP layer is recorded there, with its method and tool.
//! Everything else that ends badly ends here: refused, malformed, or given up by its client.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::Response;

use super::accept::Peer;
use super::auth::Identity;
use super::refusals::{Refusals, Refused};
use super::reply::{Reason, Recorded};

/// How far a request came. Clones say the same.
#[derive(Debug, Clone, Default)]
pub struct Handover(Arc<AtomicBool>);

impl Handover {
    /// The whole message is there and goes to the MCP layer, which records what becomes of it.
    pub fn handed_over(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_handed_over(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Records a request that is refused, or whose client goes before its message is there.
pub async fn record(
    State(refusals): State<Refusals>,
    mut request: Request<Body>,
    next: Next,
) -> Response {
    let progress = Handover::default();
    request.extensions_mut().insert(progress.clone());
    let mut pending = Pending::new(refusals, &request, progress);
    let response = next.run(request).await;
    pending.end(&response);
    response
}

/// A request that has no answer yet. Dropped without one, its client has gone.
struct Pending {
    refusals: Refusals,
    arrived: Instant,
    peer: Option<Peer>,
    identity: Option<Identity>,
    /// Most requests are answered, and nobody asks for them again: what a log says of them is written when it is.
    method: Method,
    uri: Uri,
    progress: Handover,
    answered: bool,
}

impl Pending {
    fn new(refusals: Refusals, request: &Request<Body>, progress: Handover) -> Self {
        Self {
            refusals,
            arrived: Instant::now(),
            peer: request.extensions().get::<Peer>().copied(),
            identity: request.extensions().get::<Identity>().cloned(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            progress,
            answered: false,
        }
    }

    fn end(&mut self, response: &Response) {
        self.answered = true;
        if let Some(reason) = refused(response) {
            self.record(reason);
        }
    }

    fn record(&self, reason: &'static str) {
        let principal = self.identity.as_ref().map(|identity| &identity.principal);
        let key = principal
            .and_then(|principal| principal.key)
            .map(|key| key.to_string());
        let line = format!("{} {}", self.method, self.uri.path());
        let request = crate::text::quoted(&line);
        self.refusals.record(&Refused {
            reason,
            peer: self.peer.map(|Peer(address)| address.ip()),
            request: Some(&request),
            agent: principal.and_then(|principal| principal.agent.as_deref()),
            key: key.as_deref(),
            duration: Some(self.arrived.elapsed()),
        });
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered && !self.progress.is_handed_over() {
            self.record("client_gone");
        }
    }
}

/// Why the answer is a refusal, if it is one and nobody else has recorded it.
fn refused(response: &Response) -> Option<&'static str> {
    if response.extensions().get::<Recorded>().is_some() {
        return None;
    }
    if let Some(Reason(reason)) = response.extensions().get::<Reason>() {
        return Some(reason);
    }
    match response.status() {
        StatusCode::NOT_FOUND => Some("unknown_session"),
        // `/readyz` says no more than that; refusals of new work carry their reason.
        StatusCode::SERVICE_UNAVAILABLE => None,
        status if status.is_server_error() => Some("internal_error"),
        status if status.is_client_error() => Some("bad_request"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::reply;

    #[test]
    fn a_refusal_has_its_reason_and_an_answer_has_none() {
        let recorded = |status| {
            let mut response = reply::json(status, "{}");
            response.extensions_mut().insert(Recorded);
            response
        };
        for (response, expected) in [
            (reply::unauthorized(), Some("unauthorized")),
            (reply::unavailable("stopping"), Some("unavailable")),
            (reply::method_not_allowed("GET"), Some("method_not_allowed")),
            (
                reply::text(StatusCode::NOT_FOUND, ""),
                Some("unknown_session"),
            ),
            (reply::empty(StatusCode::BAD_REQUEST), Some("bad_request")),
            (
                reply::empty(StatusCode::INTERNAL_SERVER_ERROR),
                Some("internal_error"),
            ),
            (
                reply::text(StatusCode::SERVICE_UNAVAILABLE, "loading plugins"),
                None,
            ),
            (reply::empty(StatusCode::ACCEPTED), None),
            (recorded(StatusCode::NOT_FOUND), None),
        ] {
            assert_eq!(refused(&response), expected, "{}", response.status());
        }
    }
}
