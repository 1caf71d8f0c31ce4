//! Schemas made of parameters, and what they let through.

use super::*;
use crate::contract;

fn command(entry: Value) -> Command {
    let mut named = json!({"name": "run"});
    named
        .as_object_mut()
        .expect("an object")
        .extend(entry.as_object().expect("an object").clone());
    let description = contract::read(&json!({"contract_version": "1.1", "commands": [named]}))
        .expect("it keeps the contract");
    description
        .commands
        .into_iter()
        .next()
        .expect("one command")
}

fn faults(schema: &Schema, instance: &Value) -> Vec<String> {
    schema.faults(instance, &HashSet::new()).into_vec()
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
    assert_eq!(faults(&schema, &json!({"a": "x"})), [""; 0]);
    assert_eq!(faults(&schema, &json!({"a": 1})).len(), 1);
}

#[test]
fn a_schema_that_is_none_or_that_would_have_to_be_fetched_is_refused() {
    for schema in [
        json!({"type": "object", "properties": {"a": {"type": "text"}}}),
        json!({"type": "object", "properties": {"a": {"minLength": "("}}}),
        json!({"type": "object", "$ref": "http://127.0.0.1:9/schema.json"}),
        json!({"type": "object", "$ref": "file:///etc/passwd"}),
        json!({"type": "object", "$ref": "#/$defs/missing"}),
        json!({"type": "object", "$schema": "http://127.0.0.1:9/dialect"}),
    ] {
        let faults = of_input(&command(json!({"input_schema": schema})))
            .expect_err("it is refused")
            .into_vec();
        assert!(
            faults[0].starts_with("commands[0].input_schema is no valid JSON Schema"),
            "{faults:?}"
        );
        let faults = of_output(&command(json!({"output_schema": schema})))
            .expect_err("it is refused")
            .into_vec();
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
        json!({"a": {"items": [header("string", "A")]}}),
        json!({"a": {"unevaluatedProperties": header("string", "A")}}),
        json!({"a": {"propertyNames": header("string", "A")}}),
        json!({"a": {"dependencies": {"b": header("string", "A")}}}),
    ] {
        let faults = input(properties.clone())
            .expect_err("it is refused")
            .into_vec();
        assert!(
            faults[0].contains("x-mcp-header"),
            "{properties}: {faults:?}"
        );
    }
}

#[test]
fn of_a_million_items_that_do_not_fit_the_first_is_named() {
    let schema = Schema::compile(
        json!({"type": "object", "properties": {"v": {"items": {"type": "integer"}}}}),
    )
    .expect("a schema");
    let found = faults(&schema, &json!({"v": vec!["x"; 1_000_000]}));
    assert_eq!(found, ["'v[0]': \"x\" is not of type \"integer\""]);
}

#[test]
fn of_many_faults_twenty_are_named() {
    let schema = Schema::compile(
        json!({"type": "object", "properties": {"v": {"items": {"type": "integer"}}},
        "additionalProperties": false}),
    )
    .expect("a schema");
    let found = faults(&schema, &json!({"v": vec!["x"; 5_000]}));
    assert_eq!((found.len(), found[20].as_str()), (21, "and 4980 more"));
    let unknown = |count: usize| {
        let names = (0..count).map(|n| (format!("n{n}"), Value::Null));
        faults(&schema, &Value::Object(names.collect()))
    };
    let found = unknown(5_000);
    assert_eq!((found.len(), found[20].as_str()), (21, "and 4980 more"));
    let long: usize = found.iter().map(String::len).sum();
    assert!(long < 20 * 600, "{long}");
    assert_eq!(unknown(300_000).len(), 1, "the first is enough");
}

#[test]
fn of_a_large_value_a_fault_quotes_the_beginning() {
    let schema =
        Schema::compile(json!({"type": "object", "properties": {"v": {"type": "integer"}}}))
            .expect("a schema");
    let found = faults(&schema, &json!({"v": "x".repeat(3_000_000)}));
    assert!(found[0].len() < 300, "{}", found[0].len());
}
