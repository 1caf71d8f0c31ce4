//! What is wrong with an instance, in sentences that name the argument. The validator finds it.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;

use crate::contract::faults::Faults;
use crate::text::{excerpt, shown};

/// How much of a value or a schema a message quotes.
pub(super) const QUOTED: usize = 200;

/// How many known names a message about an unknown one lists.
const MAX_LISTED: usize = 20;

/// Notes a fault of an instance in words; several where one error stands for several members.
pub(super) fn add_sentences(fault: &ValidationError<'_>, schema: &Value, faults: &mut Faults) {
    let path = path(fault.instance_path().as_str());
    match fault.kind() {
        ValidationErrorKind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            faults.add(&format!("{} is missing", quoted_path(&join(&path, name))));
        }
        ValidationErrorKind::AdditionalProperties { unexpected } if path.is_empty() => {
            let known = known_names(schema);
            for (index, name) in unexpected.iter().enumerate() {
                if faults.is_full() {
                    return faults.add_unnamed(unexpected.len() - index);
                }
                let name = shown(name, QUOTED);
                faults.add(&format!("'{name}' is not an argument; there is: {known}"));
            }
        }
        ValidationErrorKind::Enum { options } if !path.is_empty() => {
            let value = excerpt(&fault.instance().to_string(), QUOTED);
            let options = listed(options);
            faults.add(&format!(
                "{}: {value} is not one of {options}",
                quoted_path(&path)
            ));
        }
        _ if path.is_empty() => faults.add(&described(fault)),
        _ => faults.add(&format!("{}: {}", quoted_path(&path), described(fault))),
    }
}

/// The values of an `enum`, as many as a message can list.
fn listed(options: &Value) -> String {
    let Some(options) = options.as_array() else {
        return excerpt(&options.to_string(), QUOTED);
    };
    let shown: Vec<String> = options
        .iter()
        .take(MAX_LISTED)
        .map(|option| excerpt(&option.to_string(), QUOTED))
        .collect();
    match options.len().saturating_sub(MAX_LISTED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The names of the arguments that there are, as many as a message can list.
fn known_names(schema: &Value) -> String {
    let Some(known) = schema["properties"]
        .as_object()
        .filter(|known| !known.is_empty())
    else {
        return "none".to_owned();
    };
    let names: Vec<&str> = known.keys().take(MAX_LISTED).map(String::as_str).collect();
    let names = shown(&names.join(", "), QUOTED * 2);
    match known.len().saturating_sub(MAX_LISTED) {
        0 => names,
        more => format!("{names} and {more} more"),
    }
}

/// The words of the validator, cut.
pub(super) fn described(fault: &ValidationError<'_>) -> String {
    excerpt(fault, QUOTED)
}

/// Where in an instance a fault is, behind `before`; empty for the instance itself.
pub(super) fn place(fault: &ValidationError<'_>, before: &str) -> String {
    let path = path(fault.instance_path().as_str());
    if path.is_empty() {
        path
    } else {
        format!("{before}{}", shown(&path, QUOTED))
    }
}

/// A JSON pointer as `a.b[0]`.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|byte| byte.is_ascii_digit()) && !path.is_empty() {
            path.extend(["[", part, "]"]);
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&unescaped(part));
        }
    }
    path
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

/// A part of a JSON pointer as the name that it stands for.
pub(super) fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}
