//! Help texts to contract payloads: commands from a help page, options from a command's own page.
//!
//! What is read here is a guess at a text made for people, so every tool stays open: an argument that the page
//! did not show is passed on as `--name value`, and `arguments` are words passed on as they are.

mod branch;
mod line;
mod option;
mod page;

use serde_json::{Map, Value, json};

use page::Page;

/// A help text without commands, options and usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "its --help has neither an 'Available commands:' section nor a usage line with options; \
     let it answer --describe, or parse its arguments with argparse, click or typer"
)]
pub struct NothingToRead;

/// The payload of the commands that a `--help` text lists, names and one-line descriptions only; or, for a
/// program that shows options or a usage line but no commands, of the one tool that it is. A program that works
/// without its commands as well is both.
///
/// # Errors
/// [`NothingToRead`] says what the text lacks.
pub fn parse_help(plugin: &str, text: &str) -> Result<Value, NothingToRead> {
    let page = Page::read(text);
    let mut commands: Vec<Value> = Vec::new();
    for entry in &page.commands {
        let mut command =
            json!({"name": entry.name, "description": entry.description, "invoke": [entry.name]});
        fill(&mut command, &Page::default());
        commands.push(command);
    }
    if commands.is_empty() && !page.is_readable() {
        return Err(NothingToRead);
    }
    let is_taken = page.commands.iter().any(|entry| entry.name == plugin);
    if commands.is_empty() || (works_without_command(&page) && !is_taken) {
        let mut command = json!({"name": plugin, "description": page.description, "invoke": []});
        fill(&mut command, &page);
        commands.push(command);
    }
    Ok(json!({"contract_version": "1.1", "plugin": {"name": plugin}, "commands": commands}))
}

/// Whether a page shows that its program has work of its own: options, and a command that may be left out.
fn works_without_command(page: &Page) -> bool {
    let mut words = page.usage.split_whitespace();
    !page.options.is_empty() && words.any(|word| matches!(word, "[COMMAND]" | "[SUBCOMMAND]"))
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
    let commands = payload["commands"].as_array().into_iter().flatten();
    commands
        .filter_map(|command| command["invoke"][0].as_str().map(str::to_owned))
        .collect()
}

/// What the page of one command says.
#[derive(Debug)]
pub struct CommandPage(Page);

impl CommandPage {
    /// Reads the text of `cli COMMAND --help`; takes a time that grows with the text.
    pub fn read(text: &str) -> Self {
        Self(Page::read(text))
    }

    /// Fills in what it shows of `command`. A page that shows no option leaves the command as it was.
    ///
    /// Returns whether anything was filled in.
    pub fn add_to(&self, payload: &mut Value, command: &str) -> bool {
        let commands = payload["commands"].as_array_mut().into_iter().flatten();
        let mut entries = commands.filter(|entry| entry["invoke"][0] == command);
        let Some(entry) = entries.next().filter(|_| !self.0.options.is_empty()) else {
            return false;
        };
        if entry["description"] == "" {
            entry["description"] = self.0.description.clone().into();
        }
        fill(entry, &self.0);
        true
    }
}

/// Gives a command its options and its `arguments`.
fn fill(command: &mut Value, page: &Page) {
    let is_taken = page.options.iter().any(|option| option.name == "arguments");
    let words = if is_taken {
        "more_arguments"
    } else {
        "arguments"
    };
    let mut description =
        "Words that are passed on as they are, after the options: what no other argument says."
            .to_owned();
    if !page.usage.is_empty() {
        description = format!("{description} Usage: {}", page.usage);
    }
    let schema = json!({"type": "array", "items": {"type": "string"}, "description": description});
    let mut properties = Map::new();
    let mut parameters = Vec::new();
    for option in &page.options {
        properties.insert(option.name.clone(), option.to_schema());
        parameters.push(option.to_contract());
    }
    let mut own = schema.clone();
    for (member, value) in [("name", words), ("arg_style", "rest"), ("dashes", "any")] {
        own[member] = value.into();
    }
    own["required"] = false.into();
    properties.insert(words.to_owned(), schema);
    parameters.push(own);
    let required: Vec<&str> = page
        .options
        .iter()
        .filter(|option| option.is_required())
        .map(|option| option.name.as_str())
        .collect();
    command["parameters"] = parameters.into();
    command["input_schema"] = json!({
        "type": "object", "properties": properties, "required": required, "additionalProperties": true,
    });
}
