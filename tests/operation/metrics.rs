//! `/metrics`, against the guide that describes it.

use std::collections::BTreeSet;

use crate::support::http::{PATIENCE, exchange, get};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, code_of, directly};
use crate::support::until;
use serde_json::json;

const PLUGIN: &str = r#"#!/bin/sh
if [ "$1" = --describe ]; then
    echo '{"commands":[{"name":"run","description":"d"},{"name":"fail","description":"d"},{"name":"leave","description":"d"}]}'
elif [ "$1" = leave ]; then
    here=$SMCP_PLUGIN_DIR/here; rm -f "$here"
    setsid sh -c ': >"$0"; exec sleep 600' "$here" >/dev/null 2>&1 &
    until [ -e "$here" ]; do sleep 0.02; done
else
    [ "$1" = run ]
fi
"#;

/// A program that a warm interpreter may run.
const WARM: &str = r#"import json, sys
if sys.argv[1:] == ["--describe"]:
    print(json.dumps({"commands": [{"name": "run", "description": "d"}]}))
"#;

/// A server that has answered, called, failed and refused.
fn used_server() -> (Server, Session, Folder) {
    let plugins = Folder::new();
    plugins.add_executable("tool", PLUGIN);
    plugins.add("snake", WARM);
    let setup = Setup::new()
        .plugins(plugins.path())
        .variable("MCP_API_KEY", "a-key")
        .variable("MCP_MAX_BACKGROUND", "1");
    let server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let mut session = Session::ready(at);
    session.call("tool__run", json!({}));
    session.call("snake__run", json!({}));
    let failed = session.call("tool__fail", json!({}));
    assert_eq!(code_of(&failed), "plugin_error");
    // The second job is one too many.
    for counted in [
        "smcp_background_jobs_kept_total",
        "smcp_background_jobs_ended_total",
    ] {
        session.call("tool__leave", json!({}));
        until("the job is counted", PATIENCE, || {
            scrape(&server).contains(counted).then_some(())
        });
    }
    directly(at, "ping", json!({}));
    assert_eq!(
        exchange(at, &get(at, "/sse", "X-API-Key: wrong\r\n")).status,
        401
    );
    (server, session, plugins)
}

fn scrape(server: &Server) -> String {
    let answer = exchange(server.address(), &get(server.address(), "/metrics", ""));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let content_type = answer.header("content-type").unwrap_or_default();
    assert!(
        content_type.starts_with("application/openmetrics-text"),
        "{content_type}"
    );
    let text = answer.text();
    assert!(text.ends_with("# EOF\n"), "{text}");
    text
}

#[test]
fn what_happened_is_what_is_scraped() {
    let (server, session, _plugins) = used_server();
    let text = scrape(&server);
    for line in [
        r#"smcp_tool_calls_total{tool="tool__run",outcome="ok"} 1"#,
        r#"smcp_tool_calls_total{tool="tool__fail",outcome="plugin_error"} 1"#,
        r#"smcp_tool_call_duration_seconds_count 5"#,
        r#"smcp_background_jobs{plugin="tool"} 1"#,
        r#"smcp_warm_calls_total{plugin="snake"} 1"#,
        r#"smcp_background_jobs_ended_total{plugin="tool",reason="limit"} 1"#,
        r#"smcp_tool_calls_running 0"#,
        r#"smcp_requests_total{method="ping",outcome="ok"} 1"#,
        r#"smcp_sessions{transport="sse"} 1"#,
        r#"smcp_sessions_opened_total{transport="sse"} 1"#,
        r#"smcp_refused_total{reason="unauthorized"} 1"#,
    ] {
        assert!(
            text.lines().any(|found| found == line),
            "no {line} in\n{text}"
        );
    }
    drop(session);
    until("the session is gone", PATIENCE, || {
        scrape(&server)
            .contains("smcp_sessions{transport=\"sse\"} 0\n")
            .then_some(())
    });
}

#[test]
fn the_guide_and_the_server_know_the_same_metrics() {
    let (server, _session, _plugins) = used_server();
    let scraped: BTreeSet<String> = scrape(&server)
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        // The parts of a histogram go by its name.
        .map(|name| {
            ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| name.strip_suffix(part))
                .unwrap_or(name)
                .to_owned()
        })
        .collect();
    let guide = include_str!("../../docs/monitoring.md");
    let described: BTreeSet<String> = guide
        .lines()
        .filter(|line| line.starts_with("| `smcp_"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    assert_eq!(described, scraped);
}
