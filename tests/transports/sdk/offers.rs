//! What the SDK's client must see of everything that a plugin can offer beside plain tools. The plugin is
//! `tests/fixtures/plugins/offers`.

use std::collections::HashMap;

use rmcp::ServiceError;
use rmcp::model::{
    CompletionContext, ElicitResult, ElicitationAction, ErrorCode, SubscribeRequestParams,
    SubscriptionFilter,
};
use serde_json::{Value, json};

use super::claims::expect_failure;
use super::connection::{Era, Served, Transport, text_of};
use super::user::{Notice, User};

const ROOTS: &[&str] = &["file:///home/ada/project", "file:///home/ada/%E4%B8%96"];
const RHYME: &str = "sun and fun";
const MISSING_CAPABILITY: ErrorCode = ErrorCode(-32021);

fn user() -> User {
    let content = json!({"name": "Ada 世界"});
    User::who_answers(ElicitResult::new(ElicitationAction::Accept).with_content(content))
}

fn served(transport: Transport, era: Era) -> Served {
    Served::new(transport, era, &["offers"])
}

/// The JSON-RPC error that answers a request has this code.
#[track_caller]
fn expect_refused<T: std::fmt::Debug>(answer: Result<T, ServiceError>, code: ErrorCode) {
    match answer {
        Err(ServiceError::McpError(error)) => assert_eq!(error.code, code, "{error:?}"),
        answer => panic!("answered with {answer:?}"),
    }
}

fn not_found(era: Era) -> ErrorCode {
    match era {
        Era::Handshake => ErrorCode::RESOURCE_NOT_FOUND,
        Era::Stateless => ErrorCode::INVALID_PARAMS,
    }
}

pub async fn a_form_a_text_and_the_directories_are_told_apart_by_their_keys(
    transport: Transport,
    era: Era,
) {
    let served = served(transport, era);
    let user = user().with_model(RHYME).with_roots(ROOTS);
    let connection = served.connect_as(user).await;
    let result = connection.result("offers__everything", json!({})).await;
    let answers: Value = serde_json::from_str(text_of(&result)).expect("JSON");
    let accepted = json!({"action": "accept", "content": {"name": "Ada 世界"}});
    assert_eq!(answers["who"], accepted);
    assert_eq!(answers["what"]["content"]["text"], RHYME);
    assert_eq!(answers["where"]["roots"][1]["uri"], ROOTS[1]);
    connection.end().await;
}

pub async fn the_clients_model_answers_what_a_plugin_asks(transport: Transport, era: Era) {
    let served = served(transport, era);
    let connection = served.connect_as(User::default().with_model(RHYME)).await;
    let result = connection.result("offers__rhyme", json!({})).await;
    assert_eq!(text_of(&result), RHYME);
    let notices = connection.user().notices();
    let [Notice::Sampling(asked)] = notices.as_slice() else {
        panic!("not asked once: {notices:?}");
    };
    assert_eq!(asked["messages"][0]["content"]["text"], "a rhyme, please");
    connection.end().await;
}

pub async fn a_tool_that_needs_a_model_is_refused_where_there_is_none(
    transport: Transport,
    era: Era,
) {
    let served = served(transport, era);
    let connection = served.connect_as(user()).await;
    let answer = connection.call("offers__rhyme", json!({})).await;
    match era {
        Era::Handshake => expect_failure(&answer.expect("a result"), "plugin_error", "sampling"),
        Era::Stateless => expect_refused(answer, MISSING_CAPABILITY),
    }
    connection.end().await;
}

pub async fn the_clients_directories_reach_the_plugin(transport: Transport, era: Era) {
    let served = served(transport, era);
    let connection = served.connect_as(User::default().with_roots(ROOTS)).await;
    let result = connection.result("offers__folders", json!({})).await;
    assert_eq!(text_of(&result), ROOTS.join(" "));
    connection.end().await;
}

pub async fn a_result_that_fits_its_schema_is_given_as_data(transport: Transport, era: Era) {
    let served = served(transport, era);
    let connection = served.connect().await;
    let result = connection
        .result("offers__measure", json!({"station": "EDDF"}))
        .await;
    assert_eq!(result.structured_content, Some(json!({"degrees": 21.5})));
    assert_eq!(text_of(&result), r#"{"degrees": 21.5}"#);
    connection.end().await;
}

pub async fn a_structured_tool_that_fails_says_why_in_its_own_words(
    transport: Transport,
    era: Era,
) {
    let served = served(transport, era);
    let connection = served.connect().await;
    let result = connection
        .result("offers__measure", json!({"station": "LEMD"}))
        .await;
    assert_eq!(result.is_error, Some(true));
    assert_eq!(text_of(&result), "no such station: LEMD");
    // What is no result of the tool does not fit its schema, and clients hold it against that.
    assert_eq!(result.structured_content, None);
    connection.end().await;
}

pub async fn lists_texts_and_numbers_are_structured_content_as_well(
    transport: Transport,
    era: Era,
) {
    let served = served(transport, era);
    let connection = served.connect().await;
    let cases = [
        ("offers__list", json!({}), json!([1, 2, 3])),
        ("offers__either", json!({}), json!(7)),
        ("offers__either", json!({"text": true}), json!("seven")),
    ];
    for (tool, arguments, value) in cases {
        let result = connection.result(tool, arguments).await;
        let printed: Value = serde_json::from_str(text_of(&result)).expect("JSON");
        assert_eq!(printed, value);
        let given = match era {
            Era::Handshake => json!({"result": value}),
            Era::Stateless => value,
        };
        assert_eq!(result.structured_content, Some(given));
    }
    connection.end().await;
}

pub async fn a_parameter_that_may_be_anything_costs_the_client_nothing(
    transport: Transport,
    era: Era,
) {
    let served = served(transport, era);
    let connection = served.connect().await;
    let tools = connection.peer().list_all_tools().await.expect("a list");
    assert!(tools.iter().any(|tool| tool.name == "offers__loose"));
    for value in [json!([1, {"a": null}]), json!("text"), json!(7)] {
        let result = connection
            .result("offers__loose", json!({"value": value}))
            .await;
        assert_eq!(result.structured_content, Some(json!({"got": value})));
    }
    connection.end().await;
}

pub async fn prompts_are_listed_with_their_arguments_and_filled_in(transport: Transport, era: Era) {
    let served = served(transport, era);
    let connection = served.connect().await;
    let prompts = connection.peer().list_all_prompts().await.expect("a list");
    let travel = prompts.iter().find(|prompt| prompt.name == "travel");
    let arguments = travel.and_then(|prompt| prompt.arguments.as_ref());
    let names: Vec<_> = arguments
        .into_iter()
        .flatten()
        .map(|known| known.name.as_str())
        .collect();
    assert_eq!(names, ["city", "budget"]);
    let messages = connection
        .prompt("travel", json!({"city": "-Ürümqi"}))
        .await;
    let text = "Plan a journey to -Ürümqi, for any price.";
    let wanted = json!([{"role": "user", "content": {"type": "text", "text": text}}]);
    assert_eq!(messages.expect("it is filled in"), wanted);
    for name in ["travel", "nowhere"] {
        let answer = connection.prompt(name, json!({})).await;
        expect_refused(answer, ErrorCode::INVALID_PARAMS);
    }
    connection.end().await;
}

pub async fn a_prompt_can_ask_the_user(transport: Transport, era: Era) {
    let served = served(transport, era);
    let connection = served.connect_as(user()).await;
    let messages = connection.prompt("letter", json!({})).await;
    let messages = messages.expect("it is filled in");
    assert_eq!(messages[0]["content"]["text"], "I am Ada 世界.");
    connection.end().await;
}

pub async fn texts_keep_their_white_space_and_pictures_their_bytes(transport: Transport, era: Era) {
    let served = served(transport, era);
    let connection = served.connect().await;
    let read = async |uri| connection.read(uri).await.expect("it is read")[0].clone();
    let makefile = json!({
        "uri": "offers://makefile", "mimeType": "text/x-makefile", "text": "\n\tall:\n\n",
    });
    assert_eq!(read("offers://makefile").await, makefile);
    let pixel = read("offers://pixel").await;
    assert!(
        pixel["blob"]
            .as_str()
            .is_some_and(|blob| blob.starts_with("iVBOR")),
        "{pixel}"
    );
    let city = read("offers://city/%C3%9Cr%C3%BCmqi").await;
    assert_eq!(city["text"], "about Ürümqi");
    connection.end().await;
}

pub async fn what_is_not_there_is_refused_with_the_code_of_the_revision(
    transport: Transport,
    era: Era,
) {
    let served = served(transport, era);
    let connection = served.connect().await;
    for uri in ["offers://nowhere/at/all", "offers://city/Atlantis"] {
        expect_refused(connection.read(uri).await, not_found(era));
    }
    connection.end().await;
}

#[expect(
    deprecated,
    reason = "the older of the two ways to subscribe, in use for older revisions"
)]
pub async fn who_subscribes_is_told_of_that_resource_and_of_no_other(
    transport: Transport,
    era: Era,
) {
    let served = served(transport, era);
    let connection = served.connect().await;
    let peer = connection.peer();
    let touch = async |uri: &str| {
        let result = connection
            .result("offers__touch", json!({"uri": uri}))
            .await;
        assert_eq!(text_of(&result), "touched");
    };
    let watched = "offers://pixel";
    match era {
        Era::Handshake => {
            let subscribed = peer.subscribe(SubscribeRequestParams::new(watched)).await;
            subscribed.expect("it is there");
            touch("offers://makefile").await;
            touch(watched).await;
            let told = connection.told("the change", |notice| match notice {
                Notice::Updated(uri) => Some(uri.clone()),
                _ => None,
            });
            assert_eq!(told.await, watched);
        }
        Era::Stateless => {
            let filter = SubscriptionFilter::builder().resource_subscriptions([watched]);
            let mut subscription = peer.listen(filter.build()).await.expect("acknowledged");
            touch("offers://makefile").await;
            touch(watched).await;
            let next = tokio::time::timeout(super::connection::PATIENCE, subscription.next()).await;
            let next = next.expect("the client is told").expect("a valid message");
            let next = json!(next.expect("the stream is open"));
            assert_eq!(next["params"]["uri"], watched, "{next}");
        }
    }
    connection.end().await;
}

pub async fn suggestions_fit_what_was_typed_and_know_what_is_filled_in(
    transport: Transport,
    era: Era,
) {
    let served = served(transport, era);
    let connection = served.connect().await;
    let complete = async |typed: &str, known: Option<CompletionContext>| {
        let peer = connection.peer();
        let completion = peer
            .complete_prompt_argument("travel", "city", typed, known)
            .await;
        completion.expect("it is completed").values
    };
    assert_eq!(complete("city 14", None).await.len(), 10);
    let known = HashMap::from([("budget".to_owned(), "small".to_owned())]);
    let known = CompletionContext::with_arguments(known);
    assert_eq!(complete("none", Some(known)).await, ["budget"]);
    connection.end().await;
}

pub async fn a_hundred_suggestions_are_given_and_that_there_are_more(
    transport: Transport,
    era: Era,
) {
    let served = served(transport, era);
    let connection = served.connect().await;
    let peer = connection.peer();
    let lines = peer
        .complete_prompt_argument("travel", "city", "", None)
        .await;
    let object = peer
        .complete_resource_argument("offers://city/{name}", "name", "", None)
        .await;
    for completion in [lines, object] {
        let completion = completion.expect("it is completed");
        assert_eq!(
            (completion.values.len(), completion.has_more),
            (100, Some(true))
        );
    }
    connection.end().await;
}
