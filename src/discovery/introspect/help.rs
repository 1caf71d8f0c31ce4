//! Help texts to contract payloads: commands from a help page, options from a command's own page.
//!
//! What is read here is a guess at a text made for people, so every schema stays open: an argument
//! that the page did not show is passed on as `--name value`.

use serde_json::{Map, Value, json};

use super::help_page::{Page, Parameter};

/// The sections that list commands. The first is version 3's, and the only one whose `help` entry counts.
const COMMAND_SECTIONS: [&str; 5] = [
    "available commands",
    "commands",
    "subcommands",
    "sub-commands",
    "positional commands",
];

/// The payload of the commands that a `--help` text lists, names and one-line descriptions only; or, for a
/// program that shows options but no commands, of the one tool that it is.
///
/// # Errors
/// A sentence that says what the text lacks.
pub fn parse_help(plugin: &str, text: &str) -> Result<Value, String> {
    let mut commands: Vec<Value> = Vec::new();
    for (name, description) in listed_commands(text) {
        if commands.iter().all(|known| known["name"] != name.as_str()) {
            commands.push(json!({
                "name": name, "description": description, "invoke": [name],
                "input_schema": open_schema(&[]),
            }));
        }
    }
    if commands.is_empty() {
        let page = Page::read(text, None);
        if !page.is_readable() {
            return Err("its --help has neither an 'Available commands:' section nor a usage line with options; \
                        let it answer --describe, or parse its arguments with argparse, click or typer"
                .to_owned());
        }
        let mut command = json!({"name": plugin, "description": page.description, "invoke": []});
        fill(&mut command, &page.parameters);
        commands.push(command);
    }
    Ok(json!({"contract_version": "1.1", "plugin": {"name": plugin}, "commands": commands}))
}

/// Whether a help text shows that its program reads `--help` after a command too: it names the
/// option, as the texts of option parsers do. A program that only looks at its first word would take
/// `COMMAND --help` for an order to work.
pub fn reads_help_after_commands(text: &str) -> bool {
    text.lines().map(str::trim_start).any(|line| {
        line.starts_with("-h, --help")
            || line
                .split_whitespace()
                .next()
                .is_some_and(|word| word.trim_end_matches(',') == "--help")
    })
}

/// The commands of a payload of [`parse_help`] whose own page (`cli COMMAND --help`) may say more.
pub fn pages_to_ask(payload: &Value) -> Vec<String> {
    let commands = payload["commands"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    commands
        .iter()
        .filter(|command| command.get("parameters").is_none())
        .filter_map(|command| command["invoke"][0].as_str().map(str::to_owned))
        .collect()
}

/// Fills in what the page of `command` shows. A page that cannot be read leaves the command as it was: open.
///
/// Returns whether anything was read.
pub fn add_page(payload: &mut Value, command: &str, text: &str) -> bool {
    let page = Page::read(text, Some(command));
    let Some(commands) = payload["commands"].as_array_mut() else {
        return false;
    };
    let Some(entry) = commands
        .iter_mut()
        .find(|entry| entry["invoke"][0] == command)
    else {
        return false;
    };
    if !page.is_readable() {
        return false;
    }
    if entry["description"] == "" {
        entry["description"] = page.description.into();
    }
    fill(entry, &page.parameters);
    true
}

fn fill(command: &mut Value, parameters: &[Parameter]) {
    command["parameters"] = parameters.iter().map(Parameter::to_contract).collect();
    command["input_schema"] = open_schema(parameters);
}

fn open_schema(parameters: &[Parameter]) -> Value {
    let properties: Map<String, Value> = parameters
        .iter()
        .map(|p| (p.name.clone(), p.to_schema()))
        .collect();
    let required: Vec<&str> = parameters
        .iter()
        .filter(|p| p.required)
        .map(|p| p.name.as_str())
        .collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": true})
}

/// Names and descriptions of every listing of commands in the text, in its order.
fn listed_commands(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let mut section: Option<Listing> = None;
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(title) = section_title(line) {
            let place = COMMAND_SECTIONS.iter().position(|known| *known == title);
            section = place.map(|place| Listing {
                keeps_help: place == 0,
                indent: None,
            });
            continue;
        }
        let Some(listing) = section.as_mut() else {
            continue;
        };
        if trimmed.is_empty() || trimmed.starts_with("Examples") {
            // A blank line between the title and the first entry is only air.
            if listing.indent.is_some() {
                section = None;
            }
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        if indent == 0 {
            section = None;
            continue;
        }
        if indent > *listing.indent.get_or_insert(indent) {
            if let Some((_, description)) = found.last_mut() {
                *description = format!("{description} {trimmed}").trim().to_owned();
            }
            continue;
        }
        if let Some(entry) = command_entry(trimmed, listing.keeps_help) {
            found.push(entry);
        }
    }
    found
}

/// Where a listing of commands stands while it is read.
struct Listing {
    keeps_help: bool,
    indent: Option<usize>,
}

/// `Available commands:` as `available commands`; `None` for a line that is no title.
fn section_title(line: &str) -> Option<String> {
    if line.starts_with([' ', '\t'])
        && !line
            .trim_start()
            .to_ascii_lowercase()
            .starts_with("available commands:")
    {
        return None;
    }
    line.trim().strip_suffix(':').map(str::to_ascii_lowercase)
}

/// `add, a   Adds a task` or `add:  Adds a task` as its name and description.
fn command_entry(line: &str, keeps_help: bool) -> Option<(String, String)> {
    let (word, description) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let name = word.trim_end_matches([':', ',']);
    let valid = !name.is_empty()
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if !valid || (name == "help" && !keeps_help) {
        return None;
    }
    let description = description.trim().trim_start_matches("- ");
    Some((name.to_owned(), description.to_owned()))
}
