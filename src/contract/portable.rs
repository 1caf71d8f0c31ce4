//! Schemas of results that the validators of clients can read.
//!
//! A client that cannot compile one such schema loses the whole list of tools, and one that reads it in a way of its own
//! refuses results that keep it. So what only some validators know is not shown; results are held against it all the
//! same.

mod loosened;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use super::keywords::subschemas;

/// The dialects that all clients know.
const DIALECTS: [&str; 4] = [
    "json-schema.org/draft/2020-12/schema",
    "json-schema.org/draft/2019-09/schema",
    "json-schema.org/draft-07/schema",
    "json-schema.org/draft-06/schema",
];

/// Keywords that some validators know and others do not, or that they read in ways of their own.
const DISPUTED: [&str; 12] = [
    "$async",
    "id",
    "additionalItems",
    // Some validators find no name but an address, and some look for names while they check.
    "$anchor",
    "$dynamicAnchor",
    "$dynamicRef",
    "$recursiveAnchor",
    "$recursiveRef",
    "formatMinimum",
    "formatMaximum",
    "formatExclusiveMinimum",
    "formatExclusiveMaximum",
];

/// Longer chains of references count as circles.
const MAX_REFERENCES: usize = 100;

/// The schema as every client can read it.
///
/// # Errors
/// What some clients cannot read, to follow the name of the field.
pub fn portable(mut schema: Value) -> Result<Value, String> {
    // Clients keep compiled schemas by this name, also those of another tool, and the older one after a change. Since
    // every reference begins with '#', it is of no use.
    if let Some(members) = schema.as_object_mut() {
        members.remove("$id");
        let dialect = members.get("$schema").and_then(Value::as_str);
        if let Some(dialect) = dialect.filter(|dialect| !is_known(dialect)) {
            return Err(format!("has the dialect {dialect}"));
        }
    }
    check(&schema, &schema)?;
    loosened::loosened(schema)
}

fn is_known(dialect: &str) -> bool {
    let plain = dialect.trim_end_matches('#');
    let plain = plain
        .strip_prefix("https://")
        .or_else(|| plain.strip_prefix("http://"));
    plain.is_some_and(|plain| DIALECTS.contains(&plain))
}

fn check(schema: &Value, whole: &Value) -> Result<(), String> {
    let Some(members) = schema.as_object() else {
        return Ok(());
    };
    check_keywords(members)?;
    if let Some(reference) = reference(members).filter(|reference| goes_round(reference, whole)) {
        return Err(format!(
            "refers to {reference}, which is nothing but references in a circle"
        ));
    }
    let mut inner = subschemas(members).into_iter();
    inner.try_for_each(|(_, _, inner)| check(inner, whole))
}

fn check_keywords(members: &Map<String, Value>) -> Result<(), String> {
    if let Some(keyword) = DISPUTED
        .iter()
        .find(|keyword| members.contains_key(**keyword))
    {
        return Err(format!("has the keyword {keyword}"));
    }
    if members.contains_key("$id") {
        return Err("has a part with an $id".to_owned());
    }
    if let Some(nullable) = members.get("nullable")
        && (*nullable != true || !members.contains_key("type"))
    {
        return Err("has the keyword nullable without a type".to_owned());
    }
    if members
        .get("enum")
        .and_then(Value::as_array)
        .is_some_and(Vec::is_empty)
    {
        return Err("has an empty enum".to_owned());
    }
    if let Some(Value::String(reference)) = members.get("$ref")
        && !reference.starts_with('#')
    {
        return Err(format!("refers to {reference}"));
    }
    let of_names = members.get("patternProperties").and_then(Value::as_object);
    let names = of_names.into_iter().flat_map(Map::keys).map(String::as_str);
    let pattern = members.get("pattern").and_then(Value::as_str);
    match names.chain(pattern).find(|pattern| !is_portable(pattern)) {
        Some(pattern) => Err(format!("has the pattern {pattern}")),
        None => Ok(()),
    }
}

fn reference(members: &Map<String, Value>) -> Option<&str> {
    members.get("$ref").and_then(Value::as_str)
}

/// Whether a reference leads to references alone, and so never to a schema.
fn goes_round(reference: &str, whole: &Value) -> bool {
    let mut here = reference;
    for _ in 0..MAX_REFERENCES {
        let Some(pointer) = here.strip_prefix('#') else {
            return false;
        };
        let pointer = percent_decode_str(pointer).decode_utf8_lossy();
        let next = whole.pointer(&pointer).and_then(Value::as_object);
        match next.and_then(self::reference) {
            Some(next) => here = next,
            None => return false,
        }
    }
    true
}

/// Whether a pattern, which is one for this server, is one for the regular expressions of JavaScript (with the flag
/// `u`) and of Python as well.
fn is_portable(pattern: &str) -> bool {
    let mut rest = pattern;
    let mut in_class = false;
    while let Some(letter) = rest.chars().next() {
        rest = &rest[letter.len_utf8()..];
        let fits = match letter {
            '\\' => match escape(rest, in_class) {
                Some(length) => {
                    rest = &rest[length..];
                    true
                }
                None => false,
            },
            ']' if in_class => {
                in_class = false;
                true
            }
            // Sets within sets are another language.
            '[' | '&' | '~' if in_class => false,
            _ if in_class => true,
            '[' => {
                in_class = true;
                !rest.starts_with(']') && !rest.starts_with("^]")
            }
            '(' => {
                !rest.starts_with('?')
                    || ["?:", "?=", "?!"]
                        .iter()
                        .any(|group| rest.starts_with(group))
            }
            '{' => match bounds(rest) {
                Some(length) => {
                    rest = &rest[length..];
                    true
                }
                None => false,
            },
            ']' | '}' => false,
            _ => true,
        };
        // Quantifiers that never give back are unknown to JavaScript.
        let is_possessive =
            matches!(letter, '*' | '+' | '?' | '{') && !in_class && rest.starts_with('+');
        if !fits || is_possessive {
            return false;
        }
    }
    !in_class
}

/// The length of what follows a backslash.
fn escape(rest: &str, in_class: bool) -> Option<usize> {
    let letter = rest.chars().next()?;
    let hexadecimal = |digits: usize| {
        let digits = rest.get(1..=digits)?;
        let all = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        all.then_some(1 + digits.len())
    };
    match letter {
        'x' => hexadecimal(2),
        'u' => hexadecimal(4),
        'B' | 'b' if in_class => None,
        '-' if !in_class => None,
        'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'b' | 'B' | 'f' | 'n' | 'r' | 't' | 'v' | '-' => {
            Some(1)
        }
        _ if r"^$\.*+?()[]{}|/".contains(letter) => Some(1),
        _ => None,
    }
}

/// The length of `3}`, `3,}` or `3,5}`.
fn bounds(rest: &str) -> Option<usize> {
    let end = rest.find('}')?;
    let (least, most) = rest[..end].split_once(',').unwrap_or((&rest[..end], ""));
    let digits = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    (!least.is_empty() && digits(least) && digits(most)).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_every_validator_reads_goes_through_and_the_rest_is_named() {
        let plain = json!({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
            "properties": {"id": {"pattern": "^[a-z-]+\\.\\d{2,}$"}, "of": {"$ref": "#/$defs/a"}},
            "$defs": {"a": {"type": "string", "nullable": true}, "tree": {"items": {"$ref": "#/$defs/tree"}}}});
        assert_eq!(portable(plain.clone()), Ok(plain));
        assert_eq!(
            portable(json!({"$id": "urn:a", "type": "object"})),
            Ok(json!({"type": "object"}))
        );
        for (schema, named) in [
            (
                json!({"$schema": "http://json-schema.org/draft-04/schema#"}),
                "draft-04",
            ),
            (json!({"id": "urn:a"}), "id"),
            (json!({"items": {"$id": "urn:a"}}), "$id"),
            (json!({"anyOf": [{"nullable": true}]}), "nullable"),
            (json!({"not": {"enum": []}}), "enum"),
            (
                json!({"$ref": "https://json-schema.org/draft/2020-12/schema"}),
                "refers to",
            ),
            (json!({"properties": {"a": {"pattern": "(?i)a"}}}), "(?i)a"),
            (json!({"$ref": "#"}), "in a circle"),
            (
                json!({"type": "object", "properties": {"a": {"$ref": "#/%24defs/b"}},
                    "$defs": {"b": {"$ref": "#/$defs/c"}, "c": {"$ref": "#/$defs/b"}}}),
                "in a circle",
            ),
            (json!({"patternProperties": {"\\p{L}": true}}), "\\p{L}"),
        ] {
            let fault = portable(schema).expect_err("some client cannot read it");
            assert!(fault.contains(named), "{fault}");
        }
    }

    #[test]
    fn patterns_are_those_that_two_other_languages_know() {
        for pattern in [
            "",
            "^a+?$",
            "[^-\\]]",
            "(?:a|b){3}",
            "(?!x)\\w*",
            "a{1,2}",
            "\\x41\\u0041",
            "[a\\-z]",
            "é",
        ] {
            assert!(is_portable(pattern), "{pattern}");
        }
        for pattern in [
            "(?i)a", "(?<n>a)", "(?P<n>a)", "\\p{L}", "a++", "a{", "a{,3}", "]", "}", "\\-", "\\_",
            "\\Z", "[]", "[^]", "[a", "[[a]]", "\\u12", "\\",
        ] {
            assert!(!is_portable(pattern), "{pattern}");
        }
    }
}
