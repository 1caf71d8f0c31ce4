//! What a call gives its program: arguments, environment, standard input.

use serde_json::json;
use smcp::call::types::{CallRequest, Caller};

use crate::catalog::{Plugins, live, request, text, words};

#[test]
fn arguments_that_do_not_fit_start_nothing_and_every_fault_is_named() {
    live(async {
        let plugins = Plugins::new();
        let description = json!({"commands": [{"name": "run", "parameters": [
            {"name": "size", "type": "integer", "required": true, "minimum": 1},
            {"name": "kind", "type": "string", "enum": ["a", "b"]},
        ]}]});
        plugins.describing("one", &description, "touch \"$SMCP_PLUGIN_DIR/started\"");
        let running = plugins.start().complete().await;
        let cases = [
            (json!({}), "'size' is missing"),
            (json!({"size": "many"}), "'size': \"many\" is not of type"),
            (
                json!({"size": 0}),
                "'size': 0 is less than the minimum of 1",
            ),
            (
                json!({"size": 1, "kind": "c"}),
                "'kind': \"c\" is not one of",
            ),
            (
                json!({"size": 1, "color": "red"}),
                "'color' is not an argument; there is: size, kind",
            ),
            (
                json!({"size": 1, "-help": true}),
                "'-help' is not an argument",
            ),
            (json!({"size": 1.5}), "'size' must be an integer, not 1.5"),
            (json!({"size": 1, "kind": "a\u{0}"}), "not one of"),
        ];
        for (arguments, expected) in cases {
            let fault = running
                .call("one__run", arguments.clone())
                .await
                .expect_err("it does not fit");
            assert_eq!(fault.code(), "invalid_arguments", "{arguments}");
            assert!(fault.to_string().contains(expected), "{arguments}: {fault}");
        }
        let both = running
            .call("one__run", json!({"kind": 7, "x": 1}))
            .await
            .expect_err("it does not fit")
            .to_string();
        assert!(
            both.contains("'size' is missing") && both.contains("'x'") && both.contains("'kind'"),
            "{both}"
        );
        assert!(!plugins.path().join("one/started").exists());
    });
}

#[test]
fn a_call_finds_who_calls_in_its_environment_and_its_arguments_where_they_belong() {
    live(async {
        let plugins = Plugins::new();
        let description = json!({"commands": [
            {"name": "variables", "parameters": [{"name": "secret", "type": "string", "env": "GIVEN_SECRET"}]},
            {"name": "object", "input": "stdin", "parameters": [
                {"name": "count", "type": "integer"}, {"name": "list", "type": "array"}, {"name": "hidden", "env": "HIDDEN"},
            ]},
        ]});
        plugins.describing(
            "one",
            &description,
            "case \"$1\" in object) cat; echo \"$HIDDEN\";; *) env; echo \"words=$*\";; esac",
        );
        let running = plugins.start().complete().await;
        let caller = Caller {
            call_id: "call-9".to_owned(),
            session_id: "session-1".to_owned(),
            agent_id: Some("agent-1".to_owned()),
            client: "{\"name\":\"test\"}".to_owned(),
            environment: vec![("LETTA_TOKEN".to_owned(), "from letta".to_owned())],
            ..Caller::default()
        };
        let request = CallRequest {
            caller,
            ..request(json!({"secret": "--never seen in argv"}))
        };
        let printed = text(
            &running
                .call_as("one__variables", request)
                .await
                .expect("it runs"),
        );
        for line in [
            "SMCP_CALL_ID=call-9",
            "SMCP_SESSION_ID=session-1",
            "SMCP_AGENT_ID=agent-1",
            "SMCP_CLIENT={\"name\":\"test\"}",
            "SMCP_TOOL=one__variables",
            "SMCP_EVENTS=3",
            "PYTHONUNBUFFERED=1",
            "PYTHONIOENCODING=utf-8",
            "LETTA_TOKEN=from letta",
            "GIVEN_SECRET=--never seen in argv",
            "words=variables",
        ] {
            assert!(
                words(&printed).contains(&line),
                "{line} is not in {printed}"
            );
        }
        let printed = running
            .text(
                "one__object",
                json!({"count": "5", "list": {"item": "x"}, "hidden": "h"}),
            )
            .await;
        let mut lines = printed.splitn(2, '}');
        assert_eq!(lines.next(), Some("{\"count\":5,\"list\":[\"x\"]"));
        assert_eq!(lines.next(), Some("h"));
    });
}

#[test]
fn what_the_system_cannot_pass_to_a_program_is_refused() {
    live(async {
        let plugins = Plugins::new();
        let description = json!({"commands": [{"name": "run", "parameters": [
            {"name": "text", "type": "string"}, {"name": "list", "type": "array"},
        ]}]});
        plugins.describing("one", &description, "echo \"${#2}\"");
        let running = plugins.start().complete().await;
        let longest = 131_071;
        assert_eq!(
            running
                .text("one__run", json!({"text": "x".repeat(longest)}))
                .await,
            "6"
        );
        let cases = [
            (
                json!({"text": "x".repeat(longest + 1)}),
                "arguments_too_large",
            ),
            (
                json!({"list": vec!["x".repeat(100_000); 60]}),
                "arguments_too_large",
            ),
            (json!({"text": "a\u{0}b"}), "invalid_arguments"),
        ];
        for (arguments, code) in cases {
            let fault = running
                .call("one__run", arguments)
                .await
                .expect_err("it is refused");
            assert_eq!(fault.code(), code, "{fault}");
        }
    });
}
