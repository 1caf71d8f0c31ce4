//! Schemas without the regular expressions that this server cannot read.
//!
//! A pattern says which texts fit, and no program depends on it. So one that cannot be read is neither checked nor
//! shown, and what the rest of the schema means without it lets through at least what it let through before.

use serde_json::{Map, Value, json};

use super::keywords::{Place, subschemas, subschemas_mut};
use super::members::Members;
use crate::text::in_quotes;

/// Keywords under which a schema that allows more makes the whole allow less, each with those that mean something
/// beside it alone.
const INVERTING: [(&str, &[&str]); 4] = [
    ("not", &[]),
    ("if", &["then", "else"]),
    ("oneOf", &[]),
    ("contains", &["minContains", "maxContains"]),
];

/// Keywords that are about what no other keyword has evaluated.
const UNEVALUATED: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];

/// The schema in the member `name` without such patterns, each of which is reported.
pub fn readable(members: &Members<'_>, name: &str, mut schema: Value) -> Value {
    let found = unreadable(&schema);
    if !found.is_empty() {
        reduce(&mut schema);
    }
    for (place, pattern) in found {
        report(members, &format!("{name}.{place}"), &pattern);
    }
    schema
}

/// The keywords of a parameter without such patterns, each of which is reported.
pub fn readable_members(members: &Members<'_>, keywords: Map<String, Value>) -> Map<String, Value> {
    let mut schema = Value::Object(keywords);
    let found = unreadable(&schema);
    if !found.is_empty() {
        reduce(&mut schema);
    }
    for (place, pattern) in found {
        report(members, &place, &pattern);
    }
    match schema {
        Value::Object(keywords) => keywords,
        _ => Map::new(),
    }
}

fn report(members: &Members<'_>, place: &str, pattern: &str) {
    let what = format!(
        "{} is no regular expression that can be read here; it is neither checked nor shown",
        in_quotes(pattern)
    );
    members.hint(place, &what);
}

fn is_readable(pattern: &str) -> bool {
    jsonschema::validator_for(&json!({"pattern": pattern})).is_ok()
}

/// The patterns that cannot be read, each with its place.
fn unreadable(schema: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(schema, "", &mut |place, members| {
        let pattern = members.get("pattern").and_then(Value::as_str);
        if let Some(pattern) = pattern.filter(|pattern| !is_readable(pattern)) {
            found.push((joined(place, "pattern"), pattern.to_owned()));
        }
        for name in names(members).filter(|name| !is_readable(name)) {
            found.push((joined(place, "patternProperties"), name.clone()));
        }
    });
    found
}

fn names(members: &Map<String, Value>) -> impl Iterator<Item = &String> {
    let names = members.get("patternProperties").and_then(Value::as_object);
    names.into_iter().flat_map(Map::keys)
}

fn joined(place: &str, name: &str) -> String {
    match place {
        "" => name.to_owned(),
        place => format!("{place}.{name}"),
    }
}

/// Calls `seen` with each schema in `schema`, itself included, and its place.
fn walk(schema: &Value, place: &str, seen: &mut impl FnMut(&str, &Map<String, Value>)) {
    let Some(members) = schema.as_object() else {
        return;
    };
    seen(place, members);
    for (keyword, within, inner) in subschemas(members) {
        let place = joined(place, keyword);
        let place = match within {
            Place::Whole => place,
            Place::Member(name) => joined(&place, name),
            Place::Item(index) => format!("{place}[{index}]"),
        };
        walk(inner, &place, seen);
    }
}

/// Takes every pattern out that cannot be read, and whatever would refuse more without it.
fn reduce(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    let is_unreadable = |pattern: &Value| pattern.as_str().is_some_and(|text| !is_readable(text));
    if members.get("pattern").is_some_and(is_unreadable) {
        members.remove("pattern");
    }
    for keyword in UNEVALUATED {
        members.remove(keyword);
    }
    for (keyword, companions) in INVERTING {
        if members.get(keyword).is_some_and(may_shrink) {
            members.remove(keyword);
            for companion in companions {
                members.remove(*companion);
            }
        }
    }
    if let Some(Value::Object(by_pattern)) = members.get_mut("patternProperties") {
        let before = by_pattern.len();
        by_pattern.retain(|name, _| is_readable(name));
        // What the pattern allowed would be refused as one property too many.
        if by_pattern.len() < before {
            members.remove("additionalProperties");
        }
    }
    for (_, inner) in subschemas_mut(members) {
        reduce(inner);
    }
}

/// Whether something in `schema` goes, or may go where it refers to.
fn may_shrink(schema: &Value) -> bool {
    let refers = |members: &Map<String, Value>| {
        members.contains_key("$ref") || members.contains_key("$dynamicRef")
    };
    let mut shrinks = false;
    let mut look = |schema: &Value| {
        walk(schema, "", &mut |_, members| shrinks |= refers(members));
        shrinks |= !unreadable(schema).is_empty();
    };
    match schema {
        Value::Array(schemas) => schemas.iter().for_each(look),
        schema => look(schema),
    }
    shrinks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_schema_lets_through_whatever_fitted() {
        let bad = json!({"pattern": "^[\\w-.]+$"});
        let cases = [
            (
                json!({"type": "string", "pattern": "^[\\w-.]+$"}),
                json!({"type": "string"}),
            ),
            (
                json!({"properties": {"pattern": bad}}),
                json!({"properties": {"pattern": {}}}),
            ),
            (
                json!({"items": {"anyOf": [bad, {"type": "null"}]}}),
                json!({"items": {"anyOf": [{}, {"type": "null"}]}}),
            ),
            (json!({"not": bad, "minLength": 1}), json!({"minLength": 1})),
            (json!({"oneOf": [bad, {"type": "null"}]}), json!({})),
            (
                json!({"if": bad, "then": {"minLength": 1}, "else": false}),
                json!({}),
            ),
            (json!({"contains": bad, "maxContains": 1}), json!({})),
            (
                json!({"patternProperties": {"[\\w-.]": true, "^a": {}}, "additionalProperties": false}),
                json!({"patternProperties": {"^a": {}}}),
            ),
            (
                json!({"not": {"$ref": "#/$defs/a"}, "$defs": {"a": bad}}),
                json!({"$defs": {"a": {}}}),
            ),
            (
                json!({"allOf": [bad], "unevaluatedProperties": false}),
                json!({"allOf": [{}]}),
            ),
        ];
        for (given, left) in cases {
            assert_eq!(unreadable(&given).len(), 1, "{given}");
            let mut schema = given.clone();
            reduce(&mut schema);
            assert_eq!(schema, left, "{given}");
            assert!(jsonschema::validator_for(&schema).is_ok(), "{given}");
        }
        assert!(unreadable(&json!({"const": bad, "enum": [bad], "pattern": "^a$"})).is_empty());
    }
}
