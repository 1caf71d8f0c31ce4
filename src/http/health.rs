//! `/health`, `/healthz`, `/readyz`. Knows no credential: `gate` has checked it.
//!
//! They need no key. Who needs one and shows none is told numbers and never names.
//!
//! `/health?request` says what of a request has arrived, so that what a proxy does to it can be told from outside
//! (`smcp doctor`): [decision 33](../../docs/decisions/0033-what-arrives.md).

use std::sync::Arc;
use std::time::Instant;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Version, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::auth::{AuthStatus, Identity};
use super::reply;
use super::state::AppState;
use crate::catalog::{Class, Skipped};
use crate::text::shown;

/// What `/readyz` says with 200.
pub const READY: &str = "ready\n";
/// With 503: the server ends.
const LEAVING: &str = "shutting down\n";
/// With 503: the system was out of something whenever a plugin was to be asked.
const STARVED: &str = "no plugin could be asked\n";
/// With 503: some plugin has not answered yet.
const LOADING: &str = "loading plugins\n";
/// All that `/readyz` says with 503.
pub const NOT_READY: [&str; 3] = [LEAVING, STARVED, LOADING];

/// Headers whose arrival is told: those that clients send to an MCP server, and those by which proxies name themselves.
const TOLD: [&str; 18] = [
    "accept",
    "authorization",
    "content-type",
    "forwarded",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "origin",
    "via",
    "x-agent-id",
    "x-api-key",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-real-ip",
];
/// A name is cut off after so many characters, which is more than any has.
const MAX_HOST: usize = 255;

/// `GET /health`: how the server is, for people and scripts.
pub async fn health(
    State(state): State<Arc<AppState>>,
    Extension(identity): Extension<Identity>,
    request: Request,
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
    if !snapshot.outdated.is_empty() {
        body["plugins_outdated"] = snapshot.outdated.len().into();
    }
    if matches!(identity.status, AuthStatus::Keyed | AuthStatus::Exempt) {
        let reasons = [
            ("not_served", listed(snapshot.unserved())),
            ("outdated", listed(snapshot.outdated())),
        ];
        for (member, list) in reasons {
            if !list.is_empty() {
                body[member] = list.into();
            }
        }
        let query = request.uri().query().unwrap_or_default();
        if query.split('&').any(|pair| pair == "request") {
            let mut told = arrived(request.headers(), request.version());
            told["keep_alive_seconds"] = state.settings.keep_alive.as_secs_f64().into();
            body["request"] = told;
        }
    }
    reply::json(StatusCode::OK, body.to_string())
}

/// How a request has come: names of headers and never their values, but for that of `Host`, which the proxy may have
/// changed.
fn arrived(headers: &HeaderMap, version: Version) -> Value {
    let names = TOLD.into_iter().filter(|name| headers.contains_key(*name));
    let host = headers.get(header::HOST);
    let host = host.map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned());
    let version = match version {
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    };
    json!({
        "http_version": version,
        "host": host.map(|host| shown(&host, MAX_HOST)),
        "headers": names.collect::<Vec<_>>(),
    })
}

/// Plugins, each with why.
fn listed<'a>(plugins: impl Iterator<Item = (&'a Skipped, Class)>) -> Vec<Value> {
    let listed = plugins.map(|(skipped, class)| {
        json!({"plugin": skipped.name, "class": class.word(), "reason": skipped.reason})
    });
    listed.collect()
}

/// `GET /healthz`: 200 while the process lives.
pub async fn alive() -> Response {
    reply::text(StatusCode::OK, "ok\n")
}

/// `GET /readyz`: 200 once every plugin has answered and until the server begins to stop.
pub async fn ready(State(state): State<Arc<AppState>>) -> Response {
    let services = state.sessions.services();
    services.readiness_checks.note();
    let snapshot = services.catalog.snapshot();
    if services.leaving.is_cancelled() {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, LEAVING)
    } else if snapshot.is_starved() {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, STARVED)
    } else if snapshot.complete {
        reply::text(StatusCode::OK, READY)
    } else {
        reply::text(StatusCode::SERVICE_UNAVAILABLE, LOADING)
    }
}
