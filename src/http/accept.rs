//! The accept loop: connections with deadlines and a cap. Knows no route, and not who opened the sockets.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use socket2::{Domain, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::body_budget::{BODIES, BodyBudget};
use super::connection::{Connection, HeadBudget};
use super::refusals::Refusals;
use super::rejection::Rejection;
use super::requests::{Origin, serve_connection};
pub use super::requests::{Peer, Service};
use super::throttle::Throttle;

/// Connections that the kernel may hold for us while we are busy.
const BACKLOG: i32 = 4096;
/// What all heads that are not complete may hold together, in bytes, beyond a usual head's size each.
const UNFINISHED_HEADS: usize = 16 << 20;

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
