//! Agents that were not there at the start: fetched when they call.

use super::*;

#[tokio::test]
async fn a_call_that_stops_waiting_for_letta_ends_at_once_and_spoils_nothing() {
    let slow = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let stub = Stub::start({
        let slow = Arc::clone(&slow);
        move |target| match target.split('?').next() {
            Some("/v1/agents/agent-new") if slow.load(Ordering::Relaxed) => Act::Silence,
            Some("/v1/agents/agent-new") => Act::Json(agent("agent-new", &[("N", "1")])),
            _ => Act::Json(json!([])),
        }
    })
    .await;
    let letta = stub.letta();
    letta.load_at_start().await;
    let waiting = letta.environment_for(Some("agent-new"));
    let given_up = tokio::time::timeout(Duration::from_millis(100), waiting).await;
    assert!(given_up.is_err(), "Letta does not answer");
    slow.store(false, Ordering::Relaxed);
    let variables = letta.environment_for(Some("agent-new")).await;
    assert_eq!(variables, pairs(&[("N", "1")]));
}

#[tokio::test]
async fn an_agent_that_came_later_is_fetched_once_for_all_who_call() {
    let stub = Stub::start(|target| match target {
        "/v1/agents/agent-new?include=agent.secrets" => {
            Act::Json(agent("agent-new", &[("N", "1")]))
        }
        _ => Act::Json(json!([])),
    })
    .await;
    let letta = stub.letta();
    letta.load_at_start().await;
    let calls = (0..20).map(|_| letta.environment_for(Some("agent-new")));
    for variables in futures_util::future::join_all(calls).await {
        assert_eq!(variables, pairs(&[("N", "1")]));
    }
    letta.environment_for(Some("agent-new")).await;
    assert_eq!(stub.asked().len(), 2);
    // Without an agent, a call gets what was there at the start.
    assert_eq!(letta.environment_for(None).await, []);
}

#[tokio::test]
async fn an_agent_that_letta_does_not_know_is_asked_for_again_only_after_a_while() {
    let stub = Stub::start(|target| match target.contains("agent-gone") {
        true => Act::Status("404 Not Found"),
        false => Act::Json(json!([])),
    })
    .await;
    let lines = Lines::default();
    let guard = lines.capture();
    for (retry_after, requests) in [(Duration::from_secs(3600), 1), (Duration::ZERO, 3)] {
        let letta = Letta::with(Some(stub.settings()), Limits::default(), retry_after);
        letta.load_at_start().await;
        let before = stub.asked().len();
        for _ in 0..3 {
            assert_eq!(letta.environment_for(Some("agent-gone")).await, []);
        }
        assert_eq!(stub.asked().len(), before + requests);
    }
    drop(guard);
    assert_eq!(lines.warnings(), [""; 0]);
}

#[tokio::test]
async fn ids_that_are_no_path_segment_are_never_asked_for() {
    let stub = Stub::start(|_| Act::Json(json!([]))).await;
    let letta = stub.letta();
    letta.load_at_start().await;
    let before = stub.asked().len();
    let long = "a".repeat(1000);
    for id in [
        "", "..", "../tools", "a/b", "a?b=c", "a#b", "a%2fb", "a b", "ü", &long,
    ] {
        assert_eq!(letta.environment_for(Some(id)).await, [], "{id}");
    }
    assert_eq!(stub.asked().len(), before);
}

#[tokio::test]
async fn another_agent_than_the_one_asked_for_is_not_taken() {
    let stub = Stub::start(|target| match target.contains("agent-a?") {
        true => Act::Json(agent("agent-b", &[("K", CANARY)])),
        false => Act::Json(json!([])),
    })
    .await;
    let letta = stub.letta();
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(Some("agent-a")).await, []);
}

#[tokio::test]
async fn many_failing_agents_are_one_warning() {
    let stub = Stub::start(|target| match target.contains("limit=") {
        true => Act::Json(json!([])),
        false => Act::Status("500 Internal Server Error"),
    })
    .await;
    let letta = stub.letta();
    letta.load_at_start().await;
    let lines = Lines::default();
    let guard = lines.capture();
    for n in 0..20 {
        letta.environment_for(Some(&format!("agent-{n}"))).await;
    }
    drop(guard);
    assert_eq!(lines.warnings().len(), 1);
}

#[tokio::test]
async fn calls_wait_for_the_load_that_is_under_way() {
    let stub = Stub::start(paging(vec![agent("agent-a", &[("K", "a")])])).await;
    let letta = stub.letta();
    // The load is polled first and holds its place before the call looks.
    let ((), variables) = tokio::join!(letta.load_at_start(), letta.environment_for(None));
    assert_eq!(variables, pairs(&[("K", "a")]));
}
