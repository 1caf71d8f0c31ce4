//! The pieces of a template: what is read of its text, and what stands for them in an address.

use crate::contract::faults::Fault;
use crate::text::in_quotes;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Stands in the address as it is.
    Literal(String),
    /// An expression, with the names in it.
    Variables(Operator, Vec<String>),
}

/// What the first character of an expression says of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
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

/// The part of an address that is one variable's value, as it stands there.
pub struct Raw<'a> {
    /// The variable's name.
    pub name: String,
    /// What stands for it.
    pub text: &'a str,
    /// How its expression is written.
    pub operator: Operator,
}

/// The pieces of the template `text`.
///
/// # Errors
/// What is wrong with it, to follow the name of the field.
pub fn parse(text: &str) -> Result<Vec<Part>, Fault> {
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
    Ok(parts)
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
