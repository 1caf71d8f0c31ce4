//! What a plugin says of itself, and what is made of it: its description, its parser, its help text, its names.

use serde_json::{Value, json};

use crate::catalog::{PRINT_WORDS, Plugins, live, words};

#[test]
fn a_description_that_breaks_the_contract_skips_its_plugin_alone_and_names_the_field() {
    live(async {
        let plugins = Plugins::new();
        let good = json!({"commands": [{"name": "run"}]});
        plugins.describing("good", &good, PRINT_WORDS);
        let cases = [
            (
                "a_type",
                json!({"commands": [{"name": "x", "parameters": [{"name": "n", "type": "str"}]}]}),
                "commands[0].parameters[0].type 'str' is not one of string, number, integer, boolean, array, object",
            ),
            ("b_list", json!([1]), "must be an object"),
            ("c_none", json!({"plugin": {}}), "commands is missing"),
            (
                "d_name",
                json!({"commands": [{"name": "bad name"}]}),
                "commands[0].name 'bad name'",
            ),
            (
                "e_dash",
                json!({"commands": [{"name": "-rf"}]}),
                "commands[0].name '-rf' must not begin with '-'",
            ),
            (
                "f_major",
                json!({"contract_version": "2.0", "commands": []}),
                "contract_version '2.0'",
            ),
            (
                "g_schema",
                json!({"commands": [{"name": "x", "input_schema": {"type": "object", "properties": {"a": {"type": "text"}}}}]}),
                "commands[0].input_schema is no valid JSON Schema",
            ),
            (
                "h_remote",
                json!({"commands": [{"name": "x", "input_schema": {"type": "object", "$ref": "http://127.0.0.1:9/s.json"}}]}),
                "commands[0].input_schema is no valid JSON Schema",
            ),
            (
                "i_keyword",
                json!({"commands": [{"name": "x", "parameters": [{"name": "a", "type": "string"}, {"name": "n", "type": "string", "minLength": "("}]}]}),
                "commands[0].parameters[1] ('n') is no valid JSON Schema",
            ),
            ("j_empty", json!({"commands": []}), "has no commands"),
            (
                "k_header",
                json!({"commands": [{"name": "x", "parameters": [{"name": "n", "type": "number", "x-mcp-header": "N"}]}]}),
                "x-mcp-header",
            ),
        ];
        for (name, description, _) in &cases {
            plugins.describing(name, description, "");
        }
        let running = plugins.start().complete().await;
        assert_eq!(running.names(), ["good__run"]);
        for (name, _, expected) in cases {
            let reason = running.skipped(name);
            assert!(reason.contains(expected), "{name}: {reason}");
        }
    });
}

#[test]
fn names_that_clients_would_confuse_are_served_by_nobody() {
    live(async {
        let plugins = Plugins::new();
        let named = |names: &[&str]| json!({"commands": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        let long = "l".repeat(60);
        plugins
        .describing("x", &named(&["y__z", "alone"]), PRINT_WORDS)
        .describing("x__y", &named(&["z"]), PRINT_WORDS)
        .describing("twice", &named(&["same", "same", "other"]), PRINT_WORDS)
        .describing("long", &named(&[&long, "short"]), PRINT_WORDS)
        .describing("sanctum", &named(&["tools"]), PRINT_WORDS)
        .describing("exact", &json!({"commands": [{"name": "a", "tool": "health"}, {"name": "b", "tool": "wo rse"}, {"name": "c", "tool": "same"}, {"name": "d", "tool": "same"}]}), "")
        .describing("spelled", &json!({"commands": [{"name": "a", "parameters": [{"name": "x_y"}, {"name": "x-y"}]}, {"name": "b"}]}), "");
        let running = plugins.start().complete().await;
        let served = [
            "long__short",
            "spelled__b",
            "twice__same",
            "twice__other",
            "x__alone",
        ];
        assert_eq!(running.names(), served);
        for (name, expected) in [
            ("x__y__z", "the plugins x, x__y claim this tool name"),
            (&format!("long__{long}"), "66 characters"),
            ("sanctum__tools", "built-in"),
            ("health", "built-in"),
            ("wo rse", "characters other than"),
            ("same", "2 commands of the plugin exact"),
            ("spelled__a", "'x_y' and 'x-y'"),
        ] {
            assert!(
                running.skipped(name).contains(expected),
                "{name}: {}",
                running.skipped(name)
            );
        }
        let again = plugins.start().complete().await;
        assert_eq!(again.snapshot().skipped, running.snapshot().skipped);
    });
}

#[test]
fn a_log_line_before_the_description_is_passed_over_with_a_warning() {
    live(async {
        let plugins = Plugins::new();
        plugins.shell("chatty", "echo '{\"level\":\"info\"}'; echo loading; echo '{\"commands\":[{\"name\":\"run\",'; echo '\"description\":\"\\u001b[31mRuns\\u001b[0m\"}]}'; echo done");
        let running = plugins.start().complete().await;
        let snapshot = running.snapshot();
        assert_eq!(running.names(), ["chatty__run"]);
        assert!(
            snapshot.plugins[0].warnings[0].contains("print logs to stderr"),
            "{:?}",
            snapshot.plugins
        );
        let definition: Value =
            serde_json::from_str(snapshot.tools[0].definition.get()).expect("it is JSON");
        assert_eq!(definition["description"], "Runs");
    });
}

#[test]
fn a_program_that_never_heard_of_describe_is_read_by_its_parser() {
    live(async {
        let plugins = Plugins::new();
        plugins.python(
            "greet",
            "import argparse, sys\n\
         parser = argparse.ArgumentParser()\n\
         commands = parser.add_subparsers(required=True)\n\
         hello = commands.add_parser('hello', help='Greets')\n\
         hello.add_argument('--name', required=True)\n\
         hello.add_argument('--times', type=int, default=1)\n\
         hello.add_argument('--tag', nargs='+')\n\
         hello.add_argument('rest', nargs='*')\n\
         given = parser.parse_args()\n\
         print(vars(given))\n",
        );
        let running = plugins.start().complete().await;
        let snapshot = running.snapshot();
        assert_eq!(running.names(), ["greet__hello"], "{:?}", snapshot.skipped);
        assert_eq!(snapshot.plugins[0].source, "introspection");
        let arguments =
            json!({"name": "--help", "times": 2.0, "tag": ["a", "b"], "rest": ["--name", "x"]});
        let printed = running.text("greet__hello", arguments).await;
        assert_eq!(
            printed,
            "{'name': '--help', 'times': 2, 'tag': ['a', 'b'], 'rest': ['--name', 'x']}"
        );
    });
}

#[test]
fn a_program_with_nothing_but_a_help_text_has_open_commands() {
    live(async {
        let plugins = Plugins::new();
        plugins.shell(
        "old",
        "case \"$1\" in --help) printf 'Usage: old\\n\\nAvailable commands:\\n  list    Lists\\n  show    Shows\\n';; --*) exit 2;; *) printf '%s\\n' \"$@\";; esac",
    );
        let running = plugins.start().complete().await;
        assert_eq!(
            running.names(),
            ["old__list", "old__show"],
            "{:?}",
            running.snapshot().skipped
        );
        assert_eq!(running.snapshot().plugins[0].source, "help");
        let printed = running
            .text(
                "old__list",
                json!({"max_size": 3, "all": true, "name": ["a", "b"]}),
            )
            .await;
        assert_eq!(
            words(&printed),
            [
                "list",
                "--max-size",
                "3",
                "--all",
                "true",
                "--name",
                "a",
                "--name",
                "b"
            ]
        );
        for name in ["-help", "=x", "a b", "", "ü", "x\n"] {
            let fault = running
                .call("old__list", json!({name: "v"}))
                .await
                .expect_err("it is no option");
            assert_eq!(fault.code(), "invalid_arguments", "{name:?}");
        }
    });
}
