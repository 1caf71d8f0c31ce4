//! What `smcp check` reports, held against the contract's JSON Schema; and what it lets through, against the protocol's
//! types. Each case is one description that keeps the contract, with one value changed.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use rmcp::model;
use serde_json::{Value, json};
use smcp::catalog::plugin::{Offering, Plugin};
use smcp::catalog::snapshot::Snapshot;
use smcp::contract::{self, OfferKind};
use smcp::discovery::describe::Described;
use smcp::discovery::scan::{Found, Program};
use smcp::mcp::adapted;

use crate::wire;

const REVISIONS: [&str; 3] = ["2025-03-26", "2025-06-18", "2025-11-25"];

/// A description with everything that the contract knows.
fn whole() -> Value {
    let icons = json!([{"src": "https://example.org/a.png", "mimeType": "image/png", "sizes": ["48x48"], "theme": "dark"}]);
    let notes =
        json!({"audience": ["user"], "priority": 0.5, "lastModified": "2025-01-12T15:00:58Z"});
    json!({
        "contract_version": "1.1",
        "plugin": {"name": "p", "version": "1", "description": "d"},
        "warnings": ["w"],
        "warm": true,
        "commands": [
            {
                "name": "run",
                "description": "Runs",
                "parameters": [
                    {"name": "a", "type": "string", "description": "d", "required": true, "default": "x", "enum": ["x"],
                     "pattern": "x", "x-mcp-header": "Region", "flag": "-a", "separator": "=", "dashes": "any", "level": 0},
                    {"name": "b", "type": "boolean", "action": "store_true", "takes_value": false, "negative_flag": "--no-b"},
                    {"name": "c", "type": "array", "items": {"type": "string"}, "arg_style": "list", "action": "append", "takes_value": true},
                    {"name": "d", "type": "object", "properties": {"e": {"type": "string"}}, "env": "D"},
                    {"name": "f", "type": "integer", "minimum": 0, "maximum": 2},
                    {"name": "g", "type": "boolean", "takes_value": false},
                ],
                "output_schema": {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]},
                "output": "json",
                "tool": "exact.name",
                "title": "t",
                "annotations": {"title": "t", "readOnlyHint": true, "destructiveHint": false, "idempotentHint": true, "openWorldHint": true},
                "icons": icons,
                "_meta": {"k": 1},
                "timeout": 5,
                "max_concurrency": 2,
                "requires": ["roots", "sampling"],
                "invoke": ["run"],
                "refuse_words": ["--"],
                "one_of": [{"names": ["f", "c"], "required": false}],
                "background": true,
                "warm": true,
                "reuse": true,
            },
            {
                "name": "read",
                "input": "stdin",
                "input_schema": {"type": "object", "properties": {"uri": {"type": "string"}}, "required": ["uri"]},
                "tool": false,
            },
        ],
        "resources": [
            {"uri": "notes://all", "name": "all", "command": "read", "title": "t", "description": "d", "mimeType": "text/plain",
             "size": 5, "annotations": notes, "icons": icons, "_meta": {"k": 1}, "output": "text"},
        ],
        "resource_templates": [
            {"uriTemplate": "notes://{id}", "name": "note", "command": "read", "title": "t", "description": "d",
             "mimeType": "text/plain", "annotations": notes, "icons": icons, "_meta": {"k": 1}, "output": "result"},
        ],
        "prompts": [
            {"name": "review", "command": "review", "title": "t", "description": "d", "icons": icons, "_meta": {"k": 1}, "output": "result",
             "arguments": [{"name": "tag", "title": "t", "description": "d", "required": true}]},
        ],
        "completions": [
            {"ref": {"type": "ref/prompt", "name": "review"}, "argument": "tag", "command": "tags", "output": "text"},
            {"ref": {"type": "ref/resource", "uri": "notes://{id}"}, "argument": "id", "command": "ids"},
        ],
    })
}

/// The places of all values in `value`, as JSON pointers.
fn places(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, places: &mut Vec<String>) {
        places.push(at.to_owned());
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    walk(value, &format!("{at}/{name}"), places);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{at}/{index}"), places);
                }
            }
            _ => {}
        }
    }
    let mut all = Vec::new();
    walk(value, "", &mut all);
    all
}

/// The description with one value replaced, or left out.
fn changed(place: &str, by: Option<&Value>) -> Value {
    let mut description = whole();
    match by {
        Some(value) => *description.pointer_mut(place).expect("it is a place") = value.clone(),
        None => {
            let (outer, name) = place.rsplit_once('/').expect("it is within something");
            match description.pointer_mut(outer).expect("it is a place") {
                Value::Object(members) => drop(members.remove(&name.replace("~1", "/"))),
                Value::Array(items) => drop(items.remove(name.parse().expect("an index"))),
                _ => unreachable!("only objects and lists have something within"),
            }
        }
    }
    description
}

/// Every description with one value changed, with words for what was done.
fn variations() -> Vec<(String, Value)> {
    let values = [
        json!(5),
        json!(-1),
        json!(0.5),
        json!(true),
        json!(false),
        json!(""),
        json!("x"),
        json!("-x"),
        json!("a b"),
        json!("a=b"),
        json!("\u{fc}"),
        json!("http://"),
        json!("notes://a b"),
        json!("notes://{"),
        json!("2025-01-12"),
        json!("roots"),
        json!("x".repeat(70)),
        json!([]),
        json!([5]),
        json!(["x"]),
        json!(["x", "x"]),
        json!([{}]),
        json!({}),
        json!({"x": 5}),
        json!({"type": "object"}),
    ];
    let mut all = vec![("as it is".to_owned(), whole())];
    for place in places(&whole()) {
        for value in &values {
            all.push((format!("{place} is {value}"), changed(&place, Some(value))));
        }
        if !place.is_empty() {
            all.push((format!("{place} is left out"), changed(&place, None)));
        }
    }
    all
}

/// What the server makes of a description: what is served, and whether anything is reported.
pub fn read(description: &Value) -> Result<(Snapshot, bool), String> {
    let description = contract::read(description).map_err(|faults| faults.to_string())?;
    let found = Found {
        name: "p".to_owned(),
        directory: PathBuf::from("/plugins/p"),
        program: Program::Executable(PathBuf::from("/plugins/p/cli")),
    };
    let described = Described {
        held: None,
        description,
        source: "describe",
        start: vec![OsString::from("/plugins/p/cli")],
    };
    let plugin = Plugin::new(&found, described).map_err(|faults| faults.to_string())?;
    let snapshot = Snapshot::new(&[Arc::new(plugin)], Vec::new(), true);
    // Those of the description itself are what its author wants to be reported.
    let mut warnings = snapshot.plugins.iter().flat_map(|plugin| &plugin.warnings);
    let reported = warnings.any(|warning| warning != "w") || !snapshot.skipped.is_empty();
    Ok((snapshot, reported))
}

#[test]
fn what_the_contracts_schema_refuses_is_reported() {
    let contract = include_str!("../../docs/plugin-contract/v1.1.json");
    let contract: Value = serde_json::from_str(contract).expect("it is JSON");
    let contract = jsonschema::options()
        .should_validate_formats(true)
        .build(&contract)
        .expect("it is a schema");
    let (mut refused, mut missed) = (0, Vec::new());
    for (what, description) in variations() {
        if contract.is_valid(&description) {
            continue;
        }
        refused += 1;
        if let Ok((_, false)) = read(&description) {
            missed.push(what);
        }
    }
    assert!(refused > 1_000, "the schema refuses {refused} only");
    assert!(
        missed.is_empty(),
        "{} of {refused} pass: {missed:#?}",
        missed.len()
    );
}

#[test]
fn a_description_of_version_1_0_is_served_whatever_it_says_in_members_of_1_1() {
    let is_of_version_1_0 = |place: &str| {
        let parts: Vec<&str> = place.split('/').skip(1).collect();
        match parts.as_slice() {
            ["commands", _, member, ..] => ["name", "description", "parameters"].contains(member),
            [
                "resources" | "resource_templates" | "prompts" | "completions" | "warm"
                | "warnings",
                ..,
            ] => false,
            ["plugin", _, ..] => false,
            _ => true,
        }
    };
    let mut tried = 0;
    for (what, mut description) in variations() {
        let place = what.split(' ').next().unwrap_or_default();
        if !place.starts_with('/') || is_of_version_1_0(place) {
            continue;
        }
        tried += 1;
        description["contract_version"] = "1.0".into();
        let (snapshot, _) = read(&description).unwrap_or_else(|fault| panic!("{what}: {fault}"));
        assert_eq!(snapshot.tools.len(), 2, "{what}");
    }
    assert!(tried > 1_000, "only {tried} were tried");
}

#[test]
fn of_two_plugins_with_one_prompt_or_resource_the_second_is_reported() {
    let plugin = |name: &str| {
        let entry = |member: &str| json!({member: "notes://all", "name": "same", "command": "c"});
        let description = json!({
            "contract_version": "1.1",
            "commands": [],
            "prompts": [{"name": "same", "command": "c"}],
            "resources": [entry("uri")],
        });
        let found = Found {
            name: name.to_owned(),
            directory: PathBuf::from("/plugins").join(name),
            program: Program::Executable(PathBuf::from("/plugins/cli")),
        };
        let described = Described {
            held: None,
            description: contract::read(&description).expect("it keeps the contract"),
            source: "describe",
            start: Vec::new(),
        };
        Arc::new(Plugin::new(&found, described).expect("it can be served"))
    };
    let snapshot = Snapshot::new(&[plugin("one"), plugin("two")], Vec::new(), true);
    let skipped: Vec<(&str, &str)> = snapshot
        .skipped
        .iter()
        .map(|skipped| (skipped.name.as_str(), skipped.reason.as_str()))
        .collect();
    let reason = "the plugin one serves it already";
    assert_eq!(skipped, [("two notes://all", reason), ("two same", reason)]);
}

#[test]
fn what_is_served_fits_the_protocols_types() {
    let (mut served, mut judged, mut faults) = (0, BTreeSet::new(), Vec::new());
    for (what, description) in variations() {
        let Ok((snapshot, _)) = read(&description) else {
            continue;
        };
        served += 1;
        for (kind, revision, list) in lists(&snapshot) {
            if !judged.insert((revision, list.to_string())) {
                continue;
            }
            let read = match kind {
                "ListToolsResult" => typed::<model::ListToolsResult>(&list),
                "ListResourcesResult" => typed::<model::ListResourcesResult>(&list),
                "ListResourceTemplatesResult" => typed::<model::ListResourceTemplatesResult>(&list),
                _ => typed::<model::ListPromptsResult>(&list),
            };
            if let Err(fault) = read.and_then(|()| wire::fits(revision, kind, &list)) {
                faults.push(format!("{what}: {fault}"));
            }
        }
    }
    assert!(served > 300, "only {served} are served");
    assert!(faults.is_empty(), "{faults:#?}");
}

fn typed<T: serde::de::DeserializeOwned>(list: &Value) -> Result<(), String> {
    serde_json::from_value::<T>(list.clone())
        .map(drop)
        .map_err(|fault| format!("the official SDK cannot read it: {fault}"))
}

/// The lists that clients get, with the names of their types.
pub fn lists(snapshot: &Snapshot) -> Vec<(&'static str, &'static str, Value)> {
    let parsed = |json: &str| serde_json::from_str::<Value>(json).expect("it is JSON");
    let entries = |offerings: &[Arc<Offering>]| -> Vec<Value> {
        let listed = offerings.iter();
        let listed = listed.filter(|one| !matches!(one.kind, OfferKind::Completion { .. }));
        listed.map(|one| parsed(one.definition.get())).collect()
    };
    let mut lists = Vec::new();
    for revision in REVISIONS {
        let tools: Vec<Value> = snapshot
            .tools
            .iter()
            .map(|tool| {
                let wrapped = adapted::wrapped_definition(&tool.definition);
                parsed(wrapped.as_ref().unwrap_or(&tool.definition).get())
            })
            .collect();
        let resources = entries(&snapshot.resources);
        let templates = entries(&snapshot.templates);
        let prompts = entries(&snapshot.prompts);
        lists.extend([
            ("ListToolsResult", revision, json!({"tools": tools})),
            (
                "ListResourcesResult",
                revision,
                json!({"resources": resources}),
            ),
            (
                "ListResourceTemplatesResult",
                revision,
                json!({"resourceTemplates": templates}),
            ),
            ("ListPromptsResult", revision, json!({"prompts": prompts})),
        ]);
    }
    lists
}
