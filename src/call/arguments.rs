//! The arguments of one call: keys mapped to the declared spelling, values checked, their text kept.
//!
//! Knows no command line: [`super::argv`] writes what stands here. The work grows with the size of the arguments, never
//! with its square: they come from clients, before their call has its place.

mod number;
mod value;

use std::collections::{HashMap, HashSet};

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::contract::schema::Schema;
use crate::contract::{Command, Fault, Faults, Parameter, Style, folded, says_false};
use crate::text::{in_quotes, shown};
pub use value::Given;
use value::{Expected, Member, Read};

/// Of longer arguments that have a fault already, the schema is not asked for more.
const MAX_TEXT_FOR_ALL_FAULTS: usize = 16 << 10;

/// One argument that was given.
#[derive(Debug, Clone, PartialEq)]
pub struct Argument {
    /// The declared name, or the given one where nothing is declared.
    pub name: String,
    /// Its value.
    pub value: Given,
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
/// The faults, each naming its argument.
pub fn check(
    command: &Command,
    schema: &Schema,
    arguments: Option<&RawValue>,
) -> Result<Arguments, Faults> {
    let text = arguments.map_or("null", RawValue::get);
    let members = match text {
        "null" => Vec::new(),
        text if text.starts_with('{') => {
            value::parse(text).map_err(|fault| Fault::new(format!("arguments {fault}")))?
        }
        text => {
            let found = shown(text, 60);
            return Err(Fault::new(format!("arguments must be an object, not {found}")).into());
        }
    };
    let mut reading = CheckState::default();
    for (parameter, name, raw) in in_order(command, members) {
        reading.take(parameter, name, raw);
    }
    let mut faults = reading.faults;
    if faults.is_empty() || text.len() <= MAX_TEXT_FOR_ALL_FAULTS {
        let instance = Value::Object(reading.instance);
        faults.append(schema.faults(&instance, &reading.unchecked));
    }
    add_exclusive(command, &reading.given, &mut faults);
    if faults.is_empty() {
        Ok(Arguments {
            given: reading.given,
            json: reading.json,
        })
    } else {
        Err(faults)
    }
}

/// The members in the order of the schema, each with what it is declared as and under its declared name. Of two that
/// differ only in `-` and `_` the first that is not null counts.
fn in_order(
    command: &Command,
    members: Vec<Member>,
) -> Vec<(Option<&Parameter>, String, Box<RawValue>)> {
    let mut names = HashSet::with_capacity(members.len());
    let mut taken = Vec::with_capacity(members.len());
    for (name, raw) in members {
        let place = command.parameters.position(&name);
        let nullable = place.is_some_and(|place| {
            command.input_schema.is_some() && command.parameters[place].required
        });
        if raw.get() == "null" && !nullable {
            continue;
        }
        if names.insert(folded(&name)) {
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
struct CheckState {
    given: Vec<Argument>,
    json: Vec<(String, String)>,
    /// What the schema is held against.
    instance: Map<String, Value>,
    /// Members that the schema says nothing about, because they are texts that stand for something else.
    unchecked: HashSet<String>,
    faults: Faults,
}

impl CheckState {
    fn take(&mut self, parameter: Option<&Parameter>, name: String, raw: Box<RawValue>) {
        let Read {
            given,
            instance,
            is_checked,
            json,
        } = match value::read(raw.get(), Expected::of(parameter)) {
            Ok(read) => read,
            Err(fault) => {
                self.faults.add(&format!("{} {fault}", in_quotes(&name)));
                self.unchecked.insert(name.clone());
                self.instance.insert(name, Value::Null);
                return;
            }
        };
        let instance = if is_checked {
            instance
        } else {
            self.unchecked.insert(name.clone());
            // What stands for an object is most likely to pass as one.
            Value::Object(Map::new())
        };
        self.instance.insert(name.clone(), instance);
        // A null that the schema demands has no form on a command line.
        if raw.get() != "null" {
            let name = name.clone();
            self.given.push(Argument { name, value: given });
        }
        let json = json.unwrap_or_else(|| String::from(Box::<str>::from(raw)));
        self.json.push((name, json));
    }
}

/// Notes what the groups of arguments that exclude each other say of the arguments given.
fn add_exclusive(command: &Command, given: &[Argument], faults: &mut Faults) {
    if command.one_of.is_empty() {
        return;
    }
    let by_name: HashMap<&str, &Given> = given
        .iter()
        .map(|argument| (argument.name.as_str(), &argument.value))
        .collect();
    let is_said = |name: &&str| match (by_name.get(name), command.parameter(name)) {
        (None, _) => false,
        (Some(Given::Switch(false, _)), Some(parameter)) => says_false(parameter),
        (Some(Given::Array(items, _)), Some(parameter)) => {
            !items.is_empty() || parameter.writing.style == Some(Style::List)
        }
        _ => true,
    };
    for group in &command.one_of {
        let names = group.names.iter().map(String::as_str);
        let said: Vec<&str> = names.filter(is_said).collect();
        match said.len() {
            0 if group.required => {
                faults.add(&format!("one of {} must be given", group.names.join(", ")));
            }
            0 | 1 => {}
            _ => faults.add(&format!(
                "{} exclude each other; give only one",
                said.join(", ")
            )),
        }
    }
}

#[cfg(test)]
mod tests;
