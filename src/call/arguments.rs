//! The arguments of one call: keys mapped to the declared spelling, values checked, their text kept.
//!
//! Knows no command line: [`super::argv`] writes what stands here.

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::contract::schema::Schema;
use crate::contract::{Command, Kind, Parameter, Style, folded, says_false};
use crate::jsonrpc::members;
use crate::text::shown;

/// One argument that was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// The declared name, or the given one where nothing is declared.
    pub name: String,
    /// Its value.
    pub value: Given,
}

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

/// Arguments that fit.
#[derive(Debug, Default, PartialEq)]
pub struct Arguments {
    /// In the order of the schema, undeclared ones after them in the order given.
    pub given: Vec<Argument>,
    /// The same as JSON texts by name, for programs that read one object.
    pub json: Vec<(String, String)>,
}

/// Reads and checks the `arguments` of a call.
///
/// # Errors
/// Every fault, each naming the argument.
pub fn check(
    command: &Command,
    schema: &Schema,
    arguments: Option<&RawValue>,
) -> Result<Arguments, Vec<String>> {
    let members = match arguments.map(RawValue::get) {
        None | Some("null") => Vec::new(),
        Some(text) if text.starts_with('{') => {
            parse(text).map_err(|fault| vec![format!("arguments {fault}")])?
        }
        Some(text) => {
            return Err(vec![format!(
                "arguments must be an object, not {}",
                shown(text, 60)
            )]);
        }
    };
    let mut reading = Reading::default();
    for (parameter, name, raw) in in_order(command, members) {
        reading.take(parameter, &name, &raw);
    }
    let mut faults = reading.faults;
    let instance = Value::Object(reading.instance);
    faults.extend(schema.faults(&instance, &reading.unchecked));
    faults.extend(exclusive(command, &reading.given));
    if faults.is_empty() {
        Ok(Arguments {
            given: reading.given,
            json: reading.json,
        })
    } else {
        Err(faults)
    }
}

type Member = (String, Box<RawValue>);

fn parse(text: &str) -> Result<Vec<Member>, String> {
    members::members(text).map_err(|fault| format!("is no valid object: {fault}"))
}

/// The members in the order of the schema, each with what it is declared as. Of two that differ only in
/// `-` and `_` the first that is not null counts.
fn in_order(
    command: &Command,
    members: Vec<Member>,
) -> Vec<(Option<&Parameter>, String, Box<RawValue>)> {
    let mut taken: Vec<(Option<usize>, String, Box<RawValue>)> = Vec::new();
    for (name, raw) in members {
        let folded_name = folded(&name);
        let place = command
            .parameters
            .iter()
            .position(|known| folded(&known.name) == folded_name);
        let nullable = place.is_some_and(|place| {
            command.input_schema.is_some() && command.parameters[place].required
        });
        if raw.get() == "null" && !nullable {
            continue;
        }
        if taken
            .iter()
            .all(|(_, other, _)| folded(other) != folded_name)
        {
            taken.push((place, name, raw));
        }
    }
    taken.sort_by_key(|(place, ..)| place.unwrap_or(usize::MAX));
    let declared = taken.into_iter().map(|(place, name, raw)| {
        let parameter = place.map(|place| &command.parameters[place]);
        (
            parameter,
            parameter.map_or(name, |known| known.name.clone()),
            raw,
        )
    });
    declared.collect()
}

#[derive(Default)]
struct Reading {
    given: Vec<Argument>,
    json: Vec<(String, String)>,
    /// What the schema is held against.
    instance: Map<String, Value>,
    /// Members that the schema says nothing about, because they are texts that stand for something else.
    unchecked: Vec<String>,
    faults: Vec<String>,
}

impl Reading {
    fn take(&mut self, parameter: Option<&Parameter>, name: &str, raw: &RawValue) {
        let expected = Expected::of(parameter);
        match read(raw.get(), expected) {
            Ok(Read {
                given,
                instance,
                checked,
                json,
            }) => {
                self.json.push((
                    name.to_owned(),
                    json.unwrap_or_else(|| raw.get().to_owned()),
                ));
                if !checked {
                    self.unchecked.push(name.to_owned());
                }
                self.instance.insert(name.to_owned(), instance);
                // A null that the schema demands has no form on a command line.
                if raw.get() != "null" {
                    self.given.push(Argument {
                        name: name.to_owned(),
                        value: given,
                    });
                }
            }
            Err(fault) => {
                self.faults.push(format!("'{}' {fault}", shown(name, 60)));
                self.unchecked.push(name.to_owned());
                self.instance.insert(name.to_owned(), Value::Null);
            }
        }
    }
}

/// The types that a value is to have, where the declaration names one.
#[derive(Debug, Clone, Copy, Default)]
struct Expected {
    kind: Option<Kind>,
    items: Option<Kind>,
}

impl Expected {
    fn of(parameter: Option<&Parameter>) -> Self {
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

struct Read {
    given: Given,
    instance: Value,
    /// Whether the schema has a say in it.
    checked: bool,
    /// Its JSON, where it stands for something else than its text.
    json: Option<String>,
}

impl Read {
    fn plain(given: Given, instance: Value) -> Self {
        Self {
            given,
            instance,
            checked: true,
            json: None,
        }
    }

    fn standing_for(given: Given, instance: Value) -> Self {
        Self {
            json: Some(instance.to_string()),
            ..Self::plain(given, instance)
        }
    }
}

fn read(raw: &str, expected: Expected) -> Result<Read, String> {
    match raw.as_bytes().first() {
        Some(b'"') => {
            let text: String =
                serde_json::from_str(raw).map_err(|fault| format!("is no valid text: {fault}"))?;
            Ok(text_for(text, expected))
        }
        Some(b'[') => array(raw, expected),
        Some(b'{') => object(raw, expected),
        Some(b't') => Ok(Read::plain(
            Given::Switch(true, raw.to_owned()),
            Value::Bool(true),
        )),
        Some(b'f') => Ok(Read::plain(
            Given::Switch(false, raw.to_owned()),
            Value::Bool(false),
        )),
        Some(b'n') => Ok(Read::plain(Given::Json(raw.to_owned()), Value::Null)),
        _ => number(raw, expected),
    }
}

fn number(raw: &str, expected: Expected) -> Result<Read, String> {
    let instance: Value = serde_json::from_str(raw).map_err(|_| {
        format!(
            "is a number that JSON programs cannot read: {}",
            shown(raw, 60)
        )
    })?;
    let text = if expected.kind == Some(Kind::Integer) {
        integer_digits(raw)
    } else {
        None
    };
    if expected.kind == Some(Kind::Integer) && text.is_none() {
        return Err(format!("must be an integer, not {}", shown(raw, 60)));
    }
    let json = text.clone();
    let given = Given::Word(text.unwrap_or_else(|| raw.to_owned()));
    Ok(Read {
        json,
        ..Read::plain(given, instance)
    })
}

/// Models write numbers and truth values as texts, and JSON as a text that holds it: what the text stands
/// for is checked, and the text is what the program gets.
fn text_for(text: String, expected: Expected) -> Read {
    match expected.kind {
        Some(Kind::Number | Kind::Integer) => {
            let instance = as_number(&text).unwrap_or_else(|| Value::String(text.clone()));
            Read::standing_for(Given::Word(text), instance)
        }
        Some(Kind::Boolean) if text.eq_ignore_ascii_case("true") => {
            Read::standing_for(Given::Switch(true, text), Value::Bool(true))
        }
        Some(Kind::Boolean) if text.eq_ignore_ascii_case("false") => {
            Read::standing_for(Given::Switch(false, text), Value::Bool(false))
        }
        Some(Kind::Array) => {
            let parsed = serde_json::from_str::<Value>(&text)
                .ok()
                .filter(Value::is_array);
            let instance = parsed.unwrap_or_else(|| {
                Value::Array(vec![text_for(text.clone(), expected.item()).instance])
            });
            Read::standing_for(Given::Word(text), instance)
        }
        Some(Kind::Object) => {
            let parsed = serde_json::from_str::<Value>(&text)
                .ok()
                .filter(Value::is_object);
            let checked = parsed.is_some();
            let instance = parsed.unwrap_or_else(|| Value::String(text.clone()));
            Read {
                checked,
                ..Read::standing_for(Given::Word(text), instance)
            }
        }
        _ => Read::plain(Given::Word(text.clone()), Value::String(text)),
    }
}

fn as_number(text: &str) -> Option<Value> {
    let looks_so = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if !looks_so {
        return None;
    }
    let whole = text.parse::<i64>().map(Value::from).ok();
    whole.or_else(|| {
        text.parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .map(Value::from)
    })
}

fn array(raw: &str, expected: Expected) -> Result<Read, String> {
    let items: Vec<&RawValue> =
        serde_json::from_str(raw).map_err(|fault| format!("is no valid array: {fault}"))?;
    let read = items
        .into_iter()
        .map(|item| read(item.get(), expected.item()));
    let mut given = Vec::new();
    let mut instances = Vec::new();
    let mut differs = false;
    for (index, item) in read.enumerate() {
        let item = item.map_err(|fault| format!("has an item [{index}] that {fault}"))?;
        differs |= item.json.is_some();
        given.push(item.given);
        instances.push(item.instance);
    }
    let given = Given::Array(given, raw.to_owned());
    let instance = Value::Array(instances);
    Ok(if differs {
        Read::standing_for(given, instance)
    } else {
        Read::plain(given, instance)
    })
}

fn object(raw: &str, expected: Expected) -> Result<Read, String> {
    if expected.kind == Some(Kind::Array) {
        let members = parse(raw)?;
        if let [(name, only)] = members.as_slice()
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
    }
    let instance =
        serde_json::from_str(raw).map_err(|fault| format!("is no valid object: {fault}"))?;
    Ok(Read::plain(Given::Json(raw.to_owned()), instance))
}

/// `5.0` and `1e3` as the digits that programs read as integers; `None` for what is no integer.
fn integer_digits(number: &str) -> Option<String> {
    let (sign, number) = match number.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", number),
    };
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let exponent: i64 = exponent.parse().ok()?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let point = whole.len() as i64 + exponent;
    let digits = if digits.bytes().all(|digit| digit == b'0') {
        "0".to_owned()
    } else {
        let point = usize::try_from(point).ok()?;
        // JSON's readers end at 1.8e308, so no number that got here is longer.
        let padded = format!("{digits:0<point$}");
        let (before, after) = padded.split_at(point);
        if after.bytes().any(|digit| digit != b'0') {
            return None;
        }
        before.trim_start_matches('0').to_owned()
    };
    Some(if digits == "0" {
        digits
    } else {
        format!("{sign}{digits}")
    })
}

/// What the groups of arguments that exclude each other say of the arguments given.
fn exclusive(command: &Command, given: &[Argument]) -> Vec<String> {
    let is_said = |name: &String| {
        given.iter().any(|argument| {
            argument.name == *name
                && match (&argument.value, command.parameter(name)) {
                    (Given::Switch(false, _), Some(parameter)) => says_false(parameter),
                    (Given::Array(items, _), Some(parameter)) => {
                        !items.is_empty() || parameter.writing.style == Some(Style::List)
                    }
                    _ => true,
                }
        })
    };
    let faults = command.one_of.iter().filter_map(|group| {
        let said: Vec<&str> = group
            .names
            .iter()
            .filter(|name| is_said(name))
            .map(String::as_str)
            .collect();
        match said.len() {
            0 if group.required => Some(format!("one of {} must be given", group.names.join(", "))),
            0 | 1 => None,
            _ => Some(format!(
                "{} exclude each other; give only one",
                said.join(", ")
            )),
        }
    });
    faults.collect()
}

#[cfg(test)]
mod tests;
