//! Reads flags and environment once, builds each floor's settings, reports all faults together.
//!
//! The only file that looks at the environment. Nothing ever changes it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::catalog;
use crate::cli::Flags;
use crate::governor;
use crate::http::auth;
use crate::http::authority::Allowed;
use crate::http::sse::clean_prefix;
use crate::http::{self, gate};
use crate::letta;
use crate::mcp::budget::DEFAULT_BYTES;
use crate::mcp::principal::KeyId;
use crate::telemetry;

/// Variables that belong to the server alone and never reach a plugin.
const OWN_SECRETS: [&str; 3] = ["MCP_API_KEY", "NOTIFY_SOCKET", "LISTEN_"];
/// How long a plugin may take to describe itself.
const DESCRIBE_LIMIT: Duration = Duration::from_secs(10);
/// Sessions that may be open at once.
const MAX_SESSIONS: usize = 4096;
/// Connections that may be open at once.
const MAX_CONNECTIONS: usize = 8192;

/// All that the server needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// What to listen on.
    pub address: SocketAddr,
    /// Logs.
    pub telemetry: telemetry::Settings,
    /// Plugins.
    pub catalog: catalog::Settings,
    /// Which tools clients see.
    pub governor: governor::Settings,
    /// Where the agents' secrets come from; `None` where there is no Letta.
    pub letta: Option<letta::Settings>,
    /// HTTP.
    pub http: http::Settings,
    /// Connections that may be open at once.
    pub max_connections: usize,
    /// Sessions that may be open at once.
    pub max_sessions: usize,
    /// Bytes that may wait for clients in all.
    pub max_waiting_bytes: usize,
    /// What a person should read at the start.
    pub notices: Vec<String>,
}

/// Everything that is wrong with the settings.
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

/// Reads everything; the error names each setting that is wrong, its value and what is allowed.
pub fn read(flags: &Flags, environment: Vec<(OsString, OsString)>) -> Result<Config, Faults> {
    let mut reader = Reader {
        values: environment.iter().cloned().collect(),
        faults: Vec::new(),
        notices: Vec::new(),
    };
    let config = reader.config(flags, environment);
    if reader.faults.is_empty() {
        Ok(config)
    } else {
        Err(Faults(reader.faults))
    }
}

struct Reader {
    values: BTreeMap<OsString, OsString>,
    faults: Vec<String>,
    notices: Vec<String>,
}

impl Reader {
    fn config(&mut self, flags: &Flags, environment: Vec<(OsString, OsString)>) -> Config {
        let auth = self.auth(flags);
        let (host, address) = self.address(flags);
        let loopback = address.ip().to_canonical().is_loopback();
        self.guard(&host, loopback, &auth);
        let allowed_hosts = self.list(
            "MCP_ALLOWED_HOSTS",
            "a host such as mcp.example.org, with or without a port",
            Allowed::parse,
        );
        let root_path = self.root_path();
        let auth = self.exemption(auth, &root_path, &allowed_hosts);
        let gate = gate::Settings {
            bound_host: host,
            bound_to_loopback: loopback,
            allowed_hosts,
            allowed_origins: self.list(
                "MCP_ALLOWED_ORIGINS",
                "an origin such as https://app.example.org",
                origin,
            ),
        };
        let manifest = self.switch("MCP_SSE_MANIFEST", false);
        Config {
            address,
            telemetry: self.telemetry(),
            catalog: self.catalog(flags, environment),
            governor: self.governor(),
            letta: self.letta(),
            http: http::Settings {
                root_path,
                manifest,
                auth,
                gate,
            },
            max_connections: self.count("MCP_MAX_CONNECTIONS", MAX_CONNECTIONS),
            max_sessions: self.count("MCP_MAX_SESSIONS", MAX_SESSIONS),
            max_waiting_bytes: self.count("MCP_MAX_WAITING_BYTES", DEFAULT_BYTES),
            notices: std::mem::take(&mut self.notices),
        }
    }

    fn address(&mut self, flags: &Flags) -> (String, SocketAddr) {
        let port = self.setting(flags.port.as_ref(), "--port", "MCP_PORT");
        let port = port.map_or(8000, |given| {
            given
                .parse::<u16>()
                .unwrap_or_else(|_| self.reject(&given, "a port from 0 to 65535", 8000))
        });
        let default = if flags.allow_external {
            "0.0.0.0"
        } else {
            "127.0.0.1"
        };
        let host = self.setting(flags.host.as_ref(), "--host", "MCP_HOST");
        let given = host.unwrap_or_else(|| Setting {
            name: "--host",
            value: default.to_owned(),
        });
        let bare = given
            .value
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let unresolved = SocketAddr::from(([127, 0, 0, 1], port));
        let address = match (bare.as_str(), port).to_socket_addrs() {
            Ok(addresses) => {
                // Most clients try IPv4 for a name that has both.
                let mut addresses: Vec<_> = addresses.collect();
                addresses.sort_by_key(SocketAddr::is_ipv6);
                addresses.first().copied().unwrap_or(unresolved)
            }
            Err(error) => self.reject(
                &given,
                &format!("an address or name of this machine ({error})"),
                unresolved,
            ),
        };
        (bare, address)
    }

    fn auth(&mut self, flags: &Flags) -> auth::Settings {
        let mut keys = Vec::new();
        for name in ["MCP_API_KEY", "MCP_API_KEYS"] {
            let value = self.text(name).unwrap_or_default();
            for (number, key) in value
                .split(',')
                .map(str::trim)
                .filter(|key| !key.is_empty())
                .enumerate()
            {
                match key_id(key) {
                    Some(id) => keys.push(id),
                    // A key is a secret even when it is a wrong one.
                    None => self.faults.push(format!("{name}: key {} is not allowed; use printable ASCII without spaces, or sha256: and 64 hex digits", number + 1)),
                }
            }
        }
        let disabled = self.switch("MCP_AUTH_DISABLED", false);
        let loopback_exempt = self.switch("MCP_AUTH_ALLOW_LOOPBACK", true) && !flags.require_auth;
        if disabled {
            self.notices.push("authentication is OFF (MCP_AUTH_DISABLED): whoever reaches this server runs its tools".to_owned());
        } else if flags.require_auth && keys.is_empty() && self.faults.is_empty() {
            self.faults
                .push("--require-auth: there is no key to ask for; set MCP_API_KEY".to_owned());
        }
        auth::Settings {
            keys,
            loopback_exempt,
            disabled,
        }
    }

    /// A server that runs programs is never open to a network without a word.
    fn guard(&mut self, host: &str, loopback: bool, auth: &auth::Settings) {
        if !loopback && auth.keys.is_empty() && !auth.disabled {
            self.faults.push(format!("refusing to bind {host} without a key; set MCP_API_KEY, or MCP_AUTH_DISABLED=1 to serve everybody"));
        }
    }

    fn exemption(
        &mut self,
        mut auth: auth::Settings,
        root_path: &str,
        hosts: &[Allowed],
    ) -> auth::Settings {
        if !root_path.is_empty() || !hosts.is_empty() {
            // They are set where there is a proxy, and a proxy on this machine looks like a local client.
            auth.loopback_exempt = false;
            if auth.keys.is_empty() && !auth.disabled {
                let why = "there is a proxy (MCP_ROOT_PATH, MCP_ALLOWED_HOSTS) and no key: whoever the proxy lets through may call; set MCP_API_KEY";
                self.notices.push(why.to_owned());
            }
        }
        if auth.loopback_exempt && !auth.keys.is_empty() && !auth.disabled {
            self.notices.push("clients on this machine need no key; --require-auth asks them too, which a reverse proxy on this machine needs".to_owned());
        }
        auth
    }

    fn root_path(&mut self) -> String {
        let Some(value) = self.text("MCP_ROOT_PATH") else {
            return String::new();
        };
        clean_prefix(&value).unwrap_or_else(|| {
            let given = Setting {
                name: "MCP_ROOT_PATH",
                value,
            };
            self.reject(&given, "a plain path such as /smcp", String::new())
        })
    }

    fn catalog(
        &mut self,
        flags: &Flags,
        environment: Vec<(OsString, OsString)>,
    ) -> catalog::Settings {
        let timeout = self.setting(
            flags.plugin_timeout.as_ref(),
            "--plugin-timeout",
            "MCP_PLUGIN_TIMEOUT",
        );
        let time_limit = timeout.and_then(|given| match given.parse::<f64>() {
            Ok(seconds) if seconds <= 0.0 => None,
            Ok(seconds) if seconds.is_finite() => Duration::try_from_secs_f64(seconds).ok(),
            _ => self.reject(&given, "a number of seconds; 0 is no limit", None),
        });
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        catalog::Settings {
            directory: self.plugins_directory(flags),
            python: self.text("MCP_PYTHON").map(PathBuf::from),
            environment: environment
                .into_iter()
                .filter(|(name, _)| !is_own_secret(name))
                .collect(),
            time_limit,
            max_calls: self.count("MCP_MAX_CALLS", 4 * cores),
            describe_limit: DESCRIBE_LIMIT,
        }
    }

    fn plugins_directory(&mut self, flags: &Flags) -> Option<PathBuf> {
        if let Some(given) = self.setting(
            flags.plugins_dir.as_ref(),
            "--plugins-dir",
            "MCP_PLUGINS_DIR",
        ) {
            let directory = PathBuf::from(&given.value);
            match std::fs::read_dir(&directory) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    self.notices.push(format!("{} {}: no such directory; no plugin is served until it exists and the server is started again", given.name, given.value));
                }
                Err(error) => self.reject(
                    &given,
                    &format!("a directory that can be read ({error})"),
                    (),
                ),
            }
            return Some(directory);
        }
        let beside_program = || {
            std::env::current_exe()
                .ok()?
                .parent()
                .map(|parent| parent.join("plugins"))
        };
        let here = Some(PathBuf::from("plugins"));
        [here, beside_program()]
            .into_iter()
            .flatten()
            .find(|directory| directory.is_dir())
    }

    /// The profiles are read here, so that what is wrong with them is told with everything else.
    fn governor(&mut self) -> governor::Settings {
        let settings = governor::Settings {
            profiles: self.text("SMCP_PROFILES").map(PathBuf::from),
            attach_profile: self.text("SMCP_ATTACH_PROFILE"),
            admin_prefix: self.text("SMCP_ADMIN_PREFIX"),
        };
        if let Err(error) = governor::Governor::new(&settings) {
            self.faults.push(error.to_string());
        }
        settings
    }

    fn letta(&mut self) -> Option<letta::Settings> {
        let dotenv = self
            .text("HOME")
            .and_then(|home| std::fs::read_to_string(Path::new(&home).join(".letta/.env")).ok());
        let variable = |name: &str| {
            self.values
                .get(OsStr::new(name))
                .and_then(|value| value.to_str().map(str::to_owned))
        };
        match letta::Settings::read(variable, dotenv.as_deref()) {
            Ok(settings) => settings,
            Err(fault) => {
                self.faults.push(fault);
                None
            }
        }
    }

    fn telemetry(&mut self) -> telemetry::Settings {
        let level = self
            .parsed("MCP_LOG_LEVEL", telemetry::parse_level)
            .unwrap_or_default();
        let json = self.switch("MCP_LOG_JSON", false);
        let rotation = self
            .parsed("MCP_LOG_ROTATION", telemetry::parse_rotation)
            .unwrap_or_default();
        let max_bytes = self
            .parsed("MCP_LOG_MAX_BYTES", telemetry::parse_max_bytes)
            .unwrap_or(telemetry::DEFAULT_MAX_BYTES);
        let backups = self
            .parsed("MCP_LOG_BACKUP_COUNT", telemetry::parse_backups)
            .unwrap_or(telemetry::DEFAULT_BACKUPS);
        let directory = self.text("MCP_LOG_DIR").unwrap_or_default();
        let file = self
            .text("MCP_LOG_FILE")
            .unwrap_or_else(|| telemetry::DEFAULT_FILE_NAME.to_owned());
        let path = telemetry::log_path(Path::new(&directory), Path::new(&file));
        let file = (!self.switch("MCP_DISABLE_FILE_LOG", false)).then(|| telemetry::FileSettings {
            path,
            rotation: rotation.with(max_bytes, backups),
        });
        let console = telemetry::Console {
            // https://no-color.org
            colour: self.text("NO_COLOR").is_none(),
            journal: self
                .text("JOURNAL_STREAM")
                .is_some_and(|stream| telemetry::stderr_is_journal(&stream)),
        };
        telemetry::Settings {
            level,
            json,
            console,
            file,
        }
    }

    /// A flag, else its variable.
    fn setting(
        &mut self,
        flag: Option<&String>,
        flag_name: &'static str,
        variable: &'static str,
    ) -> Option<Setting> {
        match flag {
            Some(value) => Some(Setting {
                name: flag_name,
                value: value.clone(),
            }),
            None => self.text(variable).map(|value| Setting {
                name: variable,
                value,
            }),
        }
    }

    /// A variable; an empty one counts as unset, as environment files are written.
    fn text(&mut self, name: &'static str) -> Option<String> {
        let value = self
            .values
            .get(OsStr::new(name))
            .filter(|value| !value.is_empty())?;
        match value.to_str() {
            Some(text) if text.trim().is_empty() => None,
            Some(text) => Some(text.trim().to_owned()),
            None => {
                self.faults.push(format!("{name} is not valid UTF-8"));
                None
            }
        }
    }

    fn parsed<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, telemetry::Invalid>,
    ) -> Option<T> {
        let value = self.text(name)?;
        parse(&value)
            .map_err(|invalid| self.faults.push(format!("{name}: {invalid}")))
            .ok()
    }

    fn switch(&mut self, name: &'static str, default: bool) -> bool {
        self.parsed(name, telemetry::parse_bool).unwrap_or(default)
    }

    fn count(&mut self, name: &'static str, default: usize) -> usize {
        let Some(value) = self.text(name) else {
            return default;
        };
        match value.parse() {
            Ok(0) | Err(_) => {
                self.reject(&Setting { name, value }, "a whole number from 1", default)
            }
            Ok(count) => count,
        }
    }

    fn list<T>(
        &mut self,
        name: &'static str,
        allowed: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Vec<T> {
        let value = self.text(name).unwrap_or_default();
        let entries = value
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty());
        entries
            .filter_map(|entry| {
                parse(entry).or_else(|| {
                    self.reject(
                        &Setting {
                            name,
                            value: entry.to_owned(),
                        },
                        allowed,
                        None,
                    )
                })
            })
            .collect()
    }

    fn reject<T>(&mut self, given: &Setting, allowed: &str, instead: T) -> T {
        self.faults.push(format!(
            "{}: '{}' is not allowed; use {allowed}",
            given.name, given.value
        ));
        instead
    }
}

struct Setting {
    name: &'static str,
    value: String,
}

impl std::ops::Deref for Setting {
    type Target = str;

    fn deref(&self) -> &str {
        &self.value
    }
}

fn is_own_secret(name: &OsStr) -> bool {
    OWN_SECRETS
        .iter()
        .any(|secret| name.as_encoded_bytes().starts_with(secret.as_bytes()))
}

fn key_id(key: &str) -> Option<KeyId> {
    match key.strip_prefix("sha256:") {
        Some(digits) => digest(digits).map(KeyId::from_digest),
        None => key
            .bytes()
            .all(|byte| byte.is_ascii_graphic())
            .then(|| KeyId::of(key.as_bytes())),
    }
}

fn digest(digits: &str) -> Option<[u8; 32]> {
    if digits.len() != 64 || !digits.is_ascii() {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair)
            .ok()
            .filter(|pair| !pair.starts_with('+'))?;
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
