//! A server that asks many plugins: which of them are asked in forks, and what counts of their answers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kit::python;
use crate::support::server::{Server, Setup};
use crate::support::session::{directly, text_of};

/// Describes a command by how it was asked: `script.pyc` is on the command line of an interpreter that many have in
/// common.
const HONEST: &str = r#"import json
import sys

with open("/proc/self/cmdline") as file:
    how = "forked" if "script.pyc" in file.read() else "executed"
if "--describe" in sys.argv:
    print(json.dumps({"commands": [{"name": "run", "description": how, "parameters": []}]}))
"#;

/// How each plugin describes itself, and why others are not served.
fn told(plugins: &[(&str, &str)], warm: &str) -> (BTreeMap<String, String>, String) {
    let directory = tempfile::tempdir().expect("there is room");
    for (name, program) in plugins {
        let folder = directory.path().join(name);
        std::fs::create_dir(&folder).expect("there is room");
        std::fs::write(folder.join("cli.py"), program).expect("there is room");
    }
    let setup = Setup::new()
        .plugins(directory.path())
        .variable("MCP_PYTHON", python())
        .variable("MCP_WARM", warm);
    let server = Server::start(&setup);
    server.ready();
    let listed = directly(server.address(), "tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().expect("a list");
    let described = tools.iter().filter_map(|tool| {
        let name = tool["name"].as_str()?.strip_suffix("__run")?;
        Some((name.to_owned(), tool["description"].as_str()?.to_owned()))
    });
    let params = json!({"name": "health", "arguments": {}});
    let health = directly(server.address(), "tools/call", params);
    let health: Value = serde_json::from_str(text_of(&health["result"])).expect("health is JSON");
    (described.collect(), health.to_string())
}

#[test]
fn many_plugins_are_asked_in_forks_and_only_a_description_counts() {
    let fails = format!("{HONEST}if how == \"forked\":\n    sys.exit(\"only when executed\")\n");
    let silent = HONEST.replace(
        "if \"--describe\"",
        "if how == \"executed\" and \"--describe\"",
    );
    let killed =
        format!("{HONEST}if how == \"forked\":\n    import os\n    os.kill(os.getpid(), 11)\n");
    let beside =
        format!("{HONEST}if how == \"forked\":\n    import os\n    os.kill(os.getppid(), 9)\n");
    let plugins = [
        ("honest_1", HONEST),
        ("honest_2", HONEST),
        ("honest_3", HONEST),
        ("honest_4", HONEST),
        ("fails", &fails),
        ("silent", &silent),
        ("killed", &killed),
        ("beside", &beside),
        ("broken", "print('--describe'"),
    ];
    let (described, health) = told(&plugins, "on");
    assert_eq!(described.len(), plugins.len() - 1, "{described:?}");
    for name in ["fails", "silent", "killed"] {
        assert_eq!(described[name], "executed", "{name}");
    }
    let honest = (1..=4).map(|number| &described[&format!("honest_{number}")]);
    let forked = honest.filter(|how| *how == "forked").count();
    // One was asked before there was an interpreter to fork.
    assert!(forked >= 3, "{described:?}");
    assert!(
        health.contains("a syntax error in line 1 of cli.py"),
        "{health}"
    );
}

#[test]
fn few_plugins_are_executed_and_so_are_all_where_nothing_is_warm() {
    let plugins: Vec<(String, &str)> = (0..9)
        .map(|number| (format!("honest_{number}"), HONEST))
        .collect();
    let plugins: Vec<(&str, &str)> = plugins
        .iter()
        .map(|(name, program)| (name.as_str(), *program))
        .collect();
    for (plugins, warm) in [(&plugins[..3], "on"), (&plugins[..], "off")] {
        let (described, _) = told(plugins, warm);
        assert_eq!(described.len(), plugins.len());
        assert!(
            described.values().all(|how| how == "executed"),
            "{described:?}"
        );
    }
}
