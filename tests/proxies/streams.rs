//! Streams through proxies that give a server little time to say something.

use std::time::Duration;

use super::behind::{Behind, Gate, directly, key, keyed, pass, ping};
use super::site::{PROGRAMS, Program, Site};
use super::support::http::{PATIENCE, Silence};
use super::support::session::{Event, Session};
use super::support::streamable::Client;
use super::support::{s, until};

/// What the proxies are told to wait for a server that says nothing.
const TIMEOUT: &str = "5s";
/// So many comment lines, half a second apart, take longer.
const COMMENTS: usize = 13;
const REVISION: &str = "2025-11-25";

#[test]
fn streams_outlive_a_proxys_timeout_that_is_longer_than_the_keep_alive() {
    for program in PROGRAMS {
        let gate = Gate::new();
        let setup = gate.served_by(keyed()).variable("MCP_KEEP_ALIVE", "500ms");
        let site = Site::at_the_root(program).read_timeout(TIMEOUT);
        let Some(behind) = Behind::start(&site, &setup) else {
            continue;
        };
        let at = behind.address();
        let client = Client::open_at(at, "/mcp", &key(), REVISION);
        let mut own = client.listen(None).expect("the session's stream");
        let mut call = client.stream(&pass());
        let mut session = Session::open_with(at, "/sse", &key());
        let mut comments = 0;
        while comments < COMMENTS {
            match session.event(PATIENCE) {
                Ok(Event::Comment(_)) => comments += 1,
                other => panic!("{behind:?}: {other:?} after {comments} comments"),
            }
        }
        let quiet = own.event_within(Duration::from_millis(100));
        if let Err(silence) = &quiet {
            assert_eq!(*silence, Silence::TimeOver, "{behind:?}");
        }
        let tools = session.initialize(REVISION);
        assert!(tools["serverInfo"].is_object(), "{behind:?}: {tools}");
        gate.open();
        let passed = until("the call's answer", PATIENCE, || {
            let event = call.event().expect("the stream goes on");
            event.data.filter(|data| data.contains("result"))
        });
        assert!(passed.contains("passed"), "{behind:?}: {passed}");
        assert_eq!(client.delete(), 204, "{behind:?}");
        let ended = std::iter::repeat_with(|| own.event()).find_map(Result::err);
        assert_eq!(ended, Some(Silence::Closed), "{behind:?}");
    }
}

#[test]
fn a_keep_alive_longer_than_the_proxys_timeout_cuts_streams_and_slow_answers() {
    for program in PROGRAMS {
        let gate = Gate::new();
        // Long enough for what the server answers at once, on a busy machine too.
        let site = Site::at_the_root(program).read_timeout("3s");
        let Some(behind) = Behind::start(&site, &gate.served_by(keyed())) else {
            continue;
        };
        let mut session = Session::open_with(behind.address(), "/sse", &key());
        assert!(session.ends_within(PATIENCE), "{behind:?}");
        assert_eq!(session.comments(), 0, "{behind:?}");
        until("the server has seen it", PATIENCE, || {
            (behind.sessions() == 0).then_some(())
        });
        let client = Client::open_at(behind.address(), "/mcp", &key(), REVISION);
        let answer = client.post(&pass());
        assert_eq!(answer.status, 504, "{behind:?}: {}", answer.text());
        gate.open();
        assert_eq!(client.post(&ping()).status, 200, "{behind:?}");
    }
}

#[test]
fn a_client_that_wants_json_alone_waits_no_longer_than_the_proxy() {
    for program in PROGRAMS {
        let gate = Gate::new();
        let setup = gate.served_by(keyed()).variable("MCP_KEEP_ALIVE", "100ms");
        let site = Site::at_the_root(program).read_timeout("1s");
        let Some(behind) = Behind::start(&site, &setup) else {
            continue;
        };
        let headers = format!("{}Accept: application/json\r\n", key());
        let answer = directly(behind.address(), "/messages/", &headers, &pass());
        assert_eq!(answer.status, 504, "{behind:?}: {}", answer.text());
    }
}

#[test]
fn everything_works_below_a_path() {
    for program in PROGRAMS {
        let gate = Gate::new();
        gate.open();
        let setup = gate.served_by(keyed());
        let site = Site::below_a_path(program);
        let Some(behind) = Behind::start(&site, &setup) else {
            continue;
        };
        let at = behind.address();
        let mut session = Session::open_with(at, "/tools/sse", &key());
        assert!(session.endpoint().starts_with("/tools/messages/?"));
        session.initialize(REVISION);
        let passed = session.call("gate__pass", serde_json::json!({}));
        assert!(passed.to_string().contains("passed"), "{behind:?}");
        let client = Client::open_at(at, "/tools/mcp", &key(), REVISION);
        assert_eq!(client.post(&ping()).status, 200, "{behind:?}");
        let mut own = client.listen(None).expect("the session's stream");
        assert_eq!(client.delete(), 204, "{behind:?}");
        let ended = std::iter::repeat_with(|| own.event()).find_map(Result::err);
        assert_eq!(ended, Some(Silence::Closed), "{behind:?}");
        let direct = directly(at, "/tools/messages/", &key(), &ping());
        assert_eq!(direct.json()["result"], serde_json::json!({}), "{behind:?}");
    }
}

#[test]
fn one_line_is_enough_for_events_that_arrive_at_once() {
    for program in PROGRAMS {
        let Some(behind) = Behind::start(&Site::bare(program), &keyed()) else {
            continue;
        };
        let mut session = Session::open_with(behind.address(), "/sse", &key());
        // Before the first keep-alive line, which could push out what a proxy holds back.
        let id = session.request("ping", serde_json::json!({}));
        let answer = session.response(&id, s(10));
        assert_eq!(answer["error"], serde_json::Value::Null, "{behind:?}");
        assert_eq!(session.comments(), 0, "{behind:?}");
    }
}

#[test]
fn without_the_servers_header_nginx_holds_events_back() {
    let site = Site::bare(Program::Nginx).with(
        "proxy_pass",
        "proxy_ignore_headers X-Accel-Buffering;\nproxy_buffer_size 1k;\nproxy_buffers 4 1k;\nproxy_pass",
    );
    let setup = keyed().variable("MCP_KEEP_ALIVE", "100ms");
    let Some(behind) = Behind::start(&site, &setup) else {
        return;
    };
    let mut stream = super::support::http::Connection::open(behind.address());
    let request = format!("GET /sse HTTP/1.1\r\nHost: x\r\n{}\r\n", key());
    stream.send(request.as_bytes()).expect("the proxy listens");
    let (status, _) = stream.head(PATIENCE).expect("an answer");
    assert_eq!(status, 200);
    // The whole buffer arrives together: comment lines of a long time behind the first event.
    let first = stream.chunk(std::time::Instant::now() + s(60));
    let first = first.expect("a full buffer").expect("the stream goes on");
    let text = String::from_utf8_lossy(&first).into_owned();
    assert!(text.starts_with("event: endpoint"), "{text}");
    assert!(text.matches(": keep-alive").count() > 10, "{text}");
}
