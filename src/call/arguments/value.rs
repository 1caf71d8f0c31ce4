//! One value of a call's arguments: what the program is given, what the schema is held against, and its JSON.

use serde_json::Value;
use serde_json::value::RawValue;

use super::number::{as_json, integer_digits};
use crate::contract::{Fault, Parameter, ValueType};
use crate::jsonrpc::members;
use crate::text::shown;

/// How much of a wrong value a message quotes, in characters.
const QUOTED: usize = 60;

/// A value with the text it came with.
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// A text or a number, as it is written.
    Word(String),
    /// A truth value, and the text that says it.
    Switch(bool, String),
    /// An array, and its JSON.
    Array(Vec<Given>, String),
    /// An object, and anything that has none of the other forms, as JSON.
    Json(String),
}

/// The types that a value is to have, where the declaration names one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Expected {
    kind: Option<ValueType>,
    items: Option<ValueType>,
}

impl Expected {
    /// What a value of `parameter` is to be; anything where nothing is declared.
    pub fn of(parameter: Option<&Parameter>) -> Self {
        parameter.map_or_else(Self::default, |known| Self {
            kind: known.kind,
            items: known.items,
        })
    }

    fn item(self) -> Self {
        Self {
            kind: self.items,
            items: None,
        }
    }
}

/// A value that was read.
#[derive(Debug)]
pub struct Read {
    /// What the program is given on its command line or in its environment.
    pub given: Given,
    /// What the schema is held against. Its numbers may be rounded, so no program is given it.
    pub instance: Value,
    /// Whether the schema has a say in it.
    pub is_checked: bool,
    /// Its JSON, where that is not the text that it came with.
    pub json: Option<String>,
}

impl Read {
    fn plain(given: Given, instance: Value) -> Self {
        Self {
            given,
            instance,
            is_checked: true,
            json: None,
        }
    }

    fn standing_for(given: Given, instance: Value, json: String) -> Self {
        Self {
            json: Some(json),
            ..Self::plain(given, instance)
        }
    }
}

/// A member of an object, with the text it was written with.
pub type Member = (String, Box<RawValue>);

/// The members of the object `text`.
///
/// # Errors
/// That it is none.
pub fn parse(text: &str) -> Result<Vec<Member>, Fault> {
    members::members(text).map_err(|fault| Fault::new(format!("is no valid object: {fault}")))
}

/// Reads the value that is written as `raw`.
///
/// # Errors
/// Why it cannot be of the expected type, to follow the argument's name.
pub fn read(raw: &str, expected: Expected) -> Result<Read, Fault> {
    match raw.as_bytes().first() {
        Some(b'"') => {
            let text: String = serde_json::from_str(raw)
                .map_err(|fault| Fault::new(format!("is no valid text: {fault}")))?;
            text_for(text, expected)
        }
        Some(b'[') => array(raw, expected),
        Some(b'{') => object(raw, expected),
        Some(b't') => Ok(switch(true, raw)),
        Some(b'f') => Ok(switch(false, raw)),
        Some(b'n') => Ok(Read::plain(Given::Json(raw.to_owned()), Value::Null)),
        _ => number(raw, expected),
    }
}

fn switch(value: bool, raw: &str) -> Read {
    Read::plain(Given::Switch(value, raw.to_owned()), Value::Bool(value))
}

fn number(raw: &str, expected: Expected) -> Result<Read, Fault> {
    let instance: Value = serde_json::from_str(raw).map_err(|_| {
        Fault::new(format!(
            "is a number that JSON programs cannot read: {}",
            shown(raw, QUOTED)
        ))
    })?;
    if expected.kind != Some(ValueType::Integer) {
        return Ok(Read::plain(Given::Word(raw.to_owned()), instance));
    }
    let digits = integer_digits(raw).ok_or_else(|| no_integer(raw))?;
    Ok(Read::standing_for(
        Given::Word(digits.clone()),
        instance,
        digits,
    ))
}

fn no_integer(text: &str) -> Fault {
    Fault::new(format!("must be an integer, not {}", shown(text, QUOTED)))
}

/// Models write numbers and truth values as texts, and JSON as a text that holds it: what the text stands
/// for is checked, and the text is what the program gets.
fn text_for(text: String, expected: Expected) -> Result<Read, Fault> {
    match expected.kind {
        Some(ValueType::Number) => Ok(match as_json(&text) {
            Some((json, instance)) => Read::standing_for(Given::Word(text), instance, json),
            None => plain_text(text),
        }),
        Some(ValueType::Integer) => integer_for(text),
        Some(ValueType::Boolean) if text.eq_ignore_ascii_case("true") => Ok(switch_for(true, text)),
        Some(ValueType::Boolean) if text.eq_ignore_ascii_case("false") => {
            Ok(switch_for(false, text))
        }
        Some(ValueType::Array) => array_for(text, expected),
        Some(ValueType::Object) => Ok(object_for(text)),
        _ => Ok(plain_text(text)),
    }
}

fn plain_text(text: String) -> Read {
    Read::plain(Given::Word(text.clone()), Value::String(text))
}

fn switch_for(value: bool, text: String) -> Read {
    let json = value.to_string();
    Read::standing_for(Given::Switch(value, text), Value::Bool(value), json)
}

fn integer_for(text: String) -> Result<Read, Fault> {
    let Some((json, instance)) = as_json(&text) else {
        return Ok(plain_text(text));
    };
    let Some(digits) = integer_digits(&json) else {
        return Err(no_integer(&text));
    };
    // Programs read `007`, and not `5.0`.
    let is_whole = text.bytes().all(|byte| !b".eE".contains(&byte));
    let word = if is_whole { text } else { digits.clone() };
    Ok(Read::standing_for(Given::Word(word), instance, digits))
}

fn array_for(text: String, expected: Expected) -> Result<Read, Fault> {
    if let Some(instance) = json_of(&text, Value::is_array) {
        let json = text.trim().to_owned();
        return Ok(Read::standing_for(Given::Word(text), instance, json));
    }
    let item = text_for(text.clone(), expected.item())?;
    let json = item
        .json
        .unwrap_or_else(|| Value::from(text.as_str()).to_string());
    let word = match item.given {
        Given::Word(word) => word,
        _ => text,
    };
    let instance = Value::Array(vec![item.instance]);
    Ok(Read::standing_for(
        Given::Word(word),
        instance,
        format!("[{json}]"),
    ))
}

fn object_for(text: String) -> Read {
    match json_of(&text, Value::is_object) {
        Some(instance) => {
            let json = text.trim().to_owned();
            Read::standing_for(Given::Word(text), instance, json)
        }
        None => Read {
            is_checked: false,
            ..plain_text(text)
        },
    }
}

/// The JSON that a text holds, where it is of the wanted kind.
fn json_of(text: &str, is_wanted: fn(&Value) -> bool) -> Option<Value> {
    serde_json::from_str(text).ok().filter(is_wanted)
}

fn array(raw: &str, expected: Expected) -> Result<Read, Fault> {
    let items: Vec<&RawValue> = serde_json::from_str(raw)
        .map_err(|fault| Fault::new(format!("is no valid array: {fault}")))?;
    let mut read_items = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let named = |fault| Fault::new(format!("has an item [{index}] that {fault}"));
        read_items.push(read(item.get(), expected.item()).map_err(named)?);
    }
    let differs = read_items.iter().any(|item| item.json.is_some());
    let json = differs.then(|| {
        let texts = read_items.iter().zip(&items);
        let texts = texts.map(|(read, item)| read.json.as_deref().unwrap_or(item.get()));
        format!("[{}]", texts.collect::<Vec<_>>().join(","))
    });
    let (given, instances) = read_items
        .into_iter()
        .map(|item| (item.given, item.instance))
        .unzip();
    let text = json.clone().unwrap_or_else(|| raw.to_owned());
    Ok(Read {
        json,
        ..Read::plain(Given::Array(given, text), Value::Array(instances))
    })
}

fn object(raw: &str, expected: Expected) -> Result<Read, Fault> {
    // Some models write a list as the schema's own word for its items.
    if expected.kind == Some(ValueType::Array)
        && let [(name, only)] = parse(raw)?.as_slice()
        && name == "item"
    {
        let stands_for = if only.get().starts_with('[') {
            only.get().to_owned()
        } else {
            format!("[{}]", only.get())
        };
        let read = array(&stands_for, expected)?;
        return Ok(Read {
            json: read.json.or(Some(stands_for)),
            ..read
        });
    }
    let instance = serde_json::from_str(raw)
        .map_err(|fault| Fault::new(format!("is no valid object: {fault}")))?;
    Ok(Read::plain(Given::Json(raw.to_owned()), instance))
}
