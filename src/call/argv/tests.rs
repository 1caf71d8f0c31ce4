//! The words that a program is given for the arguments of a call.

mod generated;
mod places;
mod values;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::words::MAX_WORD;
use super::*;
use crate::{call::arguments, contract, contract::schema};

fn write_line(entry: &Value, arguments: &str) -> Result<Line, String> {
    let description = contract::read(&json!({"contract_version": "1.1", "commands": [entry]}))
        .expect("it keeps the contract");
    let command = &description.commands[0];
    let schema = schema::of_input(command).expect("a schema");
    let raw = RawValue::from_string(arguments.to_owned()).expect("it is JSON");
    let checked =
        arguments::check(command, &schema, Some(&raw)).map_err(|faults| faults.to_string())?;
    write(command, &checked).map_err(|refused| match refused {
        Unwritable::Faults(faults) => faults.to_string(),
        Unwritable::TooLarge(message) => message,
    })
}

/// The words of a command `run` with these parameters; without the command itself.
fn words(parameters: Value, arguments: &str) -> Result<Vec<String>, String> {
    let line = write_line(&json!({"name": "run", "parameters": parameters}), arguments)?;
    assert_eq!(line.words.first().map(String::as_str), Some("run"));
    Ok(line.words[1..].to_vec())
}

fn one(members: Value, value: &str) -> Result<Vec<String>, String> {
    let mut parameter = json!({"name": "some_name"});
    parameter
        .as_object_mut()
        .expect("an object")
        .extend(members.as_object().expect("an object").clone());
    words(json!([parameter]), &format!("{{\"some_name\":{value}}}"))
}

#[test]
fn what_no_command_line_can_carry_is_refused() {
    let list = |more: Value| {
        let mut members = json!({"type": "array", "items": {"type": "string"}});
        members
            .as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        members
    };
    let cases = [
        (
            list(json!({"arg_style": "list"})),
            "[\"a\",\"-b\"]",
            "cannot have the item -b among others",
        ),
        (
            list(json!({"arg_style": "list", "dashes": "numbers"})),
            "[\"-5\",\"-b\"]",
            "cannot have the item -b",
        ),
        (
            list(json!({"arg_style": "list", "dashes": "numbers"})),
            "[\"a\",\"-1e5\"]",
            "cannot have the item -1e5",
        ),
        (
            list(json!({"arg_style": "rest"})),
            "[\"-a\"]",
            "'some_name' cannot be -a",
        ),
        (
            json!({"arg_style": "positional", "level": 0}),
            "\"-a\"",
            "'some_name' cannot be -a",
        ),
        (
            json!({}),
            "\"a\\u0000b\"",
            "'some_name' contains a NUL character",
        ),
        (
            json!({"env": "NAME"}),
            "\"a\\u0000b\"",
            "'some_name' contains a NUL character",
        ),
        (
            json!({"type": "integer", "arg_style": "count", "flag": "-v"}),
            "100000",
            "must be from 0 to 1000",
        ),
    ];
    for (members, value, expected) in cases {
        let fault = one(members.clone(), value).expect_err("it is refused");
        assert!(fault.contains(expected), "{members} {value}: {fault}");
    }
}

#[test]
fn one_word_is_as_long_as_the_system_takes_and_no_longer() {
    let sized =
        |members: Value, length: usize| one(members, &format!("\"{}\"", "x".repeat(length)));
    let in_one_word = "--some-name=".len();
    assert!(sized(json!({}), MAX_WORD).is_ok());
    assert!(sized(json!({"separator": "="}), MAX_WORD - in_one_word).is_ok());
    for fault in [
        sized(json!({}), MAX_WORD + 1),
        sized(json!({"separator": "="}), MAX_WORD - in_one_word + 1),
        sized(json!({"env": "TEXT"}), MAX_WORD - 4),
    ] {
        let fault = fault.expect_err("it is too large");
        assert!(fault.contains("'some_name' takes 131072 bytes"), "{fault}");
    }
}
