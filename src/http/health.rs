//! `/health`, `/healthz`, `/readyz`, `/metrics`. Knows no credential: `gate` has checked it.
//!
//! The first three need no key, so they say numbers and never names.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::reply;
use super::state::AppState;
use crate::telemetry::METRICS_CONTENT_TYPE;

/// `GET /health`: how the server is, for people and scripts.
pub async fn health(State(state): State<Arc<AppState>>) -> Response {
    let snapshot = state.sessions.services().catalog.snapshot();
    let leaving = state.sessions.services().leaving.is_cancelled();
    let body = json!({
        "status": if leaving { "draining" } else { "healthy" },
        "version": env!("CARGO_PKG_VERSION"),
        "plugins": snapshot.plugins.len(),
        "tools": crate::mcp::methods::tools::count(state.sessions.services()),
        "sessions": state.sessions.count(),
        "uptime_seconds": Instant::now().duration_since(state.started).as_secs(),
    });
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

/// `GET /metrics`: the counters for Prometheus. It names tools, so it needs a key.
pub async fn metrics(State(state): State<Arc<AppState>>) -> Response {
    let services = state.sessions.services();
    let jobs = services.catalog.background_counts();
    let load = services.catalog.call_load();
    let warm = services.catalog.warm_parents();
    let text = services.counters.render_prometheus(load, jobs, warm);
    reply::typed(StatusCode::OK, METRICS_CONTENT_TYPE, text)
}
