//! What an answer that is not the expected one means: whose it is, and what is wrong.

use super::answer::{Answer, one};
use super::ask::Ask;
use super::fault::Fault;
use super::finding::Finding;
use super::site::{NoAnswer, Site};
use crate::text::shown;

/// How much of a header's value is quoted, in characters.
const MAX_VALUE: usize = 200;

/// What nginx and Caddy say to a client that speaks no TLS to a port that wants it.
const PLAIN_TO_TLS: [&str; 2] = [
    "plain http request was sent to https",
    "http request to an https server",
];
/// What nginx says to one that shows no certificate of its own, or another than is wanted.
const NO_CERTIFICATE: [&str; 2] = [
    "no required ssl certificate was sent",
    "the ssl certificate error",
];

/// Why a request has no answer at all.
pub(super) fn no_answer(site: &Site, ask: &Ask, why: &NoAnswer) -> Finding {
    let line = ask.line();
    match why {
        NoAnswer::Silent => Finding::new(
            Fault::Silent,
            "",
            format!("{line} has no answer within {} s", site.wait.as_secs()),
        ),
        NoAnswer::Broken(why) => of_connection(&line, why),
        NoAnswer::Early(status) => before_asking(&line, *status),
    }
}

/// What it means that something comes before the request is sent, twice.
fn before_asking(line: &str, status: Option<u16>) -> Finding {
    let Some(status) = status else {
        let seen = format!(
            "{line}: twice the connection was answered before the request was sent, and one that asks nothing is not: the server does not wait as long as the request takes"
        );
        return Finding::new(Fault::Busy, "", seen);
    };
    let seen = format!(
        "{line}: every connection is answered with status {status} before anything is asked"
    );
    match status {
        408 | 429 | 503 => Finding::new(Fault::Busy, "", seen),
        _ => Finding::new(Fault::Refused, "", seen),
    }
}

/// What the words of the system and of the TLS library mean.
fn of_connection(line: &str, why: &str) -> Finding {
    let lower = why.to_ascii_lowercase();
    let has = |word: &str| lower.contains(word);
    let subject = if has("expired") || has("not valid yet") || has("notvalidyet") {
        "time"
    } else if has("not valid for name") || has("notvalidforname") {
        "name"
    } else if has("certificaterequired") {
        "client"
    } else if has("protocolversion") {
        "version"
    } else if has("certificate") {
        "issuer"
    } else if has("noapplicationprotocol") || has("known protocol") {
        "protocol"
    } else if has("invalid http") || has("parsed") || has("unexpected message from connection") {
        let seen = format!("{line} is answered with what is no HTTP/1.1: {why}");
        return Finding::new(Fault::NotHttp, "", seen);
    } else if has("corrupt message") || has("invalidcontenttype") {
        "https"
    } else if has("handshake") || has("alert") {
        ""
    } else {
        return Finding::new(Fault::Unreachable, "", format!("{line}: {why}"));
    };
    Finding::new(Fault::Tls, subject, format!("{line}: {why}"))
}

/// What an answer means that is not what was expected.
pub(super) fn of(site: &Site, ask: &Ask, answer: &Answer) -> Finding {
    let line = ask.line();
    let seen = format!("{line} is answered with {}", answer.described());
    let code = answer.code();
    let ours = code.as_deref();
    let find = |fault, subject: &str| Finding::new(fault, subject, seen.clone());
    match answer.status {
        300..=399 => {
            let to = one(&answer.headers, "location").unwrap_or_default();
            let to = shown(to, MAX_VALUE);
            let seen = format!(
                "{line} is answered with a redirect, status {}, to {to}",
                answer.status
            );
            Finding::new(Fault::Redirect, "", seen)
        }
        401 if ours == Some("unauthorized") && ask.is_keyed => key_refused(site, &line),
        401 if ours == Some("unauthorized") && line.starts_with("OPTIONS") => {
            let header = "Access-Control-Request-Method";
            let seen = format!(
                "{line} is answered with status 401 by the server, which asks browsers for no key where {header} arrives"
            );
            Finding::new(Fault::LostHeader, header, seen)
        }
        401 if ours == Some("unauthorized") => other_path(&format!(
            "{line}, for which the server needs no key, is answered with status 401 by the server"
        )),
        401 | 407 => proxy_asks(answer, &line),
        403 if ours == Some("host_not_allowed") => {
            let host = named_host(answer, site);
            let seen = format!("{line} is refused by the server: host '{host}' is not served");
            Finding::new(Fault::HostRefused, &host, seen)
        }
        421 => find(
            Fault::HostRefused,
            site.address.base.host_str().unwrap_or_default(),
        ),
        403 if ours == Some("origin_not_allowed") => match ask.header("origin") {
            Some(page) => find(Fault::OriginRefused, page),
            None => {
                let seen = format!(
                    "{line} was sent without Origin, and the server refuses the origin that it has got"
                );
                Finding::new(Fault::ChangedHeader, "Origin", seen)
            }
        },
        403 => find(Fault::Refused, ""),
        404 if ours == Some("not_found") => other_path(&seen),
        404 if answer.body.starts_with(b"Could not find session") => scattered(&line),
        404 if answer.is_json_rpc() => scattered(&line),
        404 | 410 => find(Fault::NotServed, &path(&line)),
        // Caddy says so of what no line of its configuration is for.
        200 if one(&answer.headers, "content-length") == Some("0") => {
            find(Fault::NotServed, &path(&line))
        }
        405 | 501 => find(
            Fault::MethodRefused,
            line.split(' ').next().unwrap_or_default(),
        ),
        406 if ours.is_some() => find(Fault::ChangedHeader, "Accept"),
        415 if ours.is_some() => find(Fault::ChangedHeader, "Content-Type"),
        413 if ours.is_none() => find(Fault::BodyLimit, ""),
        _ if is_limit(answer) => find(Fault::Limited, ""),
        503 if ours == Some("unavailable") => find(Fault::NotReady, ""),
        _ if answer.is_busy() => find(Fault::Busy, ""),
        503 if ours.is_some() => find(Fault::NotReady, ""),
        502..=504 => find(Fault::BadGateway, ""),
        400 if says(answer, &NO_CERTIFICATE) => find(Fault::Tls, "client"),
        400 if says(answer, &PLAIN_TO_TLS) => {
            let seen = format!("{line}: the port wants TLS, and the address says http");
            Finding::new(Fault::Tls, "http", seen)
        }
        _ if answer.is_json_rpc() => find(Fault::Handshake, ""),
        _ => find(Fault::NotMcp, ""),
    }
}

fn key_refused(site: &Site, line: &str) -> Finding {
    match site.key {
        None => Finding::new(
            Fault::KeyMissing,
            "",
            format!(
                "{line} is answered with status 401: the server asks for a key, and none is set here"
            ),
        ),
        Some(_) => Finding::new(
            Fault::KeyWrong,
            "",
            format!(
                "{line} is answered with status 401, with the key in Authorization and in X-API-Key: the server does not accept the key that arrives"
            ),
        ),
    }
}

/// The server is there, and knows no such path.
fn other_path(seen: &str) -> Finding {
    let seen = format!(
        "{seen}: it gets another path than the one that it has, with a prefix or a slash that the proxy should have taken out, or one that it has put in"
    );
    Finding::new(Fault::NotServed, "", seen)
}

/// A password of the proxy's.
fn proxy_asks(answer: &Answer, line: &str) -> Finding {
    let asks = one(&answer.headers, "www-authenticate").unwrap_or_default();
    let asks = match asks {
        "" => String::new(),
        asks => format!("; it asks for '{}'", shown(asks, MAX_VALUE)),
    };
    let seen = format!(
        "{line} is answered with {}, and not by smcp{asks}",
        answer.described()
    );
    Finding::new(Fault::ProxyAuth, "", seen)
}

fn scattered(line: &str) -> Finding {
    let seen = format!(
        "{line} is answered with status 404, Could not find session, for a session that was opened a moment ago: the two requests reached different servers, or came with different keys"
    );
    Finding::new(Fault::Scattered, "", seen)
}

fn path(line: &str) -> String {
    line.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// The name that the server says to have been asked for.
fn named_host(answer: &Answer, site: &Site) -> String {
    let body = answer.json();
    let said = body["message"].as_str().unwrap_or_default();
    let named = said.split('\'').nth(1).filter(|name| !name.is_empty());
    let own = site.address.base.host_str().unwrap_or_default();
    shown(named.unwrap_or(own), MAX_VALUE)
}

/// Whether the proxy refuses a request for how many there are. nginx has no other reason of its own for 503: of a server
/// that it does not reach it says 502 or 504.
pub(super) fn is_limit(answer: &Answer) -> bool {
    let is_nginx = || {
        let text = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
        text.contains("503 service temporarily unavailable") && text.contains("<center>nginx")
    };
    match answer.status {
        429 => answer.code().is_none() && !answer.is_json_rpc(),
        503 => is_nginx(),
        _ => false,
    }
}

/// Whether it is an answer of this moment, which says nothing of what was asked.
pub(super) fn is_put_off(answer: &Answer) -> bool {
    is_limit(answer) || answer.is_busy()
}

fn says(answer: &Answer, words: &[&str]) -> bool {
    let text = String::from_utf8_lossy(&answer.body).to_ascii_lowercase();
    words.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_a_connection_is_a_fault_of_tls_or_none() {
        for (why, fault, subject) in [
            (
                "invalid peer certificate: UnknownIssuer",
                Fault::Tls,
                Some("issuer"),
            ),
            (
                "invalid peer certificate: certificate expired: verified at time 5",
                Fault::Tls,
                Some("time"),
            ),
            (
                "invalid peer certificate: certificate not valid for name \"a\"",
                Fault::Tls,
                Some("name"),
            ),
            (
                "received corrupt message of type InvalidContentType",
                Fault::Tls,
                Some("https"),
            ),
            ("received fatal alert: InternalError", Fault::Tls, None),
            (
                "received fatal alert: CertificateRequired",
                Fault::Tls,
                Some("client"),
            ),
            (
                "received fatal alert: ProtocolVersion",
                Fault::Tls,
                Some("version"),
            ),
            (
                "received unexpected message from connection",
                Fault::NotHttp,
                None,
            ),
            (
                "Connection refused (os error 111)",
                Fault::Unreachable,
                None,
            ),
        ] {
            let found = of_connection("GET /", why);
            assert_eq!(
                (found.fault, found.subject.as_deref()),
                (fault, subject),
                "{why}"
            );
        }
    }
}
