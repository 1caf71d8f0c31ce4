//! Why a text does not fit its form, in words that name the place.

use std::fmt;

use crate::text::excerpt;

/// How much of a wrong value a message quotes, in characters.
const QUOTED: usize = 60;

/// Why a text does not fit: where, and what is wrong there.
#[derive(Debug, Clone, Default, PartialEq, Eq, thiserror::Error)]
pub struct Misfit {
    at: String,
    what: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.as_str() {
            "" => f.write_str(&self.what),
            at => write!(f, "{at} {}", self.what),
        }
    }
}

impl Misfit {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self {
            at: String::new(),
            what: what.into(),
        }
    }

    /// Where it is, and what is wrong there.
    pub fn into_parts(self) -> (String, String) {
        (self.at, self.what)
    }

    /// The same, found in the member `name`.
    pub fn within(mut self, name: &str) -> Self {
        let joint = if self.at.is_empty() || self.at.starts_with('[') {
            ""
        } else {
            "."
        };
        self.at = format!("{name}{joint}{}", self.at);
        self
    }
}

/// `must be a string, not 5`.
pub(super) fn must_be(kind: &str, json: &str) -> Misfit {
    let found = match json.as_bytes().first() {
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "an array".to_owned(),
        _ => excerpt(&json, QUOTED),
    };
    Misfit::new(format!("must be {kind}, not {found}"))
}

pub(super) fn unreadable(fault: impl fmt::Display) -> Misfit {
    Misfit::new(format!("cannot be read: {fault}"))
}
