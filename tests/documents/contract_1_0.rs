//! `docs/plugin-contract/v1.json`, held against plugins of version 1.0 and against what the server takes of it.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use super::pages::{entries, read, root};
use super::support::plugins::Folder;

const SCHEMA: &str = "docs/plugin-contract/v1.json";

/// Prints the description that stands beside it.
const PLUGIN: &str = r#"import os, sys
if sys.argv[1:] == ["--describe"]:
    print(open(os.path.join(os.environ["SMCP_PLUGIN_DIR"], "description.json")).read())
"#;

#[test]
fn the_schema_of_version_1_0_is_a_valid_one() {
    if let Err(fault) = jsonschema::draft202012::meta::validate(&schema()) {
        panic!("{fault} at {}", fault.instance_path());
    }
}

#[test]
fn the_plugins_of_version_1_0_keep_their_contract() {
    let validator = validator();
    let mut checked = 0;
    for shelf in ["plugins", "tests/fixtures/smcp-3.1.0/plugins"] {
        for plugin in entries(&root().join(shelf)) {
            let program = plugin.join("cli.py");
            // A minor version that is no number counts as version 1.0, and is no version that an author should write.
            if !program.is_file() || plugin.ends_with("version_1x") {
                continue;
            }
            // The others have a parser alone, and do their work when they are run.
            if !read(&program).contains("--describe") {
                continue;
            }
            let output = Command::new("python3")
                .arg("-B")
                .arg(&program)
                .arg("--describe")
                .env("SMCP_PLUGIN_DIR", &plugin)
                .output()
                .expect("Python 3 is installed");
            let Some(description) = object_in(&output.stdout) else {
                continue;
            };
            // The schema of 1.1 is held against these elsewhere.
            if description["contract_version"] == "1.1" {
                continue;
            }
            let faults: Vec<String> = validator
                .iter_errors(&description)
                .map(|fault| format!("{fault} at {}", fault.instance_path()))
                .collect();
            assert!(faults.is_empty(), "{}: {faults:#?}", plugin.display());
            checked += 1;
        }
    }
    assert!(checked > 15, "only {checked} plugins were checked");
}

#[test]
fn the_schema_refuses_what_the_server_does_not_serve_and_nothing_else() {
    let validator = validator();
    let plugins = Folder::new();
    let mut wanted = BTreeMap::new();
    for (name, description) in descriptions() {
        plugins.add(&name, PLUGIN);
        let file = plugins.path().join(&name).join("description.json");
        std::fs::write(file, description.to_string()).expect("the folder is ours");
        wanted.insert(name, validator.is_valid(&description));
    }
    let home = tempfile::tempdir().expect("a directory for temporary files");
    let checked = Command::new(env!("CARGO_BIN_EXE_smcp"))
        .args(["check", "--no-cache", "--plugins-dir"])
        .arg(plugins.path())
        .env("HOME", home.path())
        .output()
        .expect("cargo has built the program");
    let said = String::from_utf8_lossy(&checked.stdout);
    for (name, is_valid) in wanted {
        let line = said
            .lines()
            .find(|line| line.starts_with(&format!("{name}:")))
            .unwrap_or_else(|| panic!("nothing is said of {name}:\n{said}"));
        let is_served = !line.contains("not served");
        assert_eq!(is_valid, is_served, "the schema against the server: {line}");
    }
}

/// Descriptions with one peculiarity each.
fn descriptions() -> Vec<(String, Value)> {
    let command = |members: Value| {
        let mut command = json!({"name": "run"});
        merge(&mut command, members);
        json!({"commands": [command]})
    };
    let parameter = |members: Value| {
        let mut parameter = json!({"name": "size"});
        merge(&mut parameter, members);
        command(json!({"parameters": [parameter]}))
    };
    let version =
        |version: Value| json!({"contract_version": version, "commands": [{"name": "run"}]});
    let all = [
        json!([]),
        json!({}),
        json!({"commands": {}}),
        json!({"commands": []}),
        json!({"commands": ["run"]}),
        json!({"commands": [{"description": "has no name"}]}),
        json!({"commands": [{"name": "run"}, {"name": "run"}]}),
        json!({"commands": [{"name": "run"}], "plugin": "not an object"}),
        json!({"commands": [{"name": "run"}], "author": "unknown"}),
        version(json!("1")),
        version(json!("1.0")),
        version(json!("1.0.0")),
        version(json!(1.0)),
        version(Value::Null),
        version(json!("2.0")),
        version(json!("0.9")),
        version(json!(2)),
        command(json!({"name": "-rf"})),
        command(json!({"name": "two words"})),
        command(json!({"name": ""})),
        command(json!({"name": 5})),
        command(json!({"name": "a_b-C9"})),
        command(json!({"description": 5})),
        command(json!({"parameters": {}})),
        command(json!({"parameters": null})),
        command(json!({"parameters": ["size"]})),
        command(json!({"timeout": "30s", "output": "JSON", "tool": 5})),
        parameter(json!({"name": "--size"})),
        parameter(json!({"name": ""})),
        parameter(json!({"name": 5})),
        parameter(json!({"name": "a=b"})),
        parameter(json!({"type": "integer"})),
        parameter(json!({"type": null})),
        parameter(json!({"type": "str"})),
        parameter(json!({"type": "String"})),
        parameter(json!({"type": ["string"]})),
        parameter(json!({"required": true})),
        parameter(json!({"required": null})),
        parameter(json!({"required": "yes"})),
        parameter(json!({"required": 1})),
        parameter(json!({"required": ["size"]})),
        parameter(json!({"default": "x", "type": "integer"})),
        parameter(json!({"description": 5})),
        parameter(json!({"enum": 5})),
        parameter(json!({"type": "boolean", "action": "store_true"})),
        parameter(json!({"type": "boolean", "action": "explode"})),
        parameter(json!({"type": "boolean", "arg_style": 5})),
        parameter(json!({"type": "boolean", "takes_value": "x"})),
        parameter(json!({"flag": "-s", "env": true, "level": "high"})),
    ];
    all.into_iter()
        .enumerate()
        .map(|(number, description)| (format!("case_{number:02}"), description))
        .collect()
}

fn merge(into: &mut Value, members: Value) {
    let Value::Object(members) = members else {
        panic!("members are an object");
    };
    for (name, value) in members {
        into[name] = value;
    }
}

/// The JSON object in what a plugin printed, without the lines of a log before it.
fn object_in(printed: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(printed);
    let start = text.find("{\"")?;
    let value = serde_json::from_str(text[start..].trim()).ok()?;
    matches!(value, Value::Object(_)).then_some(value)
}

fn schema() -> Value {
    serde_json::from_str(&read(&root().join(SCHEMA))).expect("the schema is JSON")
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&schema()).expect("it is a schema")
}
