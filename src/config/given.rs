//! The value of a setting as it was given, and where that was.

use std::borrow::Cow;

use super::file::Line;
use super::settings::by_variable;

/// Where the value of a setting comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This flag.
    Flag(&'static str),
    /// Its variable.
    Environment,
    /// A line of a settings file.
    File(Line),
    /// Another place where settings are looked for, in words.
    Elsewhere(String),
}

/// One setting as it was given.
#[derive(Debug, Clone)]
pub struct Given {
    /// The variable, by which it is known.
    pub variable: &'static str,
    /// Where its value comes from.
    pub origin: Origin,
    /// Its value, without white space around it. Never empty.
    pub value: String,
}

impl Given {
    /// The flag, the variable, or the line and the key: as faults name it.
    pub fn name(&self) -> Cow<'static, str> {
        name(self.variable, &self.origin)
    }
}

/// A setting as faults name it.
pub fn name(variable: &'static str, origin: &Origin) -> Cow<'static, str> {
    match origin {
        Origin::Flag(flag) => Cow::Borrowed(flag),
        Origin::Elsewhere(place) => Cow::Owned(place.clone()),
        Origin::Environment => Cow::Borrowed(variable),
        Origin::File(line) => {
            let key = by_variable(variable).map_or_else(|| variable.to_owned(), |it| it.key());
            Cow::Owned(format!("{line}: {key}"))
        }
    }
}
