//! One argument of a command: its name, its type, its schema.

use serde_json::{Map, Value};

use super::keywords::SHOWN;
use super::kind::ValueType;
use super::members::Members;
use super::patterns::readable_members;
use super::writing::Writing;
use crate::text::{cleaned, in_quotes};

/// One argument of a command.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The declared name.
    pub name: String,
    /// Its type, where there is exactly one.
    pub kind: Option<ValueType>,
    /// The type of an array's items, where there is exactly one.
    pub items: Option<ValueType>,
    /// Whether a call must give it.
    pub required: bool,
    /// Its schema as clients see it.
    pub schema: Map<String, Value>,
    /// How it reaches the program.
    pub writing: Writing,
}

/// The name in the one spelling by which `-` and `_` are the same.
pub fn folded(name: &str) -> String {
    name.replace('-', "_")
}

/// Keywords beside which the contract's default type would contradict what the author says.
const WITHOUT_DEFAULT_TYPE: [&str; 6] = ["$ref", "allOf", "anyOf", "oneOf", "const", "enum"];

impl Parameter {
    /// Reads one entry of `parameters`; `None` when it has no usable name.
    pub fn read(members: &Members<'_>) -> Option<Self> {
        let name = members.name("name")?;
        if let Some(fault) = fault_of_name(&name) {
            // Version 3 of SMCP made an option of any text; its other parameters work whatever becomes of this one.
            if !members.is_version_1_0() || name.starts_with('-') {
                members.fault("name", &format!("{} {fault}", in_quotes(&name)));
                return None;
            }
            members.hint("name", &format!("{} {fault}", in_quotes(&name)));
        }
        let kind = match members.value("type") {
            Some(_) => members.choice("type", &ValueType::NAMES),
            None => WITHOUT_DEFAULT_TYPE
                .iter()
                .all(|keyword| members.value(keyword).is_none())
                .then_some(ValueType::String),
        };
        if members
            .value("enum")
            .and_then(Value::as_array)
            .is_some_and(Vec::is_empty)
            && !members.is_version_1_0()
        {
            members.hint("enum", "has no value, so that no call can give one");
        }
        let schema = schema(members, kind);
        Some(Self {
            items: schema.get("items").and_then(ValueType::of_schema),
            required: members.flag("required").unwrap_or(false),
            writing: Writing::read(members, kind),
            name,
            kind,
            schema,
        })
    }

    /// What a property of a whole `input_schema` says about writing it.
    pub fn of_property(name: &str, schema: &Value, required: bool) -> Self {
        Self {
            name: name.to_owned(),
            kind: ValueType::of_schema(schema),
            items: schema.get("items").and_then(ValueType::of_schema),
            required,
            schema: schema.as_object().cloned().unwrap_or_default(),
            writing: Writing::default(),
        }
    }

    /// Its schema as clients see it.
    pub fn schema_shown(&self) -> Map<String, Value> {
        self.schema.clone()
    }

    /// The part of its schema that version 1.0 of the contract knows.
    pub fn schema_of_type(&self) -> Map<String, Value> {
        let known = ["type", "description", "default"];
        let of_type = self.schema.iter().filter(|(keyword, value)| {
            known.contains(&keyword.as_str()) || is_of_default_items(keyword, value)
        });
        of_type
            .map(|(keyword, value)| (keyword.clone(), value.clone()))
            .collect()
    }

    /// The option's exact spelling.
    pub fn option(&self) -> String {
        let own = self.writing.flag.clone();
        own.unwrap_or_else(|| format!("--{}", self.name.replace('_', "-")))
    }
}

/// Why no option can be made of a name.
pub fn fault_of_name(name: &str) -> Option<&'static str> {
    if name.starts_with('-') {
        Some("must not begin with '-'")
    } else if name.contains(|letter: char| letter == '=' || letter.is_whitespace()) {
        Some("must have no '=' and no white space: it becomes an option")
    } else {
        None
    }
}

/// The items of an array that says nothing of them: texts.
pub fn default_items() -> Value {
    serde_json::json!({"type": "string"})
}

/// Whether these are the items that an array has which says nothing about them.
fn is_of_default_items(keyword: &str, value: &Value) -> bool {
    keyword == "items" && *value == default_items()
}

fn schema(members: &Members<'_>, kind: Option<ValueType>) -> Map<String, Value> {
    let mut schema = Map::new();
    if let Some((word, _)) = ValueType::NAMES
        .iter()
        .find(|(_, known)| Some(*known) == kind)
    {
        schema.insert("type".to_owned(), (*word).into());
    }
    let description = members.decoration().prose("description");
    if let Some(description) = description.filter(|text| !text.is_empty()) {
        schema.insert("description".to_owned(), description.into());
    }
    for (keyword, value) in members.all {
        let known = SHOWN.contains(&keyword.as_str()) || keyword.starts_with("x-");
        let says_something = !value.is_null() || keyword == "const";
        if known && says_something {
            let value = match value {
                Value::String(text) if keyword == "title" => cleaned(text).into(),
                other => other.clone(),
            };
            schema.insert(keyword.clone(), value);
        }
    }
    // Models and Letta alike refuse arrays and objects that say nothing about what is in them.
    let has = |keyword: &str| schema.contains_key(keyword);
    if kind == Some(ValueType::Array) && !has("items") && !has("prefixItems") {
        schema.insert("items".to_owned(), default_items());
    } else if kind == Some(ValueType::Object) && !has("properties") && !has("additionalProperties")
    {
        schema.insert("additionalProperties".to_owned(), true.into());
    }
    if members.is_version_1_0() {
        return schema;
    }
    readable_members(members, schema)
}
