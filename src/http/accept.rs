//! The accept loop: connections with deadlines and a cap. Knows no route.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::head::{HeadState, WatchedHeads};

/// Connections that the kernel may hold for us while we are busy.
const BACKLOG: i32 = 4096;
/// A kept connection without a request is closed after this long.
const IDLE_LIMIT: Duration = Duration::from_secs(75);
/// Written data must be acknowledged within this, or the peer counts as gone.
const PEER_LIMIT: Duration = Duration::from_secs(30);
/// An idle peer is asked whether it is still there after this long.
const PROBE_AFTER: Duration = Duration::from_secs(30);
/// What one request's head may hold: more is answered 431 (414 for the request target).
const MAX_HEADERS: usize = 100;
/// Larger than all heads that are accepted, so that the right status can be chosen for the others.
const HEAD_BUFFER: usize = 160 << 10;
/// How long a connection may take to finish its answers once the server stops.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// The address of a connection's other end, as every request carries it.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// Binds `address`. The error says which address and what to do.
pub fn bind(address: SocketAddr) -> Result<TcpListener, BindError> {
    let listen = || -> io::Result<TcpListener> {
        let socket = Socket::new(
            Domain::for_address(address),
            Type::STREAM.nonblocking(),
            None,
        )?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        TcpListener::from_std(socket.into())
    };
    listen().map_err(|source| BindError { address, source })
}

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}{}", advice(source))]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

fn advice(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::AddrInUse => {
            "; stop the program that uses it, or choose another with --port (0 picks a free one)"
        }
        io::ErrorKind::PermissionDenied => {
            "; ports below 1024 need privileges, choose a higher one with --port"
        }
        io::ErrorKind::AddrNotAvailable => {
            "; no interface of this machine has that address, see --host"
        }
        _ => "",
    }
}

/// Serves connections, at most `most` at once, until `stop`. The tasks belong to `tasks`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    most: usize,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(most));
    let mut pause = Pause::default();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause.reset();
                match Arc::clone(&places).try_acquire_owned() {
                    Ok(place) => {
                        tasks.spawn(connection(
                            stream,
                            peer,
                            router.clone(),
                            place,
                            stop.clone(),
                        ));
                    }
                    Err(_) => turn_away(&stream),
                }
            }
            // Out of descriptors, most likely: those that are open must be able to finish.
            Err(error) => pause.after(&error).await,
        }
    }
}

#[derive(Default)]
struct Pause(Duration);

impl Pause {
    fn reset(&mut self) {
        self.0 = Duration::ZERO;
    }

    async fn after(&mut self, error: &io::Error) {
        if matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
        ) {
            return;
        }
        if self.0.is_zero() {
            tracing::warn!("cannot accept connections: {error}; trying again");
        }
        self.0 = (self.0 * 2).clamp(Duration::from_millis(20), Duration::from_secs(1));
        tokio::time::sleep(self.0).await;
    }
}

fn turn_away(stream: &TcpStream) {
    const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 55\r\n\r\n{\"error\":\"too many connections; try again in a moment\"}";
    // A fresh socket's buffer has room for it; if not, closing says enough.
    let _ = stream.try_write(FULL);
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    _place: OwnedSemaphorePermit,
    stop: CancellationToken,
) {
    if let Err(error) = prepare(&stream) {
        tracing::debug!("connection from {peer} could not be set up: {error}");
        return;
    }
    let heads = Arc::new(HeadState::default());
    let io = TokioIo::new(WatchedHeads::new(stream, Arc::clone(&heads)));
    let service = hyper::service::service_fn(move |request| {
        answer(router.clone(), Arc::clone(&heads), peer, request)
    });
    let mut protocol = http1::Builder::new();
    protocol
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_LIMIT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HEAD_BUFFER);
    let connection = protocol.serve_connection(io, service);
    tokio::pin!(connection);
    tokio::select! {
        ended = connection.as_mut() => log_end(peer, ended),
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // A peer that reads nothing any more must not hold up the end.
            if let Ok(ended) = tokio::time::timeout(CLOSE_GRACE, connection).await {
                log_end(peer, ended);
            }
        }
    }
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

fn log_end(peer: SocketAddr, ended: hyper::Result<()>) {
    if let Err(error) = ended {
        tracing::debug!("connection from {peer} ended: {error}");
    }
}

async fn answer(
    router: Router,
    heads: Arc<HeadState>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, std::convert::Infallible> {
    if heads.begin_answer() {
        return Ok(two_lengths());
    }
    request.extensions_mut().insert(Peer(peer));
    let response = router.oneshot(request.map(Body::new)).await;
    heads.end_answer();
    response
}

fn two_lengths() -> Response<Body> {
    let mut response = Response::new(Body::from(
        r#"{"error":"a request has a content-length or a transfer-encoding, not both"}"#,
    ));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
        .headers_mut()
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}
