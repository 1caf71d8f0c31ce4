//! What the SDK's client must get when it connects, lists and calls.

use futures_util::future::join_all;
use rmcp::ServiceError;
use rmcp::model::{CallToolResult, ErrorCode, ProtocolVersion};
use rmcp::service::ClientLifecycleMode;
use serde_json::{Value, json};

use super::connection::{Connection, Era, Served, Transport, text_of};
use super::user::User;
use crate::support::server::Setup;

const UNICODE: &str = "Grüße — 世界 🦀 e\u{301} עברית \"quoted\" \\back\\ <tag> &amp; tab\there, line\nbreak\u{2028}end";

pub async fn the_server_says_who_it_is_and_agrees_on_the_revision(transport: Transport, era: Era) {
    let served = Served::new(transport, era, &[]);
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

pub async fn every_revision_that_the_sdk_speaks_is_agreed_on(transport: Transport, era: Era) {
    let served = Served::new(transport, era, &[]);
    let ways = match era {
        Era::Handshake => [
            ProtocolVersion::V_2025_03_26,
            ProtocolVersion::V_2025_06_18,
            ProtocolVersion::V_2025_11_25,
        ]
        .map(|version| (version, ClientLifecycleMode::Initialize))
        .to_vec(),
        // Asks first and would go back to the handshake.
        Era::Stateless => vec![(
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

pub async fn every_tool_is_listed_in_the_fixed_order_with_its_schema(
    transport: Transport,
    era: Era,
) {
    let served = Served::new(transport, era, &["demo_math", "slow"]);
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

pub async fn two_and_three_is_five_as_the_plugin_printed_it(transport: Transport, era: Era) {
    let served = Served::new(transport, era, &["demo_math"]);
    let connection = served.connect().await;
    expect_five(&connection).await;
    connection.end().await;
}

/// The connection is in order: a call gets its answer.
pub async fn expect_five(connection: &Connection) {
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

pub async fn what_the_plugin_refuses_is_an_error_result_with_its_own_words(
    transport: Transport,
    era: Era,
) {
    let served = Served::new(transport, era, &["demo_math"]);
    let connection = served.connect().await;
    let arguments = json!({"operation": "divide", "a": 1, "b": 0});
    let result = connection.result("demo_math__calculate", arguments).await;
    expect_failure(&result, "plugin_error", "division_by_zero");
    connection.end().await;
}

pub async fn a_missing_argument_is_named_and_nothing_is_started(transport: Transport, era: Era) {
    let served = Served::new(transport, era, &["slow"]);
    let connection = served.connect().await;
    let result = connection.result("slow__wait", json!({"seconds": 1})).await;
    expect_failure(&result, "invalid_arguments", "pid_file");
    // Were it started, the program itself would refuse, in other words and under another code.
    let text = text_of(&result);
    assert!(!text.contains("usage:"), "{text}");
    connection.end().await;
}

/// A failed call says why twice: for people in its text, for programs in its code.
#[track_caller]
pub fn expect_failure(result: &CallToolResult, code: &str, part: &str) {
    assert_eq!(result.is_error, Some(true), "{result:?}");
    let text = text_of(result);
    assert!(text.contains(part), "{part} is not in {text}");
    let error = &result.structured_content.as_ref().expect("a code")["error"];
    assert_eq!(error["code"], code, "{text}");
    assert_eq!(error["message"], text);
}

pub async fn an_unknown_tool_is_refused_the_way_the_transport_refuses_it(
    transport: Transport,
    era: Era,
) {
    let served = Served::new(transport, era, &["demo_math"]);
    let connection = served.connect().await;
    let cases = [
        ("nowhere__at_all", "plugin_not_found", "nowhere"),
        ("demo_math__at_all", "command_not_found", "at_all"),
    ];
    for (tool, code, part) in cases {
        let answer = connection.call(tool, json!({})).await;
        match (transport, answer) {
            (Transport::Mcp, Err(ServiceError::McpError(error))) => {
                assert_eq!(error.code, ErrorCode::INVALID_PARAMS, "{error}");
                assert!(error.message.contains(part), "{error}");
            }
            (Transport::Stdio, Ok(result)) => expect_failure(&result, code, part),
            (_, answer) => panic!("{tool}: {answer:?}"),
        }
    }
    connection.end().await;
}

pub async fn ten_million_bytes_arrive_whole(transport: Transport, era: Era) {
    // As the plugin builds it.
    const LINE: &str = "abcdefghijklmnopqrstuvwxyz0123456789·äöü·世界·🦀·\"\\;";
    const SIZE: usize = 10_000_000;
    let served = Served::new(transport, era, &["interop"]);
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

pub async fn what_is_written_in_other_scripts_comes_back_to_the_letter(
    transport: Transport,
    era: Era,
) {
    let served = Served::new(transport, era, &["demo_text"]);
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

pub async fn sixteen_calls_get_sixteen_answers_and_none_is_crossed(transport: Transport, era: Era) {
    let served = Served::new(transport, era, &["demo_text"]);
    let connection = served.connect().await;
    let messages: Vec<_> = (0..16).map(|number| format!("call {number}")).collect();
    let calls = messages.iter().map(|text| echo(&connection, text.clone()));
    assert_eq!(join_all(calls).await, messages);
    connection.end().await;
}

pub async fn the_right_key_lets_a_client_in_and_no_other(transport: Transport, era: Era) {
    const KEY: &str = "a-key-of-the-tests-0123456789";
    let setup = Setup::new()
        .variable("MCP_API_KEY", KEY)
        .argument("--require-auth");
    let served = Served::with_setup(transport, era, &["demo_math"], setup);
    let begin = || match era {
        Era::Handshake => ClientLifecycleMode::Initialize,
        Era::Stateless => ClientLifecycleMode::Discover {
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
