//! What was counted, as `health` and a scraper see it.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::telemetry::labels::{MAX_PLUGINS, MAX_TOOLS};
use crate::telemetry::{JobCounts, PluginCounts, WarmInterpreter, WarmState};

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
            snapshot.tool_calls_error,
            snapshot.tool_calls_stopped
        ),
        (3, 1, 2, 1)
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

#[test]
fn a_failed_call_is_one_error() {
    let counters = Counters::new(Losses::default());
    for _ in 0..3 {
        counters.call_started(of("t__fail")).finish("plugin_error");
        counters.request("tools/call", "plugin_error", KeyLabel::default());
    }
    counters.request("tools/list", "invalid_params", KeyLabel::default());
    let snapshot = counters.snapshot();
    assert_eq!(snapshot.tool_calls_error, 3);
    let expected = BTreeMap::from([("plugin_error", 3), ("invalid_params", 1)]);
    assert_eq!(snapshot.errors, expected);
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
    counters.sent().add(20);
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

/// What a server is that serves these plugins; each has kept a job and may have warm calls, and as many are not served.
fn moment_of(plugins: &[String]) -> Moment {
    let unserved = plugins
        .iter()
        .map(|plugin| (format!("{plugin}-not"), "contract"));
    let job = JobCounts {
        running: 1,
        kept: 1,
        ended: BTreeMap::from([("limit", 1)]),
    };
    let warm = plugins.iter().map(|plugin| WarmInterpreter {
        plugin: plugin.clone(),
        state: WarmState::Warm,
        reason: None,
        calls: 1,
        hits: 1,
        fallbacks: 1,
        resident_mib: 1,
        age_seconds: 1,
    });
    Moment {
        jobs: plugins
            .iter()
            .map(|plugin| (plugin.clone(), job.clone()))
            .collect(),
        warm: warm.collect(),
        plugins: PluginCounts {
            served: plugins.iter().map(|plugin| (plugin.clone(), 1)).collect(),
            unserved: unserved.collect(),
            ..PluginCounts::default()
        },
        ..Moment::default()
    }
}

fn numbered(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|number| format!("p{number:03}")).collect()
}

/// The values of a label and the sum of the series, by family, of all that have the label.
fn by_family<'a>(text: &'a str, label: &str) -> BTreeMap<&'a str, (BTreeSet<&'a str>, f64)> {
    let mut families: BTreeMap<&str, (BTreeSet<&str>, f64)> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((family, rest)) = line.split_once('{') else {
            continue;
        };
        let begin = format!("{label}=\"");
        let value = rest.split(',').find_map(|pair| pair.strip_prefix(&*begin));
        let Some(value) = value.and_then(|value| value.split('"').next()) else {
            continue;
        };
        let number: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        let entry = families.entry(family).or_default();
        entry.0.insert(value);
        entry.1 += number;
    }
    families
}

#[test]
fn no_family_names_more_plugins_than_may_be_named_and_none_is_left_out() {
    let counters = Counters::new(Losses::default());
    let plugins = numbered(0, MAX_PLUGINS + 30);
    for plugin in &plugins {
        counters
            .call_started(of(&format!("{plugin}__t")))
            .finish(OK);
    }
    let text = counters.render_prometheus(moment_of(&plugins), Format::OpenMetrics);
    let families = by_family(&text, "plugin");
    let mut named: BTreeSet<&str> = BTreeSet::new();
    for (family, (values, sum)) in &families {
        assert!(
            values.len() <= MAX_PLUGINS + 1,
            "{family}: {}",
            values.len()
        );
        assert!(values.contains("other"), "{family}");
        named.extend(values);
        let whole = match *family {
            "smcp_warm_resident_bytes" => (plugins.len() << 20) as f64,
            // Times: that of the calls is next to nothing, that of all others together is the longest.
            "smcp_plugin_tool_call_time_seconds_total" | "smcp_warm_age_seconds" => continue,
            "smcp_plugin_tool_calls_running" => 0.0,
            _ => plugins.len() as f64,
        };
        assert!((sum - whole).abs() < 0.5, "{family}: {sum}, not {whole}");
    }
    assert_eq!(
        named.len(),
        MAX_PLUGINS + 1,
        "all families name the same plugins"
    );
    assert_eq!(families.len(), 14, "{:?}", families.keys());
}

#[test]
fn a_plugin_keeps_its_time_series_whoever_comes_later() {
    let counters = Counters::new(Losses::default());
    let first = numbered(100, 100 + MAX_PLUGINS);
    counters.render_prometheus(moment_of(&first), Format::OpenMetrics);
    let all = numbered(0, 100 + MAX_PLUGINS);
    let text = counters.render_prometheus(moment_of(&all), Format::OpenMetrics);
    let (values, _) = &by_family(&text, "plugin")["smcp_background_jobs_kept_total"];
    assert!(
        first.iter().all(|plugin| values.contains(&**plugin)),
        "{values:?}"
    );
}

/// A counter that begins with its first event has no increase that anybody could see.
#[test]
fn what_can_be_known_is_there_before_it_happens() {
    let moment = moment_of(&["p".to_owned()]);
    let moment = Moment {
        jobs: BTreeMap::new(),
        ..moment
    };
    let counters = Counters::new(Losses::default());
    let text = counters.render_prometheus(moment, Format::OpenMetrics);
    for series in [
        r#"smcp_refused_total{reason="unauthorized"}"#,
        r#"smcp_refused_total{reason="connection_limit"}"#,
        r#"smcp_limit_hits_total{limit="waiting_calls"}"#,
        r#"smcp_limit_hits_total{limit="sessions"}"#,
        r#"smcp_limit_hits_total{limit="idle_sessions"}"#,
        r#"smcp_limit_hits_total{limit="sessions_of_key"}"#,
        r#"smcp_log_lines_lost_total{log="file"}"#,
        r#"smcp_spans_lost_total{reason="not_sent"}"#,
        r#"smcp_background_jobs{plugin="p"}"#,
        r#"smcp_background_jobs_kept_total{plugin="p"}"#,
        r#"smcp_background_jobs_ended_total{plugin="p",reason="limit"}"#,
        r#"smcp_sessions{transport="sse"}"#,
        r#"smcp_sessions{transport="mcp"}"#,
        r#"smcp_sessions_opened_total{transport="mcp"}"#,
    ] {
        let line = format!("{series} 0\n");
        assert!(text.contains(&line), "no {line} in\n{text}");
    }
}
