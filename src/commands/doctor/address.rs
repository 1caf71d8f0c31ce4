//! Where the server is, as clients are told it.

use std::fmt;

use anyhow::{Context, bail};
use url::Url;

use crate::text::{address_without_secrets, shown};

/// Where the server is.
#[derive(Debug, Clone)]
pub struct Address {
    /// What stands before the paths of the transports; ends with a slash.
    pub(super) base: Url,
}

/// Reads an address that may be that of a transport.
///
/// # Errors
/// It is none, or has in it what no client can be given.
pub fn address(text: &str) -> anyhow::Result<Address> {
    let example = "use one such as https://tools.example.org";
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    let said = format!("'{}'", shown(&address_without_secrets(text), 100));
    let mut url = Url::parse(&whole)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .with_context(|| format!("{said} is no address of a server; {example}"))?;
    if !url.username().is_empty() || url.password().is_some() {
        bail!(
            "the address has a name or a password in it; put the server's key into MCP_API_KEY, and {example}"
        );
    }
    if url.query().or(url.fragment()).is_some() {
        bail!("{said} has a query, which is no part of a server's address; {example}");
    }
    let path = url.path().trim_end_matches('/');
    let ends = ["/sse", "/mcp", "/messages"];
    let base = ends.iter().find_map(|end| path.strip_suffix(end));
    let base = base.unwrap_or(path).trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/"));
    Ok(Address { base: url })
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

impl Address {
    /// What the server is below, without a final slash; empty at the root.
    pub(super) fn prefix(&self) -> &str {
        self.base.path().trim_end_matches('/')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_that_of_a_transport() {
        for (given, base, prefix) in [
            ("https://a.example", "https://a.example", ""),
            (
                "https://a.example/tools/",
                "https://a.example/tools",
                "/tools",
            ),
            (
                "https://a.example/tools/sse",
                "https://a.example/tools",
                "/tools",
            ),
            ("a.example:81/mcp/", "http://a.example:81", ""),
            ("[::1]:8000", "http://[::1]:8000", ""),
            ("http://a/messages/", "http://a", ""),
        ] {
            let read = address(given).unwrap();
            assert_eq!((read.to_string().as_str(), read.prefix()), (base, prefix));
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_no_password_repeated() {
        for given in [
            "",
            "http://",
            "ftp://a",
            "a b",
            "https://a/?key=secret",
            "https://a/#x",
            "https://user:secret@a/",
            "https://user:sec/ret@a:b/",
            "user:secret@a",
        ] {
            let refused = address(given).unwrap_err().to_string();
            assert!(refused.contains("https://tools.example.org"), "{refused}");
            assert!(!refused.contains("cret"), "{refused}");
        }
    }
}
