//! Reads flags and environment once, builds each layer's settings, reports all faults together.
//!
//! The only folder that looks at the environment. Nothing ever changes it.

mod catalog;
mod governor;
mod http;
mod keys;
mod letta;
mod reader;
mod secrets;
mod sockets;
mod telemetry;
mod traces;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::Flags;
use crate::governor::Profiles;
pub use keys::KeySources;
pub use reader::Purpose;
use reader::Reader;
pub use sockets::PassedSocket;

/// All that the server needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// What to listen on: every address that the host stands for. The first that can be bound is used.
    pub addresses: Vec<SocketAddr>,
    /// Sockets that were passed: all of them are used, and none of the addresses.
    pub sockets: Vec<Arc<PassedSocket>>,
    /// Where the keys come from.
    pub keys: KeySources,
    /// How long the server goes on after it was asked to end, before it refuses anything.
    pub drain_delay: Duration,
    /// Whether a service manager wants to be told how the server is.
    pub managed: bool,
    /// Logs.
    pub telemetry: crate::telemetry::Settings,
    /// Where spans go; `None` where none are exported.
    pub traces: Option<crate::telemetry::trace::Settings>,
    /// Plugins.
    pub catalog: crate::catalog::Settings,
    /// Programs that calls may leave running at once; 0 where none may.
    pub max_background: usize,
    /// Warm interpreters; `None` where there are none.
    pub warm: Option<crate::process::WarmSettings>,
    /// Which tools clients see.
    pub profiles: Profiles,
    /// Where the agents' secrets come from; `None` where there is no Letta.
    pub letta: Option<crate::letta::Settings>,
    /// HTTP.
    pub http: crate::http::Settings,
    /// Whether `MCP_API_KEY` has a key as clients send it: not its digest, and not nothing.
    pub key_in_shell: bool,
    /// Connections that may be open at once.
    pub max_connections: usize,
    /// Sessions that may be open at once.
    pub max_sessions: usize,
    /// Bytes that may wait for clients in all.
    pub max_waiting_bytes: usize,
    /// What a person should read at the start.
    pub notices: Vec<String>,
    /// Settings that have no effect: misspelled names, values that cannot be used.
    pub mistakes: Vec<String>,
}

/// Everything that is wrong with the settings, one line each: what ends the start, then what has no effect.
#[derive(Debug, thiserror::Error)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

/// The environment of this process, as it was at the start.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
pub fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Takes the sockets that the service manager has passed to this process; none where it was started otherwise. They can
/// be taken once, and only while no other thread reads the environment.
///
/// # Errors
/// A descriptor is no TCP socket that is listened on.
pub fn passed_sockets(
    environment: &[(OsString, OsString)],
) -> Result<Vec<Arc<PassedSocket>>, Faults> {
    sockets::take(environment).map_err(Faults)
}

/// Reads everything. `sockets` are what was passed by the service manager.
///
/// # Errors
/// Each setting that is wrong, with its value and what is allowed.
pub fn read(
    purpose: Purpose,
    flags: &Flags,
    environment: Vec<(OsString, OsString)>,
    sockets: Vec<Arc<PassedSocket>>,
) -> Result<Config, Faults> {
    let mut reader = Reader::new(&environment);
    let listening = match purpose {
        Purpose::Http => http::read(&mut reader, flags, &sockets),
        Purpose::Stdio | Purpose::Once => {
            reader.unused(|reader| http::read(reader, &Flags::default(), &[]))
        }
    };
    let (max_sessions, max_waiting_bytes) = http::limits(&mut reader);
    let drain_delay = http::drain_delay(&mut reader);
    let managed = reader.path("NOTIFY_SOCKET").is_some();
    let telemetry = telemetry::read(&mut reader, purpose);
    let traces = traces::read(&mut reader, purpose);
    let profiles = governor::read(&mut reader);
    let (letta, reserved) = letta::read(&mut reader);
    let max_background = catalog::max_background(&mut reader);
    let warm = catalog::warm(&mut reader, purpose);
    let catalog = catalog::read(&mut reader, purpose, flags, environment, reserved);
    if rustix::process::geteuid().is_root() {
        reader.notices.push("running as root: every plugin may do everything on this machine; run smcp as a user of its own".to_owned());
    }
    reader.note_misspelled();
    if !reader.faults.is_empty() {
        // What has no effect is often the reason of a fault.
        return Err(Faults([reader.faults, reader.mistakes].concat()));
    }
    Ok(Config {
        addresses: listening.addresses,
        sockets,
        keys: listening.keys,
        drain_delay,
        managed,
        telemetry,
        traces,
        catalog,
        max_background,
        warm,
        profiles,
        letta,
        http: listening.http,
        key_in_shell: listening.key_in_shell,
        max_connections: listening.max_connections,
        max_sessions,
        max_waiting_bytes,
        notices: reader.notices,
        mistakes: reader.mistakes,
    })
}

/// Where a server with these settings is reached from this machine.
///
/// # Errors
/// The address or the port is none.
pub fn own_url(flags: &Flags, environment: &[(OsString, OsString)]) -> Result<String, Faults> {
    let mut reader = Reader::new(environment);
    let address = http::own_address(&mut reader, flags);
    match (address, reader.faults) {
        (Some(address), faults) if faults.is_empty() => Ok(format!("http://{address}")),
        (_, faults) => Err(Faults(faults)),
    }
}

#[cfg(test)]
mod tests;
