//! A schema without the keywords that validators read in ways of their own, where it allows more without them.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::contract::keywords::subschemas_mut;

/// Keywords that some validators check and others do not, or not in the same way.
const LEFT_OUT: [&str; 12] = [
    "format",
    "contains",
    "minContains",
    "maxContains",
    "unevaluatedItems",
    "unevaluatedProperties",
    "dependentSchemas",
    "dependentRequired",
    "dependencies",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
];

/// The schema without them.
///
/// # Errors
/// What cannot be left out, to follow the name of the field: without it the schema would allow less, or would refer to
/// what is not there.
pub fn loosened(mut schema: Value) -> Result<Value, String> {
    // What is referred to may stand anywhere, so that a reference where less allows more makes the whole schema such a place.
    let inverted = references(&mut schema)
        .iter()
        .any(|(_, inverted)| *inverted);
    loosen(&mut schema, inverted)?;
    let left = references(&mut schema);
    let mut left = left.into_iter().map(|(reference, _)| reference);
    match left.find(|reference| !leads_somewhere(reference, &schema)) {
        Some(reference) => Err(format!(
            "refers to {reference}, in a part that clients read in ways of their own"
        )),
        None => Ok(schema),
    }
}

/// The schemas below a schema, each with whether the whole may allow less when it allows more.
fn parts(members: &mut Map<String, Value>, inverted: bool) -> Vec<(&mut Value, bool)> {
    let inner = subschemas_mut(members).into_iter();
    let inner = inner.map(|(keyword, inner)| (inner, inverted || inverts(keyword)));
    inner.collect()
}

/// Whether the whole may allow less when a schema below this keyword allows more.
fn inverts(keyword: &str) -> bool {
    matches!(keyword, "not" | "if" | "oneOf")
}

fn loosen(schema: &mut Value, inverted: bool) -> Result<(), String> {
    let Some(members) = schema.as_object_mut() else {
        return Ok(());
    };
    let names: Vec<String> = members.keys().cloned().collect();
    let has_tuple =
        members.contains_key("prefixItems") || members.get("items").is_some_and(Value::is_array);
    for name in names {
        let is_left_out = match name.as_str() {
            "multipleOf" => !members[&name].is_u64(),
            // What follows a tuple stands beside it.
            "prefixItems" | "items" => has_tuple,
            name => LEFT_OUT.contains(&name),
        };
        if is_left_out && inverted {
            return Err(format!(
                "has the keyword {name} where it cannot be left out"
            ));
        }
        if is_left_out {
            members.remove(&name);
        }
    }
    parts(members, inverted)
        .into_iter()
        .try_for_each(|(part, inverted)| loosen(part, inverted))
}

/// All references, each with whether it stands where less allows more.
fn references(schema: &mut Value) -> Vec<(String, bool)> {
    let mut found = Vec::new();
    let mut open = vec![(schema, false)];
    while let Some((schema, inverted)) = open.pop() {
        let Some(members) = schema.as_object_mut() else {
            continue;
        };
        if let Some(Value::String(reference)) = members.get("$ref") {
            found.push((reference.clone(), inverted));
        }
        open.extend(parts(members, inverted));
    }
    found
}

fn leads_somewhere(reference: &str, whole: &Value) -> bool {
    let Some(pointer) = reference.strip_prefix('#') else {
        return false;
    };
    let pointer = percent_decode_str(pointer).decode_utf8_lossy();
    whole.pointer(&pointer).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_validators_read_in_ways_of_their_own_is_left_out() {
        let given = json!({"type": "object", "unevaluatedProperties": false, "properties": {
            "format": {"type": "string", "format": "date", "minLength": 1},
            "price": {"type": "number", "multipleOf": 0.01},
            "even": {"type": "integer", "multipleOf": 2},
            "pair": {"type": "array", "prefixItems": [{"type": "string"}], "items": false, "maxItems": 2},
            "some": {"type": "array", "contains": {"const": 1}, "minContains": 0, "items": {"format": "uri"}},
            "enum": {"enum": [{"format": "date"}], "if": {"type": "string"}, "then": {"format": "date"}}},
            "anyOf": [{"dependentSchemas": {"price": {}}}, {"dependentRequired": {"price": ["even"]}}]});
        let left = json!({"type": "object", "properties": {
            "format": {"type": "string", "minLength": 1},
            "price": {"type": "number"},
            "even": {"type": "integer", "multipleOf": 2},
            "pair": {"type": "array", "maxItems": 2},
            "some": {"type": "array", "items": {}},
            "enum": {"enum": [{"format": "date"}], "if": {"type": "string"}, "then": {}}},
            "anyOf": [{}, {}]});
        assert_eq!(loosened(given), Ok(left));
    }

    #[test]
    fn nothing_is_left_out_where_less_would_be_allowed() {
        let date = json!({"format": "date"});
        for schema in [
            json!({"not": date}),
            json!({"oneOf": [{"type": "string"}, {"items": date}]}),
            json!({"properties": {"a": {"if": date}}}),
            json!({"not": {"properties": {"a": {"prefixItems": [{}]}}}}),
            json!({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": date}}),
        ] {
            let fault = loosened(schema).expect_err("it would allow less");
            assert!(fault.contains("cannot be left out"), "{fault}");
        }
        let kept = json!({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": {"type": "null"}}});
        assert_eq!(loosened(kept.clone()), Ok(kept));
    }

    #[test]
    fn a_reference_does_not_lead_to_what_was_left_out() {
        let schema = json!({"prefixItems": [{"type": "null"}], "properties": {"a": {"$ref": "#/prefixItems/0"}}});
        let fault = loosened(schema).expect_err("it leads nowhere");
        assert!(fault.contains("#/prefixItems/0"), "{fault}");
    }
}
