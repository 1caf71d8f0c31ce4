//! The requests of one connection, one after the other: read by hyper, answered by the routes. A stream that lasts is
//! taken over from hyper. Knows no route.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::body_budget::BodyBudget;
use super::connection::{Answering, Connection, Reading, RequestIo};
use super::framing::MAX_HEAD;
use super::lasting::{self, Lasting, LastingStream};
use super::refusals::{Refusals, Refused};

/// A kept connection without a request is closed after this long.
const IDLE_LIMIT: Duration = Duration::from_secs(75);
/// Written data must be acknowledged within this, or the peer counts as gone.
const PEER_LIMIT: Duration = Duration::from_secs(30);
/// An idle peer is asked whether it is still there after this long.
const PROBE_AFTER: Duration = Duration::from_secs(30);
/// What one request's head may hold: more is answered 431.
const MAX_HEADERS: usize = 100;
/// Larger than every head that reaches hyper, so that hyper never has to choose the status.
const READ_BUFFER: usize = MAX_HEAD + (4 << 10);
/// How long a connection may take to finish its answers once the server stops.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// How long a kept connection stays open once the server stops: its client may have sent the next request already, and
/// would get nothing but the connection's end. Whatever comes is answered, and the connection closed after it.
const LAST_REQUESTS: Duration = Duration::from_millis(250);

/// The address of a connection's other end, as every request carries it.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// What answers requests, and what records those that never become one.
#[derive(Debug, Clone)]
pub struct Service {
    /// The routes with their layers.
    pub router: Router,
    /// What was turned away.
    pub refusals: Refusals,
}

/// What the requests of a connection carry with them.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Its other end.
    pub peer: Peer,
    /// The memory for bodies that are being read.
    pub bodies: BodyBudget,
}

/// Serves one connection to its end, until `stop`.
pub async fn serve_connection(
    connection: Arc<Connection>,
    origin: Origin,
    service: Service,
    stop: CancellationToken,
) {
    let Peer(peer) = origin.peer;
    if let Err(error) = prepare(connection.stream()) {
        tracing::debug!("connection from {peer} could not be set up: {error}");
        return;
    }
    let ended = tokio::select! {
        biased;
        ended = serve_requests(&connection, origin, service.router, stop) => ended,
        () = connection.hung_up() => return tracing::debug!("{peer} went away before its answer"),
    };
    let refused = match (connection.rejected(), &ended) {
        (Some(rejection), _) => Some(rejection.code()),
        (None, Err(error)) if error.is_parse_too_large() => Some("headers_too_large"),
        (None, Err(error)) if error.is_parse() => Some("bad_request"),
        (None, Err(error)) => {
            tracing::debug!("connection from {peer} ended: {error}");
            None
        }
        (None, Ok(())) => None,
    };
    if let Some(reason) = refused {
        tracing::debug!("connection from {peer} ended: {reason}");
        service.refusals.record(&Refused {
            reason,
            peer: Some(peer.ip()),
            ..Refused::default()
        });
    }
    // An answer that came before the end of its request's body, too, is lost when the rest is not read.
    if refused.is_some() || (ended.is_ok() && connection.has_unread_body()) {
        connection.linger().await;
    }
}

async fn serve_requests(
    connection: &Arc<Connection>,
    origin: Origin,
    router: Router,
    stop: CancellationToken,
) -> hyper::Result<()> {
    loop {
        let until = until_it_lasts(connection, origin.clone(), router.clone(), stop.clone());
        // In a box, so that a stream that lasts gives back what hyper has taken.
        let Some(stream) = Box::pin(until).await? else {
            return Ok(());
        };
        let in_time = async {
            stop.cancelled().await;
            tokio::time::sleep(CLOSE_GRACE).await;
        };
        let written = tokio::select! {
            written = stream.write(connection) => written,
            () = in_time => return Ok(()),
        };
        // The client has gone, or its stream broke off.
        if written.is_err() {
            return Ok(());
        }
    }
}

/// Where the service puts an answer that lasts, for the connection's task to take over.
type Place = Arc<Mutex<Option<LastingStream>>>;

/// Serves requests until one is answered by a stream that lasts, and gives that; `None` at the connection's end.
async fn until_it_lasts(
    connection: &Arc<Connection>,
    origin: Origin,
    router: Router,
    stop: CancellationToken,
) -> hyper::Result<Option<LastingStream>> {
    let io = TokioIo::new(RequestIo(Arc::clone(connection)));
    let place = Place::default();
    let (answering, given, stopping) = (Arc::clone(connection), place.clone(), stop.clone());
    let service = hyper::service::service_fn(move |request| {
        // Before the future is polled: the bytes after this request are the next one's from here on.
        let answered = answer(router.clone(), answering.answer(), origin.clone(), request);
        let (connection, place, stop) = (Arc::clone(&answering), given.clone(), stopping.clone());
        async move {
            let (mut response, guard) = answered.await?;
            if stop.is_cancelled() {
                let close = HeaderValue::from_static("close");
                response.headers_mut().insert(header::CONNECTION, close);
            }
            let lasts = response.extensions().get::<Lasting>().is_some();
            if !lasts || stop.is_cancelled() || !connection.is_between_writes() {
                return Ok::<_, Infallible>(response.map(|body| Guarded::new(body, guard)));
            }
            *locked(&place) = Some(LastingStream::new(response, guard));
            // The connection's task drops hyper, and this with it.
            std::future::pending().await
        }
    });
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_LIMIT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(READ_BUFFER);
    let serving = protocol.serve_connection(io, service);
    tokio::pin!(serving);
    let taken = std::future::poll_fn(|_| match locked(&place).take() {
        Some(stream) => Poll::Ready(stream),
        None => Poll::Pending,
    });
    tokio::select! {
        // What hyper's turn has put there is seen in the same poll.
        biased;
        ended = serving.as_mut() => ended.map(|()| None),
        stream = taken => Ok(Some(stream)),
        () = stop.cancelled() => {
            if let Ok(ended) = tokio::time::timeout(LAST_REQUESTS, serving.as_mut()).await {
                return ended.map(|()| None);
            }
            serving.as_mut().graceful_shutdown();
            // A peer that reads nothing any more must not hold up the end.
            let ended = tokio::time::timeout(CLOSE_GRACE, serving).await;
            ended.unwrap_or(Ok(())).map(|()| None)
        }
    }
}

fn locked(place: &Place) -> MutexGuard<'_, Option<LastingStream>> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(PROBE_AFTER)
            .with_interval(Duration::from_secs(5))
            .with_retries(3),
    )?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(PEER_LIMIT))?;
    Ok(())
}

async fn answer(
    router: Router,
    (answering, reading): (Answering, Reading),
    origin: Origin,
    request: Request<Incoming>,
) -> Result<(Response<Body>, Answering), Infallible> {
    let mut request = request.map(|body| Body::new(Guarded::new(body, reading)));
    request.extensions_mut().insert(origin.peer);
    request.extensions_mut().insert(origin.bodies);
    let may_take_over = lasting::may_take_over(&request);
    let mut response = router.oneshot(request).await?;
    if !may_take_over {
        response.extensions_mut().remove::<Lasting>();
    }
    Ok((response, answering))
}

/// A body, and what ends with it.
struct Guarded<B, G> {
    body: B,
    _guard: G,
}

impl<B, G> Guarded<B, G> {
    fn new(body: B, guard: G) -> Self {
        Self {
            body,
            _guard: guard,
        }
    }
}

impl<B: http_body::Body + Unpin, G: Unpin> http_body::Body for Guarded<B, G> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
