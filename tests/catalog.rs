//! Claims about the plugin floor as a whole: real programs found, asked, called and ended.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Value, json};
use smcp::call::types::{CallError, CallRequest, Caller, Event, ToolResult};
use smcp::catalog::{Catalog, Offering, Printed, Reference, Settings, Snapshot};
use smcp::process::Launcher;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// The one runtime and the one launcher of this process: a launcher takes every child that it did not start
/// itself for an orphan.
static LAUNCHER: LazyLock<(Runtime, Launcher)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("there are threads");
    let _inside = runtime.enter();
    let launcher = Launcher::with_supervisor(env!("CARGO_BIN_EXE_smcp")).expect("a sub-reaper");
    (runtime, launcher)
});

fn live(test: impl Future<Output = ()>) {
    LAUNCHER.0.block_on(test);
}

/// A plugins directory of one test.
struct Plugins(tempfile::TempDir);

impl Plugins {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room"))
    }

    fn python(&self, name: &str, source: &str) -> &Self {
        self.write(&format!("{name}/cli.py"), source, 0o644)
    }

    fn shell(&self, name: &str, script: &str) -> &Self {
        self.write(
            &format!("{name}/cli"),
            &format!("#!/bin/sh\n{script}"),
            0o755,
        )
    }

    /// A plugin whose `--describe` is `description`, and which runs `script` with its words else.
    fn describing(&self, name: &str, description: &Value, script: &str) -> &Self {
        self.write(
            &format!("{name}/description.json"),
            &description.to_string(),
            0o644,
        );
        self.shell(
            name,
            &format!("[ \"$1\" = --describe ] && exec cat \"$SMCP_PLUGIN_DIR/description.json\"\n{script}"),
        )
    }

    fn write(&self, path: &str, text: &str, mode: u32) -> &Self {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
        // A program that is being executed cannot be written to; its name can be given to another.
        let fresh = path.with_extension("fresh");
        std::fs::write(&fresh, text).expect("there is room");
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode))
            .expect("it is ours");
        std::fs::rename(&fresh, &path).expect("it is ours");
        self
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn start(&self) -> Running {
        Running::of(settings(Some(self.path().to_owned())))
    }
}

fn settings(directory: Option<PathBuf>) -> Settings {
    let variables = ["PATH", "HOME", "TMPDIR"]
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    Settings {
        directory,
        python: None,
        environment: variables.collect(),
        time_limit: Some(Duration::from_secs(60)),
        max_calls: 8,
        describe_limit: Duration::from_secs(50),
    }
}

/// A catalogue that is stopped with the test.
struct Running {
    catalog: Catalog,
    _stop: tokio_util::sync::DropGuard,
}

impl Running {
    fn of(settings: Settings) -> Self {
        let launcher = LAUNCHER.1.clone();
        let stop = CancellationToken::new();
        let catalog = Catalog::start(settings, launcher, stop.clone());
        Self {
            catalog,
            _stop: stop.drop_guard(),
        }
    }

    async fn complete(self) -> Self {
        let waited = tokio::time::timeout(Duration::from_secs(120), self.catalog.complete()).await;
        waited.expect("all plugins have answered within two minutes");
        self
    }

    fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.snapshot()
    }

    fn names(&self) -> Vec<String> {
        self.snapshot()
            .tools
            .iter()
            .map(|tool| tool.name.clone())
            .collect()
    }

    fn skipped(&self, name: &str) -> String {
        let snapshot = self.snapshot();
        let found = snapshot.skipped.iter().find(|skipped| skipped.name == name);
        found
            .unwrap_or_else(|| panic!("{name} is not skipped: {:?}", snapshot.skipped))
            .reason
            .clone()
    }

    async fn call(&self, tool: &str, arguments: Value) -> Result<ToolResult, CallError> {
        self.call_as(tool, request(arguments)).await
    }

    async fn call_as(&self, tool: &str, request: CallRequest) -> Result<ToolResult, CallError> {
        let tool = self.snapshot().resolve(tool)?;
        let called =
            tokio::time::timeout(Duration::from_secs(60), self.catalog.call(&tool, request)).await;
        called.expect("a call ends within a minute")
    }

    async fn text(&self, tool: &str, arguments: Value) -> String {
        text(
            &self
                .call(tool, arguments)
                .await
                .unwrap_or_else(|fault| panic!("{tool} failed: {fault}")),
        )
    }

    async fn serve(
        &self,
        offering: &Arc<Offering>,
        arguments: Option<Box<RawValue>>,
    ) -> Result<Printed, CallError> {
        self.catalog
            .serve(
                offering,
                CallRequest {
                    arguments,
                    ..request(json!({}))
                },
            )
            .await
    }
}

fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("it is JSON")
}

fn request(arguments: Value) -> CallRequest {
    CallRequest {
        arguments: Some(raw(&arguments)),
        caller: Caller {
            call_id: "call-1".to_owned(),
            client: "{}".to_owned(),
            ..Caller::default()
        },
        cancel: CancellationToken::new(),
        events: None,
    }
}

fn text(result: &ToolResult) -> String {
    let content: Value = serde_json::from_str(result.content.get()).expect("it is JSON");
    content[0]["text"]
        .as_str()
        .expect("it begins with a text")
        .to_owned()
}

fn words(printed: &str) -> Vec<&str> {
    printed.lines().collect()
}

/// Prints the words it was started with, one a line.
const PRINT_WORDS: &str = "printf '%s\\n' \"$@\"";

#[test]
fn without_a_directory_the_demo_plugins_are_served() {
    live(async {
        let running = Running::of(settings(None)).complete().await;
        let expected = [
            "demo_math__calculate",
            "demo_math__format_bytes",
            "demo_math__coin_flip",
            "demo_text__echo",
            "demo_text__word_count",
            "demo_text__slugify",
            "demo_text__hash_preview",
        ];
        assert_eq!(running.names(), expected);
        assert_eq!(running.snapshot().skipped, []);
        let sum = running
            .text(
                "demo_math__calculate",
                json!({"operation": "add", "a": 2, "b": 3}),
            )
            .await;
        let sum: Value = serde_json::from_str(&sum).expect("it is JSON");
        assert_eq!(
            sum,
            json!({"ok": true, "operation": "add", "a": 2.0, "b": 3.0, "result": 5.0})
        );
        let echo = running
            .text(
                "demo_text__echo",
                json!({"message": "--help", "prefix": "-x"}),
            )
            .await;
        assert_eq!(
            serde_json::from_str::<Value>(&echo).expect("it is JSON")["output"],
            "-x: --help"
        );
    });
}

#[test]
fn a_program_that_reports_an_error_fails_with_it() {
    live(async {
        let running = Running::of(settings(None)).complete().await;
        let arguments = json!({"operation": "divide", "a": 1, "b": 0});
        let fault = running
            .call("demo_math__calculate", arguments)
            .await
            .expect_err("it cannot be divided");
        assert_eq!(
            (fault.code(), fault.to_string().as_str()),
            ("plugin_error", "division_by_zero")
        );
    });
}

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
                "i_pattern",
                json!({"commands": [{"name": "x", "parameters": [{"name": "a", "type": "string"}, {"name": "n", "type": "string", "pattern": "("}]}]}),
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
        .describing("exact", &json!({"commands": [{"name": "a", "tool": "health"}, {"name": "b", "tool": "wo rse"}]}), "")
        .describing("spelled", &json!({"commands": [{"name": "a", "parameters": [{"name": "x_y"}, {"name": "x-y"}]}, {"name": "b"}]}), "");
        let running = plugins.start().complete().await;
        let served = ["long__short", "spelled__b", "twice__other", "x__alone"];
        assert_eq!(running.names(), served);
        for (name, expected) in [
            ("x__y__z", "the plugins x, x__y claim this tool name"),
            ("twice__same", "2 commands of the plugin twice"),
            (&format!("long__{long}"), "66 characters"),
            ("sanctum__tools", "built-in"),
            ("health", "built-in"),
            ("wo rse", "characters other than"),
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
fn a_plugin_that_hangs_or_floods_is_skipped_and_the_others_do_not_wait_for_it() {
    live(async {
        let plugins = Plugins::new();
        plugins
            .shell("hangs", "exec sleep 1000")
            .shell("floods", "exec yes '{\"commands\":'");
        plugins
            .shell("dies", "kill -SEGV $$")
            .shell("silent", "exit 0");
        for index in 0..6 {
            plugins.describing(
                &format!("good_{index}"),
                &json!({"commands": [{"name": "run"}]}),
                PRINT_WORDS,
            );
        }
        let running = Running::of(Settings {
            describe_limit: Duration::from_secs(12),
            ..settings(Some(plugins.path().to_owned()))
        });
        let mut changes = running.catalog.changes();
        while running.snapshot().tools.len() < 6 {
            changes.changed().await.expect("the catalogue lives");
        }
        assert!(
            !running.snapshot().complete,
            "a plugin that hangs is still being asked"
        );
        let running = running.complete().await;
        for (name, expected) in [
            ("hangs", "--describe had no answer within 12 s"),
            ("floods", "--describe printed more than 4194304 bytes"),
            ("dies", "--describe was ended by signal 11"),
            ("silent", "--describe printed no JSON"),
        ] {
            assert!(
                running.skipped(name).contains(expected),
                "{name}: {}",
                running.skipped(name)
            );
        }
    });
}

#[test]
fn many_plugins_that_hang_hold_up_none_that_answers() {
    live(async {
        let plugins = Plugins::new();
        for index in 0..20 {
            plugins.shell(&format!("a_hangs_{index:02}"), "exec sleep 1000");
            plugins.describing(
                &format!("b_good_{index:02}"),
                &json!({"commands": [{"name": "run"}]}),
                "",
            );
        }
        let limit = Duration::from_secs(25);
        let running = Running::of(Settings {
            describe_limit: limit,
            ..settings(Some(plugins.path().to_owned()))
        });
        let mut changes = running.catalog.changes();
        let all_good = async {
            while running.snapshot().tools.len() < 20 {
                changes.changed().await.expect("the catalogue lives");
            }
        };
        tokio::time::timeout(limit, all_good)
            .await
            .expect("before the first of those that hang is given up");
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

#[test]
fn older_spellings_of_a_name_are_understood_and_others_refused_with_their_code() {
    live(async {
        let plugins = Plugins::new();
        let described = |names: &[&str]| json!({"commands": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
        plugins
            .describing("a", &described(&["b_c", "d"]), "")
            .describing("a_b", &described(&["c"]), "");
        let running = plugins.start().complete().await;
        let snapshot = running.snapshot();
        for (name, expected) in [
            ("a__d", "a__d"),
            ("a.d", "a__d"),
            ("a_d", "a__d"),
            ("a_b.c", "a_b__c"),
            ("a.b_c", "a__b_c"),
        ] {
            assert_eq!(
                snapshot.resolve(name).expect("it is known").name,
                expected,
                "{name}"
            );
        }
        for (name, code) in [
            ("a_b_c", "invalid_tool_name"),
            ("nonsense", "invalid_tool_name"),
            ("", "invalid_tool_name"),
            ("__", "invalid_tool_name"),
            ("nobody__run", "plugin_not_found"),
            ("nobody.run", "plugin_not_found"),
            ("a__missing", "command_not_found"),
            ("a.missing", "command_not_found"),
        ] {
            assert_eq!(
                snapshot.resolve(name).expect_err("it is unknown").code(),
                code,
                "{name}"
            );
        }
        let fault = snapshot
            .resolve("a__missing")
            .expect_err("it is unknown")
            .to_string();
        assert!(fault.contains("b_c, d"), "{fault}");
    });
}

#[test]
fn a_plugin_that_changed_is_asked_again_and_a_call_finds_the_new_tools() {
    live(async {
        let plugins = Plugins::new();
        plugins.describing("one", &json!({"commands": [{"name": "old"}]}), PRINT_WORDS);
        plugins.describing(
            "two",
            &json!({"commands": [{"name": "stays"}]}),
            PRINT_WORDS,
        );
        let running = plugins.start().complete().await;
        let mut changes = running.catalog.changes();
        changes.mark_unchanged();
        running.catalog.reload();
        running.catalog.reloaded().await;
        assert!(
            !changes.has_changed().expect("the catalogue lives"),
            "nothing is new"
        );
        plugins.describing("one", &json!({"commands": [{"name": "new"}]}), PRINT_WORDS);
        std::fs::remove_dir_all(plugins.path().join("two")).expect("it is ours");
        plugins.describing(
            "three",
            &json!({"commands": [{"name": "fresh"}]}),
            PRINT_WORDS,
        );
        running.catalog.reload();
        running.catalog.reloaded().await;
        assert!(changes.has_changed().expect("the catalogue lives"));
        assert_eq!(running.names(), ["one__new", "three__fresh"]);
        assert_eq!(running.text("one__new", json!({})).await, "new");
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
fn a_run_ends_with_its_time_and_says_what_it_had_printed() {
    live(async {
        let plugins = Plugins::new();
        let description = json!({"commands": [{"name": "slow", "timeout": 0.5}]});
        plugins.describing("one", &description, "echo begun; exec sleep 1000");
        let running = plugins.start().complete().await;
        let fault = running
            .call("one__slow", json!({}))
            .await
            .expect_err("it is ended");
        assert_eq!(fault.code(), "timeout");
        assert!(fault.to_string().contains("begun"), "{fault}");
        assert_eq!(running.catalog.load(), (0, 0));
    });
}

#[test]
fn a_cancelled_call_is_over_whether_it_runs_or_waits() {
    live(async {
        let plugins = Plugins::new();
        plugins.describing(
            "one",
            &json!({"commands": [{"name": "slow"}]}),
            "exec sleep 1000",
        );
        let running = Arc::new(
            Running::of(Settings {
                max_calls: 1,
                ..settings(Some(plugins.path().to_owned()))
            })
            .complete()
            .await,
        );
        let (runs, waits) = (CancellationToken::new(), CancellationToken::new());
        let start = |cancel: CancellationToken| {
            let running = Arc::clone(&running);
            tokio::spawn(async move {
                running
                    .call_as(
                        "one__slow",
                        CallRequest {
                            cancel,
                            ..request(json!({}))
                        },
                    )
                    .await
            })
        };
        let first = start(runs.clone());
        until("the first runs", || running.catalog.load() == (1, 0)).await;
        let second = start(waits.clone());
        until("the second waits", || running.catalog.load() == (1, 1)).await;
        waits.cancel();
        assert_eq!(
            second.await.expect("no panic").expect_err("it never ran"),
            CallError::Cancelled
        );
        assert_eq!(running.catalog.load(), (1, 0));
        runs.cancel();
        assert_eq!(
            first.await.expect("no panic").expect_err("it was ended"),
            CallError::Cancelled
        );
        assert_eq!(running.catalog.load(), (0, 0));
    });
}

#[test]
fn a_call_that_is_dropped_ends_its_program_and_gives_its_place_back() {
    live(async {
        let plugins = Plugins::new();
        plugins.describing(
            "one",
            &json!({"commands": [{"name": "slow"}]}),
            "echo $$ > \"$SMCP_PLUGIN_DIR/fresh\"; mv \"$SMCP_PLUGIN_DIR/fresh\" \"$SMCP_PLUGIN_DIR/pid\"; exec sleep 1000",
        );
        let running = plugins.start().complete().await;
        let pid = plugins.path().join("one/pid");
        let tool = running
            .snapshot()
            .resolve("one__slow")
            .expect("it is there");
        {
            let call = running.catalog.call(&tool, request(json!({})));
            tokio::select! {
                _ = call => panic!("it sleeps"),
                () = until("it runs", || pid.exists()) => {}
            }
        }
        assert_eq!(running.catalog.load(), (0, 0));
        let pid = std::fs::read_to_string(pid).expect("it is written whole");
        let process = Path::new("/proc").join(pid.trim());
        until("it is ended", || !process.exists()).await;
    });
}

#[test]
fn a_commands_own_limit_holds_up_its_own_calls_alone() {
    live(async {
        let plugins = Plugins::new();
        let description =
            json!({"commands": [{"name": "one", "max_concurrency": 1}, {"name": "free"}]});
        plugins.describing("p", &description, "[ \"$1\" = free ] && exit; mkdir \"$SMCP_PLUGIN_DIR/busy\" || exit 1; sleep 0.2; rmdir \"$SMCP_PLUGIN_DIR/busy\"");
        let running = plugins.start().complete().await;
        let calls = (0..4).map(|_| running.call("p__one", json!({})));
        let (limited, free) = tokio::join!(
            futures_util::future::join_all(calls),
            running.call("p__free", json!({}))
        );
        assert!(limited.iter().all(Result::is_ok), "{limited:?}");
        assert!(free.is_ok());
    });
}

#[test]
fn more_calls_than_places_to_run_and_to_wait_are_refused() {
    live(async {
        let plugins = Plugins::new();
        plugins.describing(
            "one",
            &json!({"commands": [{"name": "slow"}]}),
            "exec sleep 1000",
        );
        let running = Arc::new(
            Running::of(Settings {
                max_calls: 1,
                ..settings(Some(plugins.path().to_owned()))
            })
            .complete()
            .await,
        );
        let stop = CancellationToken::new();
        let calls: Vec<_> = (0..257)
            .map(|_| {
                let (running, cancel) = (Arc::clone(&running), stop.clone());
                let caller = Caller {
                    session_id: "busy".to_owned(),
                    ..Caller::default()
                };
                tokio::spawn(async move {
                    running
                        .call_as(
                            "one__slow",
                            CallRequest {
                                cancel,
                                caller,
                                ..request(json!({}))
                            },
                        )
                        .await
                })
            })
            .collect();
        until("all wait", || running.catalog.load() == (1, 256)).await;
        let caller = Caller {
            session_id: "busy".to_owned(),
            ..Caller::default()
        };
        let fault = running
            .call_as(
                "one__slow",
                CallRequest {
                    caller,
                    ..request(json!({}))
                },
            )
            .await
            .expect_err("no place");
        assert_eq!(fault.code(), "overloaded");
        stop.cancel();
        for call in calls {
            assert_eq!(
                call.await.expect("no panic").expect_err("it is cancelled"),
                CallError::Cancelled
            );
        }
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

#[test]
fn a_program_that_is_gone_or_was_replaced_fails_cleanly() {
    live(async {
        let plugins = Plugins::new();
        let description = json!({"commands": [{"name": "run"}]});
        plugins
            .describing("gone", &description, "")
            .describing("broken", &description, "");
        let running = plugins.start().complete().await;
        std::fs::remove_file(plugins.path().join("gone/cli")).expect("it is ours");
        plugins.write("broken/cli", "#!/nowhere/interpreter\n", 0o755);
        for tool in ["gone__run", "broken__run"] {
            let fault = running
                .call(tool, json!({}))
                .await
                .expect_err("it cannot start");
            assert_eq!(fault.code(), "spawn_failed", "{fault}");
        }
        assert_eq!(running.catalog.load(), (0, 0));
    });
}

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
        let content: Value =
            serde_json::from_str(result.expect("it draws").content.get()).expect("it is JSON");
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

#[test]
fn what_stands_beside_the_tools_is_found_and_served() {
    live(async {
        let conformance = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/plugins");
        let running = Running::of(settings(Some(conformance))).complete().await;
        let snapshot = running.snapshot();
        assert_eq!(snapshot.skipped, []);
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
        assert!(snapshot.resource("test://nowhere").is_none());

        let prompt = snapshot
            .prompt("test_prompt_with_arguments")
            .expect("it is offered");
        let given = raw(&json!({"arg1": "one", "arg2": "-two"}));
        let printed = running
            .serve(&prompt, Some(given))
            .await
            .expect("it is written");
        assert!(
            matches!(printed, Printed::Text(text) if text == "Prompt with arguments: arg1='one', arg2='-two'")
        );
        let fault = running
            .serve(&prompt, Some(raw(&json!({"arg1": "one"}))))
            .await
            .expect_err("arg2 is missing");
        assert!(fault.to_string().contains("'arg2' is missing"), "{fault}");
        assert_eq!(fault.code(), "invalid_arguments");

        let reference = Reference::Prompt("test_prompt_with_arguments".to_owned());
        let completion = snapshot
            .completion(&reference, "arg1")
            .expect("it is offered");
        let given = raw(&json!({"argument": "arg1", "value": "par"}));
        let printed = running
            .serve(&completion, Some(given))
            .await
            .expect("it is completed");
        let Printed::Result(json) = printed else {
            panic!("{printed:?}")
        };
        let result: Value = serde_json::from_str(json.get()).expect("it is JSON");
        assert_eq!(
            result["completion"]["values"],
            json!(["paris", "park", "party"])
        );
    });
}

#[test]
fn the_examples_of_the_guide_are_served_without_a_complaint() {
    live(async {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
        let running = Running::of(settings(Some(examples))).complete().await;
        let snapshot = running.snapshot();
        assert_eq!(snapshot.skipped, []);
        assert_eq!(snapshot.plugins.len(), 2);
        assert!(
            snapshot
                .plugins
                .iter()
                .all(|plugin| plugin.source == "describe" && plugin.warnings.is_empty())
        );
    });
}

#[test]
fn a_missing_plugins_directory_is_a_complaint_and_no_fault() {
    live(async {
        let plugins = Plugins::new();
        let missing = plugins.path().join("missing");
        let running = Running::of(settings(Some(missing.clone())))
            .complete()
            .await;
        assert_eq!(running.names(), Vec::<String>::new());
        assert!(
            running
                .skipped(&missing.display().to_string())
                .contains("MCP_PLUGINS_DIR")
        );
    });
}

#[test]
fn a_plugins_own_virtual_environment_runs_it_and_a_shim_is_seen_through() {
    live(async {
        let plugins = Plugins::new();
        plugins.python("own", "import json, sys\nif sys.argv[1:] == ['--describe']: print(json.dumps({'commands': [{'name': 'run'}]}))\nelse: print(sys.executable)\n");
        let python = std::process::Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .expect("Python 3 is installed");
        let python = String::from_utf8(python.stdout)
            .expect("a path")
            .trim()
            .to_owned();
        plugins.write(
            "own/.venv/bin/python",
            &format!("#!/bin/sh\nexec {python} \"$@\"\n"),
            0o755,
        );
        let running = plugins.start().complete().await;
        assert_eq!(
            running.snapshot().plugins[0].interpreter,
            PathBuf::from(&python),
            "{:?}",
            running.snapshot().skipped
        );
        assert_eq!(running.text("own__run", json!({})).await, python);
    });
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
