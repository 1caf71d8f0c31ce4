//! The metrics that `docs/monitoring.md` lists, and those that a server gives.

use std::collections::BTreeSet;

use super::pages::{read, root};
use super::support::http::{PATIENCE, exchange, get, post};
use super::support::plugins::Folder;
use super::support::server::{Server, Setup};
use super::support::until;

/// A plugin with a service.
const TICKER: &str = r#"#!/bin/sh
if [ "$1" = --describe ]; then
    echo '{"contract_version":"1.1","commands":[],"services":[{"name":"tick","command":"tick"}]}'
else
    exec sleep 600
fi
"#;

/// Leaves a background job behind.
const PLUGIN: &str = r#"#!/bin/sh
[ "$1" = --describe ] && exec echo '{"commands":[{"name":"leave","description":"d"}]}'
here=$SMCP_PLUGIN_DIR/here; rm -f "$here"
setsid sh -c ': >"$0"; exec sleep 600' "$here" >/dev/null 2>&1 &
until [ -e "$here" ]; do sleep 0.02; done
"#;

/// A program that a warm interpreter may run.
const WARM: &str = r#"import json, sys
if sys.argv[1:] == ["--describe"]:
    print(json.dumps({"commands": [{"name": "run", "description": "d"}]}))
"#;

/// The names that the page lists, as scrapers see them.
fn names(page: &str) -> BTreeSet<String> {
    page.lines()
        .filter(|line| line.starts_with("| `smcp_"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_the_page_lists() {
    let listed = names(&read(&root().join("docs/monitoring.md")));
    for file in ["alerts.yml", "alerts_test.yml", "dashboard.json"] {
        let text = read(&root().join("docs/monitoring").join(file));
        let words = text.split(|letter: char| !letter.is_ascii_lowercase() && letter != '_');
        let asked: BTreeSet<&str> = words.filter(|word| word.starts_with("smcp_")).collect();
        assert!(!asked.is_empty(), "{file}");
        let unknown: Vec<_> = asked
            .iter()
            .filter(|name| {
                let whole = name.trim_end_matches("_bucket").trim_end_matches("_count");
                !listed.contains(**name) && !listed.contains(whole)
            })
            .collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}");
    }
}

#[test]
fn the_page_says_of_each_alert_what_to_do() {
    let page = read(&root().join("docs/monitoring.md"));
    let described: BTreeSet<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `Smcp"))
        .filter_map(|line| line.split('`').next())
        .collect();
    let rules = read(&root().join("docs/monitoring/alerts.yml"));
    let alerts: BTreeSet<&str> = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: Smcp"))
        .collect();
    assert_eq!(described, alerts);
    let tried = read(&root().join("docs/monitoring/alerts_test.yml"));
    let untried: Vec<_> = alerts
        .iter()
        .filter(|alert| !tried.contains(&format!("alertname: Smcp{alert}\n")))
        .collect();
    assert!(untried.is_empty(), "no test makes these fire: {untried:?}");
}

#[test]
fn the_page_lists_the_metrics_that_there_are() {
    let listed: BTreeSet<String> = names(&read(&root().join("docs/monitoring.md")))
        .iter()
        .map(|name| {
            name.trim_end_matches("_total")
                .trim_end_matches("_info")
                .to_owned()
        })
        .collect();
    let plugins = Folder::new();
    plugins.add_executable("tool", PLUGIN);
    plugins.add("snake", WARM);
    plugins.add_executable("ticker", TICKER);
    plugins.add_executable("broken", "#!/bin/sh\nexit 1 # --describe\n");
    let setup = Setup::new().plugins(plugins.path());
    let state = tempfile::tempdir().expect("a directory for temporary files");
    let setup = setup.variable("MCP_STATE_DIR", state.path());
    let server = Server::start(&setup.variable("MCP_MAX_BACKGROUND", "1"));
    server.ready();
    // Some appear only when there is something to count: a call, a session, a refusal, a background job, one that is
    // too many, and a call that might have been warm.
    let messages = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tool__leave"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"tool__leave"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"snake__run"}}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
    ];
    let counted = [
        "jobs_kept_total",
        "jobs_ended_total",
        "warm_calls_total",
        "sessions_opened_total",
    ];
    for (index, message) in messages.iter().enumerate() {
        let path = ["/messages/", "/messages/", "/messages/", "/mcp"][index];
        let accepts = "Accept: application/json, text/event-stream\r\n";
        let answer = exchange(
            server.address(),
            &post(server.address(), path, accepts, message.as_bytes()),
        );
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        until("it is counted", PATIENCE, || {
            let scraped = exchange(server.address(), &get(server.address(), "/metrics", ""));
            scraped.text().contains(counted[index]).then_some(())
        });
    }
    let foreign = get(server.address(), "/sse", "Origin: http://evil.test\r\n");
    assert_eq!(exchange(server.address(), &foreign).status, 403);
    let scraped = exchange(server.address(), &get(server.address(), "/metrics", "")).text();
    let given: BTreeSet<String> = scraped
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|rest| rest.split(' ').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(listed, given);
}
