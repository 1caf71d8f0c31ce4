//! The schema of parameters in the form that clients accept. What arguments are held against stays as it was declared,
//! but for the parameters of a command: one of those that is an array of nothing in particular is read as one of texts.
//!
//! Some clients, Letta for one, refuse a tool as a whole when a part of its schema has no type.

use serde_json::{Map, Value, json};

use super::parameter::default_items;

/// Keywords that describe a value and do not restrict it.
const ANNOTATIONS: [&str; 7] = [
    "$comment",
    "default",
    "deprecated",
    "description",
    "examples",
    "readOnly",
    "title",
];

/// Says what a schema leaves open: the type of an array's items ([`default_items`]),
/// the type of an `enum`, and that an object may have any members.
pub fn complete_for_clients(mut schema: Value) -> Value {
    complete(&mut schema);
    schema
}

/// The same schema with an object for each of its properties that is `true` or `false`: the protocol's types up to
/// 2025-11-25 know no others, and clients refuse the whole list for one.
pub fn with_objects_for_properties(mut schema: Value) -> Value {
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for property in properties.values_mut() {
            match property {
                Value::Bool(true) => *property = json!({}),
                Value::Bool(false) => *property = json!({"not": {}}),
                _ => {}
            }
        }
    }
    schema
}

fn complete(schema: &mut Value) {
    let Some(members) = schema.as_object_mut() else {
        return;
    };
    if !members.contains_key("type")
        && let Some(kind) = type_of_choices(members)
    {
        members.insert("type".to_owned(), kind);
    }
    let is_array = members.get("type") == Some(&json!("array"));
    if is_array && !members.contains_key("items") && !members.contains_key("prefixItems") {
        members.insert("items".to_owned(), default_items());
    }
    if let Some(items) = members.get_mut("items") {
        complete_items(items);
    }
    open_required_objects(members);
    for (keyword, value) in members {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => {
                properties.values_mut().for_each(complete_property);
            }
            ("$defs" | "definitions" | "patternProperties", Value::Object(schemas)) => {
                schemas.values_mut().for_each(complete);
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(complete);
            }
            ("items" | "additionalProperties", schema) => complete(schema),
            _ => {}
        }
    }
}

/// Says of each required object that any members may be in it, where nothing else is said: a client that takes
/// silence for "no others" refuses a required object that may be empty.
fn open_required_objects(members: &mut Map<String, Value>) {
    let required = members.get("required").and_then(Value::as_array).cloned();
    let Some(Value::Object(properties)) = members.get_mut("properties") else {
        return;
    };
    for name in required.iter().flatten().filter_map(Value::as_str) {
        let Some(property) = properties.get_mut(name).and_then(Value::as_object_mut) else {
            continue;
        };
        let needs = property.get("required").and_then(Value::as_array);
        let may_be_empty = needs.is_none_or(Vec::is_empty);
        if may_be_empty && property.get("type") == Some(&json!("object")) {
            property
                .entry("additionalProperties")
                .or_insert(json!(true));
        }
    }
}

fn complete_items(items: &mut Value) {
    match items {
        Value::Bool(true) => *items = default_items(),
        Value::Object(members) if says_nothing(members) => {
            members.insert("type".to_owned(), "string".into());
        }
        _ => {}
    }
}

fn complete_property(property: &mut Value) {
    complete(property);
    if let Some(members) = property.as_object_mut() {
        let restricts = |keyword: &&String| *keyword != "type" && !is_annotation(keyword);
        let is_bare = !members.keys().any(|keyword| restricts(&keyword));
        if is_bare && members.get("type") == Some(&json!("object")) {
            members.insert("additionalProperties".to_owned(), true.into());
        }
    }
}

fn says_nothing(members: &Map<String, Value>) -> bool {
    members.keys().all(|keyword| is_annotation(keyword))
}

fn is_annotation(keyword: &str) -> bool {
    ANNOTATIONS.contains(&keyword)
}

/// The one type of all values that an `enum` or a `const` admits.
fn type_of_choices(members: &Map<String, Value>) -> Option<Value> {
    let choices = match (members.get("enum"), members.get("const")) {
        (Some(Value::Array(choices)), _) => choices.as_slice(),
        (_, Some(only)) => std::slice::from_ref(only),
        _ => return None,
    };
    let mut names = choices.iter().map(type_of);
    let first = names.next()?;
    names.all(|name| name == first).then(|| first.into())
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_that_are_true_or_false_are_objects_that_mean_the_same() {
        let given = json!({"type": "object", "properties": {"any": true, "none": false, "one": {"items": true}}});
        let shown = with_objects_for_properties(given.clone());
        assert_eq!(
            shown["properties"],
            json!({"any": {}, "none": {"not": {}}, "one": {"items": true}})
        );
        let [given, shown] =
            [given, shown].map(|schema| jsonschema::validator_for(&schema).expect("a schema"));
        for instance in [
            json!({}),
            json!({"any": 1}),
            json!({"none": 1}),
            json!({"one": [1]}),
        ] {
            assert_eq!(
                given.is_valid(&instance),
                shown.is_valid(&instance),
                "{instance}"
            );
        }
        assert_eq!(with_objects_for_properties(json!(true)), json!(true));
    }

    #[test]
    fn what_a_schema_leaves_open_is_said_and_what_it_says_is_left_alone() {
        let text = json!({"type": "string"});
        let cases = [
            (
                json!({"type": "array"}),
                json!({"type": "array", "items": text}),
            ),
            (
                json!({"type": "array", "items": {}}),
                json!({"type": "array", "items": text}),
            ),
            (
                json!({"type": "array", "items": true}),
                json!({"type": "array", "items": text}),
            ),
            (
                json!({"type": "array", "items": {"description": "a word"}}),
                json!({"type": "array", "items": {"description": "a word", "type": "string"}}),
            ),
            (
                json!({"type": "array", "items": {"type": "array"}}),
                json!({"type": "array", "items": {"type": "array", "items": text}}),
            ),
            (
                json!({"type": "array", "items": {"type": "array", "items": {"type": "array", "items": {}}}}),
                json!({"type": "array", "items": {"type": "array", "items": {"type": "array", "items": text}}}),
            ),
            (
                json!({"type": "object", "properties": {"tags": {"type": "array"}, "more": {"type": "object"}}}),
                json!({"type": "object", "properties": {"tags": {"type": "array", "items": text},
                    "more": {"type": "object", "additionalProperties": true}}}),
            ),
            (
                json!({"anyOf": [{"type": "array"}, {"type": "null"}]}),
                json!({"anyOf": [{"type": "array", "items": text}, {"type": "null"}]}),
            ),
            (
                json!({"enum": ["a", "b"]}),
                json!({"enum": ["a", "b"], "type": "string"}),
            ),
            (json!({"const": 5}), json!({"const": 5, "type": "integer"})),
        ];
        for (given, expected) in cases {
            let whole =
                |parameter: Value| json!({"type": "object", "properties": {"p": parameter}});
            assert_eq!(complete_for_clients(whole(given)), whole(expected));
        }
        let object = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let with = |required: bool, object: Value| {
            let required: &[&str] = if required { &["o"] } else { &[] };
            json!({"type": "object", "properties": {"o": object}, "required": required})
        };
        let mut open = object.clone();
        open["additionalProperties"] = true.into();
        assert_eq!(
            complete_for_clients(with(true, object.clone())),
            with(true, open)
        );
        assert_eq!(
            complete_for_clients(with(false, object.clone())),
            with(false, object)
        );
        for said in [
            json!({"type": "array", "items": {"type": "integer"}}),
            json!({"type": "array", "items": {"type": "object"}}),
            json!({"type": "array", "items": {"$ref": "#/$defs/a"}}),
            json!({"type": "array", "items": false}),
            json!({"type": "array", "prefixItems": [{"type": "string"}]}),
            json!({"type": "object", "additionalProperties": false}),
            json!({"enum": ["a", 1]}),
            json!({"description": "anything"}),
        ] {
            let whole = json!({"type": "object", "properties": {"p": said}});
            assert_eq!(complete_for_clients(whole.clone()), whole);
        }
    }
}
