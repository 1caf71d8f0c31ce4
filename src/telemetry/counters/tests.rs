//! What was counted, as `health` and a scraper see it.

use std::collections::BTreeMap;

use super::*;
use crate::telemetry::labels::MAX_TOOLS;

fn shown(counters: &Counters) -> String {
    counters.render_prometheus(Moment::default(), Format::OpenMetrics)
}

/// A call of this tool, which is its plugin's name and more.
fn of(tool: &str) -> CallLabels<'_> {
    CallLabels {
        tool: Some(tool),
        plugin: tool.split("__").next(),
        key: KeyLabel::default(),
    }
}

#[test]
fn a_call_is_counted_once_with_its_outcome() {
    let counters = Counters::new(Losses::default());
    let running = counters.call_started(of("demo_math__add"));
    assert_eq!(counters.snapshot().calls_running, 1);
    running.finish(OK);
    counters
        .call_started(of("demo_math__add"))
        .finish("timeout");
    drop(counters.call_started(CallLabels::default()));

    let snapshot = counters.snapshot();
    assert_eq!(snapshot.calls_running, 0);
    assert_eq!(
        (
            snapshot.tool_calls_total,
            snapshot.tool_calls_success,
            snapshot.tool_calls_error
        ),
        (3, 1, 2)
    );
    assert_eq!(
        snapshot.errors,
        BTreeMap::from([("timeout", 1), ("cancelled", 1)])
    );

    let text = shown(&counters);
    for line in [
        r#"smcp_tool_calls_total{tool="demo_math__add",outcome="ok"} 1"#,
        r#"smcp_tool_calls_total{tool="demo_math__add",outcome="timeout"} 1"#,
        r#"smcp_tool_calls_total{tool="unknown",outcome="cancelled"} 1"#,
        "smcp_tool_calls_running 0",
        "smcp_tool_call_duration_seconds_count 3",
    ] {
        assert!(text.lines().any(|l| l == line), "no {line} in\n{text}");
    }
}

#[tokio::test]
async fn the_end_of_the_last_call_is_waited_for() {
    let counters = Counters::new(Losses::default());
    counters.no_call_runs().await;
    let (first, second) = (
        counters.call_started(CallLabels::default()),
        counters.call_started(CallLabels::default()),
    );
    let waiting = counters.clone();
    let waiting = tokio::spawn(async move { waiting.no_call_runs().await });
    drop(first);
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished(), "one call still runs");
    drop(second);
    let ended = tokio::time::timeout(Duration::from_secs(10), waiting).await;
    assert!(ended.is_ok());
}

#[test]
fn sessions_are_open_until_they_are_dropped() {
    let counters = Counters::new(Losses::default());
    let first = counters.session_opened("sse");
    let second = counters.session_opened("mcp");
    drop(first);
    let snapshot = counters.snapshot();
    assert_eq!(
        (
            snapshot.sessions_active,
            snapshot.sessions_opened,
            snapshot.sessions_closed
        ),
        (1, 2, 1)
    );
    let text = shown(&counters);
    assert!(
        text.contains("smcp_sessions{transport=\"sse\"} 0\n"),
        "{text}"
    );
    assert!(
        text.contains("smcp_sessions{transport=\"mcp\"} 1\n"),
        "{text}"
    );
    assert!(
        text.contains("smcp_sessions_opened_total{transport=\"sse\"} 1\n"),
        "{text}"
    );
    drop(second);
    assert_eq!(counters.sessions_active(), 0);
}

#[test]
fn requests_refusals_and_bytes_add_up() {
    let counters = Counters::new(Losses::default());
    counters.request("ping", OK, KeyLabel::default());
    counters.request("tools/call", "-32602", KeyLabel(Some([1, 2, 3, 4])));
    counters.refused("unauthorized");
    counters.received(10);
    counters.sent(20);
    let json = serde_json::to_value(counters.snapshot()).unwrap();
    assert_eq!(json["requests_total"], 2);
    assert_eq!(json["errors"]["-32602"], 1);
    assert_eq!(json["refused"]["unauthorized"], 1);
    assert_eq!(
        (&json["bytes_received"], &json["bytes_sent"]),
        (&10.into(), &20.into())
    );
    let text = shown(&counters);
    assert!(
        text.contains("smcp_requests_total{method=\"ping\",outcome=\"ok\"} 1\n"),
        "{text}"
    );
    assert!(text.contains("smcp_received_bytes_total 10\n"), "{text}");
    assert!(
        text.contains("smcp_refused_total{reason=\"unauthorized\"} 1\n"),
        "{text}"
    );
}

#[test]
fn lost_log_lines_show_in_both_views() {
    let losses = Losses::default();
    let counters = Counters::new(losses.clone());
    losses.file.add(3);
    losses.console.add(1);
    assert_eq!(counters.snapshot().log_lines_lost, 4);
    let text = shown(&counters);
    assert!(
        text.contains("smcp_log_lines_lost_total{log=\"file\"} 3\n"),
        "{text}"
    );
    assert!(text.ends_with("# EOF\n"), "{text}");
}

#[test]
fn a_huge_catalogue_does_not_flood_the_scraper() {
    let counters = Counters::new(Losses::default());
    for tool in 0..MAX_TOOLS + 50 {
        counters.call_started(of(&format!("t__{tool}"))).finish(OK);
    }
    let text = shown(&counters);
    let series = text
        .lines()
        .filter(|l| l.starts_with("smcp_tool_calls_total"))
        .count();
    assert_eq!(series, MAX_TOOLS + 1);
    assert!(text.contains(r#"smcp_tool_calls_total{tool="other",outcome="ok"} 50"#));
}
