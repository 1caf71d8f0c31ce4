//! How a client reaches the server: an address, or a command that starts one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, bail};
use url::{Host, Url};

use crate::cli::{ClientArgs, ClientName};
use crate::config::Config;
use crate::text::{address_without_secrets, shown};

/// How the server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Over HTTP.
    Http {
        /// The address without the path of a transport, and without a slash at its end.
        base: String,
        /// The environment variable of the client that has the key, where a key is sent.
        key: Option<String>,
    },
    /// The client starts this command and talks over its standard input and output.
    Stdio {
        /// The program, by its whole path.
        command: String,
        /// Its arguments.
        args: Vec<String>,
    },
}

impl Target {
    /// The target that was asked for, else the one that is usual for this client.
    ///
    /// # Errors
    /// The client cannot be connected so, or a path or an address cannot be written down.
    pub fn of(args: &ClientArgs, config: &Config) -> anyhow::Result<Self> {
        let is_http = args.http || args.url.is_some();
        let is_stdio = match args.client {
            ClientName::Letta | ClientName::Curl if args.stdio => {
                bail!("this client connects over HTTP alone; leave --stdio out")
            }
            ClientName::Claude if is_http => bail!(
                "the file of Claude Desktop knows commands alone, no addresses; leave {} out, or add the address in its settings, under Connectors",
                if args.http { "--http" } else { "--url" }
            ),
            ClientName::Letta | ClientName::Inspector | ClientName::Python | ClientName::Curl => {
                args.stdio
            }
            ClientName::Claude
            | ClientName::ClaudeCode
            | ClientName::Cursor
            | ClientName::VsCode
            | ClientName::Codex => !is_http,
        };
        match is_stdio {
            true => command(args, config),
            false => address(args, config),
        }
    }
}

impl Target {
    /// Whether the address can be none of the public internet, by the rules of Letta: it is one of a private network, or
    /// a name that is only known there.
    pub fn is_of_a_private_network(&self) -> bool {
        const NAMES: [&str; 6] = [
            "localhost",
            "local",
            "localdomain",
            "home.arpa",
            "svc",
            "cluster.local",
        ];
        let Self::Http { base, .. } = self else {
            return false;
        };
        match Url::parse(base).ok().as_ref().and_then(Url::host) {
            Some(Host::Ipv4(ip)) => is_private(ip),
            Some(Host::Ipv6(ip)) => match ip.to_canonical() {
                IpAddr::V4(ip) => is_private(ip),
                IpAddr::V6(ip) => {
                    ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local()
                }
            },
            Some(Host::Domain(name)) => NAMES.iter().any(|known| {
                let before = name.strip_suffix(known);
                before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
            }),
            None => false,
        }
    }
}

fn is_private(ip: Ipv4Addr) -> bool {
    // 100.64.0.0/10 is what providers share among their customers, and Tailscale uses.
    let is_shared = ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64;
    ip.is_loopback() || ip.is_private() || ip.is_link_local() || ip.is_unspecified() || is_shared
}

fn address(args: &ClientArgs, config: &Config) -> anyhow::Result<Target> {
    check_variable(&args.key_variable)?;
    let (base, is_keyed) = match &args.url {
        // Whether that server asks for a key is not known here.
        Some(url) => (given(url)?, true),
        None => own(config)?,
    };
    Ok(Target::Http {
        base,
        key: (is_keyed && !args.no_key).then(|| args.key_variable.clone()),
    })
}

/// The address that somebody wrote, which may be that of a transport.
fn given(text: &str) -> anyhow::Result<String> {
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let example = "use one such as https://tools.example.org/smcp";
    let said = shown(&address_without_secrets(text), 100);
    let url = Url::parse(&whole).with_context(|| format!("'{said}' is no address; {example}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.query().or(url.fragment()).is_some() {
        bail!("'{said}' is no address of a server; {example}");
    }
    if !url.username().is_empty() || url.password().is_some() {
        bail!(
            "the address has a name or a password in it, which would end up in a file; {example}"
        );
    }
    let base = url.as_str().trim_end_matches('/');
    let base = base.strip_suffix("/mcp").or(base.strip_suffix("/sse"));
    Ok(base
        .unwrap_or(url.as_str())
        .trim_end_matches('/')
        .to_owned())
}

/// The address of the server that these settings stand for, and whether it asks its clients on this machine for a key.
fn own(config: &Config) -> anyhow::Result<(String, bool)> {
    let Some(first) = config.addresses.first() else {
        bail!("the settings have no address to listen on; name the server's: --url URL");
    };
    if first.port() == 0 {
        bail!(
            "port 0 is a different one for each server; name the server's address: --url http://127.0.0.1:PORT"
        );
    }
    let ip = match first.ip() {
        IpAddr::V4(any) if any.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let auth = &config.http.auth;
    let is_exempt = auth.loopback_exempt && ip.to_canonical().is_loopback();
    let is_keyed = !auth.keys.is_empty() && !auth.disabled && !is_exempt;
    let address = SocketAddr::new(ip, first.port());
    Ok((
        format!("http://{address}{}", config.http.root_path),
        is_keyed,
    ))
}

/// The command that serves the same plugins with the same file. Nothing else is known to the client: it starts it
/// with an environment of its own.
fn command(args: &ClientArgs, config: &Config) -> anyhow::Result<Target> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut words = vec!["stdio".to_owned()];
    if let Some(directory) = &config.catalog.directory {
        words.extend(["--plugins-dir".to_owned(), whole(directory)?]);
    }
    if let Some(file) = &args.settings.plugins.place.config {
        words.extend(["--config".to_owned(), whole(Path::new(file))?]);
    }
    if let Some(limit) = &args.settings.plugins.plugin_timeout {
        words.extend(["--plugin-timeout".to_owned(), limit.clone()]);
    }
    Ok(Target::Stdio {
        command: whole(&program)?,
        args: words,
    })
}

fn whole(path: &Path) -> anyhow::Result<String> {
    let whole = std::path::absolute(path)?;
    match whole.to_str() {
        Some(text) => Ok(text.to_owned()),
        None => bail!(
            "'{}' is not UTF-8, and files of clients are; rename it",
            whole.display()
        ),
    }
}

/// It stands between braces and in shells.
fn check_variable(name: &str) -> anyhow::Result<()> {
    let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
    match is_name {
        true => Ok(()),
        false => bail!(
            "--key-variable: '{name}' is no name of a variable; the key itself must not stand here"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_letta_refuses_are_known() {
        for (base, is_private) in [
            ("http://127.0.0.1:8000", true),
            ("http://10.1.2.3", true),
            ("http://172.31.0.1/x", true),
            ("http://192.168.0.1", true),
            ("http://100.100.1.1", true),
            ("http://[::1]:8000", true),
            ("http://[fd00::1]", true),
            ("http://[::ffff:10.0.0.1]", true),
            ("http://localhost:8000", true),
            ("http://tools.local", true),
            ("http://tools.default.svc.cluster.local", true),
            ("http://tools.svc", true),
            ("https://tools.example.org", false),
            ("https://mylocal.example", false),
            ("https://notlocal", false),
            ("http://8.8.8.8", false),
            ("http://100.128.0.1", false),
            ("http://[2001:4860::1]", false),
        ] {
            let target = Target::Http {
                base: base.to_owned(),
                key: None,
            };
            assert_eq!(target.is_of_a_private_network(), is_private, "{base}");
        }
    }

    #[test]
    fn an_address_may_be_that_of_a_transport_and_has_no_secret_in_it() {
        for (text, expected) in [
            ("https://a.example", "https://a.example"),
            ("https://a.example/smcp/mcp", "https://a.example/smcp"),
            ("https://a.example/sse/", "https://a.example"),
            ("127.0.0.1:8000", "http://127.0.0.1:8000"),
            ("http://[::1]:1/", "http://[::1]:1"),
        ] {
            assert_eq!(given(text).unwrap(), expected, "{text}");
        }
        for text in [
            "",
            "ftp://a",
            "https://a/?key=1",
            "https://u:p@a",
            "http://",
        ] {
            assert!(given(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_stands_for_the_key_is_a_name_and_no_key() {
        for name in ["MCP_API_KEY", "_x1"] {
            assert!(check_variable(name).is_ok(), "{name}");
        }
        for name in ["", "1x", "a-b", "x}", "sha256:1", "a b"] {
            assert!(check_variable(name).is_err(), "{name}");
        }
    }
}
