//! `/background`: the programs that calls have left running, listed and ended. Knows no credential: `gate` has
//! checked it.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

use super::reply;
use super::state::AppState;

/// `GET /background`: what successful calls have left running, the oldest first.
pub async fn list(State(state): State<Arc<AppState>>) -> Response {
    let jobs = state.sessions.services().catalog.background().await;
    reply::json(StatusCode::OK, json!({"background": jobs}).to_string())
}

/// `DELETE /background?id=ID`: begins to end one of them. It is listed until its processes are gone.
pub async fn end(State(state): State<Arc<AppState>>, request: Request) -> Response {
    let id = request
        .uri()
        .query()
        .and_then(|query| query.strip_prefix("id="));
    let Some(id) = id.and_then(|id| id.parse().ok()) else {
        let why = "say which job to end: DELETE /background?id=ID; GET /background lists them";
        return reply::refusal(StatusCode::BAD_REQUEST, "bad_request", why);
    };
    if !state.sessions.services().catalog.end_background_job(id) {
        let why = format!("no background job {id}; GET /background lists those that there are");
        return reply::refusal(StatusCode::NOT_FOUND, "not_found", &why);
    }
    reply::json(StatusCode::ACCEPTED, json!({"ending": id}).to_string())
}
