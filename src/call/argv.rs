//! Arguments to a command line, an environment and an input; pure.
//!
//! The one rule behind all others: whatever a value is, the program gets it as that value. What no
//! command line can carry is refused.

mod forms;
mod options;
mod words;

use std::collections::HashMap;

use serde_json::Value;

use super::arguments::{Argument, Arguments, Given};
use crate::contract::{Command, Dashes, Faults, Input, Parameter, Style};
use crate::text::{in_quotes, shown};
use forms::{is_plain_name, is_positional, is_rest_option, spread, takes_any_number, text_of};
use options::Options;

use words::Words;

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
        line.words().all.extend(word.cloned());
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

/// Writes a command line level by level.
struct Writer<'a> {
    command: &'a Command,
    options: Options<'a>,
    environment: Vec<(String, String)>,
}

impl<'a> Writer<'a> {
    fn new(command: &'a Command) -> Self {
        Self {
            command,
            options: Options::new(command),
            environment: Vec::new(),
        }
    }

    fn words(&mut self) -> &mut Words<'a> {
        &mut self.options.words
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
                self.words()
                    .check(&argument.name, &format!("{variable}={text}"));
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
                None => self.words().faults.add(&format!(
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
        self.options.is_open = false;
        self.options.joins_single = !is_last;
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
                Some(known) => self.options.option(known, argument),
                None => self.options.undeclared(argument),
            }
        }
        self.positionals(is_last, rest.is_none(), level);
        if let Some((known, argument)) = rest {
            self.options.rest_option(known, argument);
        }
        if self.options.is_open && !is_last {
            self.words().faults.add("an option with several values needs another option behind it: the program would take the command for one of the values");
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
                self.words().faults.add(&format!(
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
            && (self.command.ends_options || begins_with_dash || self.options.is_open);
        if ends_options {
            self.words().all.push("--".to_owned());
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
            self.words().faults.add(&format!(
                "{} cannot be {}: the program would take it for an option",
                in_quotes(&known.name),
                shown(word, 60)
            ));
        }
        for word in words {
            self.words().refuse_lost(&known.name, &word);
            self.words().push(&known.name, word);
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
        let Words {
            all,
            faults,
            too_large,
            ..
        } = self.options.words;
        if !faults.is_empty() {
            return Err(Unwritable::Faults(faults));
        }
        match too_large {
            Some(message) => Err(Unwritable::TooLarge(message)),
            None => Ok(Line {
                words: all,
                environment: self.environment,
                stdin,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
