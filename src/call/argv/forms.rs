//! The forms that values and options have on a command line.

use serde_json::{Map, Value};

use crate::call::arguments::Given;
use crate::contract::{Command, Dashes, Parameter, Style, ValueType};

/// Whether an argument stands on the line without an option.
pub fn is_positional(parameter: &Parameter) -> bool {
    match parameter.writing.style {
        Some(Style::Positional) => true,
        Some(Style::Rest) => parameter.writing.flag.is_none(),
        _ => false,
    }
}

/// Whether it is an option that stands last, for it takes all words behind it.
pub fn is_rest_option(parameter: &Parameter) -> bool {
    parameter.writing.style == Some(Style::Rest) && parameter.writing.flag.is_some()
}

/// The one word of a value.
pub fn text_of(value: &Given) -> String {
    match value {
        Given::Word(text) | Given::Switch(_, text) | Given::Array(_, text) | Given::Json(text) => {
            text.clone()
        }
    }
}

/// The words of a positional value.
pub fn spread(value: &Given) -> Vec<String> {
    match value {
        Given::Array(items, _) => items.iter().map(text_of).collect(),
        other => vec![text_of(other)],
    }
}

/// Whether an array goes as one JSON text: its author says so, or its items have no other form.
pub fn wants_json(parameter: &Parameter, items: &[Given]) -> bool {
    let has_structure = |item: &Given| matches!(item, Given::Array(..) | Given::Json(_));
    match parameter.writing.style {
        Some(Style::Value) => true,
        Some(Style::Repeat) => false,
        _ => {
            matches!(parameter.items, Some(ValueType::Object | ValueType::Array))
                || items.iter().any(has_structure)
        }
    }
}

/// Whether a list may have more or fewer items, so that its program cannot tell by their number where they end.
pub fn takes_any_number(schema: &Map<String, Value>) -> bool {
    let bounds = (schema.get("minItems"), schema.get("maxItems"));
    !matches!(bounds, (Some(least), Some(most)) if least == most)
}

/// What joins option and value into one word; `None` when they are two. A negative number is a word of its own, as
/// programs that read their words themselves expect it, unless the program `has_number_options`.
pub fn separator(
    parameter: &Parameter,
    option: &str,
    value: &str,
    has_number_options: bool,
) -> Option<String> {
    let is_number = !has_number_options
        && parameter.writing.dashes != Dashes::None
        && is_negative_number(value);
    match &parameter.writing.separator {
        Some(separator) if separator.is_empty() && value.is_empty() => None,
        Some(separator) => Some(separator.clone()),
        None if is_number || !value.starts_with('-') => None,
        None => Some(joint_of(option)),
    }
}

/// Whether a program has options such as `-1`: then its parser takes negative numbers for options.
pub fn has_number_options(command: &Command) -> bool {
    let options = command.parameters.iter().map(|known| &known.writing);
    let mut spellings = options.flat_map(|writing| [&writing.flag, &writing.negative_flag]);
    spellings.any(|spelling| {
        let letters = spelling.as_deref().and_then(|text| text.strip_prefix('-'));
        letters.is_some_and(|rest| {
            rest.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        })
    })
}

/// `-n=-5` is the value `=-5` to most parsers; `-n-5` is `-5` to all.
pub fn joint_of(option: &str) -> String {
    let is_short = option.len() == 2 && !option.starts_with("--");
    if is_short { "" } else { "=" }.to_owned()
}

/// As argparse sees it: `-5`, `-0.5`, `-.5`.
pub fn is_negative_number(text: &str) -> bool {
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
pub fn is_plain_name(name: &str) -> bool {
    let mut letters = name.bytes();
    name.len() <= 64
        && letters
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_' || letter == b'-')
}
