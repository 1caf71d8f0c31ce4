//! Descriptions of contract 1.0, as version 3 of SMCP took them.

use serde_json::{Value, json};

use crate::catalog::{PRINT_WORDS, Plugins, live, words};

fn described(members: Value) -> Value {
    let mut entry = json!({"name": "go", "description": "d"});
    let into = entry.as_object_mut().expect("an object");
    into.extend(members.as_object().expect("an object").clone());
    json!({"contract_version": "1.0", "commands": [entry]})
}

fn with_parameter(members: Value) -> Value {
    let mut entry = json!({"name": "s", "type": "string", "description": "s"});
    let into = entry.as_object_mut().expect("an object");
    into.extend(members.as_object().expect("an object").clone());
    described(json!({"parameters": [entry]}))
}

#[test]
fn what_only_later_versions_know_neither_skips_a_plugin_nor_changes_how_it_is_run() {
    live(async {
        let s = || json!({"parameters": [{"name": "s", "type": "string", "description": "s"}]});
        let command = |member: &str, value: Value| {
            let mut members = s();
            members[member] = value;
            (format!("c_{member}"), described(members), member.to_owned())
        };
        let parameter = |member: &str, value: Value| {
            let name = format!("p_{}", member.replace('-', "_"));
            (
                name,
                with_parameter(json!({member: value})),
                member.to_owned(),
            )
        };
        let cases = [
            command("timeout", json!("30s")),
            command("max_concurrency", json!(0)),
            command("output", json!("JSON")),
            command("output_schema", json!([])),
            command("input_schema", json!("x")),
            command("input", json!("stdin")),
            command("requires", json!(["network"])),
            command("tool", json!("renamed")),
            command("invoke", json!(["other"])),
            command("one_of", json!(5)),
            command("annotations", json!([])),
            command("icons", json!("x")),
            command("refuse_words", json!(["ZZ"])),
            parameter("arg_style", json!("positional")),
            parameter("env", json!("MY_VAR")),
            parameter("flag", json!("-s")),
            parameter("level", json!(7)),
            parameter("separator", json!("=")),
            parameter("items", json!("string")),
            parameter("pattern", json!("(")),
            parameter("enum", json!("a")),
            parameter("minLength", json!("1")),
            parameter("x-mcp-header", json!("S")),
        ];
        let plugins = Plugins::new();
        for (name, description, _) in &cases {
            plugins.describing(name, description, PRINT_WORDS);
        }
        let running = plugins.start().complete().await;
        assert_eq!(running.snapshot().skipped, [], "all are served");
        for (name, _, member) in cases {
            let snapshot = running.snapshot();
            let tool = snapshot.resolve(&format!("{name}__go"));
            let tool = tool.unwrap_or_else(|fault| panic!("{name}: {fault}"));
            assert_eq!(
                tool.input_schema["properties"],
                json!({"s": {"type": "string", "description": "s"}}),
                "{name}"
            );
            let printed = running
                .text(&format!("{name}__go"), json!({"s": "ZZ"}))
                .await;
            assert_eq!(words(&printed), ["go", "--s", "ZZ"], "{name}");
            let plugin = snapshot.plugins.iter().find(|plugin| plugin.name == name);
            let warnings = &plugin.expect("it is served").warnings;
            assert!(
                warnings.len() == 1 && warnings[0].contains(&member),
                "{name}: {warnings:?}"
            );
        }
    });
}

#[test]
fn keywords_that_are_well_formed_are_shown_and_hold_nothing_back() {
    live(async {
        let plugins = Plugins::new();
        plugins
            .describing(
                "listed",
                &with_parameter(json!({"enum": ["a"]})),
                PRINT_WORDS,
            )
            .describing(
                "matched",
                &with_parameter(json!({"pattern": "^a$"})),
                PRINT_WORDS,
            )
            .describing(
                "contrary",
                &with_parameter(json!({"$ref": "#/$defs/missing"})),
                PRINT_WORDS,
            )
            .describing(
                "newer",
                &json!({"contract_version": "1.1", "commands": [
                    {"name": "go", "parameters": [{"name": "s", "enum": ["a"]}]}]}),
                PRINT_WORDS,
            );
        let running = plugins.start().complete().await;
        assert_eq!(running.snapshot().skipped, []);
        for (name, keyword) in [
            ("listed", json!({"enum": ["a"]})),
            ("matched", json!({"pattern": "^a$"})),
            ("contrary", json!({})),
        ] {
            let tool = format!("{name}__go");
            let mut expected = json!({"type": "string", "description": "s"});
            let into = expected.as_object_mut().expect("an object");
            into.extend(keyword.as_object().expect("an object").clone());
            let snapshot = running.snapshot();
            let known = snapshot.resolve(&tool).expect("it is served");
            assert_eq!(known.input_schema["properties"]["s"], expected, "{name}");
            let printed = running.text(&tool, json!({"s": "ZZ"})).await;
            assert_eq!(words(&printed), ["go", "--s", "ZZ"], "{name}");
            let fault = running.call(&tool, json!({"other": "ZZ"})).await;
            assert_eq!(fault.expect_err("undeclared").code(), "invalid_arguments");
        }
        let fault = running.call("newer__go", json!({"s": "ZZ"})).await;
        assert_eq!(
            fault.expect_err("version 1.1 means it").code(),
            "invalid_arguments"
        );
    });
}

#[test]
fn odd_descriptions_that_version_3_served_are_served() {
    live(async {
        let plugins = Plugins::new();
        let named = |name: &str| json!({"name": name, "type": "string"});
        plugins
            .describing("twice", &json!({"commands": [
                {"name": "go", "description": "first"}, {"name": "go", "description": "second"}, {"name": "other"}]}), PRINT_WORDS)
            .describing("nulls", &json!({"contract_version": null, "plugin": null, "commands": [
                {"name": "go", "description": null, "parameters": null}]}), PRINT_WORDS)
            .describing("names", &described(json!({"parameters": [named("two words"), named("a=b"), named("ünï")]})), PRINT_WORDS)
            .describing("repeated", &described(json!({"parameters": [
                {"name": "a", "type": "string", "required": true}, named("b"), {"name": "a", "type": "integer"}]})), PRINT_WORDS)
            .describing("minor", &json!({"contract_version": "1.x", "commands": [{"name": "go"}]}), PRINT_WORDS)
            .describing("switches", &described(json!({"parameters": [
                {"name": "on", "type": "boolean", "action": " Store_True "},
                {"name": "off", "type": "boolean", "action": "store_false", "arg_style": "value"},
                {"name": "bare", "type": "boolean", "arg_style": "FLAG"},
                {"name": "said", "type": "boolean", "arg_style": "value", "takes_value": false},
                {"name": "plain", "type": "boolean", "takes_value": "no"}]})), PRINT_WORDS);
        let running = plugins.start().complete().await;
        assert_eq!(running.snapshot().skipped, []);
        let snapshot = running.snapshot();
        let schema = |name: &str| {
            let tool = snapshot.resolve(name).expect("it is served");
            tool.input_schema.clone()
        };
        let twice = snapshot.resolve("twice__go").expect("it is served");
        assert!(twice.definition.get().contains("first"), "{twice:?}");
        assert!(running.names().contains(&"twice__other".to_owned()));
        let repeated = schema("repeated__go");
        assert_eq!(
            (&repeated["properties"]["a"]["type"], &repeated["required"]),
            (&json!("integer"), &json!(["a"]))
        );
        let warned = |name: &str| {
            let plugin = snapshot.plugins.iter().find(|plugin| plugin.name == name);
            plugin.expect("it is served").warnings.join("; ")
        };
        assert!(
            warned("twice").contains("commands[1].name 'go' is there already; the first is served")
        );
        assert!(
            warned("repeated").contains("'a' twice"),
            "{}",
            warned("repeated")
        );
        assert_eq!(warned("nulls"), "");
        for (tool, arguments, expected) in [
            (
                "names__go",
                json!({"two words": "1", "a=b": "2", "ünï": "3"}),
                vec!["go", "--two words", "1", "--a=b", "2", "--ünï", "3"],
            ),
            (
                "switches__go",
                json!({"on": true, "off": true, "bare": true, "said": true, "plain": true}),
                vec![
                    "go", "--on", "--off", "--bare", "--said", "true", "--plain", "true",
                ],
            ),
            (
                "switches__go",
                json!({"on": false, "off": false, "bare": false, "said": false, "plain": false}),
                vec!["go", "--said", "false", "--plain", "false"],
            ),
        ] {
            let printed = running.text(tool, arguments).await;
            assert_eq!(words(&printed), expected, "{tool}");
        }
    });
}

#[test]
fn json_that_is_no_description_leads_to_the_next_question() {
    live(async {
        let plugins = Plugins::new();
        let answers = "case \"$1\" in --help) printf 'Available commands:\\n  list  Lists\\n' ;; *) echo '{\"error\": \"unknown\"}' ;; esac";
        plugins.shell("old", answers);
        let running = plugins.start().complete().await;
        assert_eq!(
            running.names(),
            ["old__list"],
            "{:?}",
            running.snapshot().skipped
        );
        let plugin = &running.snapshot().plugins[0];
        assert_eq!(plugin.source, "help");
        assert!(
            plugin.warnings[0].contains("commands is missing"),
            "{plugin:?}"
        );
    });
}
