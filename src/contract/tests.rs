//! Whole descriptions, read as either version of the contract.

mod features;
mod parameters;

use std::time::Duration;

use serde_json::json;

use super::*;

/// The same payload, of version 1.1 where it says nothing about that.
fn newer(mut payload: Value) -> Value {
    if let Some(members) = payload.as_object_mut() {
        let version = members.entry("contract_version");
        version.or_insert_with(|| "1.1".into());
    }
    payload
}

fn faults(payload: Value) -> Vec<String> {
    read(&newer(payload))
        .expect_err("it breaks the contract")
        .into_vec()
}

fn command(members: Value) -> Command {
    let mut entry = json!({"name": "run"});
    entry
        .as_object_mut()
        .expect("an object")
        .extend(members.as_object().expect("an object").clone());
    let description =
        read(&newer(json!({"commands": [entry]}))).unwrap_or_else(|faults| panic!("{faults:?}"));
    description
        .commands
        .into_iter()
        .next()
        .expect("one command")
}

fn parameter(members: Value) -> Parameter {
    let mut entry = json!({"name": "size"});
    entry
        .as_object_mut()
        .expect("an object")
        .extend(members.as_object().expect("an object").clone());
    command(json!({"parameters": [entry]})).parameters[0].clone()
}

#[test]
fn version_one_is_read_as_version_three_of_smcp_wrote_it() {
    let description = read(&json!({
        "contract_version": "1.0",
        "plugin": {"name": "other", "version": "2.1", "description": "Adds"},
        "unknown": true,
        "commands": [
            {"name": "add", "description": "Adds", "parameters": [
                {"name": "a", "type": "number", "description": "First", "required": true, "default": null, "unknown": 1},
                {"name": "note", "type": "string", "description": null, "required": null, "default": ""},
            ]},
            {"name": "connect"},
            {"name": "disconnect"},
            {"name": "bare"},
        ],
    }))
    .expect("it keeps the contract");
    let names: Vec<_> = description
        .commands
        .iter()
        .map(|command| command.name.as_str())
        .collect();
    assert_eq!(names, ["add", "bare"]);
    assert_eq!(
        (description.about.as_str(), description.version.as_deref()),
        ("Adds", Some("2.1"))
    );
    let [a, note] = &description.commands[0].parameters[..] else {
        panic!("two parameters")
    };
    assert_eq!(
        Value::from(a.schema.clone()),
        json!({"type": "number", "description": "First"})
    );
    assert_eq!(
        Value::from(note.schema.clone()),
        json!({"type": "string", "default": ""})
    );
    assert_eq!((a.required, note.required), (true, false));
    assert_eq!(description.commands[1].invoke, ["bare"]);
}

#[test]
fn every_fault_is_named_with_its_field() {
    let parameter = |members: Value| {
        let mut entry = json!({"name": "n"});
        entry
            .as_object_mut()
            .expect("an object")
            .extend(members.as_object().expect("an object").clone());
        json!({"commands": [{"name": "a"}, {"name": "b", "parameters": [entry]}]})
    };
    let command = |members: Value| {
        let mut entry = json!({"name": "n"});
        entry
            .as_object_mut()
            .expect("an object")
            .extend(members.as_object().expect("an object").clone());
        json!({"commands": [entry]})
    };
    let at = "commands[1].parameters[0]";
    let cases = [
        (json!([]), "the description must be an object, not an array".to_owned()),
        (json!({}), "commands is missing".to_owned()),
        (json!({"commands": {}}), "commands must be an array, not an object".to_owned()),
        (json!({"commands": ["x"]}), "commands[0] must be an object, not 'x'".to_owned()),
        (json!({"commands": [{}]}), "commands[0].name is missing".to_owned()),
        (json!({"commands": [{"name": 5}]}), "commands[0].name must be a string, not 5".to_owned()),
        (json!({"commands": [{"name": ""}]}), "commands[0].name must not be empty".to_owned()),
        (json!({"commands": [{"name": "-x"}]}), "commands[0].name '-x' must not begin with '-'".to_owned()),
        (
            json!({"commands": [{"name": "ünï"}]}),
            "commands[0].name 'ünï' has characters other than a-z, A-Z, 0-9, '_' and '-'".to_owned(),
        ),
        (
            json!({"commands": [{"name": "a\u{1b}[31mb"}]}),
            "commands[0].name 'ab' has control characters".to_owned(),
        ),
        (
            json!({"contract_version": "2.0", "commands": []}),
            "contract_version '2.0' is not a version of contract 1, such as 1.0 or 1.1".to_owned(),
        ),
        (
            json!({"contract_version": [], "commands": []}),
            "contract_version must be a string such as \"1.1\"".to_owned(),
        ),
        (
            parameter(json!({"type": "str"})),
            format!("{at}.type 'str' is not one of string, number, integer, boolean, array, object"),
        ),
        (parameter(json!({"required": "yes"})), format!("{at}.required must be true or false, not 'yes'")),
        (parameter(json!({"name": "-n"})), format!("{at}.name '-n' must not begin with '-'")),
        (
            parameter(json!({"name": "a=b"})),
            format!("{at}.name 'a=b' must have no '=' and no white space: it becomes an option"),
        ),
        (
            parameter(json!({"arg_style": "flag", "type": "string"})),
            format!("{at}.arg_style 'flag' needs the type boolean"),
        ),
        (
            parameter(json!({"arg_style": "best"})),
            format!("{at}.arg_style 'best' is not one of flag, value, positional, repeat, list, count, rest"),
        ),
        (parameter(json!({"flag": "--two words"})), format!("{at}.flag '--two words' is not one word without '='")),
        (
            parameter(json!({"env": "A-B"})),
            format!("{at}.env 'A-B' is not the name of an environment variable"),
        ),
        (
            parameter(json!({"env": "LD_PRELOAD"})),
            format!(
                "{at}.env 'LD_PRELOAD' would let a caller change how the program is run; choose another variable"
            ),
        ),
        (
            parameter(json!({"level": 9})),
            "commands[1].parameters says that 'n' stands after more words than the 1 of invoke".to_owned(),
        ),
        (command(json!({"timeout": 0})), "commands[0].timeout must be a number of seconds above 0, not 0".to_owned()),
        (command(json!({"max_concurrency": 0})), "commands[0].max_concurrency must be at least 1".to_owned()),
        (command(json!({"output": "xml"})), "commands[0].output 'xml' is not one of text, json, content".to_owned()),
        (
            command(json!({"requires": ["roots", "elicitation.voice"]})),
            "commands[0].requires[1] 'elicitation.voice' is not one of elicitation, elicitation.form, elicitation.url, \
             sampling, sampling.tools, sampling.context, roots, tasks".to_owned(),
        ),
        (
            command(json!({"parameters": [{"name": "a"}], "one_of": [{"names": ["a", "x"]}]})),
            "commands[0].one_of[0].names[1] 'x' is no parameter".to_owned(),
        ),
        (
            command(json!({"detach": "never"})),
            "commands[0].detach 'never' is not one of later".to_owned(),
        ),
        (
            command(json!({"detach": 1})),
            "commands[0].detach must be true or false, not 1".to_owned(),
        ),
        (
            json!({"commands": [], "prompts": [{"name": "a", "command": "c", "arguments": [{"name": "-x"}]}]}),
            "prompts[0].arguments[0].name '-x' must not begin with '-'".to_owned(),
        ),
        (
            command(json!({"input_schema": {}})),
            "commands[0].input_schema must have \"type\": \"object\": arguments are an object".to_owned(),
        ),
        (
            command(json!({"input_schema": {"type": "object", "properties": {"-x": {}}}})),
            "commands[0].input_schema has the property '-x', which must not begin with '-'".to_owned(),
        ),
        (
            json!({"commands": [], "resources": [{"uri": "x://y", "command": "read"}]}),
            "resources[0].name is missing".to_owned(),
        ),
        (
            json!({"commands": [], "resource_templates": [{"uriTemplate": "x://{", "name": "x", "command": "read"}]}),
            "resource_templates[0].uriTemplate has a '{' without its '}'".to_owned(),
        ),
        (
            json!({"commands": [], "prompts": [{"name": "x", "command": "no good"}]}),
            "prompts[0].command 'no good' has characters other than a-z, A-Z, 0-9, '_' and '-'".to_owned(),
        ),
        (
            json!({"commands": [], "completions": [{"ref": {"type": "ref/tool"}, "command": "c"}]}),
            "completions[0].ref must be {\"type\":\"ref/prompt\",\"name\":…} or {\"type\":\"ref/resource\",\"uri\":…}"
                .to_owned(),
        ),
    ];
    for (payload, expected) in cases {
        assert_eq!(faults(payload.clone()), [expected], "{payload}");
    }
    let several = faults(
        json!({"contract_version": "2.1", "commands": [{"name": "a b"}, {"name": "c", "output": 1}]}),
    );
    assert_eq!(several.len(), 3, "{several:?}");
}

#[test]
fn a_command_says_how_it_looks_and_how_it_runs() {
    let command = command(json!({
        "tool": "exact.name", "title": "A title", "annotations": {"readOnlyHint": true}, "icons": [{"src": "https://x"}],
        "_meta": {"k": 1}, "timeout": 1.5, "max_concurrency": 2, "input": "stdin", "output": "content",
        "output_schema": {"type": "object"}, "requires": ["sampling", "elicitation.url"], "invoke": ["a", "b"], "warm": false, "reuse": true,
        "background": false, "detach": true,
    }));
    assert_eq!(command.tool, ToolName::Exact("exact.name".to_owned()));
    assert_eq!(command.title.as_deref(), Some("A title"));
    let passed_on: Vec<_> = command.passed_on.iter().map(|(name, _)| *name).collect();
    assert_eq!(passed_on, ["annotations", "icons", "_meta"]);
    assert_eq!(command.time_limit, Some(Duration::from_millis(1_500)));
    assert_eq!(command.max_concurrency, Some(2));
    assert_eq!(
        (command.input, command.output),
        (Input::Stdin, Output::Content)
    );
    let required = [Capability::Sampling, Capability::ElicitationUrl];
    assert_eq!(command.requires, required.into_iter().collect());
    assert_eq!(command.invoke, ["a", "b"]);
    assert!(!command.warm && command.reuse);
    assert_eq!(command.background, Some(false));
    assert_eq!(
        (command.detach, command.requires_task),
        (Detach::AtOnce, false)
    );
    assert_eq!(
        super::tests::command(json!({"tool": false})).tool,
        ToolName::None
    );
}

#[test]
fn a_command_says_from_when_on_its_calls_may_be_left_and_whether_clients_must_hold_tasks() {
    for (members, detach, requires_task) in [
        (json!({}), Detach::Never, false),
        (json!({"detach": false}), Detach::Never, false),
        (json!({"detach": null}), Detach::Never, false),
        (json!({"detach": "later"}), Detach::WhenSaid, false),
        (json!({"requires": ["tasks"]}), Detach::Never, true),
        (
            json!({"detach": true, "requires": ["roots", "tasks"]}),
            Detach::AtOnce,
            true,
        ),
    ] {
        let read = command(members.clone());
        assert_eq!(
            (read.detach, read.requires_task),
            (detach, requires_task),
            "{members}"
        );
    }
}
