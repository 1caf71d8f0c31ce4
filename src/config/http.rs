//! Settings of HTTP: what is listened on, who may call, and how much of it at once.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::ops::RangeInclusive;

use super::reader::{Given, Reader, switch_value};
use crate::cli::Flags;
use crate::http::authority::Allowed;
use crate::http::sse::clean_prefix;
use crate::http::{self, auth, gate};
use crate::mcp::budget::DEFAULT_BYTES;
use crate::mcp::principal::KeyId;

/// The port that is listened on when none is given.
const DEFAULT_PORT: u16 = 8000;
/// Sessions that may be open at once.
const MAX_SESSIONS: usize = 4096;
/// The least and the most that a setting may let wait for clients, in bytes: with less, ordinary answers would find
/// no room.
const WAITING_BYTES: RangeInclusive<u64> = 1 << 20..=usize::MAX as u64;
/// Connections that may be open at once.
const MAX_CONNECTIONS: usize = 8192;
/// The largest such number that a setting may give.
const MAX_COUNT: usize = 1_000_000;
/// A key shorter than this can be found by trying.
const SHORT_KEY: usize = 16;

/// What stands before the digest of a key.
const DIGEST: &str = "sha256:";

/// What is listened on, and how.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) addresses: Vec<SocketAddr>,
    pub(super) http: http::Settings,
    pub(super) key_in_shell: bool,
    pub(super) max_connections: usize,
}

pub(super) fn read(reader: &mut Reader, flags: &Flags) -> Listening {
    let one = reader.text("MCP_API_KEY").unwrap_or_default();
    let keys = keys(reader, &one);
    let (host, addresses) = addresses(reader, flags);
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
    let auth = auth(reader, flags, keys, proxied);
    // A server that runs programs is never open to a network unless somebody said so.
    if !loopback && auth.keys.is_empty() && !auth.disabled {
        reader.faults.push(format!("refusing to bind {host} without a key; set MCP_API_KEY, or MCP_AUTH_DISABLED=1 to serve everybody"));
    }
    if auth.keys.is_empty() && reader.faults.is_empty() {
        note_empty_keys(reader);
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
        key_in_shell: !one.is_empty() && !is_digest(&one),
        http: http::Settings {
            root_path,
            manifest: reader.switch("MCP_SSE_MANIFEST", false),
            auth,
            gate,
        },
        max_connections: reader.count("MCP_MAX_CONNECTIONS", MAX_CONNECTIONS, MAX_COUNT),
    }
}

/// The sessions that may be open at once, and the bytes that may wait for clients.
pub(super) fn limits(reader: &mut Reader) -> (usize, usize) {
    let sessions = reader.count("MCP_MAX_SESSIONS", MAX_SESSIONS, MAX_COUNT);
    let given = reader.variable("MCP_MAX_WAITING_BYTES");
    let waiting = reader.whole(given, DEFAULT_BYTES as u64, WAITING_BYTES);
    (sessions, usize::try_from(waiting).unwrap_or(usize::MAX))
}

/// The host as it was given, and every address that it stands for.
fn addresses(reader: &mut Reader, flags: &Flags) -> (String, Vec<SocketAddr>) {
    let port = reader.flag(flags.port.as_ref(), "--port", "MCP_PORT");
    let port = reader.parsed(port, DEFAULT_PORT, "a port from 0 to 65535", |text| {
        text.parse().ok()
    });
    let given = reader.flag(flags.host.as_ref(), "--host", "MCP_HOST");
    let given = match given {
        Some(given) if flags.allow_external && !is_any(&given.value) => {
            // As in version 3: the flag is the last word, and the start must not be less open than it says.
            reader.mistakes.push(format!(
                "{}: '{}' has no effect, for --allow-external listens on 0.0.0.0; leave one of them out",
                given.name, given.value
            ));
            None
        }
        given => given,
    };
    let default = if flags.allow_external {
        ("--allow-external", "0.0.0.0")
    } else {
        ("--host", "127.0.0.1")
    };
    let given = given.unwrap_or_else(|| Given {
        name: default.0,
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

/// `MCP_API_KEY` is one key, whatever is in it; `MCP_API_KEYS` is a list.
fn keys(reader: &mut Reader, one: &str) -> Vec<KeyId> {
    let several = reader.text("MCP_API_KEYS").unwrap_or_default();
    let listed = several
        .split(',')
        .map(str::trim)
        .filter(|key| !key.is_empty())
        .enumerate();
    let one = Some(("MCP_API_KEY: the key".to_owned(), one)).filter(|(_, key)| !key.is_empty());
    let given = one
        .into_iter()
        .chain(listed.map(|(index, key)| (format!("MCP_API_KEYS: key {}", index + 1), key)));
    let mut keys = Vec::new();
    for (which, key) in given {
        // No message shows the key: it is a secret even when it is a wrong one.
        match key_id(key) {
            Some(id) => keys.push(id),
            None => reader.faults.push(format!(
                "{which} is no digest; use sha256: and 64 hex digits, as printed by: printf %s KEY | sha256sum"
            )),
        }
        if !is_sendable(key) {
            reader.notices.push(format!(
                "{which} has characters that no client can send in a header; make one with: openssl rand -hex 32"
            ));
        }
        if key.len() < SHORT_KEY {
            let letters = if key.len() == 1 {
                "character"
            } else {
                "characters"
            };
            reader.notices.push(format!(
                "{which} has {} {letters} and can be guessed; make one with: openssl rand -hex 32",
                key.len()
            ));
        }
    }
    keys
}

/// Whoever sets one of them means to close the server.
fn note_empty_keys(reader: &mut Reader) {
    for name in ["MCP_API_KEY", "MCP_API_KEYS"] {
        if reader.is_set(name) {
            reader.mistakes.push(format!(
                "{name} is set and has no key in it: NOBODY NEEDS A KEY; set it to one, or unset it if that is meant"
            ));
        }
    }
}

fn auth(reader: &mut Reader, flags: &Flags, keys: Vec<KeyId>, proxied: bool) -> auth::Settings {
    let disabled = reader.switch("MCP_AUTH_DISABLED", false);
    let allowed = loopback_allowed(reader);
    // Where there is a proxy it may be on this machine, and then its clients look like local ones.
    let loopback_exempt = allowed && !flags.require_auth && !proxied;
    let keyed = !keys.is_empty();
    if disabled && flags.require_auth {
        reader.faults.push(
            "--require-auth and MCP_AUTH_DISABLED say the opposite of each other; leave one of them out".to_owned(),
        );
    } else if disabled {
        reader.notices.push(
            "authentication is OFF (MCP_AUTH_DISABLED): whoever reaches this server runs its tools"
                .to_owned(),
        );
    } else if !keyed && flags.require_auth && reader.faults.is_empty() {
        reader
            .faults
            .push("--require-auth: there is no key to ask for; set MCP_API_KEY".to_owned());
    } else if !keyed && proxied {
        reader.notices.push("there is a proxy (MCP_ROOT_PATH, MCP_ALLOWED_HOSTS) and no key: whoever the proxy lets through may call; set MCP_API_KEY".to_owned());
    } else if keyed && loopback_exempt {
        reader.notices.push("clients on this machine need no key; --require-auth asks them too, which a reverse proxy on this machine needs".to_owned());
    }
    auth::Settings {
        keys,
        loopback_exempt,
        disabled,
    }
}

/// Whether direct clients on this machine may go without a key. Whatever is not a clear yes is a no, as in version 3:
/// a value that went wrong must not open the server.
fn loopback_allowed(reader: &mut Reader) -> bool {
    const NAME: &str = "MCP_AUTH_ALLOW_LOOPBACK";
    if reader.is_blank(NAME) {
        reader.notices.push(format!(
            "{NAME} is set but empty, which means no: clients on this machine need a key too; set it to 1 or unset it if that is not meant"
        ));
        return false;
    }
    let Some(given) = reader.variable(NAME) else {
        return true;
    };
    switch_value(&given.value).unwrap_or_else(|| {
        reader.mistakes.push(format!(
            "{NAME}: '{}' is not understood and counts as no: clients on this machine need a key too; use 1 or 0",
            given.value
        ));
        false
    })
}

fn key_id(key: &str) -> Option<KeyId> {
    if is_digest(key) {
        digest(&key[DIGEST.len()..]).map(KeyId::from_digest)
    } else {
        Some(KeyId::of(key.as_bytes()))
    }
}

/// In capitals too: taken as a key, the text in a unit file would be the secret itself.
fn is_digest(key: &str) -> bool {
    key.get(..DIGEST.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(DIGEST))
}

/// Whether clients can show this key.
fn is_sendable(key: &str) -> bool {
    key.bytes()
        .all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
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
