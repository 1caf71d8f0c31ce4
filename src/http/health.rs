//! `/health`, `/healthz`, `/readyz`. Knows no credential: `gate` has checked it.
//!
//! They need no key. Who needs one and shows none is told numbers and never names.

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::auth::{AuthStatus, Identity};
use super::reply;
use super::state::AppState;

/// `GET /health`: how the server is, for people and scripts.
pub async fn health(
    State(state): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
) -> Response {
    let snapshot = state.sessions.services().catalog.snapshot();
    let leaving = state.sessions.services().leaving.is_cancelled();
    let mut body = json!({
        "status": if leaving { "draining" } else { "healthy" },
        "version": env!("CARGO_PKG_VERSION"),
        "plugins": snapshot.plugins.len(),
        "tools": crate::mcp::methods::tools::count(state.sessions.services()),
        "sessions": state.sessions.count(),
        "uptime_seconds": Instant::now().duration_since(state.started).as_secs(),
        "plugins_not_served": snapshot.unserved().count(),
    });
    if matches!(identity.status, AuthStatus::Keyed | AuthStatus::Exempt) {
        let unserved = snapshot.unserved().map(|(skipped, class)| {
            json!({"plugin": skipped.name, "class": class.word(), "reason": skipped.reason})
        });
        let unserved: Vec<_> = unserved.collect();
        if !unserved.is_empty() {
            body["not_served"] = unserved.into();
        }
    }
    reply::json(StatusCode::OK, body.to_string())
}

/// `GET /healthz`: 200 while the process lives.
pub async fn alive() -> Response {
    reply::text(StatusCode::OK, "ok\n")
}

/// `GET /readyz`: 200 once every plugin has answered and until the server begins to stop.
pub async fn ready(State(state): State<Arc<AppState>>) -> Response {
    let services = state.sessions.services();
    let snapshot = services.catalog.snapshot();
    if services.leaving.is_cancelled() {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    } else if snapshot.is_starved() {
        reply::text(
            StatusCode::SERVICE_UNAVAILABLE,
            "no plugin could be asked\n",
        )
    } else if snapshot.complete {
        reply::text(StatusCode::OK, "ready\n")
    } else {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, "loading plugins\n")
    }
}
