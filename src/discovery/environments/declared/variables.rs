//! Variables in lines for installers: `${NAME}`, as pip and uv put their values there.

use std::ffi::OsString;
use std::fmt;

use sha2::{Digest, Sha256};

use super::super::key::feed;
use crate::contract::environment::Variable;
use crate::text::without_secrets;

/// Shorter values are no secrets, in bytes: versions and such.
const MIN_SECRET: usize = 8;

/// The values of variables, and which of them were asked for.
pub(super) struct Values<'a> {
    variables: &'a [Variable],
    /// The digest of the names and values of those that stood in some line.
    asked: Option<Sha256>,
    named: Vec<Variable>,
}

/// The variables that a declaration names.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Named {
    variables: Vec<Variable>,
    /// The digest of their names and values, where there is any.
    pub digest: Option<[u8; 32]>,
}

impl Named {
    /// A text for people: without the values of variables, and without passwords and tokens in addresses.
    pub fn hidden_in(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, value) in &self.variables {
            let value = value.to_string_lossy();
            if value.len() >= MIN_SECRET {
                text = text.replace(&*value, &format!("${{{}}}", name.display()));
            }
        }
        without_secrets(&text)
    }
}

impl fmt::Debug for Named {
    /// Without values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.variables.iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

impl<'a> Values<'a> {
    /// Nothing is asked for yet.
    pub(super) fn new(variables: &'a [Variable]) -> Self {
        Self {
            variables,
            asked: None,
            named: Vec::new(),
        }
    }

    /// A line with the values of the variables that it names. A variable that is not set, or empty, is left as it
    /// stands.
    pub(super) fn put_into(&mut self, line: &str) -> String {
        let mut whole = String::with_capacity(line.len());
        let mut rest = line;
        while let Some((before, after)) = rest.split_once("${") {
            whole.push_str(before);
            let name = after.split_once('}').filter(|(name, _)| is_name(name));
            let Some((name, behind)) = name else {
                whole.push_str("${");
                rest = after;
                continue;
            };
            let value = self.value(name);
            match &value {
                Some(value) => whole.push_str(value),
                None => whole.extend(["${", name, "}"]),
            }
            let asked = self.asked.get_or_insert_with(Sha256::new);
            feed(asked, name.as_bytes());
            feed(asked, value.unwrap_or_default().as_bytes());
            rest = behind;
        }
        whole.push_str(rest);
        whole
    }

    /// All that were named.
    pub(super) fn named(self) -> Named {
        Named {
            variables: self.named,
            digest: self.asked.map(|asked| asked.finalize().into()),
        }
    }

    fn value(&mut self, name: &str) -> Option<String> {
        let mut variables = self.variables.iter();
        let (_, value) = variables.find(|(known, _)| known == name)?;
        let text = value.to_string_lossy().into_owned();
        let known = (OsString::from(name), value.clone());
        if !self.named.contains(&known) {
            self.named.push(known);
        }
        Some(text).filter(|text| !text.is_empty())
    }
}

fn is_name(text: &str) -> bool {
    let is_letter =
        |letter: u8| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == b'_';
    !text.is_empty() && text.bytes().all(is_letter)
}
