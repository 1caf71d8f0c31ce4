//! Schemas made of parameters, and what they let through.

use super::*;
use crate::contract;

fn command(entry: Value) -> Command {
    let mut named = json!({"name": "run"});
    named
        .as_object_mut()
        .expect("an object")
        .extend(entry.as_object().expect("an object").clone());
    let description = contract::read(&json!({"commands": [named]})).expect("it keeps the contract");
    description
        .commands
        .into_iter()
        .next()
        .expect("one command")
}

#[test]
fn parameters_become_a_schema_that_admits_nothing_else() {
    let command = command(json!({"parameters": [
        {"name": "b", "type": "number", "description": "Second", "required": true},
        {"name": "a", "type": "array", "default": ["x"]},
    ]}));
    let schema = of_input(&command).expect("a schema");
    let expected = r#"{"type":"object","properties":{"b":{"type":"number","description":"Second"},"a":{"type":"array","default":["x"],"items":{"type":"string"}}},"required":["b"],"additionalProperties":false}"#;
    assert_eq!(schema.value.to_string(), expected);
}

#[test]
fn a_whole_schema_stays_as_it_was_written() {
    let whole = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
        "$defs": {"a": {"$anchor": "here", "type": "string"}}, "properties": {"a": {"$ref": "#here"}},
        "additionalProperties": false});
    let schema = of_input(&command(json!({"input_schema": whole}))).expect("a schema");
    assert_eq!(schema.value, whole);
    assert_eq!(schema.faults(&json!({"a": "x"}), &[]), [""; 0]);
    assert_eq!(schema.faults(&json!({"a": 1}), &[]).len(), 1);
}

#[test]
fn a_schema_that_is_none_or_that_would_have_to_be_fetched_is_refused() {
    for schema in [
        json!({"type": "object", "properties": {"a": {"type": "text"}}}),
        json!({"type": "object", "properties": {"a": {"pattern": "("}}}),
        json!({"type": "object", "$ref": "http://127.0.0.1:9/schema.json"}),
        json!({"type": "object", "$ref": "file:///etc/passwd"}),
        json!({"type": "object", "$ref": "#/$defs/missing"}),
        json!({"type": "object", "$schema": "http://127.0.0.1:9/dialect"}),
    ] {
        let faults =
            of_input(&command(json!({"input_schema": schema}))).expect_err("it is refused");
        assert!(
            faults[0].starts_with("commands[0].input_schema is no valid JSON Schema"),
            "{faults:?}"
        );
        let faults =
            of_output(&command(json!({"output_schema": schema}))).expect_err("it is refused");
        assert!(
            faults[0].starts_with("commands[0].output_schema is no valid JSON Schema"),
            "{faults:?}"
        );
    }
}

#[test]
fn a_header_stands_only_where_clients_can_follow_it() {
    let input = |properties: Value| {
        of_input(&command(
            json!({"input_schema": {"type": "object", "properties": properties}}),
        ))
    };
    let header = |kind: &str, name: &str| json!({"type": kind, "x-mcp-header": name});
    let inner = |schema: Value| json!({"type": "object", "properties": {"inner": schema}});
    for properties in [
        json!({"a": header("string", "A"), "b": header("integer", "B"), "c": header("boolean", "C")}),
        json!({"a": inner(header("string", "A"))}),
        json!({"x-mcp-header": {"type": "number"}}),
    ] {
        assert!(input(properties.clone()).is_ok(), "{properties}");
    }
    for properties in [
        json!({"a": header("number", "A")}),
        json!({"a": header("string", "two words")}),
        json!({"a": header("string", "")}),
        json!({"a": {"type": "string", "x-mcp-header": 5}}),
        json!({"a": header("string", "Same"), "b": inner(header("string", "same"))}),
        json!({"a": {"type": "array", "items": header("string", "A")}}),
        json!({"a": {"anyOf": [header("string", "A")]}}),
    ] {
        let faults = input(properties.clone()).expect_err("it is refused");
        assert!(
            faults[0].contains("x-mcp-header"),
            "{properties}: {faults:?}"
        );
    }
}
