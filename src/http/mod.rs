//! The HTTP transport: connections, who is calling, whether they may, and the routes.

pub mod accept;
pub mod answer;
pub mod audit;
pub mod auth;
pub mod authority;
pub mod background;
pub mod body;
mod body_budget;
pub mod connection;
pub mod events;
pub mod framing;
pub mod gate;
pub mod health;
pub mod lasting;
pub mod mcp_headers;
pub mod metrics;
pub mod page;
pub mod refusals;
pub mod rejection;
pub mod reply;
pub mod requests;
pub mod sse;
pub mod state;
pub mod stateless;
pub mod streamable;
pub mod throttle;

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, any, get};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use crate::mcp::sessions::Sessions;

pub use accept::Service;
use refusals::Refusals;
pub use state::{AppState, Settings};

/// The routes, each with every method that it has. `OPTIONS` is answered for all of them in one place.
const METHODS: [(&str, &str); 9] = [
    ("/sse", "GET, POST, OPTIONS"),
    ("/messages", "POST, OPTIONS"),
    ("/message", "POST, OPTIONS"),
    ("/mcp", "GET, POST, DELETE, OPTIONS"),
    ("/health", "GET, HEAD, OPTIONS"),
    ("/healthz", "GET, HEAD, OPTIONS"),
    ("/readyz", "GET, HEAD, OPTIONS"),
    ("/metrics", "GET, HEAD, OPTIONS"),
    ("/background", "GET, HEAD, DELETE, OPTIONS"),
];

/// The routes, behind `auth` and `gate`.
pub fn service(sessions: Arc<Sessions>, settings: Settings) -> Service {
    let refusals = Refusals::new(sessions.services().counters.clone());
    let auth = Arc::new(settings.auth.clone());
    let gate = Arc::new(gate::Gate::new(
        settings.gate.clone(),
        &settings.root_path,
        &settings.auth,
        settings.page.is_some(),
    ));
    let root_path = settings.root_path.clone();
    let state = Arc::new(AppState {
        sessions,
        settings,
        started: Instant::now(),
    });
    // One layer of the router, the outermost first: each of its layers is boxed, and cloned whole for every request
    // by the one around it.
    let layers = ServiceBuilder::new()
        .layer(middleware::from_fn_with_state(auth, auth::resolve))
        .layer(middleware::from_fn_with_state(
            refusals.clone(),
            audit::record,
        ))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(middleware::from_fn_with_state(gate, gate::judge));
    let router = routes(state, &root_path).layer(layers);
    Service { router, refusals }
}

fn routes(state: Arc<AppState>, root_path: &str) -> Router {
    let page = match state.settings.page {
        Some(_) => page::routes(at),
        None => Router::new(),
    };
    let looks_at = match state.settings.page {
        Some(_) => "/ui/ or /health",
        None => "/health",
    };
    let routes = Router::new()
        .merge(page)
        .merge(at("/sse", any(sse::open)))
        .merge(at("/messages", any(sse::message)))
        .merge(at("/message", any(sse::message)))
        .merge(at("/mcp", any(streamable::serve)))
        .merge(at("/health", get(health::health)))
        .merge(at("/healthz", get(health::alive)))
        .merge(at("/readyz", get(health::ready)))
        .merge(at("/metrics", get(metrics::metrics)))
        .merge(at(
            "/background",
            get(background::list).delete(background::end),
        ))
        .layer(middleware::from_fn(check_method))
        .with_state(state);
    // A proxy may pass the prefix on or take it off; both reach the same routes.
    let routes = if root_path.is_empty() {
        routes
    } else {
        Router::new().nest(root_path, routes.clone()).merge(routes)
    };
    routes.fallback(move |request| not_found(request, looks_at))
}

/// The route with a final slash and without.
fn at(path: &str, methods: MethodRouter<Arc<AppState>>) -> Router<Arc<AppState>> {
    Router::new()
        .route(path, methods.clone())
        .route(&format!("{path}/"), methods)
}

/// Answers methods that a route does not have, and `OPTIONS`. A route that lacks a method for one request alone, such as
/// `GET /mcp` without a session, says itself which there are.
async fn check_method(request: Request, next: Next) -> Response {
    let path = request.uri().path().trim_end_matches('/');
    let Some((_, allowed)) = METHODS.iter().find(|(route, _)| *route == path) else {
        return next.run(request).await;
    };
    let method = request.method().clone();
    if method == Method::OPTIONS {
        return reply::options(allowed);
    }
    if !allowed.split(", ").any(|allowed| allowed == method) {
        return reply::method_not_allowed(allowed);
    }
    next.run(request).await
}

async fn not_found(request: Request, looks_at: &'static str) -> Response {
    let why = format!(
        "nothing at {}; clients connect to /mcp or /sse, scripts post to /messages/, people look at {looks_at}",
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
