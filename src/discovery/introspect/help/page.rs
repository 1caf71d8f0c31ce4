//! One help page read in one pass: its usage line, its commands and its plain options.
//!
//! Modest on purpose: a line that is not understood gives nothing, and what stands in a usage line is
//! never required. Time and memory grow with the text alone.

use std::collections::HashSet;

use super::branch::{Branch, BranchEntry};
use super::line::{
    indent_of, is_command_name, listed_in_a_row, names_commands, split_columns, title_of,
    without_aliases,
};
use super::option::HelpOption;

/// How many commands, and how many options, one page may give.
const MAX_ENTRIES: usize = 1_000;

/// How long a description may become, in bytes.
const MAX_DESCRIPTION: usize = 2_000;

/// What could be read from a page.
#[derive(Debug, Default)]
pub struct Page {
    /// The first paragraph that is neither usage nor a section.
    pub description: String,
    /// The usage line with its continuations, without the word itself.
    pub usage: String,
    /// The commands that it lists, in its order.
    pub commands: Vec<Entry>,
    /// Its options, in its order.
    pub options: Vec<HelpOption>,
}

/// A command that a page lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The word that selects it.
    pub name: String,
    /// What the page says of it.
    pub description: String,
}

impl Page {
    /// Reads a page.
    pub fn read(text: &str) -> Self {
        let mut reader = Reader::default();
        for line in text.lines() {
            reader.line(line);
        }
        reader.finish()
    }

    /// Whether it is a help page at all: it has a usage line or options.
    pub fn is_readable(&self) -> bool {
        !self.usage.is_empty() || !self.options.is_empty()
    }
}

/// Where in a page the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Before the first title: prose.
    Opening,
    /// The usage line and what continues it.
    Usage,
    /// A listing of commands.
    Commands {
        /// The indentation of its entries, once there is one.
        indent: Option<usize>,
        /// Whether it goes on after a blank line, below a heading of its own (git).
        has_groups: bool,
        /// Whether `help` is a command like others: in version 3's own section.
        keeps_help: bool,
    },
    /// Any other: options stand everywhere but among commands.
    Other,
}

/// The option or command whose description may go on in the next line.
enum Open {
    Nothing,
    Option { at: usize, indent: usize },
    Command { indent: usize },
}

struct Reader {
    page: Page,
    section: Section,
    open: Open,
    /// A listing of groups that a blank line has interrupted.
    interrupted: Option<Section>,
    has_description: bool,
    /// How many commands there were at the last title.
    before_title: usize,
    /// The indentation of argparse's heading above its commands, and the names that it gives.
    branch: Option<(usize, Option<HashSet<String>>)>,
    /// Names in argparse's heading that have had no entry so far.
    unlisted: Vec<String>,
    /// Whether the line before was a row of commands.
    is_in_row: bool,
    names: HashSet<String>,
    /// Options that a synopsis shows with a value: `[--before <date>]`.
    valued: HashSet<String>,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            page: Page::default(),
            section: Section::Opening,
            open: Open::Nothing,
            interrupted: None,
            has_description: false,
            before_title: 0,
            branch: None,
            unlisted: Vec::new(),
            is_in_row: false,
            names: HashSet::new(),
            valued: HashSet::new(),
        }
    }
}

impl Reader {
    fn line(&mut self, line: &str) {
        let trimmed = line.trim();
        if trimmed.is_empty() {
            return self.blank();
        }
        let indent = indent_of(line);
        if self.usage(trimmed, indent) || self.title(line, trimmed, indent) {
            return;
        }
        if self.section == Section::Usage && indent == 0 && !self.page.usage.is_empty() {
            self.section = Section::Opening;
        }
        if self.section != Section::Usage && self.branch(trimmed, indent) {
            return;
        }
        match self.section {
            Section::Usage => append(&mut self.page.usage, trimmed),
            Section::Commands { .. } => self.command(trimmed, indent),
            _ if trimmed.starts_with('-') => self.option(trimmed, indent),
            _ if trimmed.starts_with("[-") => self.synopsis(trimmed),
            _ => self.prose(trimmed, indent),
        }
    }

    fn blank(&mut self) {
        self.open = Open::Nothing;
        self.branch = None;
        if !self.page.description.is_empty() {
            self.has_description = true;
        }
        match self.section {
            Section::Usage if !self.page.usage.is_empty() => self.section = Section::Opening,
            // A blank line between the title and the first entry is only air.
            Section::Commands {
                indent: Some(_),
                has_groups,
                ..
            } => {
                self.interrupted = has_groups.then_some(self.section);
                self.section = Section::Other;
            }
            _ => {}
        }
    }

    /// Takes a line that begins the usage; a second usage line, an alternative, only ends what was before.
    fn usage(&mut self, trimmed: &str, indent: usize) -> bool {
        let begins = trimmed
            .get(..5)
            .is_some_and(|word| word.eq_ignore_ascii_case("usage"));
        if indent > 0 || !begins {
            return false;
        }
        let rest = trimmed[5..].trim_start_matches(':').trim();
        if !(trimmed[5..].is_empty() || trimmed[5..].starts_with(':')) {
            return false;
        }
        self.open = Open::Nothing;
        if self.page.usage.is_empty() {
            self.section = Section::Usage;
            append(&mut self.page.usage, rest);
        } else {
            self.section = Section::Other;
        }
        true
    }

    fn title(&mut self, line: &str, trimmed: &str, indent: usize) -> bool {
        let version_3 = line.trim_start().get(..19).is_some_and(|start| {
            start.eq_ignore_ascii_case("available commands:") && trimmed.len() == 19
        });
        if indent > 0 && !version_3 {
            return false;
        }
        let Some(title) = title_of(trimmed) else {
            // A heading among git's commands.
            if let Some(section) = self.interrupted.filter(|_| indent == 0) {
                self.section = section;
                return true;
            }
            return false;
        };
        self.open = Open::Nothing;
        self.branch = None;
        self.before_title = self.page.commands.len();
        self.interrupted = None;
        let has_groups = title.starts_with("these are common");
        self.section = if names_commands(&title) {
            Section::Commands {
                indent: None,
                has_groups,
                keeps_help: title == "available commands",
            }
        } else {
            Section::Other
        };
        true
    }

    /// Takes argparse's heading above its commands, and what stands deeper below it.
    fn branch(&mut self, trimmed: &str, indent: usize) -> bool {
        if let Some(branch) = Branch::read(trimmed, indent, &self.page.usage) {
            // What the title's section has said so far was prose about the commands.
            for entry in self.page.commands.drain(self.before_title..) {
                self.names.remove(&format!("command {}", entry.name));
            }
            let names = branch.names.as_deref();
            if let Some(names) = names.filter(|_| branch.is_certain && self.unlisted.is_empty()) {
                let names = names.iter().take(MAX_ENTRIES);
                self.unlisted = names.map(|name| (*name).to_owned()).collect();
            }
            let names = names.map(|names| names.iter().map(|name| (*name).to_owned()).collect());
            self.branch = Some((branch.indent, names));
            self.open = Open::Nothing;
            self.section = Section::Other;
            return true;
        }
        let Some((heading, names)) = &self.branch else {
            return false;
        };
        if indent <= *heading {
            self.branch = None;
            return false;
        }
        if indent == heading + 2 {
            let entry = BranchEntry::read(trimmed);
            let is_known = names
                .as_ref()
                .is_none_or(|names| names.contains(entry.name));
            let is_new = is_known && self.add_command(entry.name, entry.description, true);
            self.open = match is_new {
                true => Open::Command { indent },
                false => Open::Nothing,
            };
            let is_alias = |name: &str| entry.aliases.split(", ").any(|alias| alias == name);
            self.unlisted
                .retain(|name| name != entry.name && !is_alias(name));
        } else if let (Open::Command { .. }, Some(last)) =
            (&self.open, self.page.commands.last_mut())
        {
            append(&mut last.description, trimmed);
        }
        true
    }

    fn command(&mut self, trimmed: &str, indent: usize) {
        let Section::Commands {
            indent: own,
            has_groups,
            keeps_help,
        } = self.section
        else {
            return;
        };
        if indent == 0 {
            if !has_groups {
                self.section = Section::Other;
            }
            return;
        }
        if trimmed.starts_with("Examples") {
            self.section = Section::Other;
            return;
        }
        let own = own.unwrap_or(indent);
        self.section = Section::Commands {
            indent: Some(own),
            has_groups,
            keeps_help,
        };
        if indent > own {
            if let (Open::Command { indent: at }, Some(last)) =
                (&self.open, self.page.commands.last_mut())
                && indent > *at
            {
                append(&mut last.description, trimmed);
            }
            return;
        }
        self.open = Open::Nothing;
        let row = listed_in_a_row(trimmed, self.is_in_row);
        self.is_in_row = row.is_some();
        if let Some(names) = row {
            for name in names {
                self.add_command(name, "", keeps_help);
            }
        } else {
            let (word, description) = trimmed.split_once([' ', '\t']).unwrap_or((trimmed, ""));
            let name = word.trim_end_matches([':', ',', '*']);
            let description = without_aliases(word, description.trim()).trim_start_matches("- ");
            if self.add_command(name, description, keeps_help) {
                self.open = Open::Command { indent };
            }
        }
    }

    fn add_command(&mut self, name: &str, description: &str, keeps_help: bool) -> bool {
        let is_help = name == "help" && !keeps_help;
        let is_new = is_command_name(name)
            && !is_help
            && self.page.commands.len() < MAX_ENTRIES
            && self.names.insert(format!("command {name}"));
        if is_new {
            let mut entry = Entry {
                name: name.to_owned(),
                description: String::new(),
            };
            append(&mut entry.description, description);
            self.page.commands.push(entry);
        }
        is_new
    }

    fn option(&mut self, trimmed: &str, indent: usize) {
        if let Open::Option { at, indent: own } = self.open
            && indent > own + 8
        {
            // Too far right for an option: a sentence that begins with one.
            return append(&mut self.page.options[at].description, trimmed);
        }
        self.open = Open::Nothing;
        let (spec, text) = split_columns(trimmed);
        let Some(mut option) = HelpOption::read(spec) else {
            return;
        };
        if self.page.options.len() < MAX_ENTRIES && self.names.insert(option.name.clone()) {
            append(&mut option.description, text);
            self.page.options.push(option);
            let at = self.page.options.len() - 1;
            self.open = Open::Option { at, indent };
        }
    }

    fn synopsis(&mut self, trimmed: &str) {
        self.open = Open::Nothing;
        let mut words = trimmed
            .split([' ', '[', ']', '|'])
            .filter(|word| !word.is_empty())
            .peekable();
        while let Some(word) = words.next() {
            if word.starts_with('-') && words.peek().is_some_and(|next| next.starts_with('<')) {
                self.valued.insert(word.to_owned());
            }
        }
    }

    fn prose(&mut self, trimmed: &str, indent: usize) {
        match self.open {
            Open::Option { at, indent: own } if indent > own => {
                append(&mut self.page.options[at].description, trimmed);
            }
            _ if self.section == Section::Opening
                && !self.has_description
                && !trimmed.ends_with(':') =>
            {
                append(&mut self.page.description, trimmed);
            }
            _ => self.open = Open::Nothing,
        }
    }

    fn finish(mut self) -> Page {
        for name in std::mem::take(&mut self.unlisted) {
            self.add_command(&name, "", true);
        }
        let valued = &self.valued;
        self.page
            .options
            .retain(|option| !(option.is_bare() && valued.contains(&option.flag)));
        for option in &mut self.page.options {
            option.settle();
        }
        self.page
    }
}

/// Adds a line to a text that has an end.
fn append(text: &mut String, line: &str) {
    if text.len() + line.len() < MAX_DESCRIPTION && !line.is_empty() {
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(line);
    }
}
