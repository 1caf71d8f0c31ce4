//! Options on a command line, each with its values in the form that its program reads.

use serde_json::Value;

use super::forms::{
    has_number_options, is_negative_number, joint_of, separator, spread, takes_any_number, text_of,
    wants_json,
};
use super::words::Words;
use crate::call::arguments::{Argument, Given};
use crate::contract::{Command, Dashes, Parameter, Style};
use crate::text::{in_quotes, shown};

/// How often an option may be repeated to say a number.
const MAX_REPEATS: u64 = 1_000;

/// Writes options, one after the other.
pub struct Options<'a> {
    /// What is written.
    pub words: Words<'a>,
    /// Whether an option with a varying number of words was the last thing written.
    pub is_open: bool,
    /// Whether such an option with one value is written as one word, which closes it.
    pub joins_single: bool,
    has_number_options: bool,
}

impl<'a> Options<'a> {
    /// Nothing yet, for `command`.
    pub fn new(command: &'a Command) -> Self {
        Self {
            words: Words::new(command),
            is_open: false,
            joins_single: false,
            has_number_options: has_number_options(command),
        }
    }

    /// An option as its declaration has it; nothing where that says so.
    pub fn option(&mut self, known: &Parameter, argument: &Argument) {
        let option = known.option();
        match (&argument.value, known.writing.style) {
            (Given::Switch(true, _), Some(Style::Flag)) => self.words.push(&known.name, option),
            (Given::Switch(false, _), Some(Style::Flag)) => {
                if let Some(negative) = &known.writing.negative_flag {
                    self.words.push(&known.name, negative.clone());
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
    pub fn rest_option(&mut self, known: &Parameter, argument: &Argument) {
        let words = spread(&argument.value);
        if !words.is_empty() {
            self.words.push(&known.name, known.option());
        }
        for word in words {
            if word == "--" {
                self.words.faults.add(&format!(
                    "{} cannot have the item --: it would end there",
                    in_quotes(&known.name)
                ));
            }
            self.words.push(&known.name, word);
        }
    }

    /// An option that only an open schema admits.
    pub fn undeclared(&mut self, argument: &Argument) {
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
        self.words.refuse_lost(&known.name, &value);
        match joint {
            Some(separator) => self
                .words
                .push(&known.name, format!("{option}{separator}{value}")),
            None => {
                self.words.push(&known.name, option.to_owned());
                self.words.push(&known.name, value);
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
            self.words.faults.add(&format!(
                "{} cannot have the item {} among others: the program would take it for an option",
                in_quotes(&known.name),
                shown(text, 60)
            ));
        }
        self.words.push(&known.name, option.to_owned());
        for text in texts {
            self.words.refuse_lost(&known.name, &text);
            self.words.push(&known.name, text);
        }
        self.is_open = is_open;
    }

    /// An option that is repeated to say a number.
    fn count(&mut self, known: &Parameter, option: &str, number: &str) {
        match number.parse::<u64>() {
            Ok(times) if times <= MAX_REPEATS => {
                for _ in 0..times {
                    self.words.push(&known.name, option.to_owned());
                }
            }
            _ => self.words.faults.add(&format!(
                "{} must be from 0 to {MAX_REPEATS}: it is said by repeating {option}",
                in_quotes(&known.name)
            )),
        }
    }
}
