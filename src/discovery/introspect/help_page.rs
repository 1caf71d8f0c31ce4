//! One help page: its usage line, its options and its arguments, as argparse, click, clap, cobra and hand-written ones print them.

use serde_json::{Map, Value, json};

/// What could be read from a page.
#[derive(Debug, Default)]
pub struct Page {
    /// The prose that stands before the first section, without the usage line.
    pub description: String,
    /// Arguments first, then options, each in the page's order.
    pub parameters: Vec<Parameter>,
    has_usage: bool,
}

/// One option or argument of a page.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parameter {
    /// The property name: `--dry-run` is `dry_run`.
    pub name: String,
    /// Whether the page says that it must be given.
    pub required: bool,
    kind: &'static str,
    many: bool,
    flag: Option<String>,
    negative: Option<String>,
    choices: Vec<String>,
    description: String,
    takes_value: bool,
    /// Written as a placeholder is, in capitals or in angle brackets; an argument's bare name may be any word of the usage line.
    certain: bool,
}

/// Titles of the sections whose entries are arguments without an option string.
const ARGUMENTS: [&str; 3] = ["positional arguments", "arguments", "args"];

/// Options that print a text about the program instead of doing its work.
const ABOUT: [&str; 4] = ["--help", "-h", "--version", "-V"];

impl Page {
    /// Reads a page; `command` is the word after which the usage line speaks of this page's own arguments.
    pub fn read(text: &str, command: Option<&str>) -> Self {
        let mut page = Self::default();
        let usage = usage_of(text);
        let (required_options, positionals) = usage
            .as_deref()
            .map(|u| read_usage(u, command))
            .unwrap_or_default();
        page.has_usage = usage.is_some();
        page.description = description_of(text);
        let mut in_arguments = false;
        let mut entry: Option<Entry> = None;
        let mut entries = Vec::new();
        for line in text.lines() {
            let indent = line.len() - line.trim_start().len();
            if indent == 0 {
                entries.extend(entry.take());
                if !line.trim().is_empty() {
                    let title = line.trim().trim_end_matches(':').to_ascii_lowercase();
                    in_arguments = ARGUMENTS.contains(&title.as_str());
                }
                continue;
            }
            let trimmed = line.trim();
            let begins = entry
                .as_ref()
                .is_none_or(|open| open.ends_before(indent, trimmed));
            if begins && (trimmed.starts_with('-') || in_arguments) {
                entries.extend(entry.replace(Entry::new(indent, trimmed, in_arguments)));
            } else if let Some(open) = entry.as_mut() {
                open.describe(trimmed);
            }
        }
        entries.extend(entry);
        page.collect(&entries, &required_options, positionals);
        page
    }

    /// Whether the page is one: a usage line, or options that could be read.
    pub fn is_readable(&self) -> bool {
        self.has_usage && !self.parameters.is_empty()
    }

    fn collect(
        &mut self,
        entries: &[Entry],
        required_options: &[String],
        positionals: Vec<Parameter>,
    ) {
        let mut options: Vec<Parameter> = Vec::new();
        for entry in entries {
            if entry.argument {
                self.describe_argument(entry, &positionals);
            } else if let Some(mut option) = read_option(&entry.spec, &entry.text) {
                option.required |= option
                    .flag
                    .as_ref()
                    .is_some_and(|flag| required_options.contains(flag));
                if options.iter().all(|known| known.name != option.name) {
                    options.push(option);
                }
            }
        }
        if self.parameters.is_empty() {
            self.parameters = positionals
                .into_iter()
                .filter(|named| named.certain)
                .collect();
        }
        options.retain(|option| {
            self.parameters
                .iter()
                .all(|known| known.name != option.name)
        });
        self.parameters.append(&mut options);
    }

    /// An entry of the arguments' section; how often it stands comes from the usage line.
    fn describe_argument(&mut self, entry: &Entry, positionals: &[Parameter]) {
        let (word, optional, many) = bare_word(&entry.spec);
        let name = property_name(word);
        if name.is_empty() || self.parameters.iter().any(|known| known.name == name) {
            return;
        }
        let from_usage = positionals.iter().find(|known| known.name == name);
        self.parameters.push(Parameter {
            required: from_usage.map_or(!optional && entry.spec.starts_with('<'), |known| {
                known.required
            }),
            many: many || from_usage.is_some_and(|known| known.many),
            choices: choices_in(&entry.spec, &entry.text),
            description: entry.text.clone(),
            kind: "string",
            name,
            ..Parameter::default()
        });
    }
}

/// An entry of a section as it is read: the words on the left, the text on the right.
struct Entry {
    indent: usize,
    text_column: usize,
    spec: String,
    text: String,
    argument: bool,
}

impl Entry {
    fn new(indent: usize, line: &str, argument: bool) -> Self {
        let (spec, text) = split_columns(line);
        let text_column = if text.is_empty() {
            indent + 8
        } else {
            indent + line.len() - text.len()
        };
        Self {
            indent,
            text_column,
            spec: spec.to_owned(),
            text: text.to_owned(),
            argument,
        }
    }

    /// Whether a line is another entry and not more of this one's text.
    ///
    /// An option with a long name alone may stand further right than its neighbours, but left of their texts.
    fn ends_before(&self, indent: usize, line: &str) -> bool {
        indent <= self.indent || (line.starts_with('-') && indent < self.text_column)
    }

    fn describe(&mut self, line: &str) {
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.text.push_str(line);
    }
}

impl Parameter {
    /// As a parameter of the contract.
    pub fn to_contract(&self) -> Value {
        let mut parameter = Map::new();
        parameter.insert("name".into(), self.name.clone().into());
        if let Value::Object(schema) = self.to_schema() {
            parameter.extend(schema);
        }
        parameter.insert("required".into(), self.required.into());
        let style = match (&self.flag, self.takes_value, self.many) {
            (None, ..) => "positional",
            (Some(_), false, true) => "count",
            (Some(_), false, false) => "flag",
            (Some(_), true, true) => "repeat",
            (Some(_), true, false) => "value",
        };
        parameter.insert("arg_style".into(), style.into());
        for (member, word) in [("flag", &self.flag), ("negative_flag", &self.negative)] {
            if let Some(word) = word {
                parameter.insert(member.into(), word.clone().into());
            }
        }
        Value::Object(parameter)
    }

    /// As a property of the input schema.
    pub fn to_schema(&self) -> Value {
        let is_count = self.many && !self.takes_value && self.flag.is_some();
        let mut one = match (is_count, self.choices.is_empty()) {
            (true, _) => json!({"type": "integer", "minimum": 0}),
            (false, true) => json!({"type": self.kind}),
            (false, false) => json!({"type": self.kind, "enum": self.choices}),
        };
        if self.many && !is_count {
            one = json!({"type": "array", "items": one});
        }
        if !self.description.is_empty() {
            one["description"] = self.description.clone().into();
        }
        one
    }
}

/// `-o, --output FILE` and its description as a parameter; `None` for `--help` and the like.
fn read_option(spec: &str, text: &str) -> Option<Parameter> {
    let spec = spec.replace(" / ", ", ").replace("=", " ");
    let mut flags: Vec<String> = Vec::new();
    let mut placeholder = String::new();
    for word in &words_of(&spec) {
        if word.starts_with('-') && word.len() > 1 {
            let (flag, rest) = word.split_at(
                word.find(['[', '<'])
                    .filter(|_| !word.contains("[no-]"))
                    .unwrap_or(word.len()),
            );
            flags.push(flag.to_owned());
            placeholder.push_str(rest.trim_matches(['[', ']']));
        } else if placeholder.is_empty() || word == "..." || word.ends_with("...") {
            placeholder.push_str(word);
        }
    }
    let count = flags.iter_mut().fold(false, |count, flag| {
        let bare = flag.trim_end_matches('.').to_owned();
        let repeated = bare.len() < flag.len();
        *flag = bare;
        count || repeated
    });
    let mut negative = None;
    if let Some(flag) = flags.iter_mut().find(|flag| flag.contains("[no-]")) {
        negative = Some(flag.replace("[no-]", "no-"));
        *flag = flag.replace("[no-]", "");
    }
    if flags.is_empty() || flags.iter().any(|flag| ABOUT.contains(&flag.as_str())) {
        return None;
    }
    let flag = flags
        .iter()
        .find(|flag| flag.starts_with("--"))
        .unwrap_or(&flags[0])
        .clone();
    let opposite = flag
        .strip_prefix("--")
        .map(|name| format!("--no-{name}"))
        .unwrap_or_default();
    negative = negative.or_else(|| flags.iter().find(|other| **other == opposite).cloned());
    let takes_value = !placeholder.is_empty();
    Some(Parameter {
        name: property_name(&flag),
        required: text.contains("[required]") || text.contains("(required)"),
        kind: if takes_value {
            kind_of(&placeholder)
        } else {
            "boolean"
        },
        many: count
            || placeholder.ends_with("...")
            || matches!(placeholder.as_str(), "strings" | "stringArray"),
        choices: if takes_value {
            choices_in(&placeholder, text)
        } else {
            Vec::new()
        },
        description: text.trim().to_owned(),
        flag: Some(flag),
        negative,
        takes_value,
        certain: true,
    })
}

/// The type that a placeholder names; a text where it names none.
fn kind_of(placeholder: &str) -> &'static str {
    match placeholder
        .trim_matches(['<', '>', '[', ']', '.'])
        .to_ascii_lowercase()
        .as_str()
    {
        "int" | "integer" | "uint" | "int32" | "int64" => "integer",
        "float" | "number" | "float64" | "double" => "number",
        _ => "string",
    }
}

/// `{a,b}` of argparse, `[a|b]` of click, `[possible values: a, b]` of clap.
fn choices_in(placeholder: &str, text: &str) -> Vec<String> {
    let inside = |open: char, close: char| {
        placeholder
            .strip_prefix(open)
            .and_then(|rest| rest.split_once(close))
            .map(|(inner, _)| inner)
    };
    let list = if let Some(inner) = inside('{', '}') {
        inner.split(',').collect::<Vec<_>>()
    } else if let Some(inner) = inside('[', ']')
        .or_else(|| inside('<', '>'))
        .filter(|inner| inner.contains('|'))
    {
        inner.split('|').collect()
    } else if let Some((inner, _)) = text
        .split_once("[possible values: ")
        .and_then(|(_, rest)| rest.split_once(']'))
    {
        inner.split(", ").collect()
    } else {
        Vec::new()
    };
    list.into_iter()
        .map(|choice| choice.trim().to_owned())
        .filter(|choice| !choice.is_empty())
        .collect()
}

/// The usage line with its continuations, without the word `usage:`.
fn usage_of(text: &str) -> Option<String> {
    let mut lines = text
        .lines()
        .skip_while(|line| !line.to_ascii_lowercase().starts_with("usage:"));
    let first = lines.next()?["usage:".len()..].trim().to_owned();
    // clap and cobra may put it on a line of its own below the title.
    let rest = lines.take_while(|line| line.starts_with([' ', '\t']) && !line.trim().is_empty());
    Some(
        rest.fold(first, |usage, line| format!("{usage} {}", line.trim()))
            .trim()
            .to_owned(),
    )
}

/// The first paragraph that is neither usage nor a section.
fn description_of(text: &str) -> String {
    let mut paragraphs = text.split("\n\n").map(str::trim);
    let is_prose = |paragraph: &&str| {
        let first = paragraph.lines().next().unwrap_or_default();
        !first.is_empty()
            && !first.to_ascii_lowercase().starts_with("usage:")
            && !first.ends_with(':')
            && !first.starts_with('-')
    };
    paragraphs
        .find(is_prose)
        .map(|p| p.split_whitespace().collect::<Vec<_>>().join(" "))
        .unwrap_or_default()
}

/// Options that stand bare in the usage line, and the arguments it names.
fn read_usage(usage: &str, command: Option<&str>) -> (Vec<String>, Vec<Parameter>) {
    let words = words_of(usage);
    let start = match command {
        Some(command) => words
            .iter()
            .position(|word| word == command)
            .map_or(words.len(), |place| place + 1),
        None => 1,
    };
    let mut options = Vec::new();
    let mut positionals: Vec<Parameter> = Vec::new();
    let mut after_option = false;
    for word in words.iter().skip(start) {
        if word.starts_with('-') && word.len() > 1 {
            options.push(word.split('=').next().unwrap_or(word).to_owned());
            after_option = !word.contains('=');
            continue;
        }
        let value_of_option = std::mem::take(&mut after_option);
        let (name, optional, many) = bare_word(word);
        if many
            && let Some(last) = positionals
                .last_mut()
                .filter(|last| name.is_empty() || last.name == property_name(name))
        {
            last.many = true;
            continue;
        }
        let certain = word.trim_start_matches('[').starts_with('<')
            || name
                .chars()
                .all(|c| c.is_ascii_uppercase() || matches!(c, '_' | '-' | '0'..='9'));
        let general = matches!(
            name.to_ascii_lowercase().as_str(),
            "options" | "option" | "flags" | "command" | "args" | "arguments" | ""
        );
        if value_of_option || general || name.starts_with('-') {
            continue;
        }
        positionals.push(Parameter {
            name: property_name(name),
            required: !optional,
            many,
            certain,
            kind: "string",
            ..Parameter::default()
        });
    }
    (options, positionals)
}

/// Words between spaces and commas; what stands in brackets is one word.
fn words_of(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut depth = 0_usize;
    for letter in text.chars() {
        match letter {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (letter.is_whitespace() || letter == ',') {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.push(letter);
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `[FILE]...`, `<FILE>`, `FILE...` as (FILE, optional, many).
fn bare_word(word: &str) -> (&str, bool, bool) {
    let many = word.contains("...");
    let optional = word.starts_with('[');
    let name = word.trim_matches(['[', ']', '<', '>', '.', ' ']);
    (
        name.split([' ', '>', ']']).next().unwrap_or(name),
        optional,
        many,
    )
}

/// Left and right column of an entry: two spaces or a tab stand between them.
fn split_columns(line: &str) -> (&str, &str) {
    let gap = line.find("  ").into_iter().chain(line.find('\t')).min();
    gap.map_or((line, ""), |place| {
        (line[..place].trim_end(), line[place..].trim_start())
    })
}

/// `--dry-run` as `dry_run`; nothing but letters, digits and `_`.
fn property_name(word: &str) -> String {
    let name: String = word
        .trim_start_matches('-')
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    let name = name.trim_matches('_');
    // Placeholders are shouted, options are not.
    if word.starts_with('-') {
        name.to_owned()
    } else {
        name.to_ascii_lowercase()
    }
}
