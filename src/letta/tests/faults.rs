//! Whatever Letta does: what was loaded stays, and a warning says what is missing.

use std::sync::atomic::AtomicUsize;

use super::*;

#[tokio::test]
async fn a_server_that_has_the_list_without_a_slash_is_asked_there() {
    let stub = Stub::start(|target| match target.split('?').next() {
        Some("/letta/v1/agents") => Act::Json(json!([agent("agent-1", &[("A", "1")])])),
        _ => Act::Status("404 Not Found"),
    })
    .await;
    let letta = Letta::from_settings(Some(settings_at(&format!("{}/letta", stub.url))));
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(None).await, pairs(&[("A", "1")]));
}

#[tokio::test]
async fn a_page_that_is_too_large_is_asked_for_in_smaller_ones() {
    let long = "x".repeat(60_000);
    let agents = (0..120).map(|n| agent(&format!("agent-{n}"), &[(&format!("K{n}"), &long)]));
    let stub = Stub::start(paging(agents.collect())).await;
    // Twelve megabytes take their time where many tests run.
    let patient = Limits {
        request: Duration::from_secs(120),
        pages: Duration::from_secs(300),
        ..Limits::default()
    };
    let letta = Letta::with(Some(stub.settings()), patient, RETRY_AFTER);
    letta.load_at_start().await;
    assert_eq!(letta.environment_for(Some("agent-119")).await.len(), 1);
    assert!(stub.asked()[1].contains("limit=25"), "{:?}", stub.asked());
}

#[tokio::test]
async fn whatever_letta_does_is_one_warning_and_the_start_goes_on() {
    type Play = fn(&str) -> Act;
    let cases: [(&str, Play, &str); 12] = [
        ("silence", |_| Act::Silence, "did not answer within 0.4 s"),
        ("trickle", |_| Act::Trickle, "did not answer within"),
        ("hangs up", |_| Act::HangUp, "cannot be reached"),
        (
            "no JSON",
            |_| Act::Text("canary-5c1f"),
            "answered what is no JSON",
        ),
        (
            "half a JSON",
            |_| Act::Text(r#"[{"id":"canary-5c1f"#),
            "no JSON",
        ),
        ("deep", |_| Act::Json(nested()), "no JSON"),
        (
            "object",
            |_| Act::Json(json!({"agents": []})),
            "no array of agents",
        ),
        (
            "strings",
            |_| Act::Json(json!(["canary-5c1f"])),
            "something else than agents",
        ),
        (
            "401",
            |_| Act::Status("401 Unauthorized"),
            "check LETTA_SERVER_PASSWORD",
        ),
        (
            "500",
            |_| Act::Status("500 Internal Server Error"),
            "answered 500",
        ),
        (
            "redirect",
            |_| Act::Status("302 Found\r\nlocation: /v1/elsewhere"),
            "answered 302 Found, which is not followed",
        ),
        ("204", |_| Act::Status("204 No Content"), "answered 204"),
    ];
    for (name, act, expected) in cases {
        let stub = Stub::start(act).await;
        let limits = if expected.contains("did not answer") {
            impatient()
        } else {
            Limits::default()
        };
        let letta = Letta::with(Some(stub.settings()), limits, RETRY_AFTER);
        let lines = Lines::default();
        let guard = lines.capture();
        letta.load_at_start().await;
        assert_eq!(letta.environment_for(None).await, [], "{name}");
        assert_eq!(letta.environment_for(Some("agent-a")).await, [], "{name}");
        drop(guard);
        let warnings = lines.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains(expected),
            "{name}: {warnings:?}"
        );
        assert!(!lines.text().contains(CANARY), "{name}: {}", lines.text());
        assert!(
            !stub
                .asked()
                .iter()
                .any(|target| target.contains("elsewhere")),
            "{name}"
        );
    }
}

fn nested() -> Value {
    (0..200).fold(json!(1), |inside, _| json!([inside]))
}

#[tokio::test]
async fn a_hundred_megabytes_are_not_taken() {
    const MEGABYTES_100: usize = 100 * 1024 * 1024;
    type Play = fn(&str) -> Act;
    let cases: [(Play, usize); 2] = [
        // Refused at the declared length: nothing but what fits into the sockets' buffers is sent.
        (|_| Act::Declared(MEGABYTES_100), 32 * 1024 * 1024),
        (|_| Act::Endless, 64 * 1024 * 1024),
    ];
    for (act, most) in cases {
        let stub = Stub::start(act).await;
        let letta = stub.letta();
        let lines = Lines::of_the_start(&letta).await;
        let warnings = lines.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains("more than 4194304 bytes"),
            "{warnings:?}"
        );
        let sent = stub.sent.load(Ordering::Relaxed);
        assert!(sent < most, "{sent} bytes were sent");
    }
}

#[tokio::test]
async fn a_letta_that_is_down_is_one_warning() {
    let stub = Stub::start(|_| Act::HangUp).await;
    let url = stub.url.clone();
    stub.task.abort();
    while !stub.task.is_finished() {
        tokio::task::yield_now().await;
    }
    let letta = Letta::from_settings(Some(settings_at(&url)));
    let lines = Lines::of_the_start(&letta).await;
    let warnings = lines.warnings();
    assert!(
        warnings.len() == 1 && warnings[0].to_lowercase().contains("connection refused"),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn a_url_that_cannot_be_asked_is_one_warning_that_shows_no_password() {
    for url in [
        "not a url",
        "ftp://letta",
        "http://user:token-canary-5c1f@127.0.0.1:1",
        "/v1",
    ] {
        let letta = Letta::from_settings(Some(settings_at(url)));
        let lines = Lines::default();
        let guard = lines.capture();
        letta.load_at_start().await;
        assert_eq!(letta.environment_for(Some("agent-a")).await, []);
        drop(guard);
        let warnings = lines.warnings();
        assert!(
            warnings.len() == 1 && warnings[0].contains("LETTA_SERVER_URL"),
            "{url}: {warnings:?}"
        );
        let shown = format!("{} {letta:?}", lines.text());
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}

#[tokio::test]
async fn what_was_loaded_before_a_page_failed_is_kept() {
    let stub = Stub::start(|target| {
        if target.contains("after=") {
            Act::Status("500 Internal Server Error")
        } else {
            Act::Json(json!([agent("agent-1", &[("A", "1")])]))
        }
    })
    .await;
    let letta = stub.letta();
    let lines = Lines::of_the_start(&letta).await;
    assert_eq!(
        letta.environment_for(Some("agent-1")).await,
        pairs(&[("A", "1")])
    );
    assert_eq!(lines.warnings().len(), 1);
}

#[tokio::test]
async fn a_server_that_gives_its_first_page_for_ever_is_asked_twice() {
    let stub = Stub::start(|_| Act::Json(json!([agent("agent-1", &[("A", "1")])]))).await;
    stub.letta().load_at_start().await;
    assert_eq!(stub.asked().len(), 2);
}

#[tokio::test]
async fn a_server_that_invents_agents_for_ever_is_stopped_at_the_limit() {
    let next = AtomicUsize::new(0);
    let stub = Stub::start(move |_| {
        let n = next.fetch_add(1, Ordering::Relaxed);
        Act::Json(json!([agent(&format!("agent-{n}"), &[("A", "1")])]))
    })
    .await;
    let limits = Limits {
        agents: 20,
        ..Limits::default()
    };
    let letta = Letta::with(Some(stub.settings()), limits, RETRY_AFTER);
    let lines = Lines::of_the_start(&letta).await;
    assert_eq!(stub.asked().len(), 21);
    assert!(lines.warnings()[0].contains("only 20 agents were loaded"));
    assert_eq!(letta.environment_for(Some("agent-3")).await.len(), 1);
}
