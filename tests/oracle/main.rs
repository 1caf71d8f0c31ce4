//! What the contract's command lines mean to a real parser: arguments are written by the server's own code and read
//! by Python's argparse, and what arrives is what was given.
//!
//! A few thousand maps of arguments by default; `SMCP_ORACLE_CASES` says how many.

mod declared;
mod maps;
mod program;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use smcp::call::arguments;
use smcp::call::argv;
use smcp::contract::{self, Command, schema};

use declared::{Declared, arguments_of};
use maps::{MAPS, sets};
use program::Argparse;

fn command(set: &[Declared], ends_options: bool) -> Command {
    let parameters: Vec<Value> = (0..)
        .zip(set)
        .map(|(index, one)| one.to_contract(index))
        .collect();
    // `--` is lost between several values, which introspection finds out as well.
    let entry = json!({"name": "run", "parameters": parameters, "refuse_words": ["--"]});
    let description = contract::read(&json!({"contract_version": "1.1", "commands": [entry]}))
        .expect("it keeps the contract");
    let mut command = description.commands.into_iter().next().expect("it is one");
    command.ends_options = ends_options;
    command
}

/// Whether what arrived is what was given; floats are compared as numbers.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Object(one), Value::Object(other)) if one.contains_key("number") => {
            let read = |object: &Map<String, Value>| object["number"].as_str()?.parse::<f64>().ok();
            other.contains_key("number") && read(one) == read(other)
        }
        _ => one == other,
    }
}

#[test]
fn what_is_given_is_what_a_real_parser_reads() {
    let cases = std::env::var("SMCP_ORACLE_CASES").ok();
    let maps: usize = cases.map_or(3_000, |cases| cases.parse().expect("a number of maps"));
    let argparse = RefCell::new(Argparse::start());
    let (written, refused) = (Cell::new(0_usize), Cell::new(0_usize));
    let mut runner = TestRunner::new(Config {
        cases: u32::try_from(maps.div_ceil(MAPS)).expect("not so many"),
        failure_persistence: None,
        ..Config::default()
    });
    let outcome = runner.run(&sets(), |(set, ends_options, seeds)| {
        let command = command(&set, ends_options);
        let schema = schema::of_input(&command).expect("a schema");
        let mut lines = Vec::new();
        let mut expected: Vec<(String, BTreeMap<String, Value>)> = Vec::new();
        for map in &seeds {
            let (text, namespace) = arguments_of(&set, map);
            let raw: &RawValue = serde_json::from_str(&text).expect("it is JSON");
            let checked = arguments::check(&command, &schema, Some(raw));
            let checked =
                checked.map_err(|faults| TestCaseError::fail(format!("{text}: {faults}")))?;
            match argv::write(&command, &checked) {
                Ok(line) => {
                    written.set(written.get() + 1);
                    lines.push(line.words);
                    expected.push((text, namespace));
                }
                Err(_) => refused.set(refused.get() + 1),
            }
        }
        let told: Vec<Value> = (0..)
            .zip(&set)
            .map(|(index, one)| one.to_argparse(index))
            .collect();
        let answers = argparse.borrow_mut().ask(&told, &lines);
        for ((line, answer), (text, namespace)) in lines.iter().zip(answers).zip(expected) {
            let Some(found) = answer["namespace"].as_object() else {
                return Err(TestCaseError::fail(format!("{text} as {line:?}: {answer}")));
            };
            let agrees = found.len() == namespace.len()
                && namespace
                    .iter()
                    .all(|(name, value)| found.get(name).is_some_and(|found| same(value, found)));
            prop_assert!(agrees, "{text} as {line:?}: {answer}, not {namespace:?}");
        }
        Ok(())
    });
    if let Err(fault) = outcome {
        match fault {
            proptest::test_runner::TestError::Fail(why, (set, ..)) => panic!("{why}\n{set:#?}"),
            other => panic!("{other}"),
        }
    }
    let (written, refused) = (written.get(), refused.get());
    println!("{written} maps written and read, {refused} refused");
    assert!(written > refused, "{written} written, {refused} refused");
}
