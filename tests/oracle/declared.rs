//! A parameter as both sides are told of it, and a value of it as a client sends it and as the program must read it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// How a parameter is declared: the styles of the contract, each with what it is to argparse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
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
pub struct Declared {
    pub how: How,
    pub kind: &'static str,
    /// How the option is written: `--name`, `--na_me`, `-x`, `-1`.
    pub spelling: u8,
    pub is_global: bool,
    pub is_required: bool,
}

/// What a value is made of.
#[derive(Debug, Clone)]
pub struct Seed {
    /// One for a parameter that takes one value, as many as are given for one that takes several.
    pub items: Vec<Item>,
    pub truth: bool,
    /// Whether a number comes as a text.
    pub is_text: bool,
}

#[derive(Debug, Clone)]
pub enum Item {
    Text(String),
    Integer(i64),
    Number(f64),
}

fn name(index: usize) -> String {
    format!("opt{index}")
}

impl Declared {
    fn flag(&self, index: usize) -> String {
        match (self.spelling, self.how) {
            (0, _) | (_, How::Switch) => format!("--{}", name(index)),
            (1, _) => format!("--o_{index}"),
            (3, _) => format!("-{index}"),
            _ => format!("-{}", char::from(b'a' + index as u8)),
        }
    }

    fn is_positional(&self) -> bool {
        matches!(self.how, How::Positional | How::Positionals)
    }

    pub fn is_required(&self) -> bool {
        self.how == How::Positional && self.is_required
    }

    /// As the contract has it.
    pub fn to_contract(&self, index: usize) -> Value {
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

    pub fn to_argparse(&self, index: usize) -> Value {
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

/// The JSON object of a map, and what a program must read.
pub fn arguments_of(set: &[Declared], map: &[Option<Seed>]) -> (String, BTreeMap<String, Value>) {
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
