//! The host and port that a request names. Knows no header and no rule.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// A host, and a port where one is given: `localhost:8000`, `[::1]`, `mcp.example.org`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// The host.
    pub host: Host,
    /// The port, where one is given.
    pub port: Option<u16>,
}

/// A name or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// In lower case, without a final dot.
    Name(String),
    /// An address; an IPv4 address in IPv6 form is kept as IPv4.
    Address(IpAddr),
}

impl Authority {
    /// Parses the value of a `Host` header; `None` when it is not a host, or a host and a port.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let port = if rest.is_empty() {
                    None
                } else {
                    Some(rest.strip_prefix(':')?)
                };
                (
                    Host::Address(IpAddr::V6(address.parse::<Ipv6Addr>().ok()?).to_canonical()),
                    port,
                )
            }
            None => match text.split_once(':') {
                Some((host, port)) => (Host::parse(host)?, Some(port)),
                None => (Host::parse(text)?, None),
            },
        };
        let port = port.map(parse_port).transpose().ok()?;
        Some(Self { host, port })
    }

    /// Parses the value of an `Origin` header; `None` for `null` and for other schemes than http and https.
    pub fn of_origin(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (rest, default) = match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
            (Some(rest), _) => (rest, 80),
            (_, Some(rest)) => (rest, 443),
            _ => return None,
        };
        let authority = Self::parse(rest.as_bytes())?;
        Some(Self {
            port: authority.port.or(Some(default)),
            ..authority
        })
    }

    /// Whether it is a loopback address, or a name that stands for one by definition (`localhost`).
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Address(address) => address.is_loopback(),
        }
    }

    /// Whether an entry of `MCP_ALLOWED_HOSTS` allows it. One without a port allows every port;
    /// `*.example.org` allows every name below `example.org`.
    pub fn matches(&self, allowed: &Allowed) -> bool {
        let port = allowed.port.is_none_or(|port| self.port == Some(port));
        port && match (&allowed.host, &self.host) {
            (AllowedHost::Exactly(allowed), host) => allowed == host,
            (AllowedHost::Below(suffix), Host::Name(name)) => name
                .strip_suffix(suffix.as_str())
                .is_some_and(|label| label.ends_with('.')),
            (AllowedHost::Below(_), Host::Address(_)) => false,
        }
    }
}

fn parse_port(text: &str) -> Result<u16, ()> {
    // `parse` alone would take a plus sign.
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().map_err(|_| ())
    } else {
        Err(())
    }
}

impl Host {
    /// Parses a name or an address.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self::Address(address.to_canonical()));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        let valid = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        };
        (name.len() <= 253 && name.split('.').all(valid))
            .then(|| Self::Name(name.to_ascii_lowercase()))
    }
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Name(name) => f.write_str(name)?,
            Host::Address(IpAddr::V6(address)) => write!(f, "[{address}]")?,
            Host::Address(address) => write!(f, "{address}")?,
        }
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// One entry of `MCP_ALLOWED_HOSTS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowed {
    host: AllowedHost,
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AllowedHost {
    Exactly(Host),
    Below(String),
}

impl Allowed {
    /// Parses `mcp.example.org`, `mcp.example.org:8443`, `*.example.org`, `192.0.2.7` or `[2001:db8::1]`.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            Some(rest) => {
                let Authority {
                    host: Host::Name(name),
                    port,
                } = Authority::parse(rest.as_bytes())?
                else {
                    return None;
                };
                Some(Self {
                    host: AllowedHost::Below(name),
                    port,
                })
            }
            None => {
                let Authority { host, port } = Authority::parse(text.as_bytes())?;
                Some(Self {
                    host: AllowedHost::Exactly(host),
                    port,
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_or_refused() {
        for good in [
            "localhost",
            "LOCALHOST:8000",
            "127.0.0.1",
            "[::1]:8000",
            "[::1]",
            "a.example.org.",
            "under_score.example",
        ] {
            assert!(Authority::parse(good.as_bytes()).is_some(), "{good}");
        }
        for bad in [
            "",
            ":80",
            "a b",
            "a/b",
            "user@host",
            "host:port",
            "host:+80",
            "host:99999",
            "[::1",
            "[::1]x",
            "::1:80:",
            "a..b",
            "ho\u{e4}st",
            "http://x",
            "a,b",
        ] {
            assert!(Authority::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_a_name_of_this_machine_or_its_address_and_no_look_alike() {
        for (host, expected) in [
            ("localhost", true),
            ("localhost:9", true),
            ("a.localhost", true),
            ("127.8.9.1", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.evil.test", false),
            ("evillocalhost", false),
            ("127.0.0.1.evil.test", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(
                Authority::parse(host.as_bytes()).unwrap().is_loopback(),
                expected,
                "{host}"
            );
        }
    }

    #[test]
    fn allowed_hosts_admit_what_they_name() {
        for (allowed, host, expected) in [
            ("mcp.example.org", "mcp.example.org:8443", true),
            ("mcp.example.org:8443", "mcp.example.org:8443", true),
            ("mcp.example.org:8443", "mcp.example.org", false),
            ("*.example.org", "a.b.example.org", true),
            ("*.example.org", "example.org", false),
            ("*.example.org", "badexample.org", false),
        ] {
            let host = Authority::parse(host.as_bytes()).unwrap();
            assert_eq!(
                host.matches(&Allowed::parse(allowed).unwrap()),
                expected,
                "{allowed} {host}"
            );
        }
    }
}
