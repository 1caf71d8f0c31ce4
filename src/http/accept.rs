//! The accept loop: connections with deadlines and a cap. Knows no route, and not who opened the sockets.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::process::{Resource, getrlimit};
use socket2::{Domain, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::body_budget::{BODIES, BodyBudget};
use super::connection::{Answering, Connection, HeadBudget, Reading, RequestIo};
use super::framing::MAX_HEAD;
use super::lasting::{self, Lasting, LastingStream};
use super::refusals::{Refusals, Refused};
use super::rejection::Rejection;
use super::throttle::Throttle;

/// Connections that the kernel may hold for us while we are busy.
const BACKLOG: i32 = 4096;
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
/// What all heads that are not complete may hold together, in bytes, beyond a usual head's size each.
const UNFINISHED_HEADS: usize = 16 << 20;
/// How long a connection may take to finish its answers once the server stops.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

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

/// Listens on the first of `addresses` that this machine has: what one name stands for, best first.
///
/// # Errors
///
/// No address can be listened on. An address that another program uses ends the search: the clients
/// of that name would reach the other program.
pub fn bind(addresses: &[SocketAddr]) -> Result<TcpListener, BindError> {
    let mut failed = None;
    for &address in addresses {
        match listen(address) {
            Ok(listener) => return Ok(listener),
            Err(source) if source.kind() == io::ErrorKind::AddrInUse => {
                return Err(BindError::Address { address, source });
            }
            // Of several, the first is the one that its user thinks of.
            Err(source) => {
                failed.get_or_insert(BindError::Address { address, source });
            }
        }
    }
    Err(failed.unwrap_or(BindError::NoAddress))
}

/// A socket that somebody else has opened and goes on holding: what waits in it is not lost with this process.
///
/// # Errors
/// The system has no descriptor for it, or it cannot be waited for.
pub fn share(socket: &std::net::TcpListener) -> io::Result<TcpListener> {
    let socket = socket.try_clone()?;
    socket.set_nonblocking(true)?;
    TcpListener::from_std(socket)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM.nonblocking(),
        None,
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Why no address can be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The system refuses the address.
    #[error("cannot listen on {address}: {source}{}", advice(source))]
    Address {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The name stands for no address.
    #[error("there is no address to listen on; see --host")]
    NoAddress,
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

/// Sockets that are listened on side by side.
#[derive(Debug)]
struct Listeners {
    sockets: Vec<TcpListener>,
    /// Which of them is asked first: they take turns, so that a busy one holds up no other.
    next: usize,
}

impl Listeners {
    async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| {
            for _ in 0..self.sockets.len() {
                let socket = &self.sockets[self.next];
                self.next = (self.next + 1) % self.sockets.len();
                if let Poll::Ready(accepted) = socket.poll_accept(cx) {
                    return Poll::Ready(accepted);
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// Serves connections, at most `max_connections` at once: accepts until `last`, serves until `stop`. The tasks belong
/// to `tasks`.
pub async fn serve(
    sockets: Vec<TcpListener>,
    service: Service,
    max_connections: usize,
    tasks: TaskTracker,
    last: CancellationToken,
    stop: CancellationToken,
) {
    let mut listeners = Listeners { sockets, next: 0 };
    let limit = within_descriptors(max_connections);
    let permits = Arc::new(Semaphore::new(limit));
    let heads = HeadBudget::new(UNFINISHED_HEADS);
    let bodies = BodyBudget::new(BODIES);
    let warnings = Throttle::new(1);
    let mut pause = Pause::default();
    loop {
        let accepted = tokio::select! {
            // Whatever is accepted after that would be refused here, and is served by whoever comes next.
            biased;
            () = last.cancelled() => return,
            accepted = listeners.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                pause.reset();
                let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                    turn_away(&stream, &service.refusals);
                    if let Some(others) = warnings.admit() {
                        tracing::warn!(
                            "{limit} connections are open, which is the limit: one from {peer} was turned away, and {others} since the last such line"
                        );
                    }
                    continue;
                };
                let connection = Connection::new(stream, heads.clone());
                let origin = Origin {
                    peer: Peer(peer),
                    bodies: bodies.clone(),
                };
                let served = serve_connection(connection, origin, service.clone(), stop.clone());
                tasks.spawn(async move {
                    served.await;
                    drop::<OwnedSemaphorePermit>(permit);
                });
            }
            // Out of descriptors, most likely: those that are open must be able to finish.
            Err(error) => {
                if pause.is_for(&error)
                    && let Some(others) = warnings.admit()
                {
                    tracing::warn!(
                        "cannot accept connections: {error}; trying again ({others} more such warnings were left out)"
                    );
                }
                pause.after(&error).await;
            }
        }
    }
}

/// As many connections as leave descriptors for the calls: a call that cannot start helps nobody who
/// is connected.
fn within_descriptors(wanted: usize) -> usize {
    let Some(limit) = getrlimit(Resource::Nofile).current else {
        return wanted;
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let left = limit.saturating_sub(reserved(limit)).max(1);
    if left < wanted {
        tracing::info!("at most {left} connections at once: the limit of open files is {limit}");
    }
    wanted.min(left)
}

/// Descriptors that connections do not get.
fn reserved(limit: usize) -> usize {
    (limit / 4).clamp(32, 512)
}

#[derive(Default)]
struct Pause(Duration);

impl Pause {
    fn reset(&mut self) {
        self.0 = Duration::ZERO;
    }

    /// Whether the error is one of this machine, not of the connection.
    fn is_for(&self, error: &io::Error) -> bool {
        !matches!(
            error.kind(),
            io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
        )
    }

    async fn after(&mut self, error: &io::Error) {
        if !self.is_for(error) {
            return;
        }
        self.0 = (self.0 * 2).clamp(Duration::from_millis(20), Duration::from_secs(1));
        tokio::time::sleep(self.0).await;
    }
}

fn turn_away(stream: &TcpStream, refusals: &Refusals) {
    // A fresh socket's buffer has room for it; if not, closing says enough.
    let _ = stream.try_write(Rejection::TooManyConnections.response().as_bytes());
    refusals.count(Rejection::TooManyConnections.code());
}

/// What the requests of a connection carry with them.
#[derive(Debug, Clone)]
struct Origin {
    peer: Peer,
    bodies: BodyBudget,
}

async fn serve_connection(
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
            let (response, guard) = answered.await?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{IpAddr, Ipv4Addr};

    /// 192.0.2.0/24 is for documentation: no machine has an address of it.
    const NOT_HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 0);
    const LOOPBACK: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

    #[tokio::test]
    async fn every_address_of_a_name_is_tried() {
        let listener = bind(&[NOT_HERE, LOOPBACK]).unwrap();
        assert_eq!(listener.local_addr().unwrap().ip(), LOOPBACK.ip());
        let error = bind(&[NOT_HERE]).unwrap_err().to_string();
        assert!(error.contains("192.0.2.1:0"), "{error}");
        assert!(bind(&[]).is_err());
    }

    #[tokio::test]
    async fn an_address_in_use_is_not_replaced_by_another_of_the_name() {
        let taken = bind(&[LOOPBACK]).unwrap();
        let error = bind(&[taken.local_addr().unwrap(), LOOPBACK]).unwrap_err();
        assert!(error.to_string().contains("stop the program"), "{error}");
    }

    #[test]
    fn some_descriptors_are_kept_for_calls_whatever_the_limit() {
        for (limit, expected) in [(64, 32), (600, 150), (1024, 256), (1 << 20, 512)] {
            assert_eq!(reserved(limit), expected, "{limit}");
        }
    }
}
