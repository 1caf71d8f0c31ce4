//! `/health`, `/healthz`, `/readyz`. Gives away counts, never names.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::doors::Doors;
use super::reply;

/// `GET /health`: how the server is, for people and scripts.
pub async fn health(State(doors): State<Arc<Doors>>) -> Response {
    let snapshot = doors.sessions.services().catalog.snapshot();
    let draining = doors.sessions.services().draining.is_cancelled();
    let body = json!({
        "status": if draining { "draining" } else { "healthy" },
        "version": env!("CARGO_PKG_VERSION"),
        "plugins": snapshot.plugins.len(),
        "tools": crate::mcp::methods::tools::count(doors.sessions.services()),
        "sessions": doors.sessions.count(),
        "uptime_seconds": Instant::now().duration_since(doors.started).as_secs(),
    });
    reply::json(StatusCode::OK, body.to_string())
}

/// `GET /healthz`: 200 while the process lives.
pub async fn alive() -> Response {
    reply::text(StatusCode::OK, "ok\n")
}

/// `GET /readyz`: 200 once every plugin has answered and until the server begins to stop.
pub async fn ready(State(doors): State<Arc<Doors>>) -> Response {
    let services = doors.sessions.services();
    if services.draining.is_cancelled() {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, "shutting down\n")
    } else if services.catalog.snapshot().complete {
        reply::text(StatusCode::OK, "ready\n")
    } else {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, "loading plugins\n")
    }
}
