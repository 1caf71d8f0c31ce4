//! One request over HTTP or HTTPS, bounded in time and size. Knows nothing of who is asked.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Builder;
use hyper::{Request, StatusCode};
use hyper_rustls::builderstates::WantsSchemes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Connections;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

/// A connection that is not used is closed after this long.
const IDLE_LIMIT: Duration = Duration::from_secs(90);
/// Connections that are kept for the next request.
const MAX_IDLE: usize = 4;

/// A client of one server, which may show the same token with every request.
pub struct Client {
    connections: Connections<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Those of every request.
    headers: Vec<(HeaderName, HeaderValue)>,
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
    /// A client that trusts the system's certificates. A request may take `limit`, from connecting to the last byte.
    ///
    /// # Errors
    /// The system has no certificates.
    pub fn new(limit: Duration) -> Result<Self, String> {
        let provider = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_platform_verifier(provider)
            .map_err(|error| innermost(&error))?;
        Ok(Self::over(connector, limit))
    }

    /// The same for servers that are reached by HTTP alone: it needs no certificates, and trusts none.
    pub fn without_certificates(limit: Duration) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows both versions of TLS")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        Self::over(HttpsConnectorBuilder::new().with_tls_config(tls), limit)
    }

    fn over(connector: HttpsConnectorBuilder<WantsSchemes>, limit: Duration) -> Self {
        let mut sockets = HttpConnector::new();
        sockets.set_nodelay(true);
        // What the scheme asks for is decided by the connector around it.
        sockets.enforce_http(false);
        let connector = connector
            .https_or_http()
            .enable_http1()
            .wrap_connector(sockets);
        let connections = Connections::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Self {
            connections,
            headers: Vec::new(),
            limit,
        }
    }

    /// The same client, which shows `token`.
    ///
    /// # Errors
    /// No header can carry it.
    pub fn with_token(mut self, token: &str) -> Result<Self, String> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| "the password has characters that no HTTP header can carry".to_owned())?;
        authorization.set_sensitive(true);
        self.headers.push((AUTHORIZATION, authorization));
        Ok(self)
    }

    /// The same client, which sends these headers with every request.
    #[must_use]
    pub fn with_headers(mut self, headers: Vec<(HeaderName, HeaderValue)>) -> Self {
        self.headers.extend(headers);
        self
    }

    /// Asks for `url`. Follows no redirect and uses no proxy: the environment is not read here, and the token goes to
    /// nobody else.
    ///
    /// # Errors
    /// No answer came within the limit.
    pub async fn get(&self, url: &str) -> Result<Response, Failure> {
        // No User-Agent: Letta takes a client that names itself, and is not its own SDK, for an old
        // one, and sends it every agent whole, tools' sources included.
        self.send(Request::get(url), Bytes::new()).await
    }

    /// Sends `body` to `url`, as [`get`](Self::get) asks.
    ///
    /// # Errors
    /// No answer came within the limit.
    pub async fn post(
        &self,
        url: &str,
        content_type: &'static str,
        body: Bytes,
    ) -> Result<Response, Failure> {
        let request = Request::post(url).header(CONTENT_TYPE, content_type);
        self.send(request, body).await
    }

    async fn send(&self, mut request: Builder, body: Bytes) -> Result<Response, Failure> {
        request = request.header(ACCEPT, "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request
            .body(Full::new(body))
            .map_err(|error| Failure::Broken(innermost(&error)))?;
        let deadline = Instant::now() + self.limit;
        match timeout_at(deadline, self.connections.request(request)).await {
            Ok(Ok(response)) => Ok(Response { response, deadline }),
            Ok(Err(error)) => Err(Failure::Broken(innermost(&error))),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer came in time"),
            Self::TooLarge => f.write_str("the answer is too long"),
            Self::Broken(what) => f.write_str(what),
        }
    }
}

impl Error for Failure {}

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
