//! Commands that serve something other than a tool: resources, prompts, completions.

use std::path::Path;

use serde_json::{Value, json};
use smcp::catalog::{Printed, Reference, Unreadable};

use crate::catalog::{Plugins, Running, live, raw, settings};

/// The plugins of the conformance suite, which offer all that there is beside tools.
async fn offered() -> Running {
    let conformance = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/plugins");
    let running = Running::of(settings(Some(conformance))).complete().await;
    assert_eq!(running.snapshot().skipped, []);
    running
}

#[test]
fn a_resource_is_read_by_its_address_or_by_a_template_of_it() {
    live(async {
        let running = offered().await;
        let snapshot = running.snapshot();
        let read = async |uri: &str| {
            let readable = snapshot.resource(uri).expect("it is offered");
            let printed = running
                .serve(&readable.offering, Some(readable.arguments))
                .await
                .expect("it is read");
            (readable.offering.mime_type.clone(), printed)
        };
        let (mime_type, printed) = read("test://static-text").await;
        assert_eq!(mime_type.as_deref(), Some("text/plain"));
        assert!(matches!(printed, Printed::Text(text) if text.starts_with("This is the content")));
        let (_, printed) = read("test://static-binary").await;
        assert!(matches!(printed, Printed::Result(json) if json.get().contains("\"blob\"")));
        let (_, printed) = read("test://template/42/data").await;
        assert!(matches!(printed, Printed::Text(text) if text.contains("\"id\": \"42\"")));
        let unknown = snapshot
            .resource("test://nowhere")
            .expect_err("nobody does");
        assert_eq!(unknown, Unreadable::Unknown);
    });
}

#[test]
fn a_prompt_is_written_with_its_arguments_and_none_may_be_missing() {
    live(async {
        let running = offered().await;
        let prompt = running.snapshot().prompt("test_prompt_with_arguments");
        let prompt = prompt.expect("it is offered");
        let given = raw(&json!({"arg1": "one", "arg2": "-two"}));
        let printed = running.serve(&prompt, Some(given)).await;
        assert!(
            matches!(printed, Ok(Printed::Text(text)) if text == "Prompt with arguments: arg1='one', arg2='-two'\n")
        );
        let given = raw(&json!({"arg1": "one"}));
        let fault = running.serve(&prompt, Some(given)).await;
        let fault = fault.expect_err("arg2 is missing");
        assert!(fault.to_string().contains("'arg2' is missing"), "{fault}");
        assert_eq!(fault.code(), "invalid_arguments");
    });
}

#[test]
fn the_white_space_of_a_resource_and_of_a_prompt_is_kept() {
    live(async {
        let plugins = Plugins::new();
        let description = json!({
            "commands": [],
            "resources": [{"uri": "file:///makefile", "name": "makefile", "command": "read"}],
            "prompts": [{"name": "indented", "command": "read"}],
        });
        plugins.describing("spaced", &description, r"printf '\tall:\n\n'");
        let running = plugins.start().complete().await;
        let snapshot = running.snapshot();
        let read = snapshot
            .resource("file:///makefile")
            .expect("it is offered");
        let prompt = snapshot.prompt("indented").expect("it is offered");
        for (offering, arguments) in [(read.offering, Some(read.arguments)), (prompt, None)] {
            let printed = running.serve(&offering, arguments).await;
            assert!(
                matches!(&printed, Ok(Printed::Text(text)) if text == "\tall:\n\n"),
                "{}: {printed:?}",
                offering.key
            );
        }
    });
}

#[test]
fn an_argument_of_a_prompt_is_completed() {
    live(async {
        let running = offered().await;
        let reference = Reference::Prompt("test_prompt_with_arguments".to_owned());
        let completion = running.snapshot().completion(&reference, "arg1");
        let completion = completion.expect("it is offered");
        let given = raw(&json!({"argument": "arg1", "value": "par"}));
        let printed = running.serve(&completion, Some(given)).await;
        let Ok(Printed::Result(json)) = printed else {
            panic!("{printed:?}")
        };
        let result: Value = serde_json::from_str(json.get()).expect("it is JSON");
        let values = &result["completion"]["values"];
        assert_eq!(*values, json!(["paris", "park", "party"]));
    });
}
