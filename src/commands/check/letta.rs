//! Schemas that Letta refuses. Its rules are those of the strict mode of the models that it calls.

use serde_json::Value;

/// Types that a schema can name.
const TYPES: [&str; 7] = [
    "array", "boolean", "integer", "null", "number", "object", "string",
];
/// Members by which a schema without a type is understood.
const INSTEAD_OF_TYPE: [&str; 7] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "items",
    "oneOf",
    "properties",
];
/// No schema that Letta could read is nested deeper.
const MAX_DEPTH: usize = 64;
/// Faults of one schema that are named.
const MAX_FAULTS: usize = 20;

/// Why Letta refuses a tool with this schema: the place in it, the fault, and what to do.
pub(super) fn faults(schema: &Value) -> Vec<(String, String, &'static str)> {
    let mut faults = Vec::new();
    look(schema, "inputSchema", MAX_DEPTH, &mut faults);
    faults.truncate(MAX_FAULTS);
    faults
}

type Faults = Vec<(String, String, &'static str)>;

fn look(schema: &Value, place: &str, depth: usize, faults: &mut Faults) {
    if depth == 0 || faults.len() >= MAX_FAULTS {
        return;
    }
    let mut fault = |what: String, mend| faults.push((place.to_owned(), what, mend));
    let Some(members) = schema.as_object() else {
        return fault("is no object".to_owned(), "write it as {\"type\": …}");
    };
    match &schema["type"] {
        Value::Null
            if !INSTEAD_OF_TYPE
                .iter()
                .any(|name| members.contains_key(*name)) =>
        {
            return fault("has no type".to_owned(), "give it a type");
        }
        Value::Array(types) => {
            let unknown = types
                .iter()
                .find(|one| !TYPES.iter().any(|known| *one == known));
            if let Some(unknown) = unknown {
                fault(
                    format!("has the type {unknown}"),
                    "use a type of JSON Schema",
                );
            }
        }
        _ => {}
    }
    let is = |kind: &str| schema["type"] == kind;
    if is("array") && !schema["items"].is_object() {
        let what = "is an array that does not say what is in it".to_owned();
        return fault(what, "give it items, such as {\"type\": \"string\"}");
    }
    let properties = schema["properties"].as_object();
    let required = schema["required"].as_array();
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        match properties.and_then(|properties| properties.get(name)) {
            None if properties.is_some_and(|properties| !properties.is_empty()) => fault(
                format!("requires '{name}', which it does not have"),
                "add the property, or take it off the list",
            ),
            Some(property) if allows_nothing(property) => fault(
                format!("requires '{name}', an object that may be empty"),
                "give that object required properties, or \"additionalProperties\": true",
            ),
            _ => {}
        }
    }
    let below = |name: &str| format!("{place}.{name}");
    for (name, property) in properties.into_iter().flatten() {
        look(
            property,
            &below(&format!("properties.{name}")),
            depth - 1,
            faults,
        );
    }
    if schema["items"].is_object() {
        look(&schema["items"], &below("items"), depth - 1, faults);
    }
    for union in ["anyOf", "oneOf", "allOf"] {
        let parts = schema[union].as_array().into_iter().flatten();
        for (index, part) in parts.enumerate() {
            look(
                part,
                &below(&format!("{union}[{index}]")),
                depth - 1,
                faults,
            );
        }
    }
}

/// Letta closes every object that does not say that it is open.
fn allows_nothing(schema: &Value) -> bool {
    let is_closed = matches!(
        schema.get("additionalProperties"),
        None | Some(Value::Bool(false))
    );
    let has_required = schema["required"]
        .as_array()
        .is_some_and(|names| !names.is_empty());
    schema["type"] == "object" && is_closed && !has_required
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_schema_that_letta_refuses_is_named_with_its_place() {
        let with = |property: Value| {
            json!({"type": "object", "properties": {"p": property}, "required": ["p"],
                "additionalProperties": false})
        };
        for (schema, place, what) in [
            (with(json!({})), "inputSchema.properties.p", "no type"),
            (with(json!(true)), "inputSchema.properties.p", "no object"),
            (
                with(json!({"type": "array"})),
                "inputSchema.properties.p",
                "what is in it",
            ),
            (
                with(json!({"type": "object"})),
                "inputSchema",
                "may be empty",
            ),
            (
                with(
                    json!({"type": "object", "properties": {"a": {"type": "string"}},
                    "additionalProperties": false}),
                ),
                "inputSchema",
                "may be empty",
            ),
            (
                with(json!({"type": ["text"]})),
                "inputSchema.properties.p",
                "\"text\"",
            ),
            (
                with(json!({"type": "array", "items": {"anyOf": [{"type": "string"}, {}]}})),
                "inputSchema.properties.p.items.anyOf[1]",
                "no type",
            ),
            (
                json!({"type": "object", "properties": {"a": {"type": "null"}}, "required": ["b"]}),
                "inputSchema",
                "requires 'b'",
            ),
        ] {
            let found = faults(&schema);
            let [(where_, fault, _)] = found.as_slice() else {
                panic!("{schema}: {found:?}")
            };
            assert!(
                where_ == place && fault.contains(what),
                "{schema}: {found:?}"
            );
        }
        for schema in [
            json!({"type": "object", "properties": {}, "additionalProperties": false}),
            with(json!({"type": "object", "additionalProperties": true})),
            with(json!({"type": ["string", "null"]})),
            with(json!({"$ref": "#/$defs/a"})),
            with(json!({"enum": ["a"], "type": "string"})),
        ] {
            assert_eq!(faults(&schema), [], "{schema}");
        }
    }
}
