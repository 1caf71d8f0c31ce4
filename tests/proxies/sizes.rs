//! Bodies that are larger than a proxy or the server takes, and answers that a proxy compresses.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::behind::{Behind, directly, key, keyed};
use super::curl::Curl;
use super::site::{PROGRAMS, Program, Site};
use super::support::http::{Answer, PATIENCE};
use super::support::s;
use super::support::session::Session;

/// A ping of about so many bytes.
fn ping_of(bytes: usize) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "x".repeat(bytes)}})
}

/// How long the server reads on after a refusal, so that it reaches a proxy that is still sending.
const LINGER: Duration = s(1);

/// The answer to a body that is too large. A proxy that got no processor for so long may have missed it.
fn refused(ask: impl Fn() -> Answer) -> Answer {
    let answers = (0..5).map(|_| {
        let begun = Instant::now();
        (ask(), begun.elapsed())
    });
    let mut answers = answers.skip_while(|(answer, took)| answer.status == 502 && *took > LINGER);
    answers
        .next()
        .expect("one of five proxies gets the processor")
        .0
}

#[test]
fn what_is_too_large_is_refused_by_the_server_and_its_session_ends() {
    for program in PROGRAMS {
        let Some(behind) = Behind::start(&Site::at_the_root(program), &keyed()) else {
            continue;
        };
        let at = behind.address();
        let taken = directly(at, "/messages/", &key(), &ping_of(4_000_000));
        assert_eq!(taken.status, 200, "{behind:?}: {}", taken.text());
        let mut session = Session::open_with(at, "/sse", &key());
        let large = ping_of(5_000_000).to_string();
        let answer = refused(|| session.post(large.as_bytes()));
        assert_eq!(answer.status, 413, "{behind:?}");
        assert_eq!(answer.json()["error"], "body_too_large", "{behind:?}");
        // Else the caller would wait for ever.
        assert!(session.ends_within(PATIENCE), "{behind:?}");
    }
}

#[test]
fn by_one_line_nginx_refuses_a_megabyte_itself_and_nobody_tells_the_session() {
    let Some(behind) = Behind::start(&Site::bare(Program::Nginx), &keyed()) else {
        return;
    };
    let mut session = Session::open_with(behind.address(), "/sse", &key());
    let answer = session.post(ping_of(1_100_000).to_string().as_bytes());
    assert_eq!(answer.status, 413);
    assert_eq!(answer.header("content-type"), Some("text/html"));
    let id = session.request("ping", json!({}));
    session.response(&id, PATIENCE);
}

#[test]
fn by_one_line_caddy_leaves_sizes_to_the_server() {
    let Some(behind) = Behind::start(&Site::bare(Program::Caddy), &keyed()) else {
        return;
    };
    let at = behind.address();
    let taken = directly(at, "/messages/", &key(), &ping_of(4_000_000));
    assert_eq!(taken.status, 200, "{}", taken.text());
    let refused = refused(|| directly(at, "/messages/", &key(), &ping_of(5_000_000)));
    assert_eq!(refused.status, 413);
    assert_eq!(refused.json()["error"], "body_too_large");
}

#[test]
fn compression_holds_no_event_back() {
    let everything = "gzip on;\ngzip_types *;\ngzip_min_length 0;\nproxy_pass";
    let sites = [
        (
            Site::at_the_root(Program::Nginx).with("proxy_pass", everything),
            true,
        ),
        (
            Site::bare(Program::Nginx).with("proxy_pass", everything),
            true,
        ),
        // Left alone, for the server says `no-transform`.
        (
            Site::bare(Program::Caddy).with("reverse_proxy", "encode gzip\nreverse_proxy"),
            false,
        ),
    ];
    for (site, compressed) in sites {
        let Some(behind) = Behind::start(&site, &keyed()) else {
            continue;
        };
        let url = format!("http://{}/sse", behind.address());
        let mut curl = Curl::start(&["--compressed", "--include", &url]);
        let head = curl.until("event: endpoint");
        let coded = head.to_lowercase().contains("content-encoding: gzip");
        assert_eq!(coded, compressed, "{behind:?}: {head}");
    }
}
