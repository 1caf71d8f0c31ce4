//! What a program says and asks while it runs.

use std::path::Path;

use serde_json::{Value, json};
use smcp::call::types::{CallError, CallRequest, Event};
use tokio::sync::mpsc;

use crate::catalog::{Plugins, Running, live, raw, request, settings};

#[test]
fn a_program_tells_and_asks_while_it_runs() {
    live(async {
        let shell_demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plugins");
        let running = Running::of(settings(Some(shell_demo))).complete().await;
        let (sender, mut events) = mpsc::channel(64);
        let listening = async {
            let mut said = Vec::new();
            while let Some(event) = events.recv().await {
                match event {
                    Event::Progress {
                        progress, message, ..
                    } => said.push(format!("{progress} {}", message.unwrap_or_default())),
                    Event::Ask { questions, answers } => {
                        let asked: Value =
                            serde_json::from_str(questions.get()).expect("it is JSON");
                        said.push(
                            asked["pick"]["elicit"]["message"]
                                .as_str()
                                .expect("a text")
                                .to_owned(),
                        );
                        let answer =
                            json!({"pick": {"action": "accept", "content": {"colour": "green"}}});
                        answers.send(raw(&answer)).expect("the program waits");
                    }
                    other => panic!("unexpected: {other:?}"),
                }
            }
            said
        };
        let call = running.call_as(
            "shell_demo__dot",
            CallRequest {
                events: Some(sender),
                ..request(json!({}))
            },
        );
        let (result, said) = tokio::join!(call, listening);
        let result = result.expect("it draws");
        let content = serde_json::to_value(result.content.blocks()).expect("it is JSON");
        assert_eq!(content[0]["mimeType"], "image/svg+xml");
        assert_eq!(
            said,
            ["1 asking for a colour", "Which colour?", "2 drawing"]
        );
    });
}

#[test]
fn a_program_whose_question_finds_nobody_is_told_so() {
    live(async {
        let shell_demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/plugins");
        let running = Running::of(settings(Some(shell_demo))).complete().await;
        let result = running
            .call("shell_demo__dot", json!({}))
            .await
            .expect("it draws in grey");
        assert!(!result.is_error);
    });
}

#[test]
fn a_command_that_needs_what_the_client_lacks_is_not_started() {
    live(async {
        let plugins = Plugins::new();
        let description =
            json!({"commands": [{"name": "ask", "requires": ["elicitation", "roots"]}]});
        plugins.describing("one", &description, "touch \"$SMCP_PLUGIN_DIR/started\"");
        let running = plugins.start().complete().await;
        let fault = running
            .call("one__ask", json!({}))
            .await
            .expect_err("it is refused");
        let CallError::MissingCapability { missing, .. } = fault else {
            panic!("{fault}")
        };
        assert_eq!(missing, ["elicitation", "roots"]);
        assert!(!plugins.path().join("one/started").exists());
    });
}
