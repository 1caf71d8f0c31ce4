//! Checks every request before its route: its head, host, origin and key. Knows no route but the probes and the
//! files of the page.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use axum::middleware::Next;
use axum::response::Response;

use super::auth::{self, AuthStatus, Identity};
use super::authority::{Allowed, Authority, Host};
use super::framing::{MAX_HEADER_BYTES, MAX_TARGET};
use super::page::files;
use super::{mcp_headers, reply};

/// Browser clients may send these, and every `Mcp-Param-*`.
const CORS_HEADERS: &str = "authorization, content-type, last-event-id, mcp-method, mcp-name, \
    mcp-protocol-version, mcp-session-id, traceparent, tracestate, x-agent-id, x-api-key";
/// Browser clients may read these.
const CORS_EXPOSED: &str = "mcp-session-id, mcp-protocol-version, retry-after, www-authenticate";

/// Which names and origins are answered.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// What the server was asked to bind: a name or an address.
    pub bound_host: String,
    /// Whether it listens on loopback only.
    pub bound_to_loopback: bool,
    /// `MCP_ALLOWED_HOSTS`.
    pub allowed_hosts: Vec<Allowed>,
    /// `MCP_ALLOWED_ORIGINS`, as browsers send them.
    pub allowed_origins: Vec<String>,
}

/// The settings, and what else the checks need.
#[derive(Debug)]
pub struct Gate {
    settings: Settings,
    /// What stands before the paths for clients, without a final slash.
    root_path: String,
    /// No authentication on an address that others can reach: containers call the server by names
    /// that it cannot know.
    any_host: bool,
    /// Whether there is a page for people, whose files are everybody's.
    has_page: bool,
}

/// Lets a request through to its route, or refuses it.
pub async fn judge(State(gate): State<Arc<Gate>>, request: Request<Body>, next: Next) -> Response {
    // Orchestrators ask by whatever name they know, and learn nothing but a status.
    let route = gate.route(&request);
    // The files of the page are the same for everybody, and no request to them shows a key yet.
    let is_file = gate.has_page && files::is_file(request.method(), route);
    if is_file || matches!(route, "/healthz" | "/readyz") {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS
        && request
            .headers()
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match gate.refusal(&request, preflight) {
        Some(refused) if !refused.readable => return refused.response,
        Some(refused) => refused.response,
        None if preflight => preflight_answer(request.headers()),
        None => next.run(request).await,
    };
    if let Some(origin) = origin {
        allow_origin(response.headers_mut(), origin);
    }
    response
}

struct Refusal {
    response: Response,
    /// The page that asked may read what is wrong.
    readable: bool,
}

impl Refusal {
    fn malformed(response: Response) -> Self {
        Self {
            response,
            readable: false,
        }
    }

    fn forbidden(code: &'static str, why: &str) -> Self {
        Self {
            response: reply::refusal(StatusCode::FORBIDDEN, code, why),
            readable: false,
        }
    }

    fn unauthorized(readable: bool) -> Self {
        Self {
            response: reply::unauthorized(),
            readable,
        }
    }
}

impl Gate {
    /// The gate of a server with these settings, below `root_path`, with a page for people or without.
    pub fn new(settings: Settings, root_path: &str, auth: &auth::Settings, has_page: bool) -> Self {
        Self {
            has_page,
            any_host: auth.disabled && !settings.bound_to_loopback,
            root_path: root_path.to_owned(),
            settings,
        }
    }

    /// The path as the router knows it, without a final slash: a proxy may have left the prefix on.
    fn route<'a>(&self, request: &'a Request<Body>) -> &'a str {
        let path = request.uri().path();
        let path = path
            .strip_prefix(self.root_path.as_str())
            .filter(|rest| rest.starts_with('/'))
            .unwrap_or(path);
        path.strip_suffix('/').unwrap_or(path)
    }

    /// Why a request is not let through. A missing key comes before a foreign host, for its answer
    /// says what to do.
    fn refusal(&self, request: &Request<Body>, preflight: bool) -> Option<Refusal> {
        let identity = request
            .extensions()
            .get::<Identity>()
            .expect("auth stands before the gate and adds it");
        let host = match well_formed(request) {
            Ok(host) => host,
            Err(response) => return Some(Refusal::malformed(*response)),
        };
        let known_origin = self
            .settings
            .admits_origin(request.headers(), host.as_ref());
        // A browser's preflight never carries a credential.
        let needs_key = identity.status == AuthStatus::Missing
            && !preflight
            && self.route(request) != "/health";
        if identity.status == AuthStatus::Bad || (needs_key && known_origin) {
            return Some(Refusal::unauthorized(known_origin));
        }
        let any_host = self.any_host || identity.status == AuthStatus::Keyed;
        if !any_host && !needs_key && !self.settings.admits_host(host.as_ref()) {
            let host = host.map_or_else(String::new, |host| host.to_string());
            let why = format!(
                "host '{host}' is not served; use the address itself, a key, or set MCP_ALLOWED_HOSTS"
            );
            return Some(Refusal::forbidden("host_not_allowed", &why));
        }
        if !known_origin {
            let why = "this origin is not allowed; set MCP_ALLOWED_ORIGINS to allow it";
            return Some(Refusal::forbidden("origin_not_allowed", why));
        }
        None
    }
}

impl Settings {
    /// Rebinding attacks need a name, so an address is always admitted.
    fn admits_host(&self, host: Option<&Authority>) -> bool {
        let Some(host) = host else { return true };
        host.is_loopback()
            || matches!(host.host, Host::Address(_))
            || Host::parse(&self.bound_host).is_some_and(|bound| bound == host.host)
            || self
                .allowed_hosts
                .iter()
                .any(|allowed| host.matches(allowed))
    }

    fn admits_origin(&self, headers: &HeaderMap, host: Option<&Authority>) -> bool {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else {
            return true;
        };
        if origins.next().is_some() {
            return false;
        }
        if self
            .allowed_origins
            .iter()
            .any(|allowed| origin.as_bytes().eq_ignore_ascii_case(allowed.as_bytes()))
        {
            return true;
        }
        let Some(named) = Authority::of_origin(origin.as_bytes()) else {
            return false;
        };
        let own = host.is_some_and(|host| {
            // A host without a port is at the port of its scheme, which is not told here.
            let same_port = match host.port {
                Some(port) => named.port == Some(port),
                None => matches!(named.port, Some(80 | 443)),
            };
            host.host == named.host && same_port
        });
        own || (self.bound_to_loopback && named.is_loopback())
    }
}

/// The host that a request names.
///
/// # Errors
///
/// The head cannot be answered: it is too large, repeats what may stand there once, or names no host.
fn well_formed(request: &Request<Body>) -> Result<Option<Authority>, Box<Response>> {
    let bad = |why: &str| {
        Err(Box::new(reply::refusal(
            StatusCode::BAD_REQUEST,
            "bad_request",
            why,
        )))
    };
    let headers = request.headers();
    let size: usize = headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if size > MAX_HEADER_BYTES {
        let why = format!("the headers are {size} bytes; the limit is {MAX_HEADER_BYTES}");
        return Err(Box::new(reply::refusal(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            "headers_too_large",
            &why,
        )));
    }
    if request.uri().path().len() + request.uri().query().map_or(0, str::len) > MAX_TARGET {
        return Err(Box::new(reply::refusal(
            StatusCode::URI_TOO_LONG,
            "uri_too_long",
            "the request target is too long",
        )));
    }
    if let Some(fault) = mcp_headers::repeated(headers) {
        return Err(Box::new(reply::fault(&fault)));
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (Some(host), None) => host,
        (Some(_), Some(_)) => return bad("a request has one host header, not two"),
        (None, _) if request.version() < Version::HTTP_11 => return Ok(None),
        (None, _) => return bad("a request needs a host header"),
    };
    let Some(host) = Authority::parse(host.as_bytes()) else {
        return bad("the host header is not a host");
    };
    let contradicted = request
        .uri()
        .authority()
        .is_some_and(|target| Authority::parse(target.as_str().as_bytes()).as_ref() != Some(&host));
    if contradicted {
        bad("the host header contradicts the request target")
    } else {
        Ok(Some(host))
    }
}

fn preflight_answer(asked: &HeaderMap) -> Response {
    let mut response = reply::empty(StatusCode::NO_CONTENT);
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, POST, DELETE, OPTIONS"),
    );
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed_headers(asked));
    headers.insert(
        header::ACCESS_CONTROL_MAX_AGE,
        HeaderValue::from_static("600"),
    );
    // Asked by pages that call from the public network into a private one.
    headers.insert(
        HeaderName::from_static("access-control-allow-private-network"),
        HeaderValue::from_static("true"),
    );
    response
}

/// The headers that a page may send: the fixed ones, and those of arguments that it asks for.
fn allowed_headers(asked: &HeaderMap) -> HeaderValue {
    let parameters = asked
        .get_all(header::ACCESS_CONTROL_REQUEST_HEADERS)
        .iter()
        .filter_map(|names| names.to_str().ok())
        .flat_map(|names| names.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .filter(|name| name.starts_with(mcp_headers::PARAM_PREFIX));
    let mut allowed = CORS_HEADERS.to_owned();
    for name in parameters {
        allowed.push_str(", ");
        allowed.push_str(&name);
    }
    HeaderValue::from_str(&allowed).unwrap_or(HeaderValue::from_static(CORS_HEADERS))
}

fn allow_origin(headers: &mut HeaderMap, origin: HeaderValue) {
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(CORS_EXPOSED),
    );
    headers.append(header::VARY, HeaderValue::from_static("origin"));
}
