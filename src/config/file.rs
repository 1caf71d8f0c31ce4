//! The text of one settings file: its lines as settings, and what is wrong with them. Knows no other file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::settings::{self, Kind, SETTINGS, Setting};
use crate::text::{in_quotes, shown, without_secrets};

/// So many faults of one file are said.
const MAX_FAULTS: usize = 20;
/// How many characters of a wrong value are shown.
const MAX_SHOWN: usize = 60;

/// Where in a file something stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The file.
    pub file: Arc<Path>,
    /// The number of the line; the first is 1.
    pub number: usize,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.number)
    }
}

/// A setting in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its value as its variable would have it; a path is absolute.
    pub value: String,
    /// Where it stands.
    pub line: Line,
}

/// The settings of a file by their variables.
pub type Entries = BTreeMap<&'static str, Entry>;

/// What a settings file has.
#[derive(Debug, Default)]
pub struct Content {
    /// Its settings, without those that are wrong.
    pub entries: Entries,
    /// What is wrong, one line each, with file, line and key.
    pub faults: Vec<String>,
}

/// Reads the text of `file`. With `is_among_plugins`, settings that are guarded are faults.
pub fn parse(text: &str, file: &Arc<Path>, is_among_plugins: bool) -> Content {
    let mut content = Content::default();
    let line_at = |offset: usize| Line {
        file: Arc::clone(file),
        number: text[..offset.min(text.len())].matches('\n').count() + 1,
    };
    let table = match DeTable::parse(text) {
        Ok(table) => table.into_inner(),
        Err(error) => {
            // Its display shows the line, which may have a secret in it.
            let line = line_at(error.span().map_or(0, |span| span.start));
            let why = shown(error.message(), 200);
            content.faults.push(format!(
                "{line}: this is no TOML: {why}; each line is KEY = VALUE, with texts in quotation marks"
            ));
            return content;
        }
    };
    let mut lines: Vec<_> = table.iter().collect();
    lines.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in lines {
        let line = line_at(key.span().start);
        let written = &text[value.span()];
        match entry(
            key.get_ref(),
            value.get_ref(),
            written,
            file,
            is_among_plugins,
        ) {
            Ok((setting, value)) => {
                content
                    .entries
                    .insert(setting.variable, Entry { value, line });
            }
            Err(fault) => content.faults.push(format!("{line}: {fault}")),
        }
    }
    let more = content.faults.len().saturating_sub(MAX_FAULTS);
    if more > 0 {
        content.faults.truncate(MAX_FAULTS);
        let path = file.display();
        content
            .faults
            .push(format!("{path}: {more} more lines are wrong"));
    }
    content
}

/// What one line sets, and to what.
fn entry(
    key: &str,
    value: &DeValue<'_>,
    written: &str,
    file: &Path,
    is_among_plugins: bool,
) -> Result<(&'static Setting, String), String> {
    let name = in_quotes(key);
    let Some(setting) = settings::by_key(key) else {
        // Its value is not shown: the key may be that of a secret, misspelled.
        return Err(match settings::line_meant_by(key) {
            _ if matches!(value, DeValue::Table(_)) => format!(
                "[{}]: settings stand in no group; write each as KEY = VALUE, above any [group]",
                shown(key, MAX_SHOWN)
            ),
            Some(meant) => format!("{name} is not a setting of smcp; write {meant}"),
            None => format!(
                "{name} is not a setting of smcp; smcp config prints all of them, and docs/configuration.md describes them"
            ),
        });
    };
    if is_among_plugins && setting.is_guarded {
        return Err(format!(
            "{key} cannot be set by a file among the plugins, which whoever writes plugins may write; set it in {} or a file that --config names, or set {}",
            settings::SYSTEM,
            setting.variable
        ));
    }
    // Wherever a password begins that has a slash in it: none of these marks is part of an address without one.
    let may_have_password = setting.is_address && written.contains(['@', '?', '#']);
    let written = match setting.is_secret || may_have_password {
        true => String::new(),
        false => format!(" = {}", shown(&without_secrets(written), MAX_SHOWN)),
    };
    text_of(setting, value, file)
        .map(|value| (setting, value))
        .map_err(|wanted| format!("{key}{written}: {wanted}"))
}

/// A value as its variable would have it, or what it should be instead.
fn text_of(setting: &Setting, value: &DeValue<'_>, file: &Path) -> Result<String, String> {
    let key = setting.key();
    let wanted = |what: &str, example: &str| {
        Err(format!(
            "{} is not allowed; use {what}, such as {key} = {example}",
            article(value)
        ))
    };
    match (setting.kind, value) {
        (_, DeValue::String(text)) if text.trim().is_empty() => {
            Err("it is empty; leave the line out where nothing is to be set".to_owned())
        }
        (Kind::Path, DeValue::String(text)) => path(text, file),
        (Kind::Program, DeValue::String(text)) if text.contains('/') => path(text, file),
        (Kind::Text | Kind::Program | Kind::List | Kind::Time, DeValue::String(text)) => {
            Ok(text.clone().into_owned())
        }
        (Kind::Switch, DeValue::Boolean(on)) => Ok(on.to_string()),
        (Kind::Whole | Kind::Number | Kind::Time, DeValue::Integer(number)) => {
            i128::from_str_radix(number.as_str(), number.radix())
                .map(|number| number.to_string())
                .map_err(|_| "it is too large".to_owned())
        }
        (Kind::Number | Kind::Time, DeValue::Float(number)) => Ok(number.as_str().to_owned()),
        (Kind::List, DeValue::Array(items)) => {
            let items = items.iter().map(|item| match item.get_ref() {
                DeValue::String(text) if text.contains([',', '\n']) => {
                    Err("an entry has a comma or a line break in it; write each entry as a string of its own".to_owned())
                }
                DeValue::String(text) => Ok(text.trim().to_owned()),
                other => Err(format!(
                    "{} is among the entries; use strings",
                    article(other)
                )),
            });
            let items = items.collect::<Result<Vec<_>, _>>()?;
            if setting.is_secret && items.iter().all(|item| item.is_empty()) {
                return Err("it is empty; leave the line out where nothing is to be set".to_owned());
            }
            Ok(items.join(","))
        }
        (Kind::Text | Kind::Path | Kind::Program, _) => wanted("a string", "\"…\""),
        (Kind::Switch, _) => wanted("true or false without quotation marks", "true"),
        (Kind::Whole, _) => wanted("an integer without quotation marks", "64"),
        (Kind::Number, _) => wanted("a number", "0.5"),
        (Kind::Time, _) => wanted("a number of seconds, or a string with a unit", "\"30s\""),
        (Kind::List, _) => wanted("an array of strings", "[\"…\", \"…\"]"),
    }
}

/// The type of a value with its article.
fn article(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
    .to_owned()
}

/// A path as it is meant in `file`.
fn path(text: &str, file: &Path) -> Result<String, String> {
    let text = text.trim();
    if text == "~" || text.starts_with("~/") {
        return Err(
            "no shell reads this, so ~ stands for nothing; write the whole path".to_owned(),
        );
    }
    let directory = file.parent().unwrap_or(Path::new(""));
    let whole = directory.join(text);
    whole
        .to_str()
        .map(str::to_owned)
        .ok_or_else(|| "the path of this file is not UTF-8; write the whole path".to_owned())
}

/// Whether any of them is a secret.
pub fn has_secret(entries: &Entries) -> bool {
    let secrets = SETTINGS.iter().filter(|setting| setting.is_secret);
    secrets
        .into_iter()
        .any(|setting| entries.contains_key(setting.variable))
}

#[cfg(test)]
mod tests;
