//! The plugin contract as authors read it: its JSON Schema, its guide, and the plugins that are examples of it.
//!
//! Knows nothing of how the server reads a description; programs are run here without it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::commands::{Watchdog, has_node, output_within};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// No example takes nearly as long.
const LIMIT: Duration = Duration::from_secs(60);
const GUIDES: [&str; 2] = ["docs/plugin-contract/README.md", "docs/plugin-events.md"];

#[test]
fn contract_is_a_valid_json_schema() {
    if let Err(fault) = jsonschema::draft202012::meta::validate(&contract()) {
        panic!("{} at {}", fault, fault.instance_path());
    }
}

#[test]
fn every_bundled_and_exemplary_plugin_keeps_the_contract() {
    let validator = validator();
    let plugins = plugins();
    assert!(plugins.len() >= 9, "only {plugins:?} were found");
    for plugin in plugins {
        let description = describe(&plugin);
        let faults: Vec<String> = validator
            .iter_errors(&description)
            .map(|fault| format!("{} at {}", fault, fault.instance_path()))
            .collect();
        assert!(faults.is_empty(), "{}: {faults:#?}", plugin.display());
    }
}

#[test]
fn a_description_for_version_1_keeps_the_contract() {
    let description = json!({
        "contract_version": "1.0",
        "plugin": {"name": "demo", "version": "1.0.0", "author": "a member that the contract does not know"},
        "commands": [{"name": "add", "description": "Adds", "category": "unknown too", "parameters": [
            {"name": "a", "type": "number", "description": "The first", "required": true, "default": null}
        ]}]
    });
    assert!(validator().is_valid(&description));
}

#[test]
fn contract_refuses_what_could_not_be_served_and_says_where() {
    let command = |member: Value| {
        let mut command = json!({"name": "run"});
        merge(&mut command, member);
        json!({"commands": [command]})
    };
    let parameter = |member: Value| {
        let mut parameter = json!({"name": "size"});
        merge(&mut parameter, member);
        command(json!({"parameters": [parameter]}))
    };
    let cases = [
        (json!([]), ""),
        (json!({}), ""),
        (json!({"commands": {}}), "/commands"),
        (
            json!({"contract_version": "2.0", "commands": []}),
            "/contract_version",
        ),
        (
            json!({"commands": [{"description": "nameless"}]}),
            "/commands/0",
        ),
        (
            json!({"commands": [], "services": [{"name": "two words", "command": "run"}]}),
            "/services/0/name",
        ),
        (
            json!({"commands": [], "services": [{"name": "x".repeat(65), "command": "run"}]}),
            "/services/0/name",
        ),
        (
            json!({"commands": [], "services": [{"name": "one"}]}),
            "/services/0",
        ),
        (
            json!({"commands": [], "services": [{"name": "one", "command": "run", "args": [1]}]}),
            "/services/0/args/0",
        ),
        (
            json!({"commands": [], "services": vec![json!({"name": "one", "command": "run"}); 9]}),
            "/services",
        ),
        (command(json!({"name": "-rf"})), "/commands/0/name"),
        (command(json!({"name": "two words"})), "/commands/0/name"),
        (command(json!({"tool": "no spaces"})), "/commands/0/tool"),
        (command(json!({"tool": true})), "/commands/0/tool"),
        (command(json!({"tool": "x".repeat(65)})), "/commands/0/tool"),
        (command(json!({"output": "xml"})), "/commands/0/output"),
        (command(json!({"input": "file"})), "/commands/0/input"),
        (command(json!({"timeout": 0})), "/commands/0/timeout"),
        (
            command(json!({"max_concurrency": 0})),
            "/commands/0/max_concurrency",
        ),
        (
            command(json!({"requires": ["telepathy"]})),
            "/commands/0/requires/0",
        ),
        (
            command(json!({"input_schema": {"type": "array"}})),
            "/commands/0/input_schema/type",
        ),
        (
            command(json!({"one_of": [{"names": ["a"]}]})),
            "/commands/0/one_of/0/names",
        ),
        (command(json!({"invoke": "run"})), "/commands/0/invoke"),
        (command(json!({"reuse": "yes"})), "/commands/0/reuse"),
        (
            parameter(json!({"name": "--size"})),
            "/commands/0/parameters/0/name",
        ),
        (
            parameter(json!({"type": "str"})),
            "/commands/0/parameters/0/type",
        ),
        (
            parameter(json!({"required": ["a"]})),
            "/commands/0/parameters/0/required",
        ),
        (
            parameter(json!({"arg_style": "glued"})),
            "/commands/0/parameters/0/arg_style",
        ),
        (
            parameter(json!({"flag": "--a b"})),
            "/commands/0/parameters/0/flag",
        ),
        (
            parameter(json!({"env": "NOT A NAME"})),
            "/commands/0/parameters/0/env",
        ),
        (
            parameter(json!({"level": -1})),
            "/commands/0/parameters/0/level",
        ),
        (
            parameter(json!({"x-mcp-header": "two words"})),
            "/commands/0/parameters/0/x-mcp-header",
        ),
        (
            json!({"commands": [], "resources": [{"uri": "a://b", "name": "b"}]}),
            "/resources/0",
        ),
        (
            json!({"commands": [], "prompts": [{"command": "greet"}]}),
            "/prompts/0",
        ),
        (
            json!({"commands": [], "completions": [{"command": "complete", "ref": {"type": "ref/tool"}}]}),
            "/completions/0/ref",
        ),
    ];
    let validator = validator();
    for (description, address) in cases {
        let found: Vec<String> = validator
            .iter_errors(&description)
            .map(|fault| fault.instance_path().to_string())
            .collect();
        assert!(
            found.iter().any(|path| path == address),
            "{description} is faulted at {found:?}, not at '{address}'"
        );
    }
}

#[test]
fn every_member_of_the_contract_is_in_the_guide() {
    let guide = read(GUIDES[0]);
    let contract = contract();
    for of in [
        "/properties",
        "/$defs/command/properties",
        "/$defs/parameter/properties",
    ] {
        let members = contract
            .pointer(of)
            .and_then(Value::as_object)
            .expect("the schema has these objects");
        for member in members.keys().filter(|member| !is_json_schema(member)) {
            let said = [format!("`{member}`"), format!("\"{member}\"")]
                .iter()
                .any(|form| guide.contains(form));
            assert!(said, "{} does not say what '{member}' is for", GUIDES[0]);
        }
    }
}

#[test]
fn code_in_the_guides_is_taken_from_plugins_that_run() {
    let sources: Vec<String> = plugins()
        .iter()
        .map(|plugin| trimmed_lines(&read(program(plugin))))
        .collect();
    let validator = validator();
    for guide in GUIDES {
        let text = read(guide);
        let blocks = code_blocks(&text);
        assert!(
            blocks.len() >= 10,
            "{guide}: only {} pieces of code were found",
            blocks.len()
        );
        for block in blocks {
            let whole = serde_json::from_str::<Value>(&block)
                .is_ok_and(|description| validator.is_valid(&description));
            let quoted = trimmed_lines(&block);
            let runs = sources.iter().any(|source| source.contains(&quoted));
            assert!(
                whole || runs,
                "{guide}: no plugin has these lines:\n{block}"
            );
        }
    }
}

#[test]
fn ten_lines_of_shell_report_progress_ask_the_user_and_return_a_picture() {
    let plugin = Path::new(ROOT).join("tests/fixtures/plugins/shell_demo");
    assert_eq!(read(plugin.join("cli")).lines().count(), 10);

    let (events, result) = run_with_answer(
        &plugin,
        "dot",
        &json!({"pick": {"action": "accept", "content": {"colour": "green"}}}),
    );

    assert_eq!(events[0]["progress"], 1);
    assert!(
        events[1]["ask"]["pick"]["elicit"]["requestedSchema"]["properties"]["colour"].is_object()
    );
    assert_eq!(events[2]["progress"], 2);
    let block = &result["content"][0];
    assert_eq!(
        (&block["type"], &block["mimeType"]),
        (&json!("image"), &json!("image/svg+xml"))
    );
    let picture = block["data"]
        .as_str()
        .expect("a picture's data is a string");
    let picture =
        base64::Engine::decode(&base64::prelude::BASE64_STANDARD, picture).expect("and is base64");
    assert!(String::from_utf8_lossy(&picture).contains("fill=\"green\""));
}

/// Runs a plugin's command with a socket pair as descriptor 3 and answers its first question.
/// Gives the events it sent and the result it printed.
fn run_with_answer(plugin: &Path, command: &str, answer: &Value) -> (Vec<Value>, Value) {
    let (ours, theirs) = UnixStream::pair().expect("a socket pair costs two descriptors");
    // A child can be given only descriptors 0 to 2 from here; the shell moves the first of them to 3.
    let child = Command::new("sh")
        .args(["-c", "exec 3<&0 </dev/null; exec \"$0\" \"$1\""])
        .args([program(plugin).as_os_str(), command.as_ref()])
        .stdin(OwnedFd::from(theirs))
        .stdout(Stdio::piped())
        .spawn()
        .expect("sh is there");
    let _watchdog = Watchdog::of(child.id(), LIMIT);
    let mut events = Vec::new();
    for line in BufReader::new(&ours).lines() {
        let event: Value =
            serde_json::from_str(&line.expect("events are text")).expect("events are JSON");
        if event.get("ask").is_some() {
            writeln!(&ours, "{answer}").expect("the program waits for its answer");
        }
        events.push(event);
    }
    let output = child
        .wait_with_output()
        .expect("the program was started above");
    assert!(output.status.success());
    (
        events,
        serde_json::from_slice(&output.stdout).expect("the result is JSON"),
    )
}

fn contract() -> Value {
    serde_json::from_str(&read("docs/plugin-contract/v1.1.json")).expect("the contract is JSON")
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&contract()).expect("the contract is a schema")
}

/// The plugins that users and authors are shown; those of other tests may break the contract on purpose.
fn plugins() -> Vec<PathBuf> {
    let shelves = ["plugins", "docs/examples", "tests/conformance/plugins"];
    let mut plugins: Vec<PathBuf> = shelves
        .iter()
        .filter_map(|shelf| fs::read_dir(Path::new(ROOT).join(shelf)).ok())
        .flatten()
        .map(|entry| entry.expect("the shelf can be listed").path())
        .filter(|path| program(path).is_file())
        .filter(|path| !path.ends_with("expenses") || has_node())
        .collect();
    plugins.push(Path::new(ROOT).join("tests/fixtures/plugins/shell_demo"));
    plugins.sort();
    plugins
}

fn program(plugin: &Path) -> PathBuf {
    let python = plugin.join("cli.py");
    if python.is_file() {
        python
    } else {
        plugin.join("cli")
    }
}

fn describe(plugin: &Path) -> Value {
    let program = program(plugin);
    let mut command = if program.extension().is_some() {
        Command::new("python3")
    } else {
        Command::new(&program)
    };
    if program.extension().is_some() {
        command.arg(&program);
    }
    let output = output_within(LIMIT, command.arg("--describe"));
    assert!(
        output.status.success(),
        "{}: {}",
        program.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|fault| panic!("{}: {fault}", program.display()))
}

/// The pieces of code between fences, each without the fences.
fn code_blocks(guide: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    for (at, part) in guide.split("```").enumerate() {
        // Every second part is inside a fence; its first line names the language.
        if at % 2 == 1 {
            blocks.push(
                part.split_once('\n')
                    .expect("a fence ends its line")
                    .1
                    .to_owned(),
            );
        }
    }
    blocks
}

fn trimmed_lines(text: &str) -> String {
    text.lines()
        .map(str::trim)
        .collect::<Vec<_>>()
        .join("\n")
        .trim()
        .to_owned()
}

/// Keywords that mean what JSON Schema says they mean: the guide names their kind, not each of them.
fn is_json_schema(member: &str) -> bool {
    [
        "enum",
        "minimum",
        "maximum",
        "pattern",
        "items",
        "properties",
        "x-mcp-header",
    ]
    .contains(&member)
}

fn merge(into: &mut Value, members: Value) {
    let Value::Object(members) = members else {
        panic!("members stand in an object")
    };
    into.as_object_mut()
        .expect("and go into one")
        .extend(members);
}

fn read(path: impl AsRef<Path>) -> String {
    let path = Path::new(ROOT).join(path);
    fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}
