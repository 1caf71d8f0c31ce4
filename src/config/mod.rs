//! Reads flags and environment once, builds each layer's settings, reports all faults together.
//!
//! The only folder that looks at the environment. Nothing ever changes it.

mod catalog;
mod governor;
mod http;
mod letta;
mod reader;
mod telemetry;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;

use crate::cli::Flags;
use crate::governor::Profiles;
pub use reader::Purpose;
use reader::Reader;

/// All that the server needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// What to listen on: every address that the host stands for. The first that can be bound is used.
    pub addresses: Vec<SocketAddr>,
    /// Logs.
    pub telemetry: crate::telemetry::Settings,
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

/// Reads everything.
///
/// # Errors
/// Each setting that is wrong, with its value and what is allowed.
pub fn read(
    purpose: Purpose,
    flags: &Flags,
    environment: Vec<(OsString, OsString)>,
) -> Result<Config, Faults> {
    let mut reader = Reader::new(&environment);
    let listening = match purpose {
        Purpose::Http => http::read(&mut reader, flags),
        Purpose::Stdio | Purpose::Once => {
            reader.unused(|reader| http::read(reader, &Flags::default()))
        }
    };
    let (max_sessions, max_waiting_bytes) = http::limits(&mut reader);
    let telemetry = telemetry::read(&mut reader, purpose);
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
        telemetry,
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

#[cfg(test)]
mod tests;
