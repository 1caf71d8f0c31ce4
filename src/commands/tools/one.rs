//! One tool: what it does, what it takes, how it is called.

use serde_json::Value;

use crate::commands::setup::{NAME, painted, quoted, say, say_painted};
use crate::text::{cleaned, shown};

/// The longest text of one line, in characters.
const MAX_LINE: usize = 2_000;

/// Prints a definition as a person reads it.
pub(super) fn print(definition: &Value, source: &str) {
    let text = |member: &str| definition[member].as_str().map(cleaned);
    let name = text("name").unwrap_or_default();
    let title = text("title").map(|title| format!(" ({})", shown(&title, 200)));
    say_painted(format_args!(
        "{}{}, from {}",
        painted(NAME, &name),
        title.unwrap_or_default(),
        cleaned(source)
    ));
    if let Some(description) = text("description") {
        for line in description.lines() {
            say(format_args!("  {line}"));
        }
    }
    let hints = hints(&definition["annotations"]);
    if !hints.is_empty() {
        say(format_args!("  It {}.", hints.join(", ")));
    }
    let schema = &definition["inputSchema"];
    let properties = schema["properties"].as_object();
    say("");
    match properties.filter(|properties| !properties.is_empty()) {
        None if schema["additionalProperties"] != false => {
            say("arguments: any, for the program does not say which it takes");
        }
        None => say("arguments: none"),
        Some(properties) => {
            say("arguments:");
            for (name, property) in properties {
                print_argument(name, property, is_required(schema, name));
            }
        }
    }
    if let Some(output) = definition.get("outputSchema") {
        say(format_args!(
            "\nresult: {}",
            shown(&output.to_string(), MAX_LINE)
        ));
    }
    say(format_args!("\ncall it: {}", example(&name, schema)));
}

fn print_argument(name: &str, property: &Value, is_required: bool) {
    let must = if is_required { ", required" } else { "" };
    say_painted(format_args!(
        "  {} ({}{must})",
        painted(NAME, &shown(name, 100)),
        kind(property)
    ));
    for line in property["description"]
        .as_str()
        .map(cleaned)
        .unwrap_or_default()
        .lines()
    {
        say(format_args!("      {line}"));
    }
    let mut rules = Vec::new();
    for (member, words) in [
        ("enum", "one of"),
        ("default", "default"),
        ("minimum", "at least"),
        ("maximum", "at most"),
        ("exclusiveMinimum", "more than"),
        ("exclusiveMaximum", "less than"),
        ("minLength", "characters at least"),
        ("maxLength", "characters at most"),
        ("pattern", "pattern"),
        ("format", "format"),
        ("examples", "such as"),
    ] {
        match &property[member] {
            Value::Null => {}
            Value::Array(values) if member != "default" => {
                let values: Vec<String> = values.iter().map(plain).collect();
                rules.push(format!("{words} {}", values.join(", ")));
            }
            value => rules.push(format!("{words} {}", plain(value))),
        }
    }
    if !rules.is_empty() {
        say(format_args!("      {}", shown(&rules.join("; "), MAX_LINE)));
    }
}

/// The names of the arguments, those in brackets that may be left out.
pub(super) fn arguments_in_short(schema: &Value) -> String {
    let properties = schema["properties"].as_object();
    let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
        let is_open = schema["additionalProperties"] != false;
        return if is_open { "any" } else { "" }.to_owned();
    };
    let names = properties
        .keys()
        .map(|name| match is_required(schema, name) {
            true => name.clone(),
            false => format!("[{name}]"),
        });
    names.collect::<Vec<_>>().join(" ")
}

fn is_required(schema: &Value, name: &str) -> bool {
    let required = schema["required"].as_array();
    required.is_some_and(|names| names.iter().any(|known| known == name))
}

fn kind(property: &Value) -> String {
    let name = |value: &Value| value.as_str().map(|kind| shown(kind, 50));
    match &property["type"] {
        Value::String(kind) if kind == "array" => match name(&property["items"]["type"]) {
            Some(items) => format!("list of {items}s"),
            None => "list".to_owned(),
        },
        Value::String(kind) => shown(kind, 50),
        Value::Array(kinds) => {
            let kinds: Vec<String> = kinds.iter().filter_map(name).collect();
            kinds.join(" or ")
        }
        _ => "any type".to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn hints(annotations: &Value) -> Vec<&'static str> {
    let says = |member: &str, value: bool| annotations[member] == value;
    let hints = [
        (says("readOnlyHint", true), "changes nothing"),
        (says("destructiveHint", true), "may destroy something"),
        (
            says("idempotentHint", true),
            "may be repeated without further effect",
        ),
        (says("openWorldHint", true), "reaches beyond this machine"),
    ];
    let said = hints.into_iter().filter(|(is_said, _)| *is_said);
    said.map(|(_, words)| words).collect()
}

/// A line for the shell, with a value for each argument that is required.
fn example(name: &str, schema: &Value) -> String {
    let mut line = format!("smcp call {name}");
    for name in schema["required"].as_array().into_iter().flatten() {
        let Some(name) = name.as_str() else { continue };
        let property = &schema["properties"][name];
        let places = [
            &property["examples"][0],
            &property["default"],
            &property["enum"][0],
        ];
        let value = places.into_iter().find(|value| !value.is_null());
        let value = value.map_or_else(|| "…".to_owned(), plain);
        let word = quoted(&format!("{name}={value}"));
        line.push(' ');
        line.push_str(&word);
    }
    line
}
