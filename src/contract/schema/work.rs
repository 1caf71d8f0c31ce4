//! How much work it is to hold an instance against a schema, counted before it is done.
//!
//! References make a schema larger than its text: forty definitions that each refer to the next one twice are looked
//! at more often than any machine can, and a validator cannot be interrupted.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// How many visits any instance may take: places of the schema that are held against places of the instance.
const MAX_VISITS: usize = 100_000;

/// How many more an instance may take for each of its values.
const MAX_VISITS_FOR_EACH: usize = 100;

/// Keywords that refer to another place.
const REFERRING: [&str; 3] = ["$ref", "$dynamicRef", "$recursiveRef"];

/// The references of a schema; `None` for one that has none, which is never looked at more often than it is long.
#[derive(Debug)]
pub struct References {
    /// What `$id`, `$anchor` and `$dynamicAnchor` name, as JSON pointers.
    named: HashMap<String, String>,
}

impl References {
    /// Those of `schema`.
    pub fn of(schema: &Value) -> Option<Self> {
        let mut named = HashMap::new();
        let mut refers = false;
        let mut left = vec![(String::new(), schema)];
        while let Some((pointer, value)) = left.pop() {
            match value {
                Value::Object(members) => {
                    refers |= REFERRING
                        .iter()
                        .any(|keyword| members.contains_key(*keyword));
                    for keyword in ["$id", "$anchor", "$dynamicAnchor"] {
                        if let Some(Value::String(name)) = members.get(keyword) {
                            named.insert(name.trim_end_matches('#').to_owned(), pointer.clone());
                        }
                    }
                    left.extend(members.iter().map(|(name, value)| {
                        let name = name.replace('~', "~0").replace('/', "~1");
                        (format!("{pointer}/{name}"), value)
                    }));
                }
                Value::Array(items) => {
                    let items = items.iter().enumerate();
                    left.extend(items.map(|(at, value)| (format!("{pointer}/{at}"), value)));
                }
                _ => {}
            }
        }
        refers.then_some(Self { named })
    }

    /// Whether holding `instance` against `schema`, which these are of, takes more visits than it may.
    pub fn are_too_many(&self, schema: &Value, instance: &Value) -> bool {
        let mut walk = Walk {
            root: schema,
            references: self,
            due: vec![(schema, instance)],
        };
        let mut left = MAX_VISITS + MAX_VISITS_FOR_EACH * values_in(instance);
        while let Some((schema, instance)) = walk.due.pop() {
            if left == 0 {
                return true;
            }
            left -= 1;
            if let Value::Object(keywords) = schema {
                walk.visit(keywords, instance);
            }
        }
        false
    }

    /// What a reference stands for. One that leads elsewhere was refused when the schema was compiled.
    fn resolved<'a>(&self, root: &'a Value, reference: &str) -> Option<&'a Value> {
        let (resource, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let base = self.named.get(resource);
        let base = base
            .and_then(|pointer| root.pointer(pointer))
            .unwrap_or(root);
        if fragment.is_empty() || fragment.starts_with('/') {
            let fragment = percent_encoding::percent_decode_str(fragment)
                .decode_utf8()
                .ok()?;
            return base.pointer(&fragment);
        }
        root.pointer(self.named.get(fragment)?)
    }
}

/// What is still to be visited.
struct Walk<'a> {
    root: &'a Value,
    references: &'a References,
    due: Vec<(&'a Value, &'a Value)>,
}

impl<'a> Walk<'a> {
    /// Notes what the keywords of one schema hold against `instance` and against what is in it, as if none of them
    /// had failed before.
    fn visit(&mut self, keywords: &'a Map<String, Value>, instance: &'a Value) {
        for (keyword, value) in keywords {
            match (keyword.as_str(), value) {
                (keyword, Value::String(reference)) if REFERRING.contains(&keyword) => {
                    let target = self.references.resolved(self.root, reference);
                    self.due.extend(target.map(|target| (target, instance)));
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(schemas)) => {
                    self.due
                        .extend(schemas.iter().map(|schema| (schema, instance)));
                }
                ("not" | "if" | "then" | "else", schema) => self.due.push((schema, instance)),
                ("dependentSchemas" | "dependencies", Value::Object(schemas)) => {
                    self.due
                        .extend(schemas.values().map(|schema| (schema, instance)));
                }
                _ => match instance {
                    Value::Object(members) => self.visit_members(keywords, keyword, members),
                    Value::Array(items) => self.visit_items(keywords, keyword, items),
                    _ => {}
                },
            }
        }
    }

    fn visit_members(
        &mut self,
        keywords: &'a Map<String, Value>,
        keyword: &str,
        members: &'a Map<String, Value>,
    ) {
        let value = &keywords[keyword];
        match keyword {
            "properties" => {
                let known = members
                    .iter()
                    .filter_map(|(name, member)| Some((value.get(name)?, member)));
                self.due.extend(known);
            }
            // Which of the patterns fits is not looked at here.
            "patternProperties" => {
                for schema in value.as_object().into_iter().flat_map(Map::values) {
                    self.due
                        .extend(members.values().map(|member| (schema, member)));
                }
            }
            "additionalProperties" | "unevaluatedProperties" => {
                let known = |name: &String| {
                    keywords
                        .get("properties")
                        .is_some_and(|known| known.get(name).is_some())
                };
                let others = members.iter().filter(|(name, _)| !known(name));
                self.due.extend(others.map(|(_, member)| (value, member)));
            }
            // A name is a text, in which there is nothing more to visit.
            "propertyNames" => self
                .due
                .extend(members.values().map(|_| (value, &Value::Null))),
            _ => {}
        }
    }

    fn visit_items(&mut self, keywords: &'a Map<String, Value>, keyword: &str, items: &'a [Value]) {
        let value = &keywords[keyword];
        let placed = |keyword: &str| {
            keywords
                .get(keyword)
                .and_then(Value::as_array)
                .map_or(0, Vec::len)
        };
        match (keyword, value) {
            ("prefixItems" | "items", Value::Array(schemas)) => {
                self.due.extend(schemas.iter().zip(items))
            }
            ("items" | "additionalItems" | "unevaluatedItems", schema) => {
                let first = placed("prefixItems").max(placed("items"));
                self.due
                    .extend(items.iter().skip(first).map(|item| (schema, item)));
            }
            ("contains", schema) => self.due.extend(items.iter().map(|item| (schema, item))),
            _ => {}
        }
    }
}

fn values_in(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values_in).sum(),
        Value::Object(members) => members.values().map(values_in).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn are_too_many(schema: &Value, instance: &Value) -> bool {
        References::of(schema).is_some_and(|references| references.are_too_many(schema, instance))
    }

    /// Definitions that each refer to the next one twice.
    fn doubling(levels: usize, twice: impl Fn(&str) -> Value) -> Value {
        let mut definitions: Map<String, Value> = (0..levels)
            .map(|level| {
                (
                    format!("d{level}"),
                    twice(&format!("#/$defs/d{}", level + 1)),
                )
            })
            .collect();
        definitions.insert(format!("d{levels}"), json!({"type": "object"}));
        json!({"$ref": "#/$defs/d0", "$defs": definitions})
    }

    #[test]
    fn references_that_double_are_too_many() {
        let forms: [fn(&str) -> Value; 4] = [
            |next| json!({"allOf": [{"$ref": next}, {"$ref": next}]}),
            |next| json!({"anyOf": [{"$ref": next}], "not": {"$ref": next}}),
            |next| json!({"if": {"$ref": next}, "then": {"$ref": next}}),
            |next| json!({"$ref": next, "dependentSchemas": {"a": {"$ref": next}}}),
        ];
        for form in forms {
            assert!(are_too_many(&doubling(46, form), &json!({})));
            assert!(!are_too_many(&doubling(8, form), &json!({})));
        }
        let named = json!({"$defs": {"a": {"$anchor": "a", "allOf": [{"$ref": "#b"}, {"$ref": "#b"}]},
            "b": {"$anchor": "b", "allOf": [{"$ref": "#a"}, {"$ref": "#a"}]}}, "$ref": "#a"});
        assert!(are_too_many(&named, &json!({})));
        let resources = json!({"$id": "x:/root", "$ref": "x:/a", "$defs": {
            "a": {"$id": "x:/a", "allOf": [{"$ref": "x:/a#"}, {"$ref": "x:/a"}]}}});
        assert!(are_too_many(&resources, &json!({})));
    }

    #[test]
    fn references_that_double_with_each_level_of_the_instance_are_too_many() {
        let schema = json!({"allOf": [{"properties": {"a": {"$ref": "#"}}}, {"properties": {"a": {"$ref": "#"}}}]});
        let nested = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({"a": inner}));
        assert!(!are_too_many(&schema, &nested(10)));
        assert!(are_too_many(&schema, &nested(60)));
    }

    #[test]
    fn a_tree_of_any_size_is_checked() {
        let schema = json!({"$defs": {"node": {"type": "object", "properties": {
            "left": {"$ref": "#/$defs/node"}, "right": {"$ref": "#/$defs/node"},
            "more": {"type": "array", "items": {"$ref": "#/$defs/node"}}}}},
            "$ref": "#/$defs/node"});
        let mut tree = json!({});
        for _ in 0..14 {
            tree = json!({"left": tree, "right": tree});
        }
        assert!(!are_too_many(&schema, &tree));
        let long = json!({"more": vec![json!({"left": {}}); 50_000]});
        assert!(!are_too_many(&schema, &long));
    }

    #[test]
    fn what_refers_to_nothing_is_not_counted() {
        assert!(References::of(&json!({"allOf": [{"type": "object"}]})).is_none());
    }
}
