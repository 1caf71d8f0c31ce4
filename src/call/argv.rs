//! Arguments to a command line, an environment and an input; pure.
//!
//! The one rule behind all others: whatever a value is, the program gets it as that value. What no
//! command line can carry is refused.

mod forms;

use std::collections::{HashMap, HashSet};

use serde_json::Value;

use super::arguments::{Argument, Arguments, Given};
use crate::contract::{Command, Dashes, Faults, Input, Parameter, Style};
use crate::text::{in_quotes, shown};
use forms::{
    has_number_options, is_negative_number, is_plain_name, is_positional, is_rest_option, joint_of,
    separator, spread, takes_any_number, text_of, wants_json,
};

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

impl Line {
    /// What it holds of memory, in bytes.
    pub fn size(&self) -> usize {
        let words = self.words.iter().map(String::len);
        let variables = self.environment.iter();
        let variables = variables.map(|(name, value)| name.len() + value.len());
        words.chain(variables).sum::<usize>() + self.stdin.as_ref().map_or(0, Vec::len)
    }
}

/// Why arguments that fit their schema cannot be written.
#[derive(Debug, PartialEq, Eq)]
pub enum Unwritable {
    /// The faults, each naming its argument.
    Faults(Faults),
    /// A word is larger than the system passes on.
    TooLarge(String),
}

/// Writes the arguments of one call.
///
/// # Errors
/// What a command line cannot carry.
pub fn write(command: &Command, arguments: &Arguments) -> Result<Line, Unwritable> {
    let mut line = Writer::new(command);
    let levels = line.by_level(&arguments.given);
    let invoke = command.invoke.iter().map(Some).chain([None]);
    for (index, (word, level)) in invoke.zip(&levels).enumerate() {
        line.level(index == command.invoke.len(), level);
        line.words.extend(word.cloned());
    }
    let stdin = (command.input == Input::Stdin).then(|| line.object(&arguments.json));
    line.finish(stdin)
}

/// What stands after so many words of `invoke`.
#[derive(Default)]
struct Level<'a> {
    /// Each with its declaration; `None` for one that only an open schema admits.
    options: Vec<(Option<&'a Parameter>, &'a Argument)>,
    /// What is declared as a positional argument, given or not.
    positionals: Vec<&'a Parameter>,
    /// What was given of these, by their names.
    values: HashMap<&'a str, &'a Given>,
}

struct Writer<'a> {
    command: &'a Command,
    refused_words: HashSet<&'a str>,
    has_number_options: bool,
    words: Vec<String>,
    environment: Vec<(String, String)>,
    faults: Faults,
    too_large: Option<String>,
    /// Whether an option with a varying number of words was the last thing written.
    is_open: bool,
    /// Whether such an option with one value is written as one word, which closes it.
    joins_single: bool,
}

impl<'a> Writer<'a> {
    fn new(command: &'a Command) -> Self {
        Self {
            command,
            refused_words: command.refuse_words.iter().map(String::as_str).collect(),
            has_number_options: has_number_options(command),
            words: Vec::new(),
            environment: Vec::new(),
            faults: Faults::default(),
            too_large: None,
            is_open: false,
            joins_single: false,
        }
    }

    /// The arguments that go on the command line, by the number of words before them; those for the environment are
    /// put there.
    fn by_level<'g>(&mut self, given: &'g [Argument]) -> Vec<Level<'g>>
    where
        'a: 'g,
    {
        let command: &'a Command = self.command;
        let last = command.invoke.len();
        let level_of = |known: &Parameter| known.writing.level.unwrap_or(last).min(last);
        let mut levels: Vec<Level<'g>> = (0..=last).map(|_| Level::default()).collect();
        for known in command
            .parameters
            .iter()
            .filter(|known| is_positional(known))
        {
            levels[level_of(known)].positionals.push(known);
        }
        for argument in given {
            let parameter = command.parameter(&argument.name);
            if let Some(variable) = parameter.and_then(|known| known.writing.env.as_ref()) {
                let text = text_of(&argument.value);
                self.check(&argument.name, &format!("{variable}={text}"));
                self.environment.push((variable.clone(), text));
                continue;
            }
            if command.input == Input::Stdin {
                continue;
            }
            match parameter {
                Some(known) if is_positional(known) => {
                    let values = &mut levels[level_of(known)].values;
                    values.insert(argument.name.as_str(), &argument.value);
                }
                Some(known) => levels[level_of(known)].options.push((parameter, argument)),
                None if is_plain_name(&argument.name) => {
                    levels[last].options.push((None, argument));
                }
                None => self.faults.add(&format!(
                    "{} cannot be an option: a name begins with a letter or digit and has only letters, digits, '_' and '-', at most 64",
                    in_quotes(&argument.name)
                )),
            }
        }
        levels
    }

    /// Options, then positional values. A word of `invoke` behind an option with a varying number of words would be
    /// one of these, so that they come first where such a word follows, and another option behind them.
    fn level(&mut self, is_last: bool, level: &Level<'_>) {
        self.is_open = false;
        self.joins_single = !is_last;
        let stays_open = |argument: &Argument, known: Option<&Parameter>| {
            let is_list = known.is_some_and(|known| {
                known.writing.style == Some(Style::List) && takes_any_number(&known.schema)
            });
            is_list && matches!(&argument.value, Given::Array(items, _) if items.len() != 1)
        };
        let mut options = level.options.clone();
        if !is_last {
            options.sort_by_key(|(parameter, argument)| !stays_open(argument, *parameter));
        }
        let mut rest = None;
        for (parameter, argument) in options {
            match parameter {
                Some(known) if is_rest_option(known) => rest = rest.or(Some((known, argument))),
                Some(known) => self.option(known, argument),
                None => self.undeclared(argument),
            }
        }
        self.positionals(is_last, rest.is_none(), level);
        if let Some((known, argument)) = rest {
            self.rest_option(known, argument);
        }
        if self.is_open && !is_last {
            self.faults.add("an option with several values needs another option behind it: the program would take the command for one of the values");
        }
    }

    fn positionals(&mut self, is_last: bool, may_end_options: bool, level: &Level<'_>) {
        let mut words = Vec::new();
        let mut absent: Option<&Parameter> = None;
        for known in level.positionals.iter().copied() {
            let own = level.values.get(known.name.as_str());
            let own = own.map(|value| spread(value)).unwrap_or_default();
            if own.is_empty() {
                absent = absent.or(Some(known));
                continue;
            }
            if let Some(missing) = absent.filter(|missing| !missing.required && !known.required) {
                self.faults.add(&format!(
                    "{} needs {} before it",
                    in_quotes(&known.name),
                    in_quotes(&missing.name)
                ));
            }
            words.push((known, own));
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
        // `-` alone is an argument by convention: standard input.
        let looks_like_option = |word: &&String| word.starts_with('-') && *word != "-";
        let unsafe_word = if known.writing.style == Some(Style::Rest) {
            let is_open = known.writing.dashes == Dashes::Any || after_end;
            let first = words.first().filter(|_| is_first && !is_open);
            first.filter(looks_like_option)
        } else {
            words.iter().filter(|_| !after_end).find(looks_like_option)
        };
        if let Some(word) = unsafe_word {
            self.faults.add(&format!(
                "{} cannot be {}: the program would take it for an option",
                in_quotes(&known.name),
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
                self.faults.add(&format!(
                    "{} cannot have the item --: it would end there",
                    in_quotes(&known.name)
                ));
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
        let joint = separator(known, option, &value, self.has_number_options);
        self.valued(known, option, value, joint);
    }

    fn valued(&mut self, known: &Parameter, option: &str, value: String, joint: Option<String>) {
        self.refuse_lost(&known.name, &value);
        match joint {
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
        let is_open = match known.schema.get("items") {
            Some(Value::Object(inner)) if known.writing.style != Some(Style::List) => {
                takes_any_number(inner)
            }
            _ => takes_any_number(&known.schema),
        };
        if let [only] = texts.as_slice() {
            let joint = separator(known, option, only, self.has_number_options)
                .or_else(|| (self.joins_single && is_open).then(|| joint_of(option)))
                // `-n=x` is the value `x` to some parsers.
                .filter(|joint| !joint.is_empty() || !(only.is_empty() || only.starts_with('=')));
            self.is_open = joint.is_none() && is_open;
            return self.valued(known, option, only.clone(), joint);
        }
        let carried = |text: &str| match known.writing.dashes {
            Dashes::Any => true,
            _ if !text.starts_with('-') || text == "-" => true,
            Dashes::Numbers => is_negative_number(text),
            Dashes::None | Dashes::Unsaid => false,
        };
        if let Some(text) = texts.iter().find(|text| !carried(text)) {
            self.faults.add(&format!(
                "{} cannot have the item {} among others: the program would take it for an option",
                in_quotes(&known.name),
                shown(text, 60)
            ));
        }
        self.push(&known.name, option.to_owned());
        for text in texts {
            self.refuse_lost(&known.name, &text);
            self.push(&known.name, text);
        }
        self.is_open = is_open;
    }

    fn count(&mut self, known: &Parameter, option: &str, number: &str) {
        match number.parse::<u64>() {
            Ok(times) if times <= MAX_REPEATS => {
                for _ in 0..times {
                    self.push(&known.name, option.to_owned());
                }
            }
            _ => self.faults.add(&format!(
                "{} must be from 0 to {MAX_REPEATS}: it is said by repeating {option}",
                in_quotes(&known.name)
            )),
        }
    }

    fn refuse_lost(&mut self, name: &str, text: &str) {
        if self.refused_words.contains(text) {
            self.faults.add(&format!(
                "{} cannot be {}: the program's parser would lose it",
                in_quotes(name),
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
            self.faults.add(&format!(
                "{} contains a NUL character, which no program can be given",
                in_quotes(name)
            ));
        }
        if word.len() > MAX_WORD {
            self.too_large.get_or_insert_with(|| {
                format!(
                    "{} takes {} bytes on the command line; the system passes at most {MAX_WORD} in one argument",
                    in_quotes(name),
                    word.len()
                )
            });
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

#[cfg(test)]
mod tests;
