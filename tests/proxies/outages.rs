//! Proxies and servers that come and go while clients are there.

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::json;

use super::behind::{Behind, Gate, KEY, directly, key, keyed, pass, ping};
use super::ports::free_ports;
use super::proxy::{Over, Proxy, installed};
use super::site::{PROGRAMS, Program, Site};
use super::support::http::{PATIENCE, Silence, exchange, get};
use super::support::server::{Server, Setup};
use super::support::session::Session;
use super::support::streamable::Client;
use super::support::until;

const REVISION: &str = "2025-11-25";

#[test]
fn a_client_resumes_its_stream_after_the_proxy_was_away() {
    for program in PROGRAMS {
        let gate = Gate::new();
        let setup = gate.served_by(keyed()).variable("MCP_KEEP_ALIVE", "100ms");
        let Some(mut behind) = Behind::start(&Site::at_the_root(program), &setup) else {
            continue;
        };
        let client = Client::open_at(behind.address(), "/mcp", &key(), REVISION);
        let mut call = client.stream(&pass());
        let greeting = call.event().expect("a stream begins with its id");
        let mut session = Session::open_with(behind.address(), "/sse", &key());
        behind.proxy.stop();
        assert_eq!(call.event(), Err(Silence::Closed), "{behind:?}");
        assert!(session.ends_within(PATIENCE), "{behind:?}");
        behind.proxy.start_again();
        let mut resumed = client
            .listen(greeting.id.as_deref())
            .unwrap_or_else(|answer| panic!("{behind:?}: {}", answer.head));
        gate.open();
        let answer = until("the call's answer", PATIENCE, || {
            let event = resumed.event().expect("the stream goes on");
            event.data.filter(|data| data.contains("result"))
        });
        assert!(answer.contains("passed"), "{behind:?}: {answer}");
        let mut session = Session::open_with(behind.address(), "/sse", &key());
        session.initialize(REVISION);
        assert_eq!(session.ask("ping", json!({}))["result"], json!({}));
    }
}

#[test]
fn a_client_that_goes_is_gone_behind_a_proxy_too() {
    for program in PROGRAMS {
        let gate = Gate::new();
        let Some(behind) = Behind::start(&Site::at_the_root(program), &gate.served_by(keyed()))
        else {
            continue;
        };
        let mut session = Session::open_with(behind.address(), "/sse", &key());
        session.initialize(REVISION);
        session.begin("gate__pass", json!({}));
        until("its call runs", PATIENCE, || {
            (!behind.server.others().is_empty()).then_some(())
        });
        assert_eq!(behind.sessions(), 1, "{behind:?}");
        drop(session);
        until("its session has ended", PATIENCE, || {
            (behind.sessions() == 0).then_some(())
        });
    }
}

#[test]
fn a_client_of_which_the_proxy_says_nothing_is_gone_after_two_comment_lines() {
    let line = "reverse_proxy 127.0.0.1:8000";
    let block = format!("{line} {{\nflush_interval -1\n}}");
    let site = Site::at_the_root(Program::Caddy).with(line, &block);
    let setup = keyed().variable("MCP_KEEP_ALIVE", "100ms");
    let Some(behind) = Behind::start(&site, &setup) else {
        return;
    };
    let session = Session::open_with(behind.address(), "/sse", &key());
    assert_eq!(behind.sessions(), 1);
    drop(session);
    until("its session has ended", PATIENCE, || {
        (behind.sessions() == 0).then_some(())
    });
}

/// A server at this address, in the place of one that has ended.
fn server_at(address: SocketAddr) -> Server {
    let setup = Setup::new()
        .argument("--require-auth")
        .variable("MCP_API_KEY", KEY)
        .argument("--port")
        .argument(address.port().to_string())
        .variable("MCP_PLUGINS_DIR", "/nonexistent");
    let server = Server::attempt(&setup);
    server.unwrap_or_else(|status| panic!("no server at {address}: {status}"))
}

#[test]
fn while_the_server_is_away_the_proxy_says_so_and_then_all_is_well() {
    let kept = |program| match program {
        // Connections that the proxy keeps open are closed by the server's end.
        Program::Nginx => Site::at_the_root(program)
            .with(
                "server {",
                "upstream smcp { server 127.0.0.1:8000; keepalive 8; }\nserver {",
            )
            .with("proxy_pass http://127.0.0.1:8000", "proxy_pass http://smcp"),
        Program::Caddy => Site::bare(program),
    };
    for program in PROGRAMS {
        for site in [Site::at_the_root(program), kept(program)] {
            if installed(program).is_none() {
                continue;
            }
            let address = SocketAddr::from(([127, 0, 0, 1], free_ports(1)[0]));
            let server = server_at(address);
            let Some(proxy) = Proxy::start(&site, address, Over::Plain) else {
                continue;
            };
            let status = || directly(proxy.address(), "/messages/", &key(), &ping()).status;
            for _ in 0..3 {
                assert_eq!(status(), 200, "{proxy:?}");
            }
            let mut session = Session::open_with(proxy.address(), "/sse", &key());
            drop(server);
            assert!(session.ends_within(PATIENCE), "{proxy:?}");
            assert_eq!(status(), 502, "{proxy:?}");
            let server = server_at(address);
            server.ready();
            until("the proxy finds it again", PATIENCE, || {
                (status() == 200).then_some(())
            });
            assert_eq!(status(), 200, "{proxy:?}");
        }
    }
}

#[test]
fn a_server_that_leaves_says_so_through_a_proxy_and_still_serves() {
    for program in PROGRAMS {
        let setup = keyed().variable("MCP_DRAIN_DELAY", "10m");
        let Some(behind) = Behind::start(&Site::at_the_root(program), &setup) else {
            continue;
        };
        assert_eq!(behind.get("/readyz", "").status, 200, "{behind:?}");
        behind.server.signal(Signal::TERM);
        let answer = until("the balancer sees it", PATIENCE, || {
            let answer = behind.get("/readyz", "");
            (answer.status != 200).then_some(answer)
        });
        assert_eq!(answer.status, 503, "{behind:?}");
        assert_eq!(answer.text(), "shutting down\n", "{behind:?}");
        let at = behind.address();
        assert_eq!(exchange(at, &get(at, "/healthz", "")).status, 200);
        let answer = directly(at, "/messages/", &key(), &ping());
        assert_eq!(answer.status, 200, "{behind:?}");
    }
}
