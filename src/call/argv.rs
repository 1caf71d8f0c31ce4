//! Arguments to a command line, an environment and an input; pure.
//!
//! The one rule behind all others: whatever a value is, the program gets it as that value. What no
//! command line can carry is refused.

use serde_json::Value;

use super::arguments::{Argument, Arguments, Given};
use crate::contract::{Command, Dashes, Input, Kind, Parameter, Style};
use crate::text::shown;

/// The longest word that Linux passes to a program, its closing NUL not counted.
pub const MAX_WORD: usize = 131_071;

/// How often an option may be repeated to say a number.
const MAX_REPEATS: u64 = 1_000;

/// What a program is started with.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The words after the program.
    pub words: Vec<String>,
    /// Variables on top of the environment.
    pub environment: Vec<(String, String)>,
    /// What it reads from standard input.
    pub stdin: Option<Vec<u8>>,
}

/// Why arguments that fit their schema cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// Every fault, each naming the argument.
    Faults(Vec<String>),
    /// A word is larger than the system passes on.
    TooLarge(String),
}

/// Writes the arguments of one call.
///
/// # Errors
/// What a command line cannot carry.
pub fn write(command: &Command, arguments: &Arguments) -> Result<Line, Unwritable> {
    let mut line = Writer::new(command);
    let places = line.sorted(&arguments.given);
    for (index, word) in command.invoke.iter().map(Some).chain([None]).enumerate() {
        line.level(index, &places);
        line.words.extend(word.cloned());
    }
    let stdin = (command.input == Input::Stdin).then(|| line.object(&arguments.json));
    line.finish(stdin)
}

/// An argument and its declaration; `None` for one that only an open schema admits.
type Place<'a> = (Option<&'a Parameter>, &'a Argument);

struct Writer<'a> {
    command: &'a Command,
    words: Vec<String>,
    environment: Vec<(String, String)>,
    faults: Vec<String>,
    too_large: Option<String>,
    /// Whether an option with a varying number of words was the last thing written.
    is_open: bool,
}

impl<'a> Writer<'a> {
    fn new(command: &'a Command) -> Self {
        Self {
            command,
            words: Vec::new(),
            environment: Vec::new(),
            faults: Vec::new(),
            too_large: None,
            is_open: false,
        }
    }

    /// The arguments that go on the command line; those for the environment are put there.
    fn sorted<'g>(&mut self, given: &'g [Argument]) -> Vec<Place<'g>>
    where
        'a: 'g,
    {
        let command: &'a Command = self.command;
        let mut places = Vec::new();
        for argument in given {
            let parameter = command.parameter(&argument.name);
            match parameter.and_then(|known| known.writing.env.as_ref()) {
                Some(variable) => {
                    let text = text_of(&argument.value);
                    self.check(&argument.name, &format!("{variable}={text}"));
                    self.environment.push((variable.clone(), text));
                }
                None if command.input == Input::Stdin => {}
                None if parameter.is_none() && !is_plain_name(&argument.name) => {
                    let name = shown(&argument.name, 60);
                    self.faults.push(format!(
                        "'{name}' cannot be an option: a name begins with a letter or digit and has only letters, digits, '_' and '-', at most 64"
                    ));
                }
                None => places.push((parameter, argument)),
            }
        }
        places
    }

    /// What stands after `level` words of `invoke`: options, then positional values.
    fn level(&mut self, level: usize, places: &[Place<'_>]) {
        let last = self.command.invoke.len();
        let here = |parameter: Option<&Parameter>| {
            parameter
                .and_then(|known| known.writing.level)
                .unwrap_or(last)
                == level
        };
        self.is_open = false;
        for (parameter, argument) in places.iter().filter(|(parameter, _)| here(*parameter)) {
            match parameter {
                Some(known) if is_positional(known) || is_rest_option(known) => {}
                Some(known) => self.option(known, argument),
                None => self.undeclared(argument),
            }
        }
        let rest = places
            .iter()
            .find(|(known, _)| here(*known) && known.is_some_and(is_rest_option));
        self.positionals(level == last, rest.is_none(), places, &here);
        if let Some((Some(known), argument)) = rest {
            self.rest_option(known, argument);
        }
    }

    fn positionals(
        &mut self,
        is_last: bool,
        may_end_options: bool,
        places: &[Place<'_>],
        here: &dyn Fn(Option<&Parameter>) -> bool,
    ) {
        let declared: Vec<&Parameter> = self
            .command
            .parameters
            .iter()
            .filter(|known| is_positional(known) && here(Some(known)))
            .collect();
        let mut words = Vec::new();
        let mut absent: Option<&Parameter> = None;
        for known in &declared {
            let given = places
                .iter()
                .find(|(_, argument)| argument.name == known.name);
            let own = given
                .map(|(_, argument)| spread(&argument.value))
                .unwrap_or_default();
            if own.is_empty() {
                absent = absent.or(Some(known));
                continue;
            }
            if let Some(missing) = absent.filter(|missing| !missing.required && !known.required) {
                self.faults.push(format!(
                    "'{}' needs '{}' before it",
                    known.name, missing.name
                ));
            }
            words.push((*known, own));
        }
        // A program hands on a `--` that stands first in what it takes unread.
        let begins_with_rest = words
            .first()
            .is_some_and(|(known, _)| known.writing.style == Some(Style::Rest));
        let begins_with_dash = words
            .iter()
            .any(|(_, own)| own.iter().any(|word| word.starts_with('-')));
        let ends_options = is_last
            && may_end_options
            && !begins_with_rest
            && !words.is_empty()
            && (self.command.ends_options || begins_with_dash || self.is_open);
        if ends_options {
            self.words.push("--".to_owned());
        }
        for (index, (known, own)) in words.into_iter().enumerate() {
            self.positional(known, own, index == 0, ends_options);
        }
    }

    fn positional(
        &mut self,
        known: &Parameter,
        words: Vec<String>,
        is_first: bool,
        after_end: bool,
    ) {
        let looks_like_option = |word: &&String| word.starts_with('-') && *word != "-";
        let unsafe_word = if known.writing.style == Some(Style::Rest) {
            let is_open = known.writing.dashes == Dashes::Any || after_end;
            let first = words.first().filter(|_| is_first && !is_open);
            first.filter(looks_like_option)
        } else {
            words.iter().filter(|_| !after_end).find(looks_like_option)
        };
        if let Some(word) = unsafe_word {
            self.faults.push(format!(
                "'{}' cannot be {}: the program would take it for an option",
                known.name,
                shown(word, 60)
            ));
        }
        for word in words {
            self.refuse_lost(&known.name, &word);
            self.push(&known.name, word);
        }
    }

    fn option(&mut self, known: &Parameter, argument: &Argument) {
        let option = known.option();
        match (&argument.value, known.writing.style) {
            (Given::Switch(true, _), Some(Style::Flag)) => self.push(&known.name, option),
            (Given::Switch(false, _), Some(Style::Flag)) => {
                if let Some(negative) = &known.writing.negative_flag {
                    self.push(&known.name, negative.clone());
                }
            }
            (Given::Word(number), Some(Style::Count)) => self.count(known, &option, number),
            (Given::Array(items, _), Some(Style::List)) => self.several(known, &option, items),
            (Given::Array(items, json), _) if wants_json(known, items) => {
                self.value(known, &option, json.clone())
            }
            (Given::Array(items, _), _) => {
                for item in items {
                    match item {
                        Given::Array(parts, _) => self.several(known, &option, parts),
                        other => self.value(known, &option, text_of(other)),
                    }
                }
            }
            (other, _) => self.value(known, &option, text_of(other)),
        }
    }

    /// An option that takes all words behind it, options included.
    fn rest_option(&mut self, known: &Parameter, argument: &Argument) {
        let words = spread(&argument.value);
        if !words.is_empty() {
            self.push(&known.name, known.option());
        }
        for word in words {
            if word == "--" {
                let fault = format!(
                    "'{}' cannot have the item --: it would end there",
                    known.name
                );
                self.faults.push(fault);
            }
            self.push(&known.name, word);
        }
    }

    fn undeclared(&mut self, argument: &Argument) {
        let plain = Parameter::of_property(&argument.name, &Value::Null, false);
        self.option(&plain, argument);
    }

    /// An option and its one value.
    fn value(&mut self, known: &Parameter, option: &str, value: String) {
        self.is_open = false;
        self.refuse_lost(&known.name, &value);
        match separator(known, option, &value) {
            Some(separator) => self.push(&known.name, format!("{option}{separator}{value}")),
            None => {
                self.push(&known.name, option.to_owned());
                self.push(&known.name, value);
            }
        }
    }

    /// An option and all its values behind it.
    fn several(&mut self, known: &Parameter, option: &str, items: &[Given]) {
        let texts: Vec<String> = items.iter().map(text_of).collect();
        if let [only] = texts.as_slice() {
            return self.value(known, option, only.clone());
        }
        // `-` alone is an argument by convention: standard input.
        let carried = |text: &str| match known.writing.dashes {
            Dashes::Any => true,
            _ if !text.starts_with('-') || text == "-" => true,
            Dashes::Numbers => is_negative_number(text),
            Dashes::None => false,
        };
        if let Some(text) = texts.iter().find(|text| !carried(text)) {
            self.faults.push(format!(
                "'{}' cannot have the item {} among others: the program would take it for an option",
                known.name,
                shown(text, 60)
            ));
        }
        self.push(&known.name, option.to_owned());
        for text in texts {
            self.refuse_lost(&known.name, &text);
            self.push(&known.name, text);
        }
        self.is_open = true;
    }

    fn count(&mut self, known: &Parameter, option: &str, number: &str) {
        match number.parse::<u64>() {
            Ok(times) if times <= MAX_REPEATS => {
                for _ in 0..times {
                    self.push(&known.name, option.to_owned());
                }
            }
            _ => self.faults.push(format!(
                "'{}' must be from 0 to {MAX_REPEATS}: it is said by repeating {option}",
                known.name
            )),
        }
    }

    fn refuse_lost(&mut self, name: &str, text: &str) {
        if self.command.refuse_words.iter().any(|word| word == text) {
            self.faults.push(format!(
                "'{name}' cannot be {}: the program's parser would lose it",
                shown(text, 60)
            ));
        }
    }

    fn push(&mut self, name: &str, word: String) {
        self.check(name, &word);
        self.words.push(word);
    }

    fn check(&mut self, name: &str, word: &str) {
        if word.contains('\0') {
            self.faults.push(format!(
                "'{name}' contains a NUL character, which no program can be given"
            ));
        }
        if word.len() > MAX_WORD {
            let message = format!(
                "'{name}' takes {} bytes on the command line; the system passes at most {MAX_WORD} in one argument",
                word.len()
            );
            self.too_large.get_or_insert(message);
        }
    }

    /// The arguments as one object, without those that travel in the environment.
    fn object(&self, json: &[(String, String)]) -> Vec<u8> {
        let in_environment = |name: &str| {
            self.command
                .parameter(name)
                .is_some_and(|known| known.writing.env.is_some())
        };
        let members = json.iter().filter(|(name, _)| !in_environment(name));
        let texts: Vec<String> = members
            .map(|(name, text)| format!("{}:{text}", Value::from(name.as_str())))
            .collect();
        format!("{{{}}}", texts.join(",")).into_bytes()
    }

    fn finish(self, stdin: Option<Vec<u8>>) -> Result<Line, Unwritable> {
        if !self.faults.is_empty() {
            return Err(Unwritable::Faults(self.faults));
        }
        match self.too_large {
            Some(message) => Err(Unwritable::TooLarge(message)),
            None => Ok(Line {
                words: self.words,
                environment: self.environment,
                stdin,
            }),
        }
    }
}

fn is_positional(parameter: &Parameter) -> bool {
    match parameter.writing.style {
        Some(Style::Positional) => true,
        Some(Style::Rest) => parameter.writing.flag.is_none(),
        _ => false,
    }
}

/// Whether it is an option that stands last, for it takes all words behind it.
fn is_rest_option(parameter: &Parameter) -> bool {
    parameter.writing.style == Some(Style::Rest) && parameter.writing.flag.is_some()
}

/// The one word of a value.
fn text_of(value: &Given) -> String {
    match value {
        Given::Word(text) | Given::Switch(_, text) | Given::Array(_, text) | Given::Json(text) => {
            text.clone()
        }
    }
}

/// The words of a positional value.
fn spread(value: &Given) -> Vec<String> {
    match value {
        Given::Array(items, _) => items.iter().map(text_of).collect(),
        other => vec![text_of(other)],
    }
}

/// Whether an array goes as one JSON text: its author says so, or its items have no other form.
fn wants_json(parameter: &Parameter, items: &[Given]) -> bool {
    let has_structure = |item: &Given| matches!(item, Given::Array(..) | Given::Json(_));
    match parameter.writing.style {
        Some(Style::Value) => true,
        Some(Style::Repeat) => false,
        _ => {
            matches!(parameter.items, Some(Kind::Object | Kind::Array))
                || items.iter().any(has_structure)
        }
    }
}

/// What joins option and value into one word; `None` when they are two.
fn separator(parameter: &Parameter, option: &str, value: &str) -> Option<String> {
    match &parameter.writing.separator {
        Some(separator) if separator.is_empty() && value.is_empty() => None,
        Some(separator) => Some(separator.clone()),
        None if !value.starts_with('-') => None,
        // `-n=-5` is the value `=-5` to most parsers; `-n-5` is `-5` to all.
        None if option.len() == 2 && !option.starts_with("--") => Some(String::new()),
        None => Some("=".to_owned()),
    }
}

/// As argparse sees it: `-5`, `-0.5`, `-.5`.
fn is_negative_number(text: &str) -> bool {
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let Some(number) = text.strip_prefix('-') else {
        return false;
    };
    match number.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && !fraction.is_empty(),
        None => digits(number) && !number.is_empty(),
    }
}

/// What an option may be made of when nobody declared it.
fn is_plain_name(name: &str) -> bool {
    let mut letters = name.bytes();
    name.len() <= 64
        && letters
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'-')
}

#[cfg(test)]
mod tests;
