//! Which variables a call gets, with Letta's side played by a server on loopback.

mod faults;
mod later;
mod log_lines;
mod stub;

use serde_json::{Value, json};

use super::*;
use log_lines::Lines;
use stub::{Act, CANARY, Stub, TOKEN, agent, impatient, paging, settings_at};

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(a, b): &(&str, &str)| ((*a).to_owned(), (*b).to_owned());
    pairs.iter().map(own).collect()
}

#[tokio::test]
async fn without_settings_nobody_is_asked_and_nothing_comes() {
    let letta = Letta::from_settings(None);
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(None).await, []);
    assert_eq!(letta.environment_for(Some("agent-1")).await, []);
}

#[tokio::test]
async fn all_pages_are_loaded_and_each_agent_gets_its_own() {
    let agents = (0..230).map(|n| {
        let (id, name) = (format!("agent-{n}"), format!("KEY_{n}"));
        agent(&id, &[(&name, "v"), ("SHARED", "same")])
    });
    let stub = Stub::start(paging(agents.collect())).await;
    let letta = stub.letta();
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(None).await.len(), 231);
    let own = letta.environment_for(Some("agent-229")).await;
    assert_eq!(own, pairs(&[("KEY_229", "v"), ("SHARED", "same")]));
    let asked = stub.asked();
    assert_eq!(asked[0], "/v1/agents/?limit=100&include=agent.secrets");
    assert_eq!(
        asked[1],
        "/v1/agents/?limit=100&include=agent.secrets&after=agent-99"
    );
    assert_eq!(asked.len(), 4);
}

#[tokio::test]
async fn a_conflict_is_settled_by_the_order_of_letta_and_said() {
    let stub = Stub::start(paging(vec![
        agent("agent-b", &[("K", CANARY), ("ONLY_B", "b")]),
        agent("agent-a", &[("K", "a")]),
    ]))
    .await;
    let letta = stub.letta();
    let lines = Lines::of_the_start(&letta).await;
    assert_eq!(
        letta.environment_for(None).await,
        pairs(&[("K", "a"), ("ONLY_B", "b")])
    );
    let own = letta.environment_for(Some("agent-b")).await;
    assert_eq!(own, pairs(&[("K", CANARY), ("ONLY_B", "b")]));
    let warnings = lines.warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("agents differ in K:"), "{warnings:?}");
}

#[tokio::test]
async fn scope_agent_gives_a_call_without_an_agent_nothing() {
    let stub = Stub::start(paging(vec![agent("agent-a", &[("K", "a")])])).await;
    let letta = Letta::from_settings(Some(Settings {
        scope: Scope::Agent,
        ..stub.settings()
    }));
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(None).await, []);
    assert_eq!(
        letta.environment_for(Some("agent-a")).await,
        pairs(&[("K", "a")])
    );
}

#[tokio::test]
async fn agents_may_differ_where_no_call_gets_the_variables_of_several() {
    let stub = Stub::start(paging(vec![
        agent("agent-a", &[("K", "a"), ("PATH", "/a")]),
        agent("agent-b", &[("K", "b")]),
    ]))
    .await;
    let letta = Letta::from_settings(Some(Settings {
        scope: Scope::Agent,
        ..stub.settings()
    }));
    let lines = Lines::of_the_start(&letta).await;
    let warnings = lines.warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("refused: PATH"), "{warnings:?}");
}

/// Letta with two agents that have a variable of one name.
async fn two_agents() -> Stub {
    let agents = vec![
        agent("agent-a", &[("K", "a")]),
        agent("agent-b", &[("K", "b")]),
    ];
    Stub::start(paging(agents)).await
}

#[tokio::test]
async fn the_agent_that_is_set_is_the_only_one_loaded() {
    let stub = two_agents().await;
    let letta = Letta::from_settings(Some(Settings {
        agent: Some("agent-b".into()),
        ..stub.settings()
    }));
    letta.load_at_start().await;
    for caller in [None, Some("agent-b"), Some("agent-a")] {
        let variables = letta.environment_for(caller).await;
        assert_eq!(variables, pairs(&[("K", "b")]), "{caller:?}");
    }
    assert_eq!(stub.asked(), ["/v1/agents/agent-b?include=agent.secrets"]);
}

#[tokio::test]
async fn under_scope_agent_the_agent_that_is_set_alone_gets_its_variables() {
    let stub = two_agents().await;
    let letta = Letta::from_settings(Some(Settings {
        agent: Some("agent-b".into()),
        scope: Scope::Agent,
        ..stub.settings()
    }));
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(None).await, []);
    assert_eq!(letta.environment_for(Some("agent-a")).await, []);
    let own = letta.environment_for(Some("agent-b")).await;
    assert_eq!(own, pairs(&[("K", "b")]));
    assert_eq!(stub.asked().len(), 1, "no other agent is asked for");
}

#[tokio::test]
async fn scope_all_gives_every_call_everything() {
    let stub = Stub::start(paging(vec![
        agent("agent-a", &[("A", "a")]),
        agent("agent-b", &[("B", "b")]),
    ]))
    .await;
    let letta = Letta::from_settings(Some(Settings {
        scope: Scope::All,
        ..stub.settings()
    }));
    letta.load_at_start().await;
    for caller in [None, Some("agent-a"), Some("agent-new")] {
        let variables = letta.environment_for(caller).await;
        assert_eq!(variables, pairs(&[("A", "a"), ("B", "b")]), "{caller:?}");
    }
    assert_eq!(stub.asked().len(), 2, "only the pages of the start");
}

#[tokio::test]
async fn both_lists_count_and_the_one_that_says_more_wins() {
    let stub = Stub::start(|_| {
        Act::Json(json!([{
            "id": "agent-a",
            "tool_exec_environment_variables": [
                {"key": " OLD ", "value": "1"}, {"key": "BOTH", "value": "old"},
                {"key": "HALF", "value": "known"}, {"key": "EMPTIED", "value": "known"},
            ],
            "secrets": [
                {"key": "BOTH", "value": "new"}, {"key": "HALF", "value": "<encrypted>"},
                {"key": "HIDDEN", "value": "<encrypted>"}, {"key": "EMPTIED", "value": null},
                {"key": "NULL", "value": null}, {"key": "NUMBER", "value": 5}, {"key": 7}, "noise",
            ],
        }, {"id": "agent-b", "secrets": {"not": "a list"}}, {"no": "id"}]))
    })
    .await;
    let letta = stub.letta();
    let lines = Lines::of_the_start(&letta).await;
    let expected = [
        ("BOTH", "new"),
        ("EMPTIED", "known"),
        ("HALF", "known"),
        ("NULL", ""),
        ("OLD", "1"),
    ];
    assert_eq!(
        letta.environment_for(Some("agent-a")).await,
        pairs(&expected)
    );
    assert_eq!(letta.environment_for(Some("agent-b")).await, []);
    let warnings = lines.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].contains("HIDDEN: Letta did not decrypt"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn refused_names_are_named_in_a_warning_and_reach_no_plugin() {
    let stub = Stub::start(paging(vec![agent(
        "agent-a",
        &[
            ("PATH", CANARY),
            ("LD_PRELOAD", CANARY),
            ("SMCP_TOOL", CANARY),
            ("A\u{1b}[2J", CANARY),
            ("OK", "1"),
        ],
    )]))
    .await;
    let letta = stub.letta();
    let lines = Lines::of_the_start(&letta).await;
    assert_eq!(letta.environment_for(None).await, pairs(&[("OK", "1")]));
    assert_eq!(
        letta.environment_for(Some("agent-a")).await,
        pairs(&[("OK", "1")])
    );
    let text = lines.text();
    assert!(
        text.contains("LD_PRELOAD, PATH, SMCP_TOOL: it would change"),
        "{text}"
    );
    assert!(!text.contains(CANARY) && !text.contains('\u{1b}'), "{text}");
}

#[tokio::test]
async fn no_value_and_no_password_is_in_any_log_line_or_debug_output() {
    let stub = Stub::start(paging(vec![
        agent("agent-a", &[("K", CANARY), ("PATH", CANARY)]),
        agent("agent-b", &[("K", "other-canary-5c1f")]),
    ]))
    .await;
    let letta = stub.letta();
    let lines = Lines::default();
    let guard = lines.capture();
    letta.load_at_start().await;
    let own = letta.environment_for(Some("agent-a")).await;
    tracing::info!(?letta, settings = ?stub.settings(), "shown");
    drop(guard);
    assert_eq!(own, pairs(&[("K", CANARY)]));
    let shown = lines.text();
    assert!(
        shown.contains("loaded the agents' variables") && shown.contains("agent-b"),
        "{shown}"
    );
    // The libraries speak too at this level, so that what they say is looked at as well.
    assert!(
        shown.contains("TRACE") || shown.contains("DEBUG"),
        "{shown}"
    );
    assert!(!shown.contains("canary-5c1f"), "{shown}");
}
