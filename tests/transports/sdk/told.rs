//! What the SDK's client must be told and asked while it waits for something else, or for nothing.

use rmcp::model::{
    ElicitResult, ElicitationAction, RequestMetaObject, ServerNotification, SubscriptionFilter,
};
use serde_json::json;

use super::claims::expect_failure;
use super::connection::{Era, PATIENCE, Served, Transport, eventually, text_of};
use super::user::{Notice, User};

pub async fn every_step_of_the_progress_is_told(transport: Transport, era: Era) {
    let served = Served::new(transport, era, &["slow"]);
    let connection = served.connect().await;
    let result = connection.result("slow__count", json!({"steps": 4})).await;
    assert_eq!(text_of(&result), r#"{"counted": 4}"#);
    // The SDK hands each notice to a task of its own: the last may come after the result.
    let step = |number: u32| {
        let words = format!("step {number} of 4");
        Notice::Progress(number.into(), Some(4.0), Some(words))
    };
    for number in 1..=4 {
        let wanted = step(number);
        connection
            .told("every step", |notice| (*notice == wanted).then_some(()))
            .await;
    }
    assert_eq!(connection.user().notices().len(), 4);
    connection.end().await;
}

pub async fn an_accepted_question_brings_its_answer_to_the_plugin(transport: Transport, era: Era) {
    let served = Served::new(transport, era, &["interop"]);
    let answer =
        ElicitResult::new(ElicitationAction::Accept).with_content(json!({"name": "Ada 世界"}));
    let connection = served.connect_as(User::who_answers(answer)).await;
    let result = connection.result("interop__greet", json!({})).await;
    assert_eq!(text_of(&result), "Hello, Ada 世界!");
    assert_eq!(result.is_error, Some(false));
    let notices = connection.user().notices();
    let [Notice::Question(message, schema)] = notices.as_slice() else {
        panic!("not one question: {notices:?}");
    };
    assert_eq!(message, "What is your name?");
    assert!(schema.properties.contains_key("name"), "{schema:?}");
    assert_eq!(schema.required, Some(vec!["name".to_owned()]));
    connection.end().await;
}

pub async fn a_declined_question_is_declined(transport: Transport, era: Era) {
    let served = Served::new(transport, era, &["interop"]);
    let answer = ElicitResult::new(ElicitationAction::Decline);
    let connection = served.connect_as(User::who_answers(answer)).await;
    let result = connection.result("interop__greet", json!({})).await;
    assert_eq!(text_of(&result), "No name given: decline");
    connection.end().await;
}

pub async fn a_plugin_that_asks_a_client_which_cannot_be_asked_is_told_so(
    transport: Transport,
    era: Era,
) {
    let served = Served::new(transport, era, &["interop"]);
    let connection = served.connect().await;
    let result = connection.result("interop__greet", json!({})).await;
    expect_failure(&result, "plugin_error", "could not ask");
    assert_eq!(connection.user().notices(), []);
    connection.end().await;
}

/// Has one command more once it was told to grow.
const GROWS: &str = r#"#!/bin/sh
grown=$(dirname "$0")/grown
case "$1" in
--describe)
    [ -e "$grown" ] && more=',{"name":"fruit","description":"d"}'
    echo '{"contract_version":"1.1","commands":[{"name":"grow","description":"d"}'"$more"']}' ;;
grow) : > "$grown"; echo '{"changed":"tools"}' >&3; echo grown ;;
fruit) echo sweet ;;
esac
"#;

pub async fn a_client_is_told_of_a_new_tool_and_finds_it_listed(transport: Transport, era: Era) {
    let served = Served::script(transport, era, GROWS);
    let connection = served.connect().await;
    let peer = connection.peer();
    let listed = async || {
        let tools = peer.list_all_tools().await.expect("a list");
        tools.iter().any(|tool| tool.name == "script__fruit")
    };
    assert!(!listed().await);
    let mut subscription = match era {
        Era::Handshake => None,
        Era::Stateless => {
            let filter = SubscriptionFilter::builder().tools_list_changed().build();
            let subscription = peer.listen(filter).await.expect("it is acknowledged");
            assert_eq!(subscription.acknowledged().tools_list_changed, Some(true));
            Some(subscription)
        }
    };
    let result = connection.result("script__grow", json!({})).await;
    assert_eq!(text_of(&result).trim_end(), "grown");
    // The first load of the plugins may have been told too late and be told now; the new tool is told all the same.
    let mut told = 0;
    while told == 0 || !listed().await {
        told += 1;
        match &mut subscription {
            None => {
                eventually("the client is told", PATIENCE, || {
                    (connection.user().changes() >= told).then_some(())
                })
                .await;
            }
            Some(subscription) => {
                let next = tokio::time::timeout(PATIENCE, subscription.next()).await;
                let next = next.expect("the client is told").expect("a valid message");
                assert!(
                    matches!(
                        next,
                        Some(ServerNotification::ToolListChangedNotification(_))
                    ),
                    "{next:?}"
                );
            }
        }
    }
    let fruit = connection.result("script__fruit", json!({})).await;
    assert_eq!(text_of(&fruit).trim_end(), "sweet");
    drop(subscription);
    connection.end().await;
}

/// Logs one message of each of three levels.
const TALKS: &str = r#"#!/bin/sh
case "$1" in
--describe) echo '{"contract_version":"1.1","commands":[{"name":"talk","description":"d"}]}' ;;
talk)
    echo '{"log":"info","data":"an info"}' >&3
    echo '{"log":"warning","data":{"a":"warning"}}' >&3
    echo '{"log":"error","data":"an error"}' >&3
    echo talked ;;
esac
"#;

#[expect(
    deprecated,
    reason = "logging is on its way out of the protocol, and in use until then"
)]
pub async fn only_logs_of_the_level_asked_for_are_told(transport: Transport, era: Era) {
    use rmcp::model::{LoggingLevel, SetLevelRequestParams};
    let served = Served::script(transport, era, TALKS);
    let connection = served.connect().await;
    let mut meta = RequestMetaObject::new();
    match era {
        Era::Handshake => {
            let level = SetLevelRequestParams::new(LoggingLevel::Warning);
            let set = connection.peer().set_level(level).await;
            set.expect("the server logs to its clients");
        }
        Era::Stateless => {
            // Who names no level is told nothing.
            let result = connection.result("script__talk", json!({})).await;
            assert_eq!(text_of(&result).trim_end(), "talked");
            meta.set_log_level(LoggingLevel::Warning);
        }
    }
    let call = connection
        .begin_with_meta("script__talk", json!({}), meta)
        .await;
    call.await_response().await.expect("a result");
    // The SDK hands each notice to a task of its own: the first may come after the second.
    let error = Notice::Log("error".into(), json!("an error"));
    let warning = Notice::Log("warning".into(), json!({"a": "warning"}));
    for wanted in [&error, &warning] {
        connection
            .told("both logs", |notice| (notice == wanted).then_some(()))
            .await;
    }
    let mut told = connection.user().notices();
    told.sort_by_key(|notice| format!("{notice:?}"));
    assert_eq!(told, [error, warning]);
    connection.end().await;
}
