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
/// A server that does not take a connection within this long does not take it at all.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A server that is gone without a word is noticed by its system's silence, a few of these later.
const LOOK_FOR_SERVER_AFTER: Duration = Duration::from_secs(30);

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

/// Whether a connection serves more than one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// The next request takes one that is idle. Where the server closes that one at the same moment, the request
    /// fails, and nothing tells whether the server has read it.
    Idle,
    /// Each request has one of its own: what fails is the server's doing.
    Never,
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
    pub fn new(limit: Duration, reuse: Reuse) -> Result<Self, String> {
        let provider = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_platform_verifier(provider)
            .map_err(|error| innermost(&error))?;
        Ok(Self::over(connector, limit, reuse))
    }

    /// The same for servers that are reached by HTTP alone: it needs no certificates, and trusts none.
    pub fn without_certificates(limit: Duration, reuse: Reuse) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("ring knows both versions of TLS")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        Self::over(
            HttpsConnectorBuilder::new().with_tls_config(tls),
            limit,
            reuse,
        )
    }

    fn over(connector: HttpsConnectorBuilder<WantsSchemes>, limit: Duration, reuse: Reuse) -> Self {
        let mut sockets = HttpConnector::new();
        sockets.set_nodelay(true);
        sockets.set_connect_timeout(Some(CONNECT_LIMIT));
        sockets.set_keepalive(Some(LOOK_FOR_SERVER_AFTER));
        // What the scheme asks for is decided by the connector around it.
        sockets.enforce_http(false);
        let connector = connector
            .https_or_http()
            .enable_http1()
            .wrap_connector(sockets);
        let connections = Connections::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(match reuse {
                Reuse::Idle => MAX_IDLE,
                Reuse::Never => 0,
            })
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

    /// Sends a request as it is, with this client's headers, and gives the answer with its body still to come, however
    /// long either takes: whoever asks gives up by dropping it.
    ///
    /// # Errors
    /// Nobody answers.
    pub async fn open(
        &self,
        mut request: Builder,
        body: Bytes,
    ) -> Result<hyper::Response<Incoming>, Failure> {
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let broken = |error: &(dyn Error + 'static)| Failure::Broken(innermost(error));
        let request = request
            .body(Full::new(body))
            .map_err(|error| broken(&error))?;
        let answer = self.connections.request(request).await;
        answer.map_err(|error| broken(&error))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// How many connections two requests take, one after the other, to a server that would serve both on one.
    async fn connections_of_two(reuse: Reuse) -> usize {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let taken = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&taken);
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let mut request = [0; 1024];
                    while stream.read(&mut request).await.is_ok_and(|read| read > 0) {
                        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}";
                        stream.write_all(answer).await.unwrap();
                    }
                });
            }
        });
        let client = Client::without_certificates(Duration::from_secs(10), reuse);
        for _ in 0..2 {
            let answer = client.get(&url).await.unwrap().body(2).await.unwrap();
            assert_eq!(answer, "{}");
            // A connection is idle once its task has seen the end of the answer.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        server.abort();
        taken.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_connection_serves_the_next_request_only_where_it_may() {
        assert_eq!(connections_of_two(Reuse::Never).await, 2);
        assert_eq!(connections_of_two(Reuse::Idle).await, 1);
    }
}
