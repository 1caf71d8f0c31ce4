//! Addresses with variables (RFC 6570, read backwards): which template an address fits, and with which values.
//!
//! Knows no plugin. Modifiers (`{x:3}`, `{x*}`) count as the plain variable.

mod parts;
mod scan;
#[cfg(test)]
mod tests;
mod value;

use super::faults::Fault;
use crate::text::in_quotes;
use parts::{Operator, Part, Raw};

/// Longer addresses fit no template: the search takes memory for each of their bytes and each part of the template.
pub const MAX_URI_BYTES: usize = 4_096;

/// How many literals, expressions and variables a template may have.
const MAX_PARTS: usize = 64;

/// A template such as `notes://{id}{?part}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UriTemplate {
    parts: Vec<Part>,
    /// Whether the values of `{+x}` may lead anywhere, because the plugin checks them itself.
    unchecked_paths: bool,
}

/// What an address says of the variables, in its order.
pub type Values = Vec<(String, String)>;

impl UriTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, to follow the name of the field.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let parts = parts::parse(text)?;
        let template = Self {
            parts,
            unchecked_paths: false,
        };
        let count = template.parts.len().max(template.variables().count());
        if count > MAX_PARTS {
            let what = format!("has {count} parts; at most {MAX_PARTS} are read");
            return Err(Fault::new(what));
        }
        Ok(template)
    }

    /// The variables' names.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts
            .iter()
            .flat_map(|part| match part {
                Part::Literal(_) => &[],
                Part::Variables(_, names) => names.as_slice(),
            })
            .map(String::as_str)
    }

    /// The same template for a plugin that checks itself what `{+x}` gives: the values may have `..` segments,
    /// backslashes, and a `/` at their beginning.
    #[must_use]
    pub fn with_unchecked_paths(self) -> Self {
        Self {
            unchecked_paths: true,
            ..self
        }
    }

    /// Whether it has a variable written `{+x}`.
    pub fn has_paths(&self) -> bool {
        let is_path = |part: &Part| matches!(part, Part::Variables(Operator::Reserved, _));
        self.parts.iter().any(is_path)
    }

    /// The values with which the template gives `uri`; `None` when none do. Of several ways the one counts whose
    /// first variables take most.
    ///
    /// # Errors
    /// Why a value cannot be given to a program exactly as it was meant, or leads out of its directory.
    pub fn matches(&self, uri: &str) -> Option<Result<Values, Fault>> {
        if uri.len() > MAX_URI_BYTES {
            return None;
        }
        let raw = scan::find(&self.parts, uri)?;
        Some(self.values(raw))
    }

    fn values(&self, raw: Vec<Raw<'_>>) -> Result<Values, Fault> {
        let mut values = Values::with_capacity(raw.len());
        for Raw {
            name,
            text,
            operator,
        } in raw
        {
            let may_lead_anywhere = self.unchecked_paths && operator == Operator::Reserved;
            let value = value::read(text, operator, may_lead_anywhere)
                .map_err(|what| Fault::new(format!("{} {what}", in_quotes(&name))))?;
            match values.iter().find(|(known, _)| *known == name) {
                None => values.push((name, value)),
                Some((_, known)) if *known == value => {}
                Some(_) => {
                    return Err(Fault::new(format!("{} has two values", in_quotes(&name))));
                }
            }
        }
        Ok(values)
    }
}
