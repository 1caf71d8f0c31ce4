//! What mends the paths and methods that the proxy passes on.

use super::super::fault::Fault;
use super::super::line::{Line, caddy, nginx, smcp, without};

/// What to do, and the lines for it.
pub(super) fn of(fault: Fault, subject: &str, prefix: &str) -> (String, Vec<Line>) {
    match fault {
        Fault::Prefix if subject.is_empty() => (
            "there is no prefix before this address: tell the server of none".to_owned(),
            vec![
                without(nginx("proxy_set_header X-Forwarded-Prefix")),
                without(caddy("header_up X-Forwarded-Prefix")),
                without(smcp("MCP_ROOT_PATH")),
            ],
        ),
        Fault::Prefix => (
            "tell the server its prefix: the proxy with a header, or the server's environment"
                .to_owned(),
            vec![
                nginx(format!("proxy_set_header X-Forwarded-Prefix {subject};")),
                caddy(format!("header_up X-Forwarded-Prefix {subject}")),
                smcp(format!("MCP_ROOT_PATH={subject}")),
            ],
        ),
        Fault::BadGateway => (
            "start the server, and let the proxy pass requests to the address on which it listens"
                .to_owned(),
            passing(prefix),
        ),
        Fault::NotServed if subject.is_empty() => (
            match prefix {
                "" => "let the proxy pass on each path as it comes".to_owned(),
                prefix => format!("let the proxy take {prefix} out of each path, and nothing else"),
            },
            passing(prefix),
        ),
        Fault::NotServed => (
            format!(
                "let the proxy pass on {subject} and everything else below the same path, in one block"
            ),
            passing(prefix),
        ),
        _ => (
            format!(
                "let the proxy pass on {subject}: take out what names the methods that are allowed"
            ),
            vec![
                without(nginx("limit_except")),
                without(nginx("if ($request_method")),
                without(caddy("method")),
            ],
        ),
    }
}

/// The lines that pass on every path, with nothing of `prefix` left in it.
pub(super) fn passing(prefix: &str) -> Vec<Line> {
    match prefix {
        "" => vec![
            nginx("location / {"),
            nginx("proxy_pass http://127.0.0.1:8000;"),
            caddy("reverse_proxy 127.0.0.1:8000"),
        ],
        prefix => vec![
            nginx(format!("location {prefix}/ {{")),
            nginx("proxy_pass http://127.0.0.1:8000/;"),
            caddy(format!("handle_path {prefix}/* {{")),
            caddy("reverse_proxy 127.0.0.1:8000"),
        ],
    }
}
