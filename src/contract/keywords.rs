//! The keywords of JSON Schema: which of them clients are shown, and which have schemas within.

use serde_json::{Map, Value};

/// The keywords that clients are shown. Whatever else a description has in their place stays on the server.
pub(super) const SHOWN: &[&str] = &[
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$ref",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "else",
    "enum",
    "enumNames",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "then",
    "title",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "writeOnly",
];

/// What a keyword has within.
enum Holds {
    /// Schemas by name.
    Named,
    /// A schema, or a list of them.
    Schemas,
    /// No schema.
    None,
}

/// Where a subschema stands in the value of its keyword.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// It is the value.
    Whole,
    /// The member of this name.
    Member(&'a str),
    /// The item with this number, from 0.
    Item(usize),
}

/// The schemas right below a schema, each with its keyword and its place there.
pub(super) fn subschemas(schema: &Map<String, Value>) -> Vec<(&str, Place<'_>, &Value)> {
    let mut found = Vec::new();
    for (keyword, value) in schema {
        let keyword = keyword.as_str();
        match (holds(keyword), value) {
            (Holds::Named, Value::Object(schemas)) => {
                let schemas = schemas.iter();
                found.extend(schemas.map(|(name, inner)| (keyword, Place::Member(name), inner)));
            }
            (Holds::Schemas, Value::Array(schemas)) => {
                let schemas = schemas.iter().enumerate();
                found.extend(schemas.map(|(index, inner)| (keyword, Place::Item(index), inner)));
            }
            (Holds::Schemas, inner) => found.push((keyword, Place::Whole, inner)),
            _ => {}
        }
    }
    found
}

/// The same, to be changed; each with its keyword.
pub(super) fn subschemas_mut(schema: &mut Map<String, Value>) -> Vec<(&str, &mut Value)> {
    let mut found = Vec::new();
    for (keyword, value) in schema {
        let keyword = keyword.as_str();
        match (holds(keyword), value) {
            (Holds::Named, Value::Object(schemas)) => {
                found.extend(schemas.values_mut().map(|inner| (keyword, inner)));
            }
            (Holds::Schemas, Value::Array(schemas)) => {
                found.extend(schemas.iter_mut().map(|inner| (keyword, inner)));
            }
            (Holds::Schemas, inner) => found.push((keyword, inner)),
            _ => {}
        }
    }
    found
}

/// What stands in the value of `keyword`.
fn holds(keyword: &str) -> Holds {
    match keyword {
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas"
        | "dependencies" => Holds::Named,
        "allOf"
        | "anyOf"
        | "oneOf"
        | "prefixItems"
        | "items"
        | "additionalItems"
        | "additionalProperties"
        | "propertyNames"
        | "contains"
        | "not"
        | "if"
        | "then"
        | "else"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contentSchema" => Holds::Schemas,
        _ => Holds::None,
    }
}
