//! The page for people at `/ui/`: its files, what the server does at this moment, and a way to stop a call.
//!
//! Everything else the page does as any MCP client does, at `/mcp`.

pub mod files;
pub mod moment;
pub mod query;
pub mod view;

use std::sync::Arc;

use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use axum::{Extension, Router};
use serde::Deserialize;
use serde_json::json;

use super::auth::Identity;
use super::body;
use super::reply;
use super::state::AppState;
use crate::telemetry::Tail;
use files::{FILES, PAGE, guarded};
use query::Query;
use view::View;

/// The routes of a server that has a page.
pub fn routes(
    at: impl Fn(&str, MethodRouter<Arc<AppState>>) -> Router<Arc<AppState>>,
) -> Router<Arc<AppState>> {
    let files = FILES.iter().filter(|(path, ..)| *path != PAGE);
    let files = files.fold(Router::new(), |routes, (path, ..)| {
        routes.route(
            path,
            get(move |headers: HeaderMap| async move { files::file(path, &headers) }),
        )
    });
    files
        // The page's own links are relative, so that it works below any prefix: they need the slash.
        .route(PAGE, get(to_the_page))
        .route(
            "/ui/",
            get(|headers: HeaderMap| async move { files::file(PAGE, &headers) }),
        )
        .merge(at("/ui/state", get(state)))
        .merge(at("/ui/stop", post(stop)))
        .layer(middleware::from_fn(check_method))
}

/// Answers the methods that a route does not have, and `OPTIONS`.
async fn check_method(request: Request, next: Next) -> Response {
    let (method, path) = (request.method(), request.uri().path());
    let is_stop = path.trim_end_matches('/').ends_with("/stop");
    let allowed = if is_stop {
        "POST, OPTIONS"
    } else {
        "GET, HEAD, OPTIONS"
    };
    let is_allowed = allowed.split(", ").any(|allowed| method == allowed);
    match *method {
        Method::OPTIONS => guarded(reply::options(allowed)),
        _ if !is_allowed => guarded(reply::method_not_allowed(allowed)),
        _ => next.run(request).await,
    }
}

async fn to_the_page(request: Request) -> Response {
    let mut response = reply::empty(StatusCode::PERMANENT_REDIRECT);
    // Relative, for a proxy may have taken off what stands before it.
    let to = format!(
        ".{PAGE}/{}",
        request
            .uri()
            .query()
            .map_or_else(String::new, |query| format!("?{query}"))
    );
    let to = HeaderValue::from_str(&to).unwrap_or(HeaderValue::from_static("./ui/"));
    response.headers_mut().insert(header::LOCATION, to);
    guarded(response)
}

/// Who looks at the page of a server that has one, and what of it is shown to them.
struct Viewer {
    identity: Identity,
    view: View,
    log: Tail,
}

impl FromRequestParts<Arc<AppState>> for Viewer {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AppState>) -> Result<Self, Response> {
        let Some(settings) = &app.settings.page else {
            return Err(StatusCode::NOT_FOUND.into_response());
        };
        let identity = Extension::<Identity>::from_request_parts(parts, app).await;
        let Extension(identity) = identity.map_err(IntoResponse::into_response)?;
        Ok(Self {
            view: View::of(&identity, &app.settings.auth, settings),
            identity,
            log: settings.log.clone(),
        })
    }
}

/// `GET /ui/state`.
async fn state(State(app): State<Arc<AppState>>, viewer: Viewer, request: Request) -> Response {
    let query = Query::parse(request.uri().query());
    let state = moment::state(&app, viewer.view, &query, &viewer.log);
    guarded(reply::json(StatusCode::OK, state.to_string()))
}

/// Which call is to be stopped.
#[derive(Debug, Deserialize)]
struct Stop {
    call: String,
}

/// `POST /ui/stop`: stops a running call. It has to be JSON, which no form of another page can send; where that page is
/// from, `gate` has judged.
async fn stop(State(app): State<Arc<AppState>>, viewer: Viewer, request: Request) -> Response {
    if !body::is_json(request.headers()) {
        return guarded(body::not_json());
    }
    let (bytes, _charge) = match body::read(request).await {
        Ok(read) => read,
        Err(fault) => return guarded(fault.response()),
    };
    let Ok(Stop { call }) = serde_json::from_slice(&bytes) else {
        let why = "say which call to stop: {\"call\":\"ID\"}; GET /ui/state lists those that run";
        return guarded(reply::refusal(StatusCode::BAD_REQUEST, "bad_request", why));
    };
    let Viewer { identity, view, .. } = viewer;
    let activity = &app.sessions.services().activity;
    if !activity.stop(&call, |asked| view.has(asked.key)) {
        let why = format!(
            "no call {} runs; GET /ui/state lists those that do",
            crate::text::in_quotes(&call)
        );
        return guarded(reply::refusal(StatusCode::NOT_FOUND, "not_found", &why));
    }
    tracing::info!(
        call,
        key = identity.principal.key.map(|key| key.to_string()),
        "a call is stopped from the page"
    );
    guarded(reply::json(
        StatusCode::ACCEPTED,
        json!({"stopping": call}).to_string(),
    ))
}
