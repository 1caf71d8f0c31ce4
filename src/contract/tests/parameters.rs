//! What a description says of arguments.

use super::*;

#[test]
fn keywords_of_json_schema_go_through_and_the_contracts_own_members_do_not() {
    let cases = [
        (json!({}), json!({"type": "string"})),
        (
            json!({"type": "array"}),
            json!({"type": "array", "items": {"type": "string"}}),
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}, "minItems": 1}),
            json!({"type": "array", "items": {"type": "integer"}, "minItems": 1}),
        ),
        (
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": true}),
        ),
        (
            json!({"type": "object", "properties": {"a": {}}}),
            json!({"type": "object", "properties": {"a": {}}}),
        ),
        (
            json!({"type": "integer", "minimum": 1, "maximum": 9, "x-mcp-header": "Size", "flag": "-s", "env": "S",
                   "arg_style": "value", "level": 0, "metavar": "N", "category": "unknown"}),
            json!({"type": "integer", "minimum": 1, "maximum": 9, "x-mcp-header": "Size"}),
        ),
        (json!({"enum": [1, 2]}), json!({"enum": [1, 2]})),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ),
        (
            json!({"pattern": null, "enum": null, "default": null}),
            json!({"type": "string"}),
        ),
        (
            json!({"description": " \u{1b}[1mBold\u{1b}[0m\u{7} "}),
            json!({"type": "string", "description": "Bold"}),
        ),
    ];
    for (members, expected) in cases {
        assert_eq!(
            Value::from(parameter(members.clone()).schema),
            expected,
            "{members}"
        );
    }
}

#[test]
fn how_an_argument_is_written_is_read_from_all_the_ways_to_say_it() {
    let style = |members: Value| parameter(members).writing.style;
    for members in [
        json!({"type": "boolean", "action": "store_true"}),
        json!({"type": "boolean", "action": "store_false"}),
        json!({"type": "boolean", "takes_value": false}),
        json!({"type": "boolean", "arg_style": "flag"}),
        json!({"type": "boolean", "negative_flag": "--no-size"}),
    ] {
        assert_eq!(style(members.clone()), Some(Style::Flag), "{members}");
    }
    for members in [
        json!({"type": "boolean"}),
        json!({"type": "string", "action": "store_true"}),
        json!({"type": "boolean", "action": "store"}),
        json!({"type": "boolean", "takes_value": true}),
    ] {
        assert_eq!(style(members.clone()), None, "{members}");
    }
    assert_eq!(parameter(json!({"name": "a_b"})).option(), "--a-b");
    assert_eq!(
        parameter(json!({"name": "a_b", "flag": "--a_b"})).option(),
        "--a_b"
    );
}

#[test]
fn parameters_beside_a_whole_schema_say_only_how_its_properties_are_written() {
    let command = command(json!({
        "input_schema": {"type": "object", "required": ["b"], "properties": {
            "b": {"type": "integer"}, "max_size": {}, "free": {"type": ["string", "null"]}}},
        "parameters": [{"name": "max-size", "type": "boolean", "flag": "-m"}, {"name": "more"}],
    }));
    let shown: Vec<_> = command
        .parameters
        .iter()
        .map(|parameter| {
            (
                parameter.name.as_str(),
                parameter.kind,
                parameter.required,
                parameter.option(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("b", Some(ValueType::Integer), true, "--b".to_owned()),
            ("max_size", Some(ValueType::Boolean), false, "-m".to_owned()),
            ("free", None, false, "--free".to_owned()),
            ("more", Some(ValueType::String), false, "--more".to_owned()),
        ]
    );
}

#[test]
fn a_command_that_declares_both_spellings_of_a_name_is_refused_and_the_others_are_not() {
    let description = read(&json!({"commands": [
        {"name": "bad", "parameters": [{"name": "a-b"}, {"name": "a_b"}]},
        {"name": "good"},
    ]}))
    .expect("it keeps the contract");
    assert_eq!(description.commands.len(), 1);
    assert_eq!(description.refused[0].0, "bad");
}
