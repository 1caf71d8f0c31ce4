//! One GET over HTTP or HTTPS, bounded in time and size. Knows no agent and nothing of Letta's API.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Connections;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

/// A connection that is not used is closed after this long.
const IDLE_LIMIT: Duration = Duration::from_secs(90);
/// Connections that are kept for the next request.
const MAX_IDLE: usize = 4;

/// A client that shows the same token with every request.
pub struct Client {
    connections: Connections<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    authorization: HeaderValue,
    limit: Duration,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// It took longer than the limit.
    TimedOut,
    /// The body is longer than what was to be taken.
    TooLarge,
    /// Not reached, or gone in the middle: what the system said.
    Broken(String),
}

/// An answer whose body is still to be read, within what is left of the time.
#[derive(Debug)]
pub struct Response {
    response: hyper::Response<Incoming>,
    deadline: Instant,
}

impl Client {
    /// A client that shows `token`. A request may take `limit`, from connecting to the last byte.
    ///
    /// # Errors
    /// What is missing: certificates of the system, or a token that a header can carry.
    pub fn new(token: &str, limit: Duration) -> Result<Self, String> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| "the password has characters that no HTTP header can carry".to_owned())?;
        authorization.set_sensitive(true);
        let mut sockets = HttpConnector::new();
        sockets.set_nodelay(true);
        // What the scheme asks for is decided by the connector around it.
        sockets.enforce_http(false);
        let provider = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_platform_verifier(provider)
            .map_err(|error| innermost(&error))?
            .https_or_http()
            .enable_http1()
            .wrap_connector(sockets);
        let connections = Connections::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Self {
            connections,
            authorization,
            limit,
        })
    }

    /// Asks for `url`. Follows no redirect and uses no proxy: the environment is not read here, and the token goes to
    /// nobody else.
    ///
    /// # Errors
    /// No answer came within the limit.
    pub async fn get(&self, url: &str) -> Result<Response, Failure> {
        // No User-Agent: Letta takes a client that names itself, and is not its own SDK, for an old
        // one, and sends it every agent whole, tools' sources included.
        let request = Request::get(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(ACCEPT, "application/json")
            .body(Empty::new())
            .map_err(|error| Failure::Broken(innermost(&error)))?;
        let deadline = Instant::now() + self.limit;
        match timeout_at(deadline, self.connections.request(request)).await {
            Ok(Ok(response)) => Ok(Response { response, deadline }),
            Ok(Err(error)) => Err(Failure::Broken(innermost(&error))),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

impl Response {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The whole body, which may have `limit` bytes.
    ///
    /// # Errors
    /// It is longer, by its declared length before any of it is read; or it does not come in time.
    pub async fn body(self, limit: usize) -> Result<Bytes, Failure> {
        let body = self.response.into_body();
        if hyper::body::Body::size_hint(&body).lower() > limit as u64 {
            return Err(Failure::TooLarge);
        }
        let read = timeout_at(self.deadline, Limited::new(body, limit).collect()).await;
        match read.map_err(|_| Failure::TimedOut)? {
            Ok(body) => Ok(body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Failure::TooLarge),
            Err(error) => Err(Failure::Broken(innermost(&*error))),
        }
    }
}

/// The innermost cause: "connection refused" and not "client error".
fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
