//! Reads flags, environment and settings files once, builds each layer's settings, reports all faults together.
//!
//! The only folder that looks at the environment. Nothing ever changes it.

mod catalog;
mod file;
mod files;
mod given;
mod governor;
mod http;
mod keys;
mod letta;
mod manager;
mod reader;
mod report;
mod secrets;
mod settings;
mod sockets;
mod tasks;
mod telemetry;
mod traces;
mod values;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::Flags;
use crate::governor::Profiles;
use files::{Found, Places, Watched};
pub use given::Origin;
pub use keys::{KeySources, Reading};
pub use manager::Manager;
pub use reader::Purpose;
use reader::Reader;
pub use report::{Report, Row};
pub use settings::{Kind, Setting};
pub use sockets::PassedSocket;
pub use values::switch_value;

/// All that the server needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// The settings files that were read, the one that counts most at the end.
    pub files: Vec<Arc<Path>>,
    /// What to listen on: every address that the host stands for. The first that can be bound is used.
    pub addresses: Vec<SocketAddr>,
    /// Sockets that were passed: all of them are used, and none of the addresses.
    pub sockets: Vec<Arc<PassedSocket>>,
    /// Where the keys come from.
    pub keys: KeySources,
    /// How long the server goes on after it was asked to end, before it refuses anything.
    pub drain_delay: Duration,
    /// The service manager, if one wants to be notified of how the server is.
    pub manager: Option<Manager>,
    /// Logs.
    pub telemetry: crate::telemetry::Settings,
    /// Where spans go; `None` where none are exported.
    pub traces: Option<crate::telemetry::trace::Settings>,
    /// Plugins.
    pub catalog: crate::catalog::Settings,
    /// Programs that calls may leave running at once; 0 where none may.
    pub max_background: usize,
    /// Whether services of plugins run.
    pub services: bool,
    /// Where calls are kept whose clients may go; `None` where none are.
    pub tasks: Option<crate::tasks::Settings>,
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
    let system = Some(PathBuf::from(settings::SYSTEM));
    read_all(&mut reader, purpose, flags, environment, sockets, system)
}

/// The same with a reader that can be asked afterwards, and with the place of the machine's own settings file.
fn read_all(
    reader: &mut Reader,
    purpose: Purpose,
    flags: &Flags,
    environment: Vec<(OsString, OsString)>,
    sockets: Vec<Arc<PassedSocket>>,
    system: Option<PathBuf>,
) -> Result<Config, Faults> {
    let places = find_files(reader, flags, system);
    let mut listening = match purpose {
        Purpose::Http => http::read(reader, flags, &sockets),
        Purpose::Stdio | Purpose::Once => {
            reader.unused(|reader| http::read(reader, &Flags::default(), &[]))
        }
    };
    let (max_sessions, max_waiting_bytes) = http::limits(reader);
    let drain_delay = http::drain_delay(reader);
    let manager = manager::read(reader);
    let mut telemetry = telemetry::read(reader, purpose);
    if purpose == Purpose::Http {
        telemetry.tail = listening.http.page.as_ref().map(|page| page.log.clone());
    }
    let traces = traces::read(reader, purpose);
    let profiles = governor::read(reader);
    let (letta, reserved) = letta::read(reader);
    let max_background = catalog::max_background(reader);
    let services = reader.switch("MCP_SERVICES", true);
    let warm = catalog::warm(reader, purpose);
    let tasks = tasks::read(reader, purpose);
    let catalog = catalog::read(reader, purpose, flags, environment, reserved);
    if rustix::process::geteuid().is_root() {
        reader.notices.push("running as root: every plugin may do everything on this machine; run smcp as a user of its own".to_owned());
    }
    reader.note_misspelled();
    if !reader.faults.is_empty() {
        // What has no effect is often the reason of a fault.
        return Err(Faults([&reader.faults[..], &reader.mistakes].concat()));
    }
    if places.are_any() {
        listening.keys.watch(Watched {
            places,
            entries: reader.files.clone(),
            overridden: reader.overridden(),
        });
    }
    Ok(Config {
        files: reader.read_files.clone(),
        addresses: listening.addresses,
        sockets,
        keys: listening.keys,
        drain_delay,
        manager,
        telemetry,
        traces,
        catalog,
        max_background,
        services,
        tasks,
        warm,
        profiles,
        letta,
        http: listening.http,
        key_in_shell: listening.key_in_shell,
        max_connections: listening.max_connections,
        max_sessions,
        max_waiting_bytes,
        notices: reader.notices.clone(),
        mistakes: reader.mistakes.clone(),
    })
}

/// Reads the settings files, for the reader to find the settings in.
fn find_files(reader: &mut Reader, flags: &Flags, system: Option<PathBuf>) -> Places {
    let named = flags.plugins.place.config.as_ref().map(PathBuf::from);
    let mut places = Places {
        named,
        system,
        plugins: None,
    };
    let mut found = Found::of_operator(&places);
    // The machine's own file may say where the plugins are, and with them the other file.
    reader.files = std::mem::take(&mut found.entries);
    places.plugins = catalog::plugins_directory(reader, flags);
    found.add_plugins(&places);
    reader.files.extend(found.entries);
    reader.faults.extend(found.faults);
    reader.read_files = found.files;
    places
}

/// Where this user's programs have their settings.
#[derive(Debug, Clone, Default)]
pub struct UserDirectories {
    /// The home directory.
    pub home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, else `~/.config`.
    pub settings: Option<PathBuf>,
    /// Codex's own directory, where it is not the usual one.
    pub codex: Option<PathBuf>,
}

/// Looks for this user's directories.
pub fn user_directories(environment: &[(OsString, OsString)]) -> UserDirectories {
    // What is not absolute counts as not set, as the XDG Base Directory Specification has it.
    let directory = |name: &str| {
        let (_, value) = environment.iter().find(|(known, _)| known == name)?;
        Some(PathBuf::from(value)).filter(|path| path.is_absolute())
    };
    let home = directory("HOME");
    let usual = home.as_ref().map(|home| home.join(".config"));
    UserDirectories {
        settings: directory("XDG_CONFIG_HOME").or(usual),
        codex: directory("CODEX_HOME"),
        home,
    }
}

/// What is in force for serving over HTTP, whether or not a server would start with it.
pub fn report(flags: &Flags, environment: Vec<(OsString, OsString)>) -> Report {
    let mut reader = Reader::new(&environment);
    let system = Some(PathBuf::from(settings::SYSTEM));
    let (sockets, purpose) = (Vec::new(), Purpose::Http);
    // Its faults are the reader's.
    let _ = read_all(&mut reader, purpose, flags, environment, sockets, system);
    report::of(reader)
}

/// Where a server with these settings is reached from this machine.
///
/// # Errors
/// The address or the port is none.
pub fn own_url(flags: &Flags, environment: &[(OsString, OsString)]) -> Result<String, Faults> {
    let mut reader = Reader::new(environment);
    find_files(&mut reader, flags, Some(PathBuf::from(settings::SYSTEM)));
    // What else is wrong in a file is the server's concern.
    reader.faults.clear();
    let address = http::own_address(&mut reader, flags);
    match (address, reader.faults) {
        (Some(address), faults) if faults.is_empty() => Ok(format!("http://{address}")),
        (_, faults) => Err(Faults(faults)),
    }
}

/// The key that a client of a server shows: what is in `MCP_API_KEY`, or in the file that `MCP_API_KEY_FILE` names.
///
/// # Errors
/// The file cannot be read, or has the digest of a key, which opens nothing.
pub fn client_key(environment: &[(OsString, OsString)]) -> Result<Option<String>, Faults> {
    let mut reader = Reader::new(environment);
    let key = keys::of_client(&mut reader);
    match reader.faults.is_empty() {
        true => Ok(key),
        false => Err(Faults(reader.faults)),
    }
}

/// Where a new plugin is written, and whether the other commands look there unasked: where it was said, else in
/// `plugins`, or right here in a directory of that name. Never beside the program, where those look next: that belongs
/// to whoever installed it.
pub fn directory_for_new(flags: &Flags, environment: &[(OsString, OsString)]) -> (PathBuf, bool) {
    let by_flag = flags.plugins.place.plugins_dir.as_ref().map(PathBuf::from);
    let is_default = by_flag.is_none();
    let by_setting = || {
        let mut reader = Reader::new(environment);
        find_files(&mut reader, flags, Some(PathBuf::from(settings::SYSTEM)));
        reader.path("MCP_PLUGINS_DIR")
    };
    if let Some(directory) = by_flag.or_else(by_setting) {
        return (directory, is_default);
    }
    match is_plugins_directory(std::env::current_dir().ok().as_deref()) {
        true => (".".into(), false),
        false => ("plugins".into(), true),
    }
}

/// Whether somebody who works in this directory has the plugins in it, and not one level below.
fn is_plugins_directory(here: Option<&Path>) -> bool {
    let is_named_so = |here: &Path| here.file_name().is_some_and(|name| name == "plugins");
    here.is_some_and(|here| is_named_so(here) && !here.join("plugins").is_dir())
}

#[cfg(test)]
mod tests;
