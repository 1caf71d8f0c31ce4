//! `/metrics`, against the guide that describes it.

use std::collections::BTreeSet;

use crate::support::http::{PATIENCE, exchange, get, post};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, code_of, directly, text_of};
use crate::support::streamable::Client;
use crate::support::{until, wire};
use serde_json::{Value, json};

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

/// A plugin with a service.
const TICKER: &str = r#"#!/bin/sh
if [ "$1" = --describe ]; then
    echo '{"contract_version":"1.1","commands":[],"services":[{"name":"tick","command":"tick"}]}'
else
    exec sleep 600
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
    plugins.add_executable("ticker", TICKER);
    plugins.add_executable("broken", "#!/bin/sh\nexit 1 # --describe\n");
    let setup = Setup::new()
        .plugins(plugins.path())
        .variable("MCP_API_KEY", "a-key")
        // It cannot be used, which the metrics say.
        .variable("MCP_STATE_DIR", "/proc/no-such")
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
        "smcp_background_jobs_kept_total{plugin=\"tool\"} 1\n",
        "smcp_background_jobs_ended_total{plugin=\"tool\",reason=\"limit\"} 1\n",
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
    let lines = [
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
        r#"smcp_plugins_served 3"#,
        r#"smcp_plugins_unserved{reason="no_answer"} 1"#,
        r#"smcp_plugins_unserved{reason="contract"} 0"#,
        r#"smcp_plugin_unserved{plugin="broken",reason="no_answer"} 1"#,
        r#"smcp_plugin_tools{plugin="tool"} 3"#,
        r#"smcp_plugins_complete 1"#,
        r#"smcp_limit_hits_total{limit="waiting_calls"} 0"#,
    ];
    // What is counted when an answer has been sent may be so a moment after it has come.
    until("what happened is scraped", PATIENCE, || {
        let text = scrape(&server);
        let missing = lines
            .iter()
            .find(|line| text.lines().all(|found| found != **line));
        missing.inspect(|line| println!("no {line} in\n{text}"));
        missing.is_none().then_some(())
    });
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
    let scraped = || -> BTreeSet<String> {
        scrape(&server)
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
            .collect()
    };
    let guide = include_str!("../../docs/monitoring.md");
    let described: BTreeSet<String> = guide
        .lines()
        .filter(|line| line.starts_with("| `smcp_"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect();
    // A service begins some time after the server is ready.
    until("both know the same", PATIENCE, || {
        let scraped = scraped();
        println!("{:?}", described.symmetric_difference(&scraped));
        (described == scraped).then_some(())
    });
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

#[test]
fn three_failures_are_three_errors() {
    let plugins = Folder::new();
    plugins.add_executable("tool", PLUGIN);
    let server = Server::start(&Setup::new().plugins(plugins.path()));
    server.ready();
    let mut session = Session::ready(server.address());
    for _ in 0..3 {
        session.call("tool__fail", json!({}));
    }
    let health = session.call("health", json!({}));
    let health: Value = serde_json::from_str(text_of(&health)).expect("health is JSON");
    let metrics = &health["metrics"];
    assert_eq!(metrics["tool_calls_error"], 3, "{metrics}");
    assert_eq!(metrics["errors"], json!({"plugin_error": 3}), "{metrics}");
}

/// One selector in an expression: the name of a metric, and the labels that it asks for.
fn selectors(expression: &str, function: &str) -> Vec<(String, Vec<String>)> {
    let begin = format!("{function}(");
    let inside = expression.split(&*begin).skip(1);
    let selector = inside
        .filter_map(|rest| rest.split_once('['))
        .map(|(text, _)| text);
    selector
        .map(|text| {
            let (name, labels) = text.split_once('{').unwrap_or((text, ""));
            let labels = labels
                .trim_end_matches('}')
                .split(',')
                .filter(|label| !label.is_empty());
            (name.to_owned(), labels.map(str::to_owned).collect())
        })
        .collect()
}

/// A plugin with a service, where services are known.
const SERVES: &str = r#"#!/bin/sh
if [ "$1" = --describe ]; then
    echo '{"contract_version":"1.1","commands":[{"name":"run","description":"d"}],"services":[{"name":"tick","command":"tick"}]}'
else
    exec sleep 600
fi
"#;

/// What a server exposes that has answered nothing but its probes, when it has everything that alerts want to see rise.
fn fresh_series() -> Vec<String> {
    let plugins = Folder::new();
    plugins.add_executable("tool", PLUGIN);
    plugins.add_executable("serves", SERVES);
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let setup = Setup::new().plugins(plugins.path());
    let server = Server::start(&setup.variable("MCP_STATE_DIR", directory.path().join("state")));
    server.ready();
    let rules = include_str!("../../docs/monitoring/alerts.yml");
    let wanted = selectors(rules, "increase");
    assert!(wanted.len() >= 5, "{wanted:?}");
    until("what alerts want to see rise is exposed", PATIENCE, || {
        let text = scrape(&server);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series: Vec<String> = lines.map(str::to_owned).collect();
        let missing = wanted.iter().find(|wanted| !has(&series, wanted));
        missing.inspect(|missing| println!("{missing:?} is not in\n{text}"));
        missing.is_none().then_some(series)
    })
}

fn has(series: &[String], (name, labels): &(String, Vec<String>)) -> bool {
    series.iter().any(|line| {
        let rest = line.strip_prefix(&**name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    })
}

#[test]
fn what_an_alert_wants_to_see_rise_is_exposed_before_it_does() {
    assert!(!fresh_series().is_empty());
}

/// A series without the names of plugins and their services, of which every server has others.
fn without_names(series: &str) -> String {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let mut labels: Vec<&str> = labels
        .trim_end_matches('}')
        .split(',')
        .filter(|label| !label.is_empty() && !label.starts_with("instance="))
        .map(|label| match label.split_once('=') {
            Some((name @ ("plugin" | "service"), _)) => name,
            _ => label,
        })
        .collect();
    labels.sort_unstable();
    format!("{name} {}", labels.join(","))
}

#[test]
fn the_counters_in_the_test_of_the_alerts_begin_as_those_of_a_server_do() {
    let fresh: BTreeSet<String> = fresh_series()
        .iter()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, _)| without_names(series))
        .collect();
    let test = include_str!("../../docs/monitoring/alerts_test.yml");
    let series = test.split("- series: '").skip(1).map(|text| {
        let (series, rest) = text.split_once('\'').expect("a series ends");
        let values = rest
            .trim_start()
            .strip_prefix("values: ")
            .expect("it has values");
        (series, values.lines().next().unwrap_or_default())
    });
    let mut seen = 0;
    for (series, values) in series {
        let name = series.split('{').next().unwrap_or_default();
        if !name.ends_with("_total") && !name.ends_with("_bucket") {
            continue;
        }
        seen += 1;
        let begins_without = values.starts_with('_');
        let is_exposed = fresh.contains(&without_names(series));
        assert_eq!(
            is_exposed, !begins_without,
            "{series}: {values}\n{fresh:#?}"
        );
    }
    assert!(seen >= 10, "{seen}");
}

const TALKS: &str = r#"#!/bin/sh
if [ "$1" = --describe ]; then
    echo '{"contract_version":"1.1","commands":[{"name":"talks","description":"d"}]}'
else
    for number in 1 2 3 4 5 6 7 8 9 10; do
        printf '{"log":"info","data":"%s %0500d"}\n' said "$number" >&3
    done
fi
"#;

fn number(server: &Server, series: &str) -> u64 {
    let text = scrape(server);
    let begin = format!("{series} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&*begin));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}"))
        .parse()
        .expect("a number")
}

#[test]
fn every_message_to_a_client_is_counted_in_bytes_once() {
    let plugins = Folder::new();
    plugins.add_executable("tool", TALKS);
    let server = Server::start(&Setup::new().plugins(plugins.path()));
    server.ready();
    let sent = || number(&server, "smcp_sent_bytes_total");

    let mut session = Session::ready(server.address());
    session.heard_until_now();
    let before = sent();
    let id = session.request(
        "tools/call",
        json!({"name": "tool__talks", "arguments": {}}),
    );
    let (mut messages, mut bytes) = (0, 0);
    loop {
        let message = session.take(PATIENCE, |_| true).expect("a message");
        messages += 1;
        bytes += message.to_string().len() as u64;
        if message["id"] == id {
            break;
        }
    }
    assert_eq!(messages, 11);
    assert_eq!(sent() - before, bytes, "over a stream");

    let before = sent();
    let pong = directly(server.address(), "ping", json!({})).to_string();
    assert_eq!(sent() - before, pong.len() as u64, "without one");
}

#[test]
fn a_session_that_made_room_for_another_is_counted() {
    let server = Server::start(&Setup::new().variable("MCP_MAX_SESSIONS", "1"));
    server.ready();
    let ended = || number(&server, "smcp_limit_hits_total{limit=\"idle_sessions\"}");
    let first = Client::open(server.address(), wire::NEWEST);
    assert_eq!(ended(), 0);
    let second = Client::open(server.address(), wire::NEWEST);
    assert_eq!(ended(), 1);
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"});
    assert_eq!(
        (first.post(&ping).status, second.post(&ping).status),
        (404, 200)
    );
}

/// The words of the first column of the guide's table with this head.
fn column(head: &str) -> BTreeSet<String> {
    let guide = include_str!("../../docs/monitoring.md");
    let rows = guide
        .lines()
        .skip_while(|line| !line.starts_with(head))
        .skip(2);
    let rows = rows.take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|line| line.split('|').nth(1));
    cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

fn values(series: &[String], family: &str, label: &str) -> BTreeSet<String> {
    let of_family = series.iter().filter_map(|line| line.strip_prefix(family));
    let begin = format!("{label}=\"");
    let value = |line: &str| Some(line.split_once(&*begin)?.1.split('"').next()?.to_owned());
    of_family.filter_map(value).collect()
}

#[test]
fn the_guide_names_every_reason_and_limit_that_there_is_and_no_other() {
    let fresh = fresh_series();
    for (head, family, label) in [
        ("| `limit` in", "smcp_limit_hits_total{", "limit"),
        (
            "| `reason` in `smcp_refused_total`",
            "smcp_refused_total{",
            "reason",
        ),
    ] {
        let named = column(head);
        assert!(!named.is_empty(), "{head}");
        assert_eq!(named, values(&fresh, family, label), "{head}");
    }
}
