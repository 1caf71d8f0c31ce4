//! Parameters to JSON Schema, and the validators that hold arguments and outputs against it.
//!
//! Fetches nothing: a reference that leaves the schema is a fault of the schema.

mod headers;
mod sentences;
mod work;

use std::collections::HashSet;

use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::command::Command;
use super::faults::{Fault, Faults};
use super::parameter::Parameter;
use crate::text::shown;
use sentences::{QUOTED, add_sentences, described, place, unescaped};
use work::References;

/// Of an instance with more values than this the first fault alone is looked for: the validator would gather all of
/// them before it names one.
const MAX_VALUES: usize = 10_000;

/// A JSON Schema 2020-12, compiled once.
#[derive(Debug)]
pub struct Schema {
    /// The schema as clients see it.
    pub value: Value,
    validator: Validator,
    references: Option<References>,
}

impl Schema {
    /// Compiles `value`.
    ///
    /// # Errors
    /// What is wrong with it, to follow the name of its field.
    pub fn compile(value: Value) -> Result<Self, Fault> {
        match jsonschema::validator_for(&value) {
            Ok(validator) => Ok(Self {
                references: References::of(&value),
                value,
                validator,
            }),
            Err(fault) => Err(Fault::new(format!(
                "is no valid JSON Schema{}: {}",
                place(&fault, " at "),
                described(&fault)
            ))),
        }
    }

    /// The faults of `instance`. What is below one of its `unchecked` members does not count.
    pub fn faults(&self, instance: &Value, unchecked: &HashSet<String>) -> Faults {
        let mut faults = Faults::default();
        let references = self.references.as_ref();
        if references.is_some_and(|references| references.are_too_many(&self.value, instance)) {
            faults.add("the schema refers to itself so often that this cannot be held against it");
            return faults;
        }
        if self.validator.is_valid(instance) {
            return faults;
        }
        if has_more_values(instance, MAX_VALUES) {
            if let Err(first) = self.validator.validate(instance) {
                self.note(&first, unchecked, &mut faults);
            }
            if faults.is_empty() {
                faults.add("arguments of this size are only taken with every object given as an object, not as a text");
            }
            return faults;
        }
        for fault in self.validator.iter_errors(instance) {
            self.note(&fault, unchecked, &mut faults);
        }
        faults
    }

    fn note(&self, fault: &ValidationError<'_>, unchecked: &HashSet<String>, faults: &mut Faults) {
        let path = fault.instance_path().as_str();
        let member = path.split('/').nth(1).map(unescaped);
        if !member.is_some_and(|member| unchecked.contains(&member)) {
            add_sentences(fault, &self.value, faults);
        }
    }
}

/// Whether there are more than `most` values in `value`, itself included.
fn has_more_values(value: &Value, most: usize) -> bool {
    fn count(value: &Value, left: &mut usize) -> bool {
        if *left == 0 {
            return true;
        }
        *left -= 1;
        match value {
            Value::Array(items) => items.iter().any(|item| count(item, left)),
            Value::Object(members) => members.values().any(|member| count(member, left)),
            _ => false,
        }
    }
    count(value, &mut { most })
}

/// The schema of a command's arguments.
///
/// # Errors
/// What is wrong with it, with the address of the field.
pub fn of_input(command: &Command) -> Result<Schema, Faults> {
    let address = &command.address;
    if command.checks_types_alone {
        return Ok(of_types(command));
    }
    let Some(whole) = &command.input_schema else {
        let schema = from_parameters(&command.parameters, Parameter::schema_shown);
        let compiled = Schema::compile(schema).and_then(with_headers);
        return compiled.map_err(|fault| by_parameter(command, &fault));
    };
    let compiled = Schema::compile(whole.clone()).and_then(with_headers);
    compiled.map_err(|fault| Fault::new(format!("{address}.input_schema {fault}")).into())
}

/// The schema of what a command prints.
///
/// # Errors
/// What is wrong with it, with the address of the field.
pub fn of_output(command: &Command) -> Result<Option<Schema>, Faults> {
    let compiled = command
        .output_schema
        .clone()
        .map(Schema::compile)
        .transpose();
    compiled
        .map_err(|fault| Fault::new(format!("{}.output_schema {fault}", command.address)).into())
}

fn with_headers(schema: Schema) -> Result<Schema, Fault> {
    headers::check(&schema.value).map(|()| schema)
}

/// What a command of version 1.0 shows, and what its arguments are held against: their types.
fn of_types(command: &Command) -> Schema {
    let types = from_parameters(&command.parameters, Parameter::schema_of_type);
    let mut schema = Schema::compile(types).expect("types alone are a schema");
    let shown = from_parameters(&command.parameters, Parameter::schema_shown);
    // Keywords that contradict each other, or refer to what is not there, are shown to nobody.
    if Schema::compile(shown.clone()).is_ok() {
        schema.value = shown;
    }
    schema
}

fn from_parameters(
    parameters: &[Parameter],
    schema_of: fn(&Parameter) -> Map<String, Value>,
) -> Value {
    let properties: Map<String, Value> = parameters
        .iter()
        .map(|parameter| (parameter.name.clone(), Value::Object(schema_of(parameter))))
        .collect();
    let required: Vec<&str> = parameters
        .iter()
        .filter(|parameter| parameter.required)
        .map(|parameter| parameter.name.as_str())
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The same fault, at the parameters whose schemas are wrong by themselves.
fn by_parameter(command: &Command, whole: &Fault) -> Faults {
    let address = &command.address;
    let mut faults = Faults::default();
    for (index, parameter) in command.parameters.iter().enumerate() {
        if faults.is_full() {
            break;
        }
        if let Err(fault) = Schema::compile(Value::Object(parameter.schema.clone())) {
            let name = shown(&parameter.name, QUOTED);
            faults.add(&format!("{address}.parameters[{index}] ('{name}') {fault}"));
        }
    }
    if faults.is_empty() {
        faults.add(&format!("{address}.parameters: their schema {whole}"));
    }
    faults
}

#[cfg(test)]
mod tests;
