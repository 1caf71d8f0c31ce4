//! The commands of argparse's own help page: `{add,remove}`, or a word in its place, and entries below it.

use super::line::{is_command_name, split_columns};

/// Where the entries of a page's commands begin.
#[derive(Debug)]
pub struct Branch<'a> {
    /// How far from the left the heading stands, in columns; its entries stand two columns further right.
    pub indent: usize,
    /// The names between its braces, aliases among them; `None` below a word such as `COMMAND`.
    pub names: Option<Vec<&'a str>>,
    /// Whether the usage line shows that all the names are commands, also those that have no entry.
    pub is_certain: bool,
}

/// One line below the heading: `checkout (co)   Get a branch`.
#[derive(Debug, PartialEq, Eq)]
pub struct BranchEntry<'a> {
    /// The command.
    pub name: &'a str,
    /// Its other names, with commas.
    pub aliases: &'a str,
    /// What the page says of it, or how that begins.
    pub description: &'a str,
}

impl<'a> Branch<'a> {
    /// Reads a heading; `None` for any other line, and where a command cannot be the first word because the usage line
    /// requires others before it.
    pub fn read(line: &'a str, indent: usize, usage: &str) -> Option<Self> {
        let (heading, _) = split_columns(line);
        if indent == 0 || heading.contains(char::is_whitespace) {
            return None;
        }
        let shown = place_in(usage, heading);
        let inside = heading.strip_prefix('{');
        let names = match inside.and_then(|rest| rest.strip_suffix('}')) {
            Some(list) => Some(list.split(',').filter(|name| is_command_name(name))),
            None if shown == Some(true) => None,
            None => return None,
        };
        (shown != Some(false)).then(|| Self {
            indent,
            names: names.map(Iterator::collect),
            is_certain: shown.is_some(),
        })
    }
}

impl<'a> BranchEntry<'a> {
    /// Reads an entry.
    pub fn read(line: &'a str) -> Self {
        let (name, rest) = line.split_once(' ').unwrap_or((line, ""));
        let in_brackets = rest.strip_prefix('(').and_then(|rest| rest.split_once(')'));
        let (aliases, description) = in_brackets.unwrap_or(("", rest));
        Self {
            name,
            aliases,
            description: description.trim(),
        }
    }
}

/// Whether `heading ...`, as argparse shows sub-commands, stands in a usage line with nothing but the program's name
/// and optional words before it; `None` where it does not stand there.
fn place_in(usage: &str, heading: &str) -> Option<bool> {
    let (mut depth, mut has_options, mut is_first) = (0_usize, false, true);
    let mut words = usage.split_whitespace().peekable();
    while let Some(word) = words.next() {
        if depth == 0 && word == heading && words.peek() == Some(&"...") {
            return Some(is_first);
        }
        let is_outside = depth == 0 && !word.starts_with('[');
        is_first &= !(has_options && is_outside);
        has_options |= !is_outside;
        depth += word.matches('[').count();
        depth = depth.saturating_sub(word.matches(']').count());
    }
    None
}
