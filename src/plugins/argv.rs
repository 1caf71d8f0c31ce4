//! Arguments to a command line; pure. Knows no schema: what comes here has been checked.

use serde_json::value::RawValue;

use super::contract::{Command, Input, Parameter, Style};
use super::schema::Checked;

/// The most that Linux passes as one argument, in bytes (MAX_ARG_STRLEN, less its final NUL).
pub const MAX_ARGUMENT: usize = 131_071;

/// What a call adds to `python3 cli.py`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The words.
    pub words: Vec<String>,
    /// Variables that carry values instead of words.
    pub environment: Vec<(String, String)>,
    /// What goes to stdin.
    pub stdin: Option<Vec<u8>>,
}

/// Why arguments cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// A value that this way of writing cannot carry.
    Value(String),
    /// One argument is larger than a program can be passed.
    TooLarge(String),
}

/// Writes `arguments` for `command`.
pub fn write(command: &Command, arguments: &Checked) -> Result<CommandLine, Unwritable> {
    let mut line = CommandLine::default();
    if command.input == Input::Stdin {
        line.words.clone_from(&command.invoke);
        line.stdin = Some(arguments.to_object().into_bytes());
        return Ok(line);
    }
    let mut levels: Vec<Level> = (0..=command.invoke.len())
        .map(|_| Level::default())
        .collect();
    for (name, value) in arguments.iter() {
        let declared = command
            .parameters
            .iter()
            .find(|parameter| parameter.name == name);
        if let Some(variable) = declared.and_then(|parameter| parameter.env.clone()) {
            line.environment.push((variable, text_of(declared, value)));
            continue;
        }
        let level = declared
            .and_then(|parameter| parameter.level)
            .unwrap_or(command.invoke.len())
            .min(command.invoke.len());
        levels[level].write(name, declared, value)?;
    }
    for (number, level) in levels.into_iter().enumerate() {
        level.append_to(&mut line.words);
        line.words.extend(command.invoke.get(number).cloned());
    }
    for word in &line.words {
        if word.len() > MAX_ARGUMENT {
            let start: String = word.chars().take(40).collect();
            return Err(Unwritable::TooLarge(format!(
                "an argument is {} bytes ({start}…); the system passes at most {MAX_ARGUMENT}: write it to a file and pass its path",
                word.len()
            )));
        }
    }
    Ok(line)
}

/// The words between two words that select the command.
#[derive(Default)]
struct Level {
    options: Vec<String>,
    positionals: Vec<String>,
    /// The last option takes every word that follows.
    greedy: bool,
}

impl Level {
    fn write(
        &mut self,
        name: &str,
        declared: Option<&Parameter>,
        value: &RawValue,
    ) -> Result<(), Unwritable> {
        let option = declared
            .and_then(|parameter| parameter.flag.clone())
            .unwrap_or_else(|| format!("--{}", name.replace('_', "-")));
        let style = declared.map_or(Style::Usual, |parameter| parameter.style);
        let kind = declared.map_or("", |parameter| parameter.kind.as_str());
        let items = items_of(declared, value);
        match (style, items) {
            (Style::Positional, Some(items)) => self.positionals.extend(items),
            (Style::Positional, None) => self.positionals.push(text_of(declared, value)),
            (Style::Flag, _) => self.flag(option, declared, value),
            (Style::Count, _) => {
                let times = text_of(declared, value)
                    .parse::<usize>()
                    .unwrap_or(0)
                    .min(64);
                self.options.extend(std::iter::repeat_n(option, times));
            }
            (Style::List, Some(items)) => self.list(&option, items)?,
            (_, Some(items)) => items
                .into_iter()
                .for_each(|item| self.option(&option, item)),
            (_, None) if kind == "boolean" || matches!(value.get(), "true" | "false") => {
                self.option(&option, text_of(declared, value))
            }
            (_, None) => self.option(&option, text_of(declared, value)),
        }
        Ok(())
    }

    fn flag(&mut self, option: String, declared: Option<&Parameter>, value: &RawValue) {
        let on = text_of(declared, value).eq_ignore_ascii_case("true");
        let negative = declared.and_then(|parameter| parameter.negative_flag.clone());
        self.options
            .extend(if on { Some(option) } else { negative });
    }

    fn list(&mut self, option: &str, items: Vec<String>) -> Result<(), Unwritable> {
        if let Some(item) = items.iter().find(|item| item.starts_with('-')) {
            let shown: String = item.chars().take(80).collect();
            return Err(Unwritable::Value(format!(
                "'{shown}' begins with -, which a list after {option} cannot carry"
            )));
        }
        if !items.is_empty() {
            self.options.push(option.to_owned());
            self.options.extend(items);
            self.greedy = true;
        }
        Ok(())
    }

    /// In one word where the value begins with a dash, so that it can never become an option.
    fn option(&mut self, option: &str, value: String) {
        if !value.starts_with('-') {
            self.options.push(option.to_owned());
            self.options.push(value);
        } else if option.starts_with("--") || option.len() > 2 {
            self.options.push(format!("{option}={value}"));
        } else {
            self.options.push(format!("{option}{value}"));
        }
    }

    fn append_to(self, words: &mut Vec<String>) {
        words.extend(self.options);
        if !self.positionals.is_empty()
            && (self.greedy || self.positionals.iter().any(|word| word.starts_with('-')))
        {
            words.push("--".to_owned());
        }
        words.extend(self.positionals);
    }
}

/// The items of an array that is written item by item; `None` for everything that is one value.
fn items_of(declared: Option<&Parameter>, value: &RawValue) -> Option<Vec<String>> {
    if !value.get().starts_with('[') {
        return None;
    }
    let wants_json = declared.is_some_and(|parameter| {
        parameter
            .schema
            .get("items")
            .and_then(|items| items.get("type"))
            .is_some_and(|kind| kind == "object")
    });
    let items: Vec<&RawValue> = serde_json::from_str(value.get()).ok()?;
    let nested = items.iter().any(|item| item.get().starts_with(['{', '[']));
    (!wants_json && !nested).then(|| items.into_iter().map(scalar).collect())
}

fn text_of(declared: Option<&Parameter>, value: &RawValue) -> String {
    let is_integer = declared.is_some_and(|parameter| parameter.kind == "integer");
    if is_integer && value.get().contains(['.', 'e', 'E']) && !value.get().starts_with('"') {
        return integer(value.get());
    }
    scalar(value)
}

/// 5.0 is an integer in JSON Schema, and no program reads it as one.
fn integer(text: &str) -> String {
    text.parse::<f64>()
        .map_or_else(|_| text.to_owned(), |number| format!("{number:.0}"))
}

/// A string without its quotes; anything else in the text that it came with.
fn scalar(value: &RawValue) -> String {
    serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned())
}
