//! Parameters to JSON Schema, and arguments checked against it. Knows no command line.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::contract::{Command, Parameter, same_name};

/// The names that a tool without a schema takes.
const MAX_OPEN_NAME: usize = 64;

/// What a command's arguments must fit.
#[derive(Debug)]
pub struct Schema {
    /// As clients see it.
    value: Value,
    validator: jsonschema::Validator,
    /// Anything is taken: the command's options are not known.
    open: bool,
}

/// Arguments that fit: under their declared names, nulls left out, in the order of the schema.
#[derive(Debug, Default)]
pub struct Checked(Vec<(String, Box<RawValue>)>);

impl Checked {
    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    }

    /// As one JSON object, its values as they came.
    pub fn to_object(&self) -> String {
        let members: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), value.get()))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

impl Schema {
    /// The schema of a command; the error says what its own schema has wrong.
    pub fn of(command: &Command) -> Result<Self, String> {
        let value = command
            .input_schema
            .clone()
            .unwrap_or_else(|| composed(command));
        if value.get("type").is_some_and(|kind| kind != "object") {
            return Err("input_schema.type must be object".to_owned());
        }
        Ok(Self {
            validator: compile(&value).map_err(|fault| format!("input_schema: {fault}"))?,
            value,
            open: false,
        })
    }

    /// The schema of a command whose options are not known.
    pub fn open() -> Self {
        let value = json!({"type": "object", "properties": {}, "additionalProperties": true});
        Self {
            validator: compile(&value).expect("an object without properties is a valid schema"),
            value,
            open: true,
        }
    }

    /// As clients see it.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Whether the command's options are not known.
    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Checks arguments; the error names every fault.
    pub fn check(
        &self,
        command: &Command,
        arguments: Option<&RawValue>,
    ) -> Result<Checked, Vec<String>> {
        let given: Vec<(String, Box<RawValue>)> = match arguments {
            None => Vec::new(),
            Some(arguments) => {
                let members: Map<String, Value> = serde_json::from_str(arguments.get())
                    .map_err(|_| vec!["the arguments must be an object".to_owned()])?;
                let raw: std::collections::BTreeMap<String, Box<RawValue>> =
                    serde_json::from_str(arguments.get()).unwrap_or_default();
                let mut raw = raw;
                members
                    .keys()
                    .filter_map(|name| Some((name.clone(), raw.remove(name)?)))
                    .collect()
            }
        };
        if self.open {
            check_open(given)
        } else {
            self.check_declared(command, given)
        }
    }

    fn check_declared(
        &self,
        command: &Command,
        given: Vec<(String, Box<RawValue>)>,
    ) -> Result<Checked, Vec<String>> {
        let properties = self
            .value
            .get("properties")
            .and_then(Value::as_object)
            .cloned()
            .unwrap_or_default();
        let mut faults = Vec::new();
        let mut values: Vec<(String, Box<RawValue>)> = Vec::new();
        for (name, value) in given {
            let declared = properties
                .keys()
                .find(|known| **known == name)
                .or_else(|| properties.keys().find(|known| same_name(known, &name)));
            let name = declared.cloned().unwrap_or(name);
            if value.get() == "null" || values.iter().any(|(known, _)| *known == name) {
                continue;
            }
            let value = properties
                .get(&name)
                .and_then(|property| unwrapped(property, &value))
                .unwrap_or(value);
            values.push((name, value));
        }
        values.sort_by_key(|(name, _)| properties.keys().position(|known| known == name));
        let instance: Map<String, Value> = values
            .iter()
            .map(|(name, value)| (name.clone(), meant(properties.get(name), value)))
            .filter(|(name, value)| !is_text_for_structure(properties.get(name), value))
            .collect();
        let as_text: Vec<&str> = values
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| !instance.contains_key(*name))
            .collect();
        self.collect_faults(
            &Value::Object(instance.clone()),
            &as_text,
            &properties,
            &mut faults,
        );
        check_groups(command, &values, &mut faults);
        for (name, value) in &instance {
            if holds_nul(value) {
                faults.push(format!(
                    "{name}: a NUL character cannot be passed to a program"
                ));
            }
        }
        if faults.is_empty() {
            Ok(Checked(values))
        } else {
            Err(faults)
        }
    }

    fn collect_faults(
        &self,
        instance: &Value,
        as_text: &[&str],
        properties: &Map<String, Value>,
        faults: &mut Vec<String>,
    ) {
        use jsonschema::error::ValidationErrorKind as Kind;
        let takes = || {
            let names: Vec<&str> = properties.keys().map(String::as_str).collect();
            if names.is_empty() {
                "it takes none".to_owned()
            } else {
                format!("it takes {}", names.join(", "))
            }
        };
        for error in self.validator.iter_errors(instance) {
            let at = error.instance_path().to_string();
            let at = at.trim_start_matches('/').replace('/', ".");
            match error.kind() {
                Kind::Required { property } if at.is_empty() => {
                    let name = property.as_str().unwrap_or_default();
                    if !as_text.contains(&name) {
                        faults.push(format!("'{name}' is missing"));
                    }
                }
                Kind::AdditionalProperties { unexpected } if at.is_empty() => {
                    faults.extend(unexpected.iter().map(|name| {
                        format!(
                            "'{}' is no argument; {}",
                            super::contract::clean(name),
                            takes()
                        )
                    }));
                }
                _ if at.is_empty() => faults.push(shortened(&error.to_string())),
                _ => faults.push(format!("{at}: {}", shortened(&error.to_string()))),
            }
        }
    }
}

/// Compiles a schema. Nothing is ever fetched for it.
pub fn compile(schema: &Value) -> Result<jsonschema::Validator, String> {
    jsonschema::options()
        .with_draft(jsonschema::Draft::Draft202012)
        .build(schema)
        .map_err(|error| shortened(&error.to_string()))
}

/// A message may hold the whole value that is wrong.
fn shortened(text: &str) -> String {
    if text.chars().count() <= 300 {
        return text.to_owned();
    }
    let start: String = text.chars().take(140).collect();
    let count = text.chars().count();
    let end: String = text.chars().skip(count - 140).collect();
    format!("{start} … {end}")
}

fn composed(command: &Command) -> Value {
    let properties: Map<String, Value> = command
        .parameters
        .iter()
        .map(|parameter| (parameter.name.clone(), property(parameter)))
        .collect();
    let required: Vec<&str> = command
        .parameters
        .iter()
        .filter(|parameter| parameter.required)
        .map(|parameter| parameter.name.as_str())
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// Letta takes neither arrays without items nor bare objects.
fn property(parameter: &Parameter) -> Value {
    let mut schema = parameter.schema.clone();
    if parameter.kind == "array" && !schema.contains_key("items") {
        schema.insert("items".to_owned(), json!({"type": "string"}));
    }
    if parameter.kind == "object"
        && !schema.contains_key("properties")
        && !schema.contains_key("additionalProperties")
    {
        schema.insert("additionalProperties".to_owned(), true.into());
    }
    schema.into()
}

fn kind_of(property: &Value) -> &str {
    property
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Some agents send one-element arrays as `{"item": X}`.
fn unwrapped(property: &Value, value: &RawValue) -> Option<Box<RawValue>> {
    if kind_of(property) != "array" || !value.get().starts_with('{') {
        return None;
    }
    let members: std::collections::BTreeMap<String, Box<RawValue>> =
        serde_json::from_str(value.get()).ok()?;
    let item = members.get("item").filter(|_| members.len() == 1)?;
    let array = if item.get().starts_with('[') {
        item.get().to_owned()
    } else {
        format!("[{}]", item.get())
    };
    RawValue::from_string(array).ok()
}

/// The value that a model meant: numbers and booleans often come as strings.
fn meant(property: Option<&Value>, value: &RawValue) -> Value {
    let given: Value = serde_json::from_str(value.get()).unwrap_or_default();
    let Value::String(text) = &given else {
        return given;
    };
    let read: Option<Value> = match property.map(kind_of).unwrap_or_default() {
        "integer" | "number" => serde_json::from_str(text.trim())
            .ok()
            .filter(Value::is_number),
        "boolean" => match text.trim().to_ascii_lowercase().as_str() {
            "true" => Some(true.into()),
            "false" => Some(false.into()),
            _ => None,
        },
        _ => None,
    };
    read.unwrap_or(given)
}

/// A string for a declared array or object is the program's to read.
fn is_text_for_structure(property: Option<&Value>, value: &Value) -> bool {
    value.is_string()
        && property.is_some_and(|property| matches!(kind_of(property), "array" | "object"))
}

fn check_groups(command: &Command, values: &[(String, Box<RawValue>)], faults: &mut Vec<String>) {
    for group in &command.one_of {
        let given: Vec<&str> = group
            .names
            .iter()
            .filter(|name| {
                values
                    .iter()
                    .any(|(known, value)| known == *name && value.get() != "false")
            })
            .map(String::as_str)
            .collect();
        if given.len() > 1 {
            faults.push(format!(
                "{} exclude each other; give one",
                given.join(" and ")
            ));
        } else if given.is_empty() && group.required {
            faults.push(format!("one of {} is missing", group.names.join(", ")));
        }
    }
}

fn check_open(given: Vec<(String, Box<RawValue>)>) -> Result<Checked, Vec<String>> {
    let mut faults = Vec::new();
    let mut values = Vec::new();
    for (name, value) in given {
        let valid = name.len() <= MAX_OPEN_NAME
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        if !valid {
            faults.push(format!(
                "'{}' is no argument name; use letters, digits, _ and -",
                super::contract::clean(&name)
            ));
        } else if holds_nul(&serde_json::from_str(value.get()).unwrap_or_default()) {
            faults.push(format!(
                "{name}: a NUL character cannot be passed to a program"
            ));
        } else if value.get() != "null" {
            values.push((name, value));
        }
    }
    if faults.is_empty() {
        Ok(Checked(values))
    } else {
        Err(faults)
    }
}

fn holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items
            .iter()
            .any(|item| item.as_str().is_some_and(|text| text.contains('\0'))),
        _ => false,
    }
}
