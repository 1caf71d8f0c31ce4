//! Addresses with variables (RFC 6570, read backwards): which template an address fits, and with which values.
//!
//! Knows no plugin. Modifiers (`{x:3}`, `{x*}`) count as the plain variable.

mod scan;
#[cfg(test)]
mod tests;
mod value;

use super::faults::Fault;
use crate::text::in_quotes;

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

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Variables(Operator, Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    /// `{x}`: up to the next `/`, `?` or `#`.
    Plain,
    /// `{+x}`: anything.
    Reserved,
    /// `{#x}`: anything after a `#`.
    Fragment,
    /// `{/x}`: a segment of its own.
    Path,
    /// `{.x}`: after a dot.
    Label,
    /// `{?x}` and `{&x}`: `x=…`, in any order, each of them optional.
    Query(u8),
}

/// What an address says of the variables, in the order of the template.
pub type Values = Vec<(String, String)>;

/// The part of an address that is one variable's value, as it stands there.
struct Raw<'a> {
    name: String,
    text: &'a str,
    operator: Operator,
}

impl UriTemplate {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, to follow the name of the field.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            if rest[start..].starts_with('}') {
                return Err(Fault::new("has a '}' without its '{'"));
            }
            if start > 0 {
                parts.push(Part::Literal(rest[..start].to_owned()));
            }
            let unclosed = || Fault::new("has a '{' without its '}'");
            let end = rest[start..].find('}').ok_or_else(unclosed)? + start;
            parts.push(expression(&rest[start + 1..end])?);
            rest = &rest[end + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
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

fn expression(inside: &str) -> Result<Part, Fault> {
    let operator = match inside.chars().next() {
        Some('+') => Operator::Reserved,
        Some('#') => Operator::Fragment,
        Some('/') => Operator::Path,
        Some('.') => Operator::Label,
        Some(mark @ ('?' | '&')) => Operator::Query(mark as u8),
        _ => Operator::Plain,
    };
    let names = if operator == Operator::Plain {
        inside
    } else {
        &inside[1..]
    };
    let mut read = Vec::new();
    for name in names.split(',') {
        let name = name
            .split(':')
            .next()
            .unwrap_or_default()
            .trim_end_matches('*');
        let fits = |letter: char| letter.is_alphanumeric() || "_.%-".contains(letter);
        if name.is_empty() || !name.chars().all(fits) {
            let expression = in_quotes(&format!("{{{inside}}}"));
            let what = format!("has the expression {expression}, which names no variable");
            return Err(Fault::new(what));
        }
        read.push(name.to_owned());
    }
    Ok(Part::Variables(operator, read))
}
