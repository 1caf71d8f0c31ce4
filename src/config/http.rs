//! Settings of HTTP: what is listened on, who may call, and how much of it at once.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::given::{Given, Origin};
use super::keys::{self, KeySources};
use super::reader::Reader;
use super::sockets::PassedSocket;
use super::values::switch_value;
use crate::cli::Flags;
use crate::http::authority::Allowed;
use crate::http::events::SILENCE;
use crate::http::page::view;
use crate::http::sse::clean_prefix;
use crate::http::{self, auth, gate};
use crate::mcp::budget::DEFAULT_BYTES;
use crate::mcp::principal::KeyId;
use crate::telemetry::Tail;

/// The port that is listened on when none is given.
const DEFAULT_PORT: u16 = 8000;
/// Sessions that may be open at once.
const MAX_SESSIONS: usize = 4096;
/// The least and the most that a setting may let wait for clients, in bytes: with less, ordinary answers would find
/// no room.
const WAITING_BYTES: RangeInclusive<u64> = 1 << 20..=usize::MAX as u64;
/// The least and the most that a stream may be silent: clients give up after five minutes.
const KEEP_ALIVE: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(240);
/// Connections that may be open at once.
const MAX_CONNECTIONS: usize = 8192;
/// The largest such number that a setting may give.
const MAX_COUNT: usize = 1_000_000;

/// What is listened on, and how.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) http: http::Settings,
    pub(super) keys: KeySources,
    pub(super) key_in_shell: bool,
    pub(super) max_connections: usize,
}

/// `sockets` are listened on instead of what flags and variables say, where any were passed.
pub(super) fn read(reader: &mut Reader, flags: &Flags, sockets: &[Arc<PassedSocket>]) -> Listening {
    let disabled = reader.switch("MCP_AUTH_DISABLED", false);
    let (keys, sources, key_in_shell) = keys::read(reader, disabled);
    let (host, addresses) = match sockets {
        [] => addresses(reader, flags),
        [first, ..] => {
            note_unused_addresses(reader, flags, first);
            let addresses = sockets.iter().map(|socket| socket.address).collect();
            (first.address.ip().to_string(), addresses)
        }
    };
    let loopback = addresses
        .iter()
        .all(|address| address.ip().to_canonical().is_loopback());
    let root_path = reader.variable("MCP_ROOT_PATH");
    let root_path = reader.parsed(
        root_path,
        String::new(),
        "a plain path such as /smcp",
        clean_prefix,
    );
    let allowed_hosts = reader.list(
        "MCP_ALLOWED_HOSTS",
        "a host such as mcp.example.org, with or without a port",
        Allowed::parse,
    );
    // Whoever sets one of them, to whatever, has a proxy in mind.
    let proxied = ["MCP_ROOT_PATH", "MCP_ALLOWED_HOSTS"]
        .into_iter()
        .any(|name| reader.text(name).is_some());
    let auth = auth(reader, flags, keys, disabled, proxied);
    // A server that runs programs is never open to a network unless somebody said so.
    if !loopback && auth.keys.is_empty() && !auth.disabled {
        let what = sockets
            .iter()
            .find(|socket| !socket.address.ip().to_canonical().is_loopback())
            .map_or(format!("bind {host}"), |open| {
                format!("serve the passed socket {open}")
            });
        reader.faults.push(format!("refusing to {what} without a key; set MCP_API_KEY or MCP_API_KEY_FILE, or MCP_AUTH_DISABLED=1 to serve everybody"));
    }
    if auth.keys.is_empty() && reader.faults.is_empty() {
        keys::note_empty(reader);
    }
    let gate = gate::Settings {
        bound_host: host,
        bound_to_loopback: loopback,
        allowed_hosts,
        allowed_origins: reader.list(
            "MCP_ALLOWED_ORIGINS",
            "an origin such as https://app.example.org",
            origin,
        ),
    };
    Listening {
        addresses,
        keys: sources,
        key_in_shell,
        http: http::Settings {
            root_path,
            manifest: reader.switch("MCP_SSE_MANIFEST", false),
            keep_alive: keep_alive(reader),
            page: page(reader),
            auth,
            gate,
        },
        max_connections: reader.count("MCP_MAX_CONNECTIONS", MAX_CONNECTIONS, MAX_COUNT),
    }
}

/// The page for people, unless `MCP_UI` says that there is none.
fn page(reader: &mut Reader) -> Option<view::Settings> {
    let is_on = reader.switch("MCP_UI", true);
    let given = reader.list("MCP_UI_ADMINS", "", |text| Some(fingerprint(text)));
    let admins: Option<Vec<_>> = given.into_iter().collect();
    if admins.is_none() {
        reader.faults.push(
            "MCP_UI_ADMINS: an entry is no fingerprint of a key, and not shown here, for it may be a key itself; write 8 hex \
             digits, as the log has them in key="
                .to_owned(),
        );
    }
    let admins = admins.unwrap_or_default();
    is_on.then(|| view::Settings {
        admins,
        log: Tail::default(),
    })
}

/// The fingerprint of a key, as the log has it.
pub(super) fn fingerprint(text: &str) -> Option<[u8; 4]> {
    let is_one = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = u32::from_str_radix(text, 16).ok().filter(|_| is_one)?;
    Some(number.to_be_bytes())
}

/// How long a stream may be silent: long enough not to be a load, short enough for what stands between.
fn keep_alive(reader: &mut Reader) -> Duration {
    reader.duration("MCP_KEEP_ALIVE", SILENCE, KEEP_ALIVE)
}

/// The sessions that may be open at once, and the bytes that may wait for clients.
pub(super) fn limits(reader: &mut Reader) -> (usize, usize) {
    let sessions = reader.count("MCP_MAX_SESSIONS", MAX_SESSIONS, MAX_COUNT);
    let waiting = reader.whole("MCP_MAX_WAITING_BYTES", DEFAULT_BYTES as u64, WAITING_BYTES);
    (sessions, usize::try_from(waiting).unwrap_or(usize::MAX))
}

/// Whoever passes sockets has chosen the addresses.
fn note_unused_addresses(reader: &mut Reader, flags: &Flags, first: &PassedSocket) {
    let given = [
        reader.flag(flags.host.as_ref(), "MCP_HOST"),
        reader.flag(flags.port.as_ref(), "MCP_PORT"),
    ];
    let external = flags.allow_external.then_some("--allow-external");
    let given = given.into_iter().flatten().map(|given| given.name());
    for name in given.chain(external.map(Into::into)) {
        reader.mistakes.push(format!(
            "{name} has no effect: the service manager has passed sockets, first of them {first}; change the socket unit, or stop it"
        ));
    }
}

/// How long the server goes on after it was asked to end, before it refuses anything.
pub(super) fn drain_delay(reader: &mut Reader) -> Duration {
    reader.note_default("MCP_DRAIN_DELAY", 0);
    let given = reader.variable("MCP_DRAIN_DELAY");
    reader.time_or_none(given, "delay").unwrap_or_default()
}

/// Where a server with these settings is reached from this machine.
pub(super) fn own_address(reader: &mut Reader, flags: &Flags) -> Option<SocketAddr> {
    let (_, addresses) = addresses(reader, flags);
    let first = addresses.first()?;
    let ip = match first.ip() {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    if first.port() == 0 {
        reader.faults.push(
            "port 0 is a different one for each server; name the one to ask: smcp health http://127.0.0.1:PORT".to_owned(),
        );
    }
    Some(SocketAddr::new(ip, first.port()))
}

/// The host as it was given, and every address that it stands for.
fn addresses(reader: &mut Reader, flags: &Flags) -> (String, Vec<SocketAddr>) {
    let port = reader.flag(flags.port.as_ref(), "MCP_PORT");
    reader.note_default("MCP_PORT", DEFAULT_PORT);
    let port = reader.parsed(port, DEFAULT_PORT, "a port from 0 to 65535", |text| {
        text.parse().ok()
    });
    let given = reader.flag(flags.host.as_ref(), "MCP_HOST");
    let given = match given {
        Some(given) if flags.allow_external && !is_any(&given.value) => {
            // As in version 3: the flag is the last word, and the start must not be less open than it says.
            reader.mistakes.push(format!(
                "{}: '{}' has no effect, for --allow-external listens on 0.0.0.0; leave one of them out",
                given.name(), given.value
            ));
            None
        }
        given => given,
    };
    let default = if flags.allow_external {
        reader.flag_alone("MCP_HOST", "0.0.0.0");
        ("--allow-external", "0.0.0.0")
    } else {
        reader.note_default("MCP_HOST", "127.0.0.1");
        ("--host", "127.0.0.1")
    };
    let given = given.unwrap_or_else(|| Given {
        variable: "MCP_HOST",
        origin: Origin::Flag(default.0),
        value: default.1.to_owned(),
    });
    let host = bare(&given.value).to_owned();
    let addresses = match (host.as_str(), port).to_socket_addrs() {
        Ok(addresses) => {
            // The first one that can be bound is used: most clients try IPv4 for a name that has both.
            let mut addresses: Vec<_> = addresses.collect();
            addresses.sort_by_key(SocketAddr::is_ipv6);
            addresses.dedup();
            addresses
        }
        Err(error) => {
            reader.refuse(
                &given,
                &format!("an address or name of this machine ({error})"),
            );
            Vec::new()
        }
    };
    (host, addresses)
}

/// An address without the brackets that IPv6 ones may have.
fn bare(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(host)
}

/// Whether it stands for all addresses of this machine.
fn is_any(host: &str) -> bool {
    bare(host)
        .parse()
        .is_ok_and(|address: IpAddr| address.to_canonical().is_unspecified())
}

fn auth(
    reader: &mut Reader,
    flags: &Flags,
    keys: Vec<KeyId>,
    disabled: bool,
    proxied: bool,
) -> auth::Settings {
    let loopback_exempt = loopback_allowed(reader, flags, proxied);
    let keyed = !keys.is_empty();
    if disabled && flags.require_auth {
        reader.faults.push(
            "--require-auth and MCP_AUTH_DISABLED say the opposite of each other; leave one of them out".to_owned(),
        );
    } else if disabled {
        reader.notices.push(
            "authentication is OFF (MCP_AUTH_DISABLED), NOBODY NEEDS A KEY: whoever reaches this server runs its tools"
                .to_owned(),
        );
    } else if !keyed && flags.require_auth && reader.faults.is_empty() {
        reader
            .faults
            .push("--require-auth: there is no key to ask for; set MCP_API_KEY, or name a file that has it in MCP_API_KEY_FILE".to_owned());
    } else if !keyed && proxied {
        reader.notices.push("there is a proxy (MCP_ROOT_PATH, MCP_ALLOWED_HOSTS) and no key, NOBODY NEEDS A KEY: whoever the proxy lets through may call; set MCP_API_KEY".to_owned());
    } else if keyed && loopback_exempt {
        reader.notices.push("clients on this machine need no key; --require-auth asks them too, which a reverse proxy on this machine needs".to_owned());
    }
    auth::Settings {
        keys: keys.into(),
        loopback_exempt,
        disabled,
    }
}

/// Whether direct clients on this machine may go without a key. Whatever is not a clear yes is a no, as in version 3:
/// a value that went wrong must not open the server.
fn loopback_allowed(reader: &mut Reader, flags: &Flags, proxied: bool) -> bool {
    const NAME: &str = "MCP_AUTH_ALLOW_LOOPBACK";
    // Where there is a proxy it may be on this machine, and then its clients look like local ones.
    let default = !proxied;
    reader.note_default(NAME, default);
    let given = reader.variable(NAME);
    let allowed = match given.as_ref().map(|given| switch_value(&given.value)) {
        _ if reader.is_blank(NAME) => {
            reader.notices.push(format!(
                "{NAME} is set but empty, which means no: clients on this machine need a key too; set it to 1 or unset it if that is not meant"
            ));
            reader.decide(NAME, "false", Origin::Environment);
            false
        }
        Some(None) => {
            let given = given.map(|given| given.value).unwrap_or_default();
            reader.mistakes.push(format!(
                "{NAME}: '{given}' is not understood and counts as no: clients on this machine need a key too; use 1 or 0"
            ));
            reader.counts_as(NAME, "false");
            false
        }
        Some(Some(true)) if proxied => {
            reader.overrule(NAME);
            false
        }
        Some(Some(allowed)) => allowed,
        None => default,
    };
    if flags.require_auth {
        reader.flag_alone(NAME, "false");
    }
    allowed && !flags.require_auth
}

/// An origin as browsers send it: without a path, in lower case.
fn origin(text: &str) -> Option<String> {
    let trimmed = text.strip_suffix('/').unwrap_or(text);
    let (scheme, rest) = trimmed.split_once("://")?;
    (!scheme.is_empty() && !rest.is_empty() && !rest.contains('/'))
        .then(|| trimmed.to_ascii_lowercase())
}

#[cfg(test)]
mod tests;
