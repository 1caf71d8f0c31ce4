//! `/metrics`, against the guide that describes it.

use std::collections::BTreeSet;

use crate::support::http::{PATIENCE, exchange, get, post};
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
    plugins.add_executable("broken", "#!/bin/sh\nexit 1 # --describe\n");
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
        r#"smcp_plugin_tool_calls_total{plugin="tool",outcome="ok"} 3"#,
        r#"smcp_plugin_tool_calls_total{plugin="tool",outcome="plugin_error"} 1"#,
        r#"smcp_plugin_tool_calls_running{plugin="tool"} 0"#,
        r#"smcp_key_tool_calls_total{key="none",outcome="ok"} 4"#,
        r#"smcp_call_wait_seconds_count 5"#,
        r#"smcp_plugins_served 2"#,
        r#"smcp_plugins_unserved{reason="no_answer"} 1"#,
        r#"smcp_plugins_unserved{reason="contract"} 0"#,
        r#"smcp_plugin_unserved{plugin="broken",reason="no_answer"} 1"#,
        r#"smcp_plugin_tools{plugin="tool"} 3"#,
        r#"smcp_plugins_complete 1"#,
        r#"smcp_limit_hits_total{limit="waiting_calls"} 0"#,
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

#[test]
fn the_format_is_the_one_that_the_scraper_asks_for() {
    let server = Server::start(&Setup::new());
    server.ready();
    let scraped = |accept: &str| {
        let answer = exchange(server.address(), &get(server.address(), "/metrics", accept));
        let content_type = answer.header("content-type").unwrap_or_default().to_owned();
        (content_type, answer.text())
    };
    let (open_type, open) = scraped("");
    let (classic_type, classic) = scraped("Accept: text/plain;version=0.0.4\r\n");
    assert_eq!(
        open_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    assert_eq!(classic_type, "text/plain; version=0.0.4; charset=utf-8");
    assert!(
        open.contains("# TYPE smcp_received_bytes counter\n"),
        "{open}"
    );
    let typed = "# TYPE smcp_received_bytes_total counter\n";
    assert!(classic.contains(typed), "{classic}");
    assert!(
        !classic.contains("# UNIT") && !classic.contains("# EOF"),
        "{classic}"
    );
}

#[test]
fn a_key_is_named_by_its_fingerprint_and_never_by_itself() {
    let key = "metrics-canary-4be1-key";
    let setup = Setup::new().variable("MCP_API_KEY", key);
    let server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let shown = format!("X-API-Key: {key}\r\n");
    let ping = br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    assert_eq!(
        exchange(at, &post(at, "/messages/", &shown, ping)).status,
        200
    );
    let wanted = "smcp_key_requests_total{key=\"";
    let text = until("the request is counted", PATIENCE, || {
        Some(scrape(&server)).filter(|text| text.contains(wanted))
    });
    let line = text.lines().find(|line| line.starts_with(wanted));
    let label = line.and_then(|line| line.split('"').nth(1)).unwrap();
    assert!(
        label.len() == 8 && label.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{label}"
    );
    assert!(!text.contains(key), "{text}");
}

#[test]
fn health_names_what_is_not_served_to_those_who_may_know_and_counts_it_for_all() {
    let plugins = Folder::new();
    plugins.add_executable("broken", "#!/bin/sh\nexit 1 # --describe\n");
    let setup = Setup::new()
        .plugins(plugins.path())
        .variable("MCP_API_KEY", "health-key-92d1")
        .argument("--require-auth");
    let server = Server::start(&setup);
    server.ready();
    let health = |headers: &str| -> serde_json::Value {
        let answer = exchange(server.address(), &get(server.address(), "/health", headers));
        serde_json::from_str(&answer.text()).expect("it is JSON")
    };
    let everybody = health("");
    assert_eq!(everybody["plugins_not_served"], 1, "{everybody}");
    assert!(!everybody.to_string().contains("broken"), "{everybody}");
    let keyed = health("X-API-Key: health-key-92d1\r\n");
    assert_eq!(keyed["not_served"][0]["plugin"], "broken", "{keyed}");
    assert_eq!(keyed["not_served"][0]["class"], "no_answer", "{keyed}");
}
