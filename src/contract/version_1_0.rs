//! A description of contract 1.0 as that version means it: what only later versions know is left out, with a hint.
//!
//! Knows no faults: what breaks version 1.0 itself stays as it is and is found by whoever reads the rest.

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::keywords::SHOWN;
use super::members::MAX_ITEMS;
use super::schema::Schema;
use crate::text::{in_quotes, shown};

/// The members that mean something from version 1.1 on, beside those that version 1.0 knows.
const OF_DESCRIPTION: [&str; 8] = [
    "warnings",
    "resources",
    "resource_templates",
    "prompts",
    "completions",
    "max_concurrency",
    "warm",
    "services",
];
const OF_COMMAND: [&str; 19] = [
    "input_schema",
    "output_schema",
    "output",
    "tool",
    "title",
    "annotations",
    "icons",
    "_meta",
    "timeout",
    "max_concurrency",
    "input",
    "requires",
    "invoke",
    "one_of",
    "warm",
    "reuse",
    "refuse_words",
    "background",
    "detach",
];
const OF_PARAMETER: [&str; 7] = [
    "flag",
    "negative_flag",
    "level",
    "separator",
    "dashes",
    "env",
    "x-mcp-header",
];

/// What version 1.0 knows.
const KNOWN_OF_DESCRIPTION: [&str; 3] = ["contract_version", "plugin", "commands"];
const KNOWN_OF_COMMAND: [&str; 3] = ["name", "description", "parameters"];
const KNOWN_OF_PARAMETER: [&str; 5] = ["name", "type", "description", "required", "default"];

/// How many members one hint names.
const MAX_NAMED: usize = 10;

/// Whether a description is one of version 1.0: it says so, or says nothing, or has a minor version that is no number.
/// What is no version of contract 1 at all counts as well; it is refused for that.
pub fn is_version_1_0(payload: &Value) -> bool {
    let version = match &payload["contract_version"] {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        _ => return true,
    };
    let minor = version.split('.').nth(1).unwrap_or_default();
    !minor.bytes().all(|byte| byte.is_ascii_digit()) || minor.bytes().all(|byte| byte == b'0')
}

/// The description without what version 1.0 does not know, and what its author should read about that.
pub fn as_version_1_0(payload: &Value) -> (Value, Vec<String>) {
    let Value::Object(all) = payload else {
        return (payload.clone(), Vec::new());
    };
    let mut reducing = Reducing::default();
    let mut kept = reducing.members(all, "", &KNOWN_OF_DESCRIPTION, &OF_DESCRIPTION);
    // More than are read are refused by whoever reads them.
    if let Some(Value::Array(commands)) = kept.get_mut("commands")
        && commands.len() <= MAX_ITEMS
    {
        for (index, command) in commands.iter_mut().enumerate() {
            reducing.command(command, &format!("commands[{index}]."));
        }
    }
    (Value::Object(kept), reducing.into_hints())
}

#[derive(Default)]
struct Reducing {
    /// The members of later versions that were left out, by their addresses.
    later: Vec<String>,
    /// How many more there were.
    more: usize,
    hints: Vec<String>,
}

impl Reducing {
    /// The members that version 1.0 knows; `later` are noted, and what no version knows goes in silence.
    fn members(
        &mut self,
        all: &Map<String, Value>,
        address: &str,
        known: &[&str],
        later: &[&str],
    ) -> Map<String, Value> {
        let mut kept = Map::new();
        for (name, value) in all {
            if known.contains(&name.as_str()) {
                kept.insert(name.clone(), value.clone());
            } else if later.contains(&name.as_str()) && !value.is_null() {
                self.note(format!("{address}{name}"));
            }
        }
        kept
    }

    fn note(&mut self, address: String) {
        if self.later.len() < MAX_NAMED {
            self.later.push(address);
        } else {
            self.more += 1;
        }
    }

    fn hint(&mut self, hint: String) {
        if self.hints.len() < MAX_NAMED {
            self.hints.push(hint);
        }
    }

    fn command(&mut self, command: &mut Value, address: &str) {
        let Value::Object(all) = &*command else {
            return;
        };
        let mut kept = self.members(all, address, &KNOWN_OF_COMMAND, &OF_COMMAND);
        if let Some(Value::Array(parameters)) = kept.get_mut("parameters")
            && parameters.len() <= MAX_ITEMS
        {
            for (index, parameter) in parameters.iter_mut().enumerate() {
                self.parameter(parameter, &format!("{address}parameters[{index}]."));
            }
            self.join_repeated(parameters, address);
        }
        *command = Value::Object(kept);
    }

    fn parameter(&mut self, parameter: &mut Value, address: &str) {
        let Value::Object(all) = &*parameter else {
            return;
        };
        let mut kept = self.members(all, address, &KNOWN_OF_PARAMETER, &OF_PARAMETER);
        self.keep_keywords(all, &mut kept, address);
        if let Some(style) = style_of_boolean(all) {
            kept.insert("arg_style".to_owned(), style.into());
        } else if let Some(other) = all.get("arg_style").filter(|style| !style.is_null())
            && !["flag", "value"].contains(&word(Some(other)).as_str())
        {
            self.note(format!("{address}arg_style"));
        }
        *parameter = Value::Object(kept);
    }

    /// Keywords of JSON Schema say more to clients than version 1.0 did, so those that are well formed stay.
    fn keep_keywords(
        &mut self,
        all: &Map<String, Value>,
        kept: &mut Map<String, Value>,
        address: &str,
    ) {
        let is_keyword = |name: &str| {
            SHOWN.contains(&name) && name != "default" && !OF_PARAMETER.contains(&name)
        };
        let keywords = all.iter().filter(|(name, value)| {
            is_keyword(name) && (!value.is_null() || name.as_str() == "const")
        });
        for (name, value) in keywords {
            let alone = Map::from_iter([(name.clone(), value.clone())]);
            match Schema::compile(Value::Object(alone)) {
                Ok(_) => {
                    kept.insert(name.clone(), value.clone());
                }
                Err(fault) => self.hint(format!("{address}{name} is left out: it {fault}")),
            }
        }
    }

    /// Of two parameters with one name version 3 of SMCP served the second, in the place of the first.
    fn join_repeated(&mut self, parameters: &mut Vec<Value>, address: &str) {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut joined: Vec<Value> = Vec::with_capacity(parameters.len());
        for mut parameter in std::mem::take(parameters) {
            let name = parameter["name"].as_str().map(str::to_owned);
            let Some(place) = name.as_ref().and_then(|name| places.get(name).copied()) else {
                if let Some(name) = name {
                    places.insert(name, joined.len());
                }
                joined.push(parameter);
                continue;
            };
            let name = in_quotes(&shown(&name.unwrap_or_default(), 60));
            self.hint(format!(
                "{address}parameters has {name} twice; the last one counts"
            ));
            if joined[place]["required"] == true
                && let Some(members) = parameter.as_object_mut()
            {
                members.insert("required".to_owned(), true.into());
            }
            joined[place] = parameter;
        }
        *parameters = joined;
    }

    fn into_hints(mut self) -> Vec<String> {
        if self.later.is_empty() {
            return self.hints;
        }
        let more = match self.more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let hint = format!(
            "passed over, as version 1.0 of the contract does not know it: {}{more}; say \"contract_version\": \"1.1\" to use it",
            self.later.join(", ")
        );
        self.hints.insert(0, hint);
        self.hints
    }
}

/// How version 1.0 writes a boolean, where it says anything about that: an action of argparse's comes first.
fn style_of_boolean(all: &Map<String, Value>) -> Option<&'static str> {
    if all.get("type") != Some(&Value::from("boolean")) {
        return None;
    }
    let action = word(all.get("action"));
    let style = word(all.get("arg_style"));
    if action == "store_true" || action == "store_false" || style == "flag" {
        Some("flag")
    } else if style == "value" {
        Some("value")
    } else {
        (all.get("takes_value") == Some(&Value::Bool(false))).then_some("flag")
    }
}

/// A word of the contract's in any case, with white space around it.
fn word(value: Option<&Value>) -> String {
    let text = value.and_then(Value::as_str).unwrap_or_default();
    text.trim().to_lowercase()
}
