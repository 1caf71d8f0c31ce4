//! Which plugins there are: the directory, the interpreter, and what changes while the server runs.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::catalog::{PRINT_WORDS, Plugins, Running, live, settings};
use crate::commands::has_node;

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
fn the_examples_of_the_guide_are_served_without_a_complaint() {
    live(async {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
        let running = Running::of(settings(Some(examples))).complete().await;
        let snapshot = running.snapshot();
        if has_node() {
            assert_eq!(snapshot.skipped, []);
        } else {
            let skipped: Vec<_> = snapshot.skipped.iter().map(|it| it.name.as_str()).collect();
            assert_eq!(skipped, ["expenses"]);
            assert!(
                snapshot.skipped[0].reason.contains("node"),
                "{:?}",
                snapshot.skipped
            );
        }
        assert_eq!(snapshot.plugins.len() + snapshot.skipped.len(), 7);
        assert!(
            snapshot
                .plugins
                .iter()
                .all(|plugin| plugin.source == "describe" && plugin.warnings.is_empty())
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
