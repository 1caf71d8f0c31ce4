//! What mends each fault: words, and the lines of nginx, Caddy and smcp. `docs/reverse-proxy.md` prints the same lines,
//! which a test holds against it.

mod entry;
mod paths;
mod transit;

use super::fault::Fault;
use super::line::Line;

/// What to do, and the lines for it. `subject` is what the fault is about: a header, a method, a path, a name, a time.
/// `prefix` is what the server is published below, without a final slash.
pub(super) fn of(fault: Fault, subject: &str, prefix: &str) -> (String, Vec<Line>) {
    match fault {
        Fault::Unreachable
        | Fault::Unencrypted
        | Fault::Silent
        | Fault::NotHttp
        | Fault::NotMcp
        | Fault::Redirect
        | Fault::Tls => entry::of_address(fault, subject, prefix),
        Fault::KeyMissing
        | Fault::KeyWrong
        | Fault::ProxyAuth
        | Fault::Open
        | Fault::HostRefused
        | Fault::OriginRefused
        | Fault::Limited
        | Fault::Busy
        | Fault::Refused => entry::of_access(fault, subject),
        Fault::LostHeader | Fault::LostAnswerHeader | Fault::ChangedHeader | Fault::Cors => {
            transit::of_headers(fault, subject)
        }
        Fault::Prefix | Fault::BadGateway | Fault::NotServed | Fault::MethodRefused => {
            paths::of(fault, subject, prefix)
        }
        _ => transit::of_transfer(fault, subject),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_that_is_said_stands_on_the_page_about_proxies() {
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/reverse-proxy.md");
        let page = std::fs::read_to_string(page).expect("the page is there");
        for (fault, subject) in [
            (Fault::Unreachable, ""),
            (Fault::Silent, ""),
            (Fault::NotHttp, ""),
            (Fault::Unencrypted, ""),
            (Fault::Tls, ""),
            (Fault::Tls, "http"),
            (Fault::Tls, "https"),
            (Fault::Tls, "protocol"),
            (Fault::Tls, "client"),
            (Fault::Tls, "version"),
            (Fault::Tls, "name"),
            (Fault::Tls, "time"),
            (Fault::Tls, "issuer"),
            (Fault::Redirect, ""),
            (Fault::BadGateway, ""),
            (Fault::NotMcp, ""),
            (Fault::NotServed, "/mcp"),
            (Fault::NotServed, ""),
            (Fault::KeyMissing, ""),
            (Fault::KeyWrong, ""),
            (Fault::ProxyAuth, ""),
            (Fault::Open, ""),
            (Fault::HostRefused, "tools.example.org"),
            (Fault::HostChanged, ""),
            (Fault::Refused, ""),
            (Fault::Limited, ""),
            (Fault::Busy, ""),
            (Fault::Prefix, "/tools"),
            (Fault::Prefix, ""),
            (Fault::Scattered, ""),
            (Fault::Buffered, ""),
            (Fault::Compressed, ""),
            (Fault::LostHeader, "X-Agent-Id"),
            (Fault::LostAnswerHeader, "Mcp-Session-Id"),
            (Fault::ChangedHeader, "X-Agent-Id"),
            (Fault::MethodRefused, "DELETE"),
            (Fault::BodyLimit, ""),
            (Fault::IdleCut, "5s"),
            (Fault::StreamCut, ""),
            (Fault::HttpVersion, ""),
            (Fault::OriginRefused, "https://app.example.org"),
            (Fault::Cors, "Access-Control-Allow-Origin"),
            (Fault::Clock, ""),
            (Fault::NotReady, ""),
            (Fault::Handshake, ""),
            (Fault::Unfinished, ""),
        ] {
            let word = serde_json::to_string(&fault).unwrap().replace('"', "`");
            assert!(page.contains(&word), "no {word}");
            for prefix in ["", "/tools"] {
                for line in of(fault, subject, prefix).1 {
                    assert!(page.contains(&line.line), "{fault:?}: {}", line.line);
                }
            }
        }
    }
}
