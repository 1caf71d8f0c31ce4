//! Sockets that a service manager has opened for this server: sd_listen_fds(3), "socket activation".

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use listenfd::ListenFd;
use socket2::SockRef;

/// The number of the first descriptor that is passed.
const FIRST: usize = 3;
/// What is wrong with most sockets that cannot be used.
const HOW: &str =
    "a socket unit for smcp has lines such as ListenStream=127.0.0.1:8000, and no Accept=yes";

/// A socket that is listened on already.
#[derive(Debug)]
pub struct PassedSocket {
    /// What the service manager calls it: the unit's name, or its `FileDescriptorName=`.
    name: String,
    /// Where it listens.
    pub address: SocketAddr,
    /// The socket.
    pub listener: TcpListener,
}

impl fmt::Display for PassedSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.address, self.name)
    }
}

/// Takes the sockets that were passed to this process; none where it was started otherwise. They can be taken once.
///
/// # Errors
/// Each descriptor that is no TCP socket which is listened on, in a line.
pub(super) fn take(
    environment: &[(OsString, OsString)],
) -> Result<Vec<Arc<PassedSocket>>, Vec<String>> {
    let variable = |name: &str| {
        let mut found = environment.iter().filter(|(known, _)| known == name);
        found
            .next()
            .and_then(|(_, value)| OsStr::to_str(value))
            .unwrap_or_default()
    };
    // Whoever inherits the variables from a service is not meant.
    if variable("LISTEN_PID").parse() != Ok(std::process::id()) {
        return Ok(Vec::new());
    }
    let names: Vec<&str> = variable("LISTEN_FDNAMES").split(':').collect();
    let mut passed = ListenFd::from_env();
    let mut sockets = Vec::new();
    let mut faults = Vec::new();
    for index in 0..passed.len() {
        let name = names.get(index).filter(|name| !name.is_empty());
        let name = name.map_or("unknown", |name| *name);
        match take_one(&mut passed, index) {
            Ok((listener, address)) => sockets.push(Arc::new(PassedSocket {
                name: name.to_owned(),
                address,
                listener,
            })),
            Err(why) => faults.push(format!(
                "descriptor {} ({name}), passed by the service manager, cannot be served: {why}; {HOW}",
                FIRST + index
            )),
        }
    }
    match faults.is_empty() {
        true => Ok(sockets),
        false => Err(faults),
    }
}

fn take_one(passed: &mut ListenFd, index: usize) -> Result<(TcpListener, SocketAddr), String> {
    let listener = passed
        .take_tcp_listener(index)
        .map_err(|error| error.to_string())?
        .ok_or("it was taken before")?;
    if !SockRef::from(&listener).is_listener().unwrap_or(true) {
        return Err("it is a connection and not a socket that is listened on".to_owned());
    }
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok((listener, address))
}
