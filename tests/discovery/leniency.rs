//! What is wrong in a description and decides nothing about how programs are run: it is left out and reported, and the
//! plugin is served.

use serde_json::{Value, json};

use crate::strictness::{lists, read};

fn described(members: Value) -> Value {
    let mut description = json!({"contract_version": "1.1", "commands": [{"name": "run"}]});
    let all = description.as_object_mut().expect("an object");
    all.extend(members.as_object().expect("an object").clone());
    description
}

/// What clients are shown of a description, and what its author is told.
fn served(description: &Value) -> (Vec<Value>, Vec<String>) {
    let (snapshot, _) =
        read(description).unwrap_or_else(|fault| panic!("{description} is refused: {fault}"));
    let shown = lists(&snapshot).into_iter().map(|(_, _, list)| list);
    let shown = shown.take(4).collect();
    let warnings = snapshot.plugins[0].warnings.clone();
    (shown, warnings)
}

#[test]
fn what_decides_nothing_is_left_out_with_its_address() {
    let command = |member: Value| {
        let mut command = json!({"name": "run"});
        let all = command.as_object_mut().expect("an object");
        all.extend(member.as_object().expect("an object").clone());
        described(json!({"commands": [command]}))
    };
    let parameter = |member: Value| {
        let mut parameter = json!({"name": "a", "type": "boolean"});
        let all = parameter.as_object_mut().expect("an object");
        all.extend(member.as_object().expect("an object").clone());
        command(json!({"parameters": [parameter]}))
    };
    let resource = |member: Value| {
        let mut resource = json!({"uri": "notes://all", "name": "all", "command": "run"});
        let all = resource.as_object_mut().expect("an object");
        all.extend(member.as_object().expect("an object").clone());
        described(json!({"resources": [resource]}))
    };
    let prompt = |member: Value| {
        let mut prompt = json!({"name": "ask", "command": "ask"});
        let all = prompt.as_object_mut().expect("an object");
        all.extend(member.as_object().expect("an object").clone());
        described(json!({"prompts": [prompt]}))
    };
    for (description, address) in [
        (
            described(json!({"plugin": {"version": 2}})),
            "plugin.version",
        ),
        (described(json!({"plugin": 5})), "plugin"),
        (command(json!({"title": 5})), "commands[0].title"),
        (
            command(json!({"description": 5})),
            "commands[0].description",
        ),
        (
            command(json!({"icons": [{"src": "icons/draw.png"}]})),
            "commands[0].icons",
        ),
        (
            command(json!({"icons": [{"src": "https://example.org/a.png"}, {"src": "a.png"}]})),
            "commands[0].icons[1].src",
        ),
        (command(json!({"icons": 5})), "commands[0].icons"),
        (
            command(json!({"annotations": {"readOnlyHint": "yes", "openWorldHint": true}})),
            "commands[0].annotations.readOnlyHint",
        ),
        (command(json!({"_meta": 5})), "commands[0]._meta"),
        (
            parameter(json!({"description": 5})),
            "commands[0].parameters[0].description",
        ),
        (
            parameter(json!({"action": 5})),
            "commands[0].parameters[0].action",
        ),
        (
            parameter(json!({"action": "store_true", "takes_value": 17})),
            "commands[0].parameters[0].takes_value",
        ),
        (
            parameter(json!({"arg_style": "value", "takes_value": 17})),
            "commands[0].parameters[0].takes_value",
        ),
        (resource(json!({"title": 5})), "resources[0].title"),
        (resource(json!({"size": -1})), "resources[0].size"),
        (resource(json!({"size": "big"})), "resources[0].size"),
        (resource(json!({"mimeType": 5})), "resources[0].mimeType"),
        (resource(json!({"output": 5})), "resources[0].output"),
        (
            resource(json!({"annotations": {"priority": 7, "audience": ["user"]}})),
            "resources[0].annotations.priority",
        ),
        (
            resource(json!({"annotations": {"audience": ["user", "all"]}})),
            "resources[0].annotations.audience[1]",
        ),
        (
            resource(json!({"annotations": {"lastModified": "yesterday"}})),
            "resources[0].annotations.lastModified",
        ),
        (prompt(json!({"icons": [5]})), "prompts[0].icons"),
        (
            prompt(json!({"arguments": [{"name": "a", "title": 5, "description": 5}]})),
            "prompts[0].arguments[0].title",
        ),
    ] {
        let (shown, warnings) = served(&description);
        let is_said = warnings
            .iter()
            .any(|warning| warning.starts_with(address) && warning.ends_with("it is left out"));
        assert!(is_said, "{address}: {warnings:?}");
        for list in shown {
            let list = list.to_string();
            for wrong in [
                ":5",
                "[5]",
                "icons/draw.png",
                "\"a.png\"",
                "yes",
                "yesterday",
                "-1",
                "big",
            ] {
                assert!(!list.contains(wrong), "{address}: {list}");
            }
        }
    }
}

#[test]
fn what_fits_beside_it_is_shown() {
    let (shown, _) = served(&described(json!({"resources": [{
        "uri": "notes://all", "name": "all", "command": "run", "size": 3.0,
        "annotations": {"priority": 7, "audience": ["user", "all"]},
        "icons": [{"src": "a.png"}, {"src": "https://example.org/a.png", "theme": "blue"}],
    }]})));
    assert_eq!(
        shown[1],
        json!({"resources": [{
            "uri": "notes://all", "name": "all", "size": 3, "annotations": {"audience": ["user"]},
            "icons": [{"src": "https://example.org/a.png"}],
        }]})
    );
}

#[test]
fn an_entry_that_clients_cannot_read_leaves_the_others() {
    let (shown, warnings) = served(&described(json!({"resources": [
        {"uri": "all", "name": "one", "command": "run"},
        {"uri": "notes://all", "name": "two", "command": "run"},
    ]})));
    let listed = shown[1]["resources"].as_array().expect("a list");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["name"], "two");
    let said = |beginning: &str| {
        warnings
            .iter()
            .any(|warning| warning.starts_with(beginning))
    };
    assert!(said("resources[0].uri must be an address"), "{warnings:?}");
    assert!(said("resources[0] cannot be shown"), "{warnings:?}");
}

#[test]
fn a_resource_is_found_in_both_spellings_of_its_letters() {
    let description = described(json!({"resources": [
        {"uri": "notes://bücher/alle", "name": "b", "command": "run"},
        {"uri": "notes://a/b", "name": "a", "command": "run"},
    ]}));
    let (snapshot, is_reported) = read(&description).expect("it is served");
    assert!(is_reported);
    for uri in [
        "notes://bücher/alle",
        "notes://b%C3%BCcher/alle",
        "notes://b%c3%bccher/alle",
    ] {
        let found = snapshot
            .resource(uri)
            .unwrap_or_else(|why| panic!("{uri}: {why:?}"));
        let arguments: Value = serde_json::from_str(found.arguments.get()).expect("it is JSON");
        assert_eq!(arguments, json!({"uri": "notes://bücher/alle"}));
    }
    for uri in [
        "notes://a%2Fb",
        "notes://b%FCcher/alle",
        "notes://b%25C3%25BCcher/alle",
    ] {
        assert!(snapshot.resource(uri).is_err(), "{uri}");
    }
}

#[test]
fn of_two_arguments_of_a_prompt_with_one_name_the_first_counts() {
    let (shown, warnings) = served(&described(
        json!({"prompts": [{"name": "ask", "command": "ask", "arguments": [
            {"name": "a", "title": "first"}, {"name": "a", "title": "second"}, {"name": "b"},
        ]}]}),
    ));
    assert_eq!(
        shown[3]["prompts"][0]["arguments"],
        json!([{"name": "a", "title": "first"}, {"name": "b"}])
    );
    assert_eq!(
        warnings,
        ["prompts[0].arguments[1].name 'a' is the name of two arguments; the first counts"]
    );
}

#[test]
fn a_pattern_that_cannot_be_read_is_neither_shown_nor_checked() {
    for pattern in [r"^[\w-.]+$", r"(?<=a+)b(", r"\p{Nonsense}"] {
        let command = json!([
            {"name": "one", "parameters": [{"name": "a", "pattern": pattern}]},
            {"name": "two", "input_schema": {"type": "object", "properties": {"a": {"pattern": pattern}}}},
            {"name": "three", "output_schema": {"type": "object", "patternProperties": {pattern: true}}},
        ]);
        let (shown, warnings) = served(&described(json!({"commands": command})));
        assert!(!shown[0].to_string().contains("pattern\":"), "{shown:?}");
        for place in [
            "commands[0].parameters[0].pattern",
            "commands[1].input_schema.properties.a.pattern",
            "commands[2].output_schema.patternProperties",
        ] {
            let is_said = warnings.iter().any(|warning| warning.starts_with(place));
            assert!(is_said, "{place}: {warnings:?}");
        }
    }
}

#[test]
fn an_argument_that_never_reaches_its_program_is_reported() {
    let (_, warnings) = served(&described(json!({
        "commands": [{"name": "show", "parameters": [{"name": "topic"}]}],
        "prompts": [{"name": "ask", "command": "show", "arguments": [{"name": "topci"}, {"name": "topic"}]}],
        "resource_templates": [
            {"uriTemplate": "notes://{id}", "name": "note", "command": "show"},
            {"uriTemplate": "free://{id}", "name": "free", "command": "undeclared"},
        ],
    })));
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    for (address, name) in [
        ("prompts[0] ", "'topci'"),
        ("resource_templates[0] ", "'id'"),
    ] {
        let is_said = warnings.iter().any(|warning| {
            warning.starts_with(address) && warning.contains(name) && warning.contains("'show'")
        });
        assert!(is_said, "{warnings:?}");
    }
}

#[test]
fn a_tool_that_no_client_can_call_is_reported_with_its_plugin() {
    let description = described(json!({"commands": [{"name": "run", "tool": "a b"}]}));
    let (snapshot, _) = read(&description).expect("it is served");
    assert_eq!(snapshot.skipped[0].name, "a b");
    let reason = &snapshot.skipped[0].reason;
    assert!(
        reason.ends_with("the command run of the plugin p"),
        "{reason}"
    );
}
