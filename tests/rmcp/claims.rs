//! What the SDK's client must see of smcp, whichever door it takes and in whichever era.

use futures_util::future::join_all;
use rmcp::ServiceError;
use rmcp::model::{
    CallToolResult, ElicitResult, ElicitationAction, ErrorCode, ProtocolVersion, RequestMetaObject,
    ServerNotification, SubscriptionFilter,
};
use rmcp::service::ClientLifecycleMode;
use rustix::process::Pid;
use serde_json::{Value, json};

use super::connection::{
    Connection, Door, Era, Notice, PATIENCE, Served, User, eventually, text_of,
};
use super::support::server::Setup;
use super::support::{processes, s};

/// How long processes may stay after their call: they are asked first, and killed at 5 s.
const GONE: std::time::Duration = s(7);

const UNICODE: &str = "Grüße — 世界 🦀 e\u{301} עברית \"quoted\" \\back\\ <tag> &amp; tab\there, line\nbreak\u{2028}end";

pub async fn the_server_says_who_it_is_and_agrees_on_the_revision(door: Door, era: Era) {
    let served = Served::new(door, era, &[]);
    let connection = served.connect().await;
    assert_eq!(connection.revision(), era.revision());
    let server = connection.peer().peer_info().expect("it is connected");
    let named = server.server_info.as_ref().expect("the server has a name");
    assert_eq!(named.name, "sanctum-letta-mcp");
    assert_eq!(named.version, env!("CARGO_PKG_VERSION"));
    let tools = server.capabilities.tools.as_ref().expect("it has tools");
    assert_eq!(tools.list_changed, Some(true));
    assert!(server.capabilities.prompts.is_none(), "no plugin has any");
    connection.end().await;
}

pub async fn every_revision_that_the_sdk_speaks_is_agreed_on(door: Door, era: Era) {
    let served = Served::new(door, era, &[]);
    let ways = match era {
        Era::Handshake => [
            ProtocolVersion::V_2025_03_26,
            ProtocolVersion::V_2025_06_18,
            ProtocolVersion::V_2025_11_25,
        ]
        .map(|version| (version, ClientLifecycleMode::Initialize))
        .to_vec(),
        // Asks first and would go back to the handshake.
        Era::Sessionless => vec![(
            ProtocolVersion::V_2026_07_28,
            ClientLifecycleMode::Auto {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
                legacy_version: Some(ProtocolVersion::V_2025_11_25),
            },
        )],
    };
    for (version, lifecycle) in ways {
        let user = User::default().of_revision(version.clone());
        let connection = served.try_connect(user, lifecycle, None).await;
        let connection = connection.unwrap_or_else(|error| panic!("{version}: {error}"));
        assert_eq!(connection.revision(), version);
        let health = connection.result("health", json!({})).await;
        assert_eq!(health.is_error, Some(false), "{version}: {health:?}");
        connection.end().await;
    }
}

pub async fn every_tool_is_listed_in_the_fixed_order_with_its_schema(door: Door, era: Era) {
    let served = Served::new(door, era, &["demo_math", "slow"]);
    let connection = served.connect().await;
    let tools = connection.peer().list_all_tools().await.expect("a list");
    let names: Vec<_> = tools
        .iter()
        .map(|tool| tool.name.as_ref())
        .filter(|name| *name != "sanctum__tools")
        .collect();
    let wanted = [
        "demo_math__calculate",
        "demo_math__format_bytes",
        "demo_math__coin_flip",
        "slow__count",
        "slow__wait",
        "health",
    ];
    assert_eq!(names, wanted);
    assert!(tools.iter().all(|tool| tool.description.is_some()));
    let schema = &tools[0].input_schema;
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["required"], json!(["operation", "a", "b"]));
    assert_eq!(schema["properties"]["a"]["type"], "number");
    assert_eq!(schema["additionalProperties"], false);
    connection.end().await;
}

pub async fn two_and_three_is_five_as_the_plugin_printed_it(door: Door, era: Era) {
    let served = Served::new(door, era, &["demo_math"]);
    let connection = served.connect().await;
    expect_five(&connection).await;
    connection.end().await;
}

async fn expect_five(connection: &Connection) {
    let arguments = json!({"operation": "add", "a": 2, "b": 3});
    let result = connection.result("demo_math__calculate", arguments).await;
    assert_eq!(result.is_error, Some(false), "{result:?}");
    assert_eq!(result.structured_content, None, "none was declared");
    let told: Value = serde_json::from_str(text_of(&result)).expect("the plugin prints JSON");
    assert_eq!(
        told,
        json!({"ok": true, "operation": "add", "a": 2.0, "b": 3.0, "result": 5.0})
    );
}

pub async fn what_the_plugin_refuses_is_an_error_result_with_its_own_words(door: Door, era: Era) {
    let served = Served::new(door, era, &["demo_math"]);
    let connection = served.connect().await;
    let arguments = json!({"operation": "divide", "a": 1, "b": 0});
    let result = connection.result("demo_math__calculate", arguments).await;
    expect_failure(&result, "plugin_error", "division_by_zero");
    connection.end().await;
}

pub async fn a_missing_argument_is_named_and_nothing_is_started(door: Door, era: Era) {
    let served = Served::new(door, era, &["slow"]);
    let connection = served.connect().await;
    let result = connection.result("slow__wait", json!({"seconds": 1})).await;
    expect_failure(&result, "invalid_arguments", "pid_file");
    // Were it started, the program itself would refuse, in other words and under another code.
    let text = text_of(&result);
    assert!(!text.contains("usage:"), "{text}");
    connection.end().await;
}

#[track_caller]
fn expect_failure(result: &CallToolResult, code: &str, part: &str) {
    assert_eq!(result.is_error, Some(true), "{result:?}");
    let text = text_of(result);
    assert!(text.contains(part), "{part} is not in {text}");
    let error = &result.structured_content.as_ref().expect("a code")["error"];
    assert_eq!(error["code"], code, "{text}");
    assert_eq!(error["message"], text);
}

pub async fn an_unknown_tool_is_refused_the_way_the_door_refuses_it(door: Door, era: Era) {
    let served = Served::new(door, era, &["demo_math"]);
    let connection = served.connect().await;
    let cases = [
        ("nowhere__at_all", "plugin_not_found", "nowhere"),
        ("demo_math__at_all", "command_not_found", "at_all"),
    ];
    for (tool, code, part) in cases {
        let answer = connection.call(tool, json!({})).await;
        match (door, answer) {
            (Door::Mcp, Err(ServiceError::McpError(error))) => {
                assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{error}");
                assert!(error.message.contains(part), "{error}");
            }
            (Door::Stdio, Ok(result)) => expect_failure(&result, code, part),
            (_, answer) => panic!("{tool}: {answer:?}"),
        }
    }
    connection.end().await;
}

pub async fn a_plugin_that_asks_a_client_which_cannot_be_asked_is_told_so(door: Door, era: Era) {
    let served = Served::new(door, era, &["interop"]);
    let connection = served.connect().await;
    let result = connection.result("interop__greet", json!({})).await;
    expect_failure(&result, "plugin_error", "could not ask");
    assert_eq!(connection.notices(), []);
    connection.end().await;
}

pub async fn progress_is_told_up_to_the_last_step(door: Door, era: Era) {
    let served = Served::new(door, era, &["slow"]);
    let connection = served.connect().await;
    let result = connection.result("slow__count", json!({"steps": 4})).await;
    assert_eq!(text_of(&result), r#"{"counted": 4}"#);
    // The SDK hands each notice to a task of its own: the last may come after the result.
    let step = |number: u32| {
        let words = format!("step {number} of 4");
        Notice::Progress(number.into(), Some(4.0), Some(words))
    };
    let last = step(4);
    connection
        .told("the last step", |notice| (*notice == last).then_some(()))
        .await;
    let told = connection.notices();
    // A step that waits is replaced by the next one, so a busy machine shows fewer; none is told twice or made up.
    let mut left: Vec<_> = (1..=4).map(step).collect();
    for notice in &told {
        let place = left.iter().position(|step| step == notice);
        left.remove(place.unwrap_or_else(|| panic!("{notice:?} in {told:?}")));
    }
    connection.end().await;
}

/// The two processes of one call of `slow__wait`.
struct Waiting {
    file: std::path::PathBuf,
}

impl Waiting {
    fn new(served: &Served) -> Self {
        Self {
            file: served.file("pids"),
        }
    }

    fn arguments(&self) -> Value {
        json!({"pid_file": self.file})
    }

    async fn started(&self) -> Vec<Pid> {
        let pids = eventually("the call runs", PATIENCE, || {
            let text = std::fs::read_to_string(&self.file).ok()?;
            text.split_whitespace()
                .map(|pid| Pid::from_raw(pid.parse().ok()?))
                .collect::<Option<Vec<_>>>()
        })
        .await;
        assert_eq!(pids.len(), 2, "the plugin and its child");
        assert!(pids.iter().all(|pid| processes::lives(*pid)));
        pids
    }
}

async fn gone(pids: &[Pid]) {
    eventually("both processes are gone", GONE, || {
        let over = !pids.iter().any(|pid| processes::lives(*pid));
        over.then_some(())
    })
    .await;
}

pub async fn a_cancelled_call_leaves_no_process_and_the_connection_goes_on(door: Door, era: Era) {
    let served = Served::new(door, era, &["demo_math", "slow"]);
    let connection = served.connect().await;
    let waiting = Waiting::new(&served);
    let call = connection.begin("slow__wait", waiting.arguments()).await;
    let pids = waiting.started().await;
    let reason = Some("no longer wanted".to_owned());
    call.cancel(reason).await.expect("the connection is open");
    gone(&pids).await;
    expect_five(&connection).await;
    connection.end().await;
}

pub async fn an_abandoned_call_leaves_no_process(door: Door, era: Era) {
    let served = Served::new(door, era, &["demo_math", "slow"]);
    let connection = served.connect().await;
    let waiting = Waiting::new(&served);
    let pids = tokio::select! {
        result = connection.call("slow__wait", waiting.arguments()) => panic!("answered: {result:?}"),
        pids = waiting.started() => pids,
    };
    gone(&pids).await;
    expect_five(&connection).await;
    connection.end().await;
}

pub async fn a_client_that_leaves_takes_its_processes_with_it(door: Door, era: Era) {
    let served = Served::new(door, era, &["slow"]);
    let connection = served.connect().await;
    let waiting = Waiting::new(&served);
    let _call = connection.begin("slow__wait", waiting.arguments()).await;
    let pids = waiting.started().await;
    connection.end().await;
    gone(&pids).await;
}

pub async fn an_accepted_question_brings_its_answer_to_the_plugin(door: Door, era: Era) {
    let served = Served::new(door, era, &["interop"]);
    let answer =
        ElicitResult::new(ElicitationAction::Accept).with_content(json!({"name": "Ada 世界"}));
    let connection = served.connect_as(User::who_answers(answer)).await;
    let result = connection.result("interop__greet", json!({})).await;
    assert_eq!(text_of(&result), "Hello, Ada 世界!");
    assert_eq!(result.is_error, Some(false));
    let notices = connection.notices();
    let [Notice::Question(message, schema)] = notices.as_slice() else {
        panic!("not one question: {notices:?}");
    };
    assert_eq!(message, "What is your name?");
    assert!(schema.properties.contains_key("name"), "{schema:?}");
    assert_eq!(schema.required, Some(vec!["name".to_owned()]));
    connection.end().await;
}

pub async fn a_declined_question_is_declined(door: Door, era: Era) {
    let served = Served::new(door, era, &["interop"]);
    let answer = ElicitResult::new(ElicitationAction::Decline);
    let connection = served.connect_as(User::who_answers(answer)).await;
    let result = connection.result("interop__greet", json!({})).await;
    assert_eq!(text_of(&result), "No name given: decline");
    connection.end().await;
}

pub async fn ten_million_bytes_arrive_whole(door: Door, era: Era) {
    // As the plugin builds it.
    const LINE: &str = "abcdefghijklmnopqrstuvwxyz0123456789·äöü·世界·🦀·\"\\;";
    const SIZE: usize = 10_000_000;
    let served = Served::new(door, era, &["interop"]);
    let connection = served.connect().await;
    let result = connection
        .result("interop__big", json!({"size": SIZE}))
        .await;
    assert_eq!(result.is_error, Some(false));
    let text = text_of(&result);
    assert!(
        text == LINE.repeat(SIZE / LINE.len()),
        "{} bytes",
        text.len()
    );
    connection.end().await;
}

pub async fn what_is_written_in_other_scripts_comes_back_to_the_letter(door: Door, era: Era) {
    let served = Served::new(door, era, &["demo_text"]);
    let connection = served.connect().await;
    assert_eq!(echo(&connection, UNICODE.to_owned()).await, UNICODE);
    connection.end().await;
}

async fn echo(connection: &Connection, message: String) -> String {
    let arguments = json!({"message": message});
    let result = connection.result("demo_text__echo", arguments).await;
    let told: Value = serde_json::from_str(text_of(&result)).expect("the plugin prints JSON");
    told["output"].as_str().expect("a text").to_owned()
}

pub async fn sixteen_calls_get_sixteen_answers_and_none_is_crossed(door: Door, era: Era) {
    let served = Served::new(door, era, &["demo_text"]);
    let connection = served.connect().await;
    let messages: Vec<_> = (0..16).map(|number| format!("call {number}")).collect();
    let calls = messages.iter().map(|text| echo(&connection, text.clone()));
    assert_eq!(join_all(calls).await, messages);
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

pub async fn a_client_is_told_of_a_new_tool_and_finds_it_listed(door: Door, era: Era) {
    let served = Served::script(door, era, GROWS);
    let connection = served.connect().await;
    let peer = connection.peer();
    let listed = async || {
        let tools = peer.list_all_tools().await.expect("a list");
        tools.iter().any(|tool| tool.name == "script__fruit")
    };
    assert!(!listed().await);
    let mut subscription = match era {
        Era::Handshake => None,
        Era::Sessionless => {
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
                    (connection.changes() >= told).then_some(())
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
pub async fn only_logs_of_the_level_asked_for_are_told(door: Door, era: Era) {
    use rmcp::model::{LoggingLevel, SetLevelRequestParams};
    let served = Served::script(door, era, TALKS);
    let connection = served.connect().await;
    let mut meta = RequestMetaObject::new();
    match era {
        Era::Handshake => {
            let level = SetLevelRequestParams::new(LoggingLevel::Warning);
            let set = connection.peer().set_level(level).await;
            set.expect("the server logs to its clients");
        }
        Era::Sessionless => {
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
    let error = Notice::Log("error".into(), json!("an error"));
    connection
        .told("the error", |notice| (*notice == error).then_some(()))
        .await;
    let warning = Notice::Log("warning".into(), json!({"a": "warning"}));
    let mut told = connection.notices();
    told.sort_by_key(|notice| format!("{notice:?}"));
    assert_eq!(told, [error, warning]);
    connection.end().await;
}

pub async fn the_right_key_opens_the_door_and_no_other(door: Door, era: Era) {
    const KEY: &str = "a-key-of-the-tests-0123456789";
    let setup = Setup::new()
        .variable("MCP_API_KEY", KEY)
        .argument("--require-auth");
    let served = Served::with_setup(door, era, &["demo_math"], setup);
    let begin = || match era {
        Era::Handshake => ClientLifecycleMode::Initialize,
        Era::Sessionless => ClientLifecycleMode::Discover {
            preferred_versions: vec![era.revision()],
        },
    };
    for key in [None, Some("another-key-0123456789")] {
        let refused = served.try_connect(User::default(), begin(), key).await;
        let error = refused
            .err()
            .unwrap_or_else(|| panic!("let in with {key:?}"));
        assert!(error.is_authorization_required(), "{key:?}: {error}");
    }
    let opened = served
        .try_connect(User::default(), begin(), Some(KEY))
        .await;
    let connection = opened.expect("the right key");
    expect_five(&connection).await;
    connection.end().await;
}
