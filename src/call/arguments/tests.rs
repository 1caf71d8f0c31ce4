use serde_json::{Value, json};

use super::*;
use crate::contract;
use crate::contract::schema;

fn command(entry: Value) -> Command {
    let description = contract::read(&json!({"contract_version": "1.1", "commands": [entry]}))
        .expect("it keeps the contract");
    description
        .commands
        .into_iter()
        .next()
        .expect("one command")
}

fn checked(entry: Value, arguments: &str) -> Result<Arguments, Vec<String>> {
    let command = command(entry);
    let schema = schema::of_input(&command).expect("a schema");
    let raw = RawValue::from_string(arguments.to_owned()).expect("it is JSON");
    check(&command, &schema, Some(&raw)).map_err(Faults::into_vec)
}

/// One parameter `v` with these members, checked with the value; its words and its JSON.
fn value(members: Value, value: &str) -> Result<(Given, String), String> {
    let mut parameter = json!({"name": "v"});
    parameter
        .as_object_mut()
        .expect("an object")
        .extend(members.as_object().expect("an object").clone());
    let entry = json!({"name": "run", "parameters": [parameter]});
    let mut arguments =
        checked(entry, &format!("{{\"v\":{value}}}")).map_err(|faults| faults.join("; "))?;
    Ok((arguments.given.remove(0).value, arguments.json.remove(0).1))
}

fn word(text: &str) -> Given {
    Given::Word(text.to_owned())
}

#[test]
fn values_keep_the_text_they_came_with() {
    let cases = [
        ("string", "\"5\"", word("5"), "\"5\""),
        ("string", "\"\\u00fc\\n\"", word("ü\n"), "\"\\u00fc\\n\""),
        ("number", "1e-07", word("1e-07"), "1e-07"),
        ("number", "1.50", word("1.50"), "1.50"),
        (
            "number",
            "123456789012345678901234567890",
            word("123456789012345678901234567890"),
            "123456789012345678901234567890",
        ),
        ("number", "\"1e-07\"", word("1e-07"), "1e-07"),
        ("number", "\"-5\"", word("-5"), "-5"),
        ("integer", "5.0", word("5"), "5"),
        ("integer", "1e3", word("1000"), "1000"),
        ("integer", "-12.50e1", word("-125"), "-125"),
        ("integer", "-0.0", word("0"), "0"),
        (
            "integer",
            "1180591620717411303424",
            word("1180591620717411303424"),
            "1180591620717411303424",
        ),
        ("integer", "\"007\"", word("007"), "7"),
        (
            "boolean",
            "true",
            Given::Switch(true, "true".to_owned()),
            "true",
        ),
        (
            "boolean",
            "\"True\"",
            Given::Switch(true, "True".to_owned()),
            "true",
        ),
        (
            "boolean",
            "\"false\"",
            Given::Switch(false, "false".to_owned()),
            "false",
        ),
        ("array", "\"one\"", word("one"), "[\"one\"]"),
        ("array", "\"[\\\"a\\\"]\"", word("[\"a\"]"), "[\"a\"]"),
        (
            "object",
            "\"key=value\"",
            word("key=value"),
            "\"key=value\"",
        ),
        (
            "object",
            "{ \"a\": 1.0 }",
            Given::Json("{ \"a\": 1.0 }".to_owned()),
            "{ \"a\": 1.0 }",
        ),
    ];
    for (kind, given, expected, json) in cases {
        assert_eq!(
            value(json!({"type": kind}), given),
            Ok((expected, json.to_owned())),
            "{kind} {given}"
        );
    }
}

#[test]
fn an_array_may_come_as_an_object_with_the_one_member_item() {
    let strings = json!({"type": "array", "items": {"type": "string"}});
    let array = |words: &[&str], json: &str| {
        Ok((
            Given::Array(
                words.iter().map(|text| word(text)).collect(),
                json.to_owned(),
            ),
            json.to_owned(),
        ))
    };
    assert_eq!(
        value(strings.clone(), "{\"item\":\"x\"}"),
        array(&["x"], "[\"x\"]")
    );
    assert_eq!(
        value(strings.clone(), "{\"item\":[\"x\",\"y\"]}"),
        array(&["x", "y"], "[\"x\",\"y\"]")
    );
    assert!(value(strings.clone(), "{\"item\":\"x\",\"more\":1}").is_err());
    assert!(value(strings, "{\"other\":\"x\"}").is_err());
    let numbers = json!({"type": "array", "items": {"type": "integer"}});
    let (given, json) = value(numbers, "[1.0, \"2\"]").expect("it fits");
    assert_eq!(
        given,
        Given::Array(vec![word("1"), word("2")], "[1,2]".to_owned())
    );
    assert_eq!(json, "[1,2]");
}

#[test]
fn what_does_not_fit_is_named() {
    let cases = [
        (
            json!({"type": "integer"}),
            "1.5",
            "'v' must be an integer, not 1.5",
        ),
        (
            json!({"type": "integer"}),
            "1.0000000000000000001",
            "'v' must be an integer",
        ),
        (
            json!({"type": "integer"}),
            "1e-400",
            "'v' must be an integer",
        ),
        (
            json!({"type": "number"}),
            "1e400",
            "'v' is a number that JSON programs cannot read: 1e400",
        ),
        (
            json!({"type": "number"}),
            "\"inf\"",
            "'v': \"inf\" is not of type",
        ),
        (json!({"type": "integer"}), "\"5 apples\"", "is not of type"),
        (json!({"type": "boolean"}), "\"yes\"", "is not of type"),
        (json!({"type": "boolean"}), "1", "is not of type"),
        (json!({"type": "string"}), "5", "is not of type"),
        (
            json!({"type": "string", "maxLength": 2}),
            "\"abc\"",
            "longer than 2",
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            "[\"x\"]",
            "'v[0]': \"x\" is not of type",
        ),
        (
            json!({"type": "array", "items": {"type": "integer"}}),
            "\"x\"",
            "is not of type",
        ),
        (
            json!({"type": "array", "minItems": 2}),
            "[\"x\"]",
            "less than 2 items",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer"}}}),
            "{\"a\":\"x\"}",
            "'v.a': \"x\" is not of type",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "integer"}}}),
            "\"{\\\"a\\\":\\\"x\\\"}\"",
            "'v.a'",
        ),
        (
            json!({"type": "string"}),
            "\"\\ud800\"",
            "'v' is no valid text",
        ),
    ];
    for (members, given, expected) in cases {
        let fault = value(members.clone(), given).expect_err("it does not fit");
        assert!(fault.contains(expected), "{members} {given}: {fault}");
    }
}

#[test]
fn keys_are_mapped_to_the_declared_spelling_and_nulls_are_dropped() {
    let entry = json!({"name": "run", "parameters": [
        {"name": "first"}, {"name": "max-size", "type": "integer"}, {"name": "last_one", "required": true},
    ]});
    let given = |arguments: &str| {
        let arguments = checked(entry.clone(), arguments)?;
        Ok(arguments
            .given
            .into_iter()
            .map(|argument| (argument.name, argument.value))
            .collect::<Vec<_>>())
    };
    let named = |name: &str, text: &str| (name.to_owned(), word(text));
    assert_eq!(
        given(r#"{"last-one":"z","max_size":null,"max-size":1,"max_size":2,"first":null}"#),
        Ok(vec![named("max-size", "1"), named("last_one", "z")])
    );
    assert_eq!(
        given(r#"{"last_one":null}"#),
        Err(vec!["'last_one' is missing".to_owned()])
    );
    let unknown: Result<Vec<(String, Given)>, Vec<String>> =
        given(r#"{"last_one":"z","more":1,"Max-Size":1}"#);
    assert_eq!(unknown.expect_err("two are unknown").len(), 2);
}

#[test]
fn a_null_that_a_whole_schema_demands_reaches_it() {
    let schema = json!({"type": "object", "required": ["a"], "properties": {
        "a": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "b": {"type": "string"}}});
    let entry = json!({"name": "run", "input": "stdin", "input_schema": schema});
    let arguments = checked(entry, r#"{"a":null,"b":null}"#).expect("it fits");
    assert_eq!(arguments.json, [("a".to_owned(), "null".to_owned())]);
    assert_eq!(arguments.given, []);
}

#[test]
fn arguments_that_exclude_each_other_are_told_apart() {
    let entry = |required: bool| {
        json!({"name": "run", "one_of": [{"names": ["a", "b"], "required": required}], "parameters": [
            {"name": "a"}, {"name": "b", "type": "boolean", "arg_style": "flag"}, {"name": "c"},
        ]})
    };
    let faults = |required, arguments| {
        checked(entry(required), arguments)
            .err()
            .unwrap_or_default()
    };
    assert_eq!(faults(false, r#"{"c":"x"}"#), [""; 0]);
    assert_eq!(faults(true, r#"{"c":"x"}"#), ["one of a, b must be given"]);
    assert_eq!(faults(true, r#"{"a":"x","b":false}"#), [""; 0]);
    assert_eq!(
        faults(false, r#"{"a":"x","b":true}"#),
        ["a, b exclude each other; give only one"]
    );
    assert_eq!(
        faults(true, r#"{"b":false}"#),
        ["one of a, b must be given"]
    );
}

#[test]
fn a_whole_schema_is_checked_with_all_its_keywords() {
    let schema = json!({"type": "object", "properties": {"kind": {"enum": ["phone", "mail"]}, "phone": {"$ref": "#/$defs/number"}},
        "$defs": {"number": {"type": "string", "pattern": "^[0-9]+$"}},
        "if": {"properties": {"kind": {"const": "phone"}}, "required": ["kind"]}, "then": {"required": ["phone"]}});
    let entry = json!({"name": "run", "input_schema": schema});
    assert!(checked(entry.clone(), r#"{"kind":"mail"}"#).is_ok());
    assert!(checked(entry.clone(), r#"{"kind":"phone","phone":"12"}"#).is_ok());
    let faults = checked(entry.clone(), r#"{"kind":"phone"}"#).expect_err("it is missing");
    assert_eq!(faults, ["'phone' is missing"]);
    assert!(
        checked(entry, r#"{"phone":"x"}"#).expect_err("no digits")[0].contains("does not match")
    );
}

#[test]
fn what_is_no_object_is_refused_and_nothing_counts_as_an_empty_one() {
    let entry = json!({"name": "run"});
    for (arguments, fits) in [
        ("{}", true),
        ("null", true),
        ("[]", false),
        ("\"x\"", false),
        ("5", false),
    ] {
        assert_eq!(
            checked(entry.clone(), arguments).is_ok(),
            fits,
            "{arguments}"
        );
    }
    let command = command(entry);
    let schema = schema::of_input(&command).expect("a schema");
    assert_eq!(check(&command, &schema, None), Ok(Arguments::default()));
}
