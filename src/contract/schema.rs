//! Parameters to JSON Schema, and the validators that hold arguments and outputs against it.
//!
//! Fetches nothing: a reference that leaves the schema is a fault of the schema.

mod work;

use std::collections::HashSet;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::command::Command;
use super::faults::{Fault, Faults};
use super::keywords::subschemas;
use super::parameter::Parameter;
use crate::text::{excerpt, shown};
use work::References;

/// How much of a value or a schema a message quotes.
const QUOTED: usize = 200;

/// How many known names a message about an unknown one lists.
const MAX_LISTED: usize = 20;

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
        let compiled = Schema::compile(schema).and_then(checked_headers);
        return compiled.map_err(|fault| by_parameter(command, &fault));
    };
    let compiled = Schema::compile(whole.clone()).and_then(checked_headers);
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

/// Clients drop a tool whose `x-mcp-header` annotations they cannot follow, so such a schema is refused.
fn checked_headers(schema: Schema) -> Result<Schema, Fault> {
    let mut names = Vec::new();
    headers(&schema.value, true, &mut names)?;
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            let name = shown(&pair[0], QUOTED);
            let what = format!("has two properties with the x-mcp-header '{name}'");
            Err(Fault::new(what))
        }
        None => Ok(schema),
    }
}

fn headers(schema: &Value, reachable: bool, names: &mut Vec<String>) -> Result<(), Fault> {
    let Some(members) = schema.as_object() else {
        return Ok(());
    };
    if let Some(header) = members.get("x-mcp-header") {
        names.push(header_name(header, schema, reachable)?);
    }
    for (keyword, _, inner) in subschemas(members) {
        // Only what a client can name by properties alone can be repeated in a header.
        headers(inner, reachable && keyword == "properties", names)?;
    }
    Ok(())
}

fn header_name(header: &Value, schema: &Value, reachable: bool) -> Result<String, Fault> {
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let Some(name) = header.as_str().filter(|text| is_token(text)) else {
        let header = excerpt(header, QUOTED);
        let what = format!("has an x-mcp-header that no header can be named by: {header}");
        return Err(Fault::new(what));
    };
    let carried = ["string", "integer", "boolean"]
        .iter()
        .any(|kind| schema["type"] == *kind);
    if !carried || !reachable {
        let name = shown(name, QUOTED);
        let what = format!(
            "has the x-mcp-header '{name}' where clients cannot follow it: only on properties of type string, integer or boolean"
        );
        return Err(Fault::new(what));
    }
    Ok(name.to_ascii_lowercase())
}

/// Notes a fault of an instance in words; several where one error stands for several members.
fn add_sentences(fault: &ValidationError<'_>, schema: &Value, faults: &mut Faults) {
    let path = path(fault.instance_path().as_str());
    match fault.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            faults.add(&format!("{} is missing", quoted_path(&join(&path, name))));
        }
        ValidationErrorKind::AdditionalProperties { unexpected } if path.is_empty() => {
            let known = known_names(schema);
            for (index, name) in unexpected.iter().enumerate() {
                if faults.is_full() {
                    return faults.add_unnamed(unexpected.len() - index);
                }
                let name = shown(name, QUOTED);
                faults.add(&format!("'{name}' is not an argument; there is: {known}"));
            }
        }
        ValidationErrorKind::Enum { options } if !path.is_empty() => {
            let value = excerpt(&fault.instance().to_string(), QUOTED);
            let options = listed(options);
            faults.add(&format!(
                "{}: {value} is not one of {options}",
                quoted_path(&path)
            ));
        }
        _ if path.is_empty() => faults.add(&described(fault)),
        _ => faults.add(&format!("{}: {}", quoted_path(&path), described(fault))),
    }
}

/// The values of an `enum`, as many as a message can list.
fn listed(options: &Value) -> String {
    let Some(options) = options.as_array() else {
        return excerpt(&options.to_string(), QUOTED);
    };
    let shown: Vec<String> = options
        .iter()
        .take(MAX_LISTED)
        .map(|option| excerpt(&option.to_string(), QUOTED))
        .collect();
    match options.len().saturating_sub(MAX_LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The names of the arguments that there are, as many as a message can list.
fn known_names(schema: &Value) -> String {
    let Some(known) = schema["properties"]
        .as_object()
        .filter(|known| !known.is_empty())
    else {
        return "none".to_owned();
    };
    let names: Vec<&str> = known.keys().take(MAX_LISTED).map(String::as_str).collect();
    let names = shown(&names.join(", "), QUOTED * 2);
    match known.len().saturating_sub(MAX_LISTED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

fn described(fault: &ValidationError<'_>) -> String {
    excerpt(fault, QUOTED)
}

fn place(fault: &ValidationError<'_>, before: &str) -> String {
    let path = path(fault.instance_path().as_str());
    if path.is_empty() {
        path
    } else {
        format!("{before}{}", shown(&path, QUOTED))
    }
}

/// A JSON pointer as `a.b[0]`.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) && !path.is_empty() {
            path.extend(["[", part, "]"]);
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&unescaped(part));
        }
    }
    path
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

fn quoted_path(path: &str) -> String {
    format!("'{}'", shown(path, QUOTED))
}

/// A part of a JSON pointer as the name that it stands for.
fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

#[cfg(test)]
mod tests;
