//! What the contract's command lines mean to a real parser: arguments are written by the server's own code and read
//! by Python's argparse, and what arrives is what was given.
//!
//! A few thousand maps of arguments by default; `SMCP_ORACLE_CASES` says how many.

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

use program::Argparse;

/// How many maps each set of parameters is tried with.
const MAPS: usize = 50;

/// How a parameter is declared: the styles of the contract, each with what it is to argparse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Value,
    Flag,
    Switch,
    Repeat,
    List,
    Count,
    Positional,
    Positionals,
}

/// One parameter as both sides are told of it.
#[derive(Debug, Clone)]
struct Declared {
    how: How,
    kind: &'static str,
    /// How the option is written: `--name`, `--na_me`, `-x`.
    spelling: u8,
    is_global: bool,
    is_required: bool,
}

/// What a value is made of.
#[derive(Debug, Clone)]
struct Seed {
    /// One for a parameter that takes one value, as many as are given for one that takes several.
    items: Vec<Item>,
    truth: bool,
    /// Whether a number comes as a text.
    is_text: bool,
}

#[derive(Debug, Clone)]
enum Item {
    Text(String),
    Integer(i64),
    Number(f64),
}

fn declared() -> impl Strategy<Value = Declared> {
    let how = prop_oneof![
        Just(How::Value),
        Just(How::Value),
        Just(How::Flag),
        Just(How::Switch),
        Just(How::Repeat),
        Just(How::List),
        Just(How::Count),
        Just(How::Positional),
        Just(How::Positionals),
    ];
    let kind = prop_oneof![
        Just("string"),
        Just("string"),
        Just("integer"),
        Just("number")
    ];
    (how, kind, 0..3u8, any::<bool>(), any::<bool>()).prop_map(
        |(how, kind, spelling, is_global, is_required)| Declared {
            how,
            kind,
            spelling,
            is_global,
            is_required,
        },
    )
}

/// Texts that parsers trip over, and any other.
fn text() -> impl Strategy<Value = String> {
    let awkward = prop::sample::select(vec![
        "",
        " ",
        "-",
        "--",
        "-x",
        "--help",
        "-h",
        "--opt0",
        "--opt0=x",
        "-1",
        "-1e-07",
        "-.5",
        "-1.5.2",
        "=",
        "a=b",
        "@file",
        "run",
        "-run",
        "two words",
        "line\nline",
        "ü",
        "☃",
        "'",
        "\"",
        "\\",
        "$HOME",
        "*",
        "-é",
        "---",
    ]);
    // Read once: a pattern that stands as a strategy by itself is read anew for each of its texts.
    let pattern = |text| prop::string::string_regex(text).expect("it is a pattern");
    prop_oneof![
        3 => awkward.prop_map(str::to_owned),
        1 => pattern("[ -~]{0,8}"),
        1 => pattern("-{0,2}[a-z0-9=. -]{0,5}"),
    ]
}

fn item(kind: &str) -> BoxedStrategy<Item> {
    match kind {
        "integer" => prop_oneof![any::<i64>(), -3..30i64]
            .prop_map(Item::Integer)
            .boxed(),
        "number" => prop_oneof![
            any::<i32>().prop_map(f64::from),
            any::<f64>().prop_filter("JSON has no others", |number| number.is_finite()),
            Just(-1e-7),
        ]
        .prop_map(Item::Number)
        .boxed(),
        _ => text().prop_map(Item::Text).boxed(),
    }
}

/// What a map gives for a parameter, or nothing. No more is made than is used: of a million maps that is most of
/// the time.
fn seed(declared: &Declared) -> BoxedStrategy<Option<Seed>> {
    let kind = match declared.how {
        How::Count => "integer",
        _ => declared.kind,
    };
    let count = match declared.how {
        How::Flag | How::Switch => 0..1,
        How::Repeat | How::List | How::Positionals => 0..4,
        How::Value | How::Count | How::Positional => 1..2,
    };
    let items = prop::collection::vec(item(kind), count);
    let given = (items, any::<bool>(), any::<bool>()).prop_map(|(items, truth, is_text)| Seed {
        items,
        truth,
        is_text,
    });
    if declared.is_required() {
        given.prop_map(Some).boxed()
    } else {
        prop::option::weighted(0.7, given).boxed()
    }
}

/// A set of parameters, and maps of arguments for it.
fn sets() -> impl Strategy<Value = (Vec<Declared>, bool, Vec<Vec<Option<Seed>>>)> {
    (parameters(), any::<bool>()).prop_flat_map(|(set, ends_options)| {
        let map: Vec<_> = set.iter().map(seed).collect();
        let maps = prop::collection::vec(map, MAPS);
        (Just(set), Just(ends_options), maps)
    })
}

/// A set of parameters: at most one positional list, and that last, as parsers need it.
fn parameters() -> impl Strategy<Value = Vec<Declared>> {
    prop::collection::vec(declared(), 1..6).prop_map(|mut all| {
        let mut lists = 0;
        all.retain(|one| {
            lists += usize::from(one.how == How::Positionals);
            one.how != How::Positionals || lists == 1
        });
        for one in &mut all {
            // Positional arguments of the program itself would stand before the command.
            one.is_global &= !matches!(one.how, How::Positional | How::Positionals);
        }
        all.sort_by_key(|one| match (one.how, one.is_required) {
            (How::Positional, true) => 1,
            (How::Positional, false) => 2,
            (How::Positionals, _) => 3,
            _ => 0,
        });
        all
    })
}

fn name(index: usize) -> String {
    format!("opt{index}")
}

impl Declared {
    fn flag(&self, index: usize) -> String {
        match (self.spelling, self.how) {
            (0, _) | (_, How::Switch) => format!("--{}", name(index)),
            (1, _) => format!("--o_{index}"),
            _ => format!("-{}", char::from(b'a' + index as u8)),
        }
    }

    fn is_positional(&self) -> bool {
        matches!(self.how, How::Positional | How::Positionals)
    }

    fn is_required(&self) -> bool {
        self.how == How::Positional && self.is_required
    }

    /// As the contract has it.
    fn to_contract(&self, index: usize) -> Value {
        let (style, kind) = match self.how {
            How::Value => ("value", self.kind),
            How::Flag | How::Switch => ("flag", "boolean"),
            How::Repeat => ("repeat", "array"),
            How::List => ("list", "array"),
            How::Count => ("count", "integer"),
            How::Positional => ("positional", self.kind),
            How::Positionals => ("positional", "array"),
        };
        let mut entry = json!({"name": name(index), "type": kind, "arg_style": style, "required": self.is_required()});
        if kind == "array" {
            entry["items"] = json!({"type": self.kind});
        }
        if !self.is_positional() {
            entry["flag"] = self.flag(index).into();
            entry["level"] = usize::from(!self.is_global).into();
        }
        if self.how == How::Switch {
            entry["negative_flag"] = format!("--no-{}", name(index)).into();
        }
        entry
    }

    fn to_argparse(&self, index: usize) -> Value {
        let how = format!("{:?}", self.how).to_lowercase();
        json!({"how": how, "name": name(index), "type": self.kind, "flag": self.flag(index),
               "level": usize::from(!self.is_global), "required": self.is_required()})
    }

    /// The text of the JSON that a client sends, and what the program must get; no value when that is nothing.
    fn value(&self, seed: &Seed) -> (String, Option<Value>) {
        let item = |item: &Item| match item {
            Item::Integer(number) => as_number(&number.to_string(), "integer", seed.is_text),
            Item::Number(number) => as_number(&json!(number).to_string(), "number", seed.is_text),
            Item::Text(text) => (
                Value::from(text.as_str()).to_string(),
                Value::from(text.as_str()),
            ),
        };
        match (self.how, seed.items.as_slice()) {
            (How::Flag, _) => (seed.truth.to_string(), seed.truth.then_some(true.into())),
            (How::Switch, _) => (seed.truth.to_string(), Some(seed.truth.into())),
            (How::Count, [Item::Integer(number)]) => {
                let times = number.rem_euclid(5);
                let value = (times > 0).then(|| json!({"integer": times.to_string()}));
                (times.to_string(), value)
            }
            (How::Value | How::Positional, [one]) => {
                let (text, value) = item(one);
                (text, Some(value))
            }
            (How::Repeat | How::List | How::Positionals, items) => {
                let items: Vec<(String, Value)> = items.iter().map(item).collect();
                let texts: Vec<&str> = items.iter().map(|(text, _)| text.as_str()).collect();
                let values: Vec<Value> = items.iter().map(|(_, value)| value.clone()).collect();
                let is_said = !values.is_empty() || self.how == How::List;
                (
                    format!("[{}]", texts.join(",")),
                    is_said.then_some(Value::from(values)),
                )
            }
            (how, items) => panic!("{how:?} is given as {items:?}"),
        }
    }
}

fn as_number(digits: &str, kind: &str, is_text: bool) -> (String, Value) {
    let text = if is_text {
        format!("\"{digits}\"")
    } else {
        digits.to_owned()
    };
    (text, json!({kind: digits}))
}

fn command(set: &[Declared], ends_options: bool) -> Command {
    let parameters: Vec<Value> = (0..)
        .zip(set)
        .map(|(index, one)| one.to_contract(index))
        .collect();
    // `--` is lost between several values, which introspection finds out as well.
    let entry = json!({"name": "run", "parameters": parameters, "refuse_words": ["--"]});
    let description = contract::read(&json!({"commands": [entry]})).expect("it keeps the contract");
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

/// The JSON object of a map, and what a program must read.
fn arguments_of(set: &[Declared], map: &[Option<Seed>]) -> (String, BTreeMap<String, Value>) {
    let mut members = Vec::new();
    let mut namespace = BTreeMap::new();
    for (index, (one, seed)) in set.iter().zip(map).enumerate() {
        let Some(seed) = seed else { continue };
        let (text, value) = one.value(seed);
        members.push(format!("\"{}\":{text}", name(index)));
        namespace.extend(value.map(|value| (name(index), value)));
    }
    (format!("{{{}}}", members.join(",")), namespace)
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
