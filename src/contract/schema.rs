//! Parameters to JSON Schema, and the validators that hold arguments and outputs against it.
//!
//! Fetches nothing: a reference that leaves the schema is a fault of the schema.

use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value, json};

use super::command::Command;
use super::parameter::Parameter;
use crate::text::shown;

/// How much of a value or a schema a message quotes.
const QUOTED: usize = 200;

/// A JSON Schema 2020-12, compiled once.
#[derive(Debug)]
pub struct Schema {
    /// The schema as clients see it.
    pub value: Value,
    validator: Validator,
}

impl Schema {
    /// Compiles `value`.
    ///
    /// # Errors
    /// What is wrong with it, to follow the name of its field.
    pub fn compile(value: Value) -> Result<Self, String> {
        match jsonschema::validator_for(&value) {
            Ok(validator) => Ok(Self { value, validator }),
            Err(fault) => Err(format!(
                "is no valid JSON Schema{}: {}",
                place(&fault, " at "),
                described(&fault)
            )),
        }
    }

    /// Every fault of `instance`, in a sentence each. Faults below one of the `unchecked` members do not count.
    pub fn faults(&self, instance: &Value, unchecked: &[String]) -> Vec<String> {
        if self.validator.is_valid(instance) {
            return Vec::new();
        }
        let faults = self.validator.iter_errors(instance);
        let counting = faults.filter(|fault| {
            let member = fault.instance_path().as_str().split('/').nth(1);
            !member.is_some_and(|member| unchecked.iter().any(|name| escaped(name) == member))
        });
        let mut sentences: Vec<String> = counting
            .flat_map(|fault| sentences(&fault, &self.value))
            .collect();
        sentences.dedup();
        sentences
    }
}

/// The schema of a command's arguments.
///
/// # Errors
/// What is wrong with it, with the address of the field.
pub fn of_input(command: &Command) -> Result<Schema, Vec<String>> {
    let address = &command.address;
    let Some(whole) = &command.input_schema else {
        let schema = from_parameters(&command.parameters);
        let compiled = Schema::compile(schema).and_then(checked_headers);
        return compiled.map_err(|fault| by_parameter(command, &fault));
    };
    let compiled = Schema::compile(whole.clone()).and_then(checked_headers);
    compiled.map_err(|fault| vec![format!("{address}.input_schema {fault}")])
}

/// The schema of what a command prints.
///
/// # Errors
/// What is wrong with it, with the address of the field.
pub fn of_output(command: &Command) -> Result<Option<Schema>, Vec<String>> {
    let compiled = command
        .output_schema
        .clone()
        .map(Schema::compile)
        .transpose();
    compiled.map_err(|fault| vec![format!("{}.output_schema {fault}", command.address)])
}

fn from_parameters(parameters: &[Parameter]) -> Value {
    let properties: Map<String, Value> = parameters
        .iter()
        .map(|parameter| {
            (
                parameter.name.clone(),
                Value::Object(parameter.schema.clone()),
            )
        })
        .collect();
    let required: Vec<&str> = parameters
        .iter()
        .filter(|parameter| parameter.required)
        .map(|parameter| parameter.name.as_str())
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// The same fault, at the parameters whose schemas are wrong by themselves.
fn by_parameter(command: &Command, whole: &str) -> Vec<String> {
    let faults: Vec<String> = command
        .parameters
        .iter()
        .enumerate()
        .filter_map(|(index, parameter)| {
            let fault = Schema::compile(Value::Object(parameter.schema.clone())).err()?;
            Some(format!(
                "{}.parameters[{index}] ('{}') {fault}",
                command.address, parameter.name
            ))
        })
        .collect();
    if faults.is_empty() {
        vec![format!(
            "{}.parameters: their schema {whole}",
            command.address
        )]
    } else {
        faults
    }
}

/// Clients drop a tool whose `x-mcp-header` annotations they cannot follow, so such a schema is refused.
fn checked_headers(schema: Schema) -> Result<Schema, String> {
    let mut names = Vec::new();
    headers(&schema.value, true, &mut names)?;
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!(
            "has two properties with the x-mcp-header '{}'",
            pair[0]
        )),
        None => Ok(schema),
    }
}

fn headers(schema: &Value, reachable: bool, names: &mut Vec<String>) -> Result<(), String> {
    let Some(members) = schema.as_object() else {
        return Ok(());
    };
    if let Some(header) = members.get("x-mcp-header") {
        names.push(header_name(header, schema, reachable)?);
    }
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                for property in properties.values() {
                    headers(property, reachable, names)?;
                }
            }
            (
                "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(schemas),
            ) => {
                for schema in schemas.values() {
                    headers(schema, false, names)?;
                }
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
                for schema in schemas {
                    headers(schema, false, names)?;
                }
            }
            (
                "items" | "additionalProperties" | "not" | "if" | "then" | "else" | "contains",
                schema,
            ) => {
                headers(schema, false, names)?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn header_name(header: &Value, schema: &Value, reachable: bool) -> Result<String, String> {
    let is_token = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    let Some(name) = header.as_str().filter(|text| is_token(text)) else {
        return Err(format!(
            "has an x-mcp-header that no header can be named by: {header}"
        ));
    };
    let carried = ["string", "integer", "boolean"]
        .iter()
        .any(|kind| schema["type"] == *kind);
    if !carried || !reachable {
        return Err(format!(
            "has the x-mcp-header '{name}' where clients cannot follow it: only on properties of type string, integer or boolean"
        ));
    }
    Ok(name.to_ascii_lowercase())
}

/// A fault of an instance in words; several where one error stands for several members.
fn sentences(fault: &ValidationError<'_>, schema: &Value) -> Vec<String> {
    let path = path(fault.instance_path().as_str());
    match fault.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            vec![format!("{} is missing", quoted_path(&join(&path, name)))]
        }
        ValidationErrorKind::AdditionalProperties { unexpected } if path.is_empty() => {
            let known = schema["properties"].as_object();
            let names: Vec<&str> = known
                .into_iter()
                .flatten()
                .map(|(name, _)| name.as_str())
                .collect();
            let takes = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            let unknown = unexpected.iter().map(|name| {
                format!(
                    "'{}' is not an argument; there is: {takes}",
                    shown(name, QUOTED)
                )
            });
            unknown.collect()
        }
        _ if path.is_empty() => vec![described(fault)],
        _ => vec![format!("{}: {}", quoted_path(&path), described(fault))],
    }
}

fn described(fault: &ValidationError<'_>) -> String {
    shown(&fault.to_string(), QUOTED)
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
    pointer
        .split('/')
        .skip(1)
        .fold(String::new(), |path, part| {
            if part.bytes().all(|byte| byte.is_ascii_digit()) && !path.is_empty() {
                format!("{path}[{part}]")
            } else {
                join(&path, &part.replace("~1", "/").replace("~0", "~"))
            }
        })
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

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
