//! The HTTP transport: connections, who is calling, whether they may, and the routes.

pub mod accept;
pub mod answer;
pub mod auth;
pub mod authority;
pub mod body;
pub mod events;
pub mod gate;
pub mod head;
pub mod health;
pub mod mcp_headers;
pub mod reply;
pub mod sse;
pub mod state;
pub mod stateless;
pub mod streamable;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::Response;
use axum::routing::{MethodRouter, any};
use tower_http::catch_panic::CatchPanicLayer;

use crate::mcp::sessions::Sessions;

pub use state::{AppState, Settings};

/// The routes, behind `auth` and `gate`.
pub fn router(sessions: Arc<Sessions>, settings: Settings) -> Router {
    let auth = Arc::new(settings.auth.clone());
    let gate = Arc::new(gate::Gate {
        settings: settings.gate.clone(),
        root_path: settings.root_path.clone(),
        counters: sessions.services().counters.clone(),
    });
    let root_path = settings.root_path.clone();
    let state = Arc::new(AppState {
        sessions,
        settings,
        started: Instant::now(),
    });
    let routes = Router::new()
        .route("/sse", any(sse::open))
        .route("/sse/", any(sse::open))
        .route("/messages", any(sse::message))
        .route("/messages/", any(sse::message))
        .route("/message", any(sse::message))
        .route("/message/", any(sse::message))
        .route("/mcp", any(streamable::serve))
        .route("/mcp/", any(streamable::serve))
        .route("/health", read_only(axum::routing::get(health::health)))
        .route("/healthz", read_only(axum::routing::get(health::alive)))
        .route("/readyz", read_only(axum::routing::get(health::ready)))
        .route("/metrics", read_only(axum::routing::get(health::metrics)))
        .with_state(state);
    // A proxy may pass the prefix on or take it off; both reach the same routes.
    let routes = if root_path.is_empty() {
        routes
    } else {
        Router::new().nest(&root_path, routes.clone()).merge(routes)
    };
    routes
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(gate, gate::judge))
        .layer(middleware::from_fn_with_state(auth, auth::resolve))
        .layer(CatchPanicLayer::custom(panicked))
}

fn read_only<S: Clone + Send + Sync + 'static>(route: MethodRouter<S>) -> MethodRouter<S> {
    route.fallback(|| async { reply::method_not_allowed("GET, HEAD") })
}

async fn not_found(request: Request) -> Response {
    let why = format!(
        "nothing at {}; clients connect to /mcp or /sse, scripts post to /messages/, people look at /health",
        crate::text::quoted(request.uri().path())
    );
    reply::refusal(StatusCode::NOT_FOUND, "not_found", &why)
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> Response<Body> {
    reply::refusal(
        StatusCode::INTERNAL_SERVER_ERROR,
        "internal_error",
        "the server's log says more",
    )
}
