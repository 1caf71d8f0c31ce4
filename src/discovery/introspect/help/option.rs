//! One option of a help page: `-o, --output FILE`.

use serde_json::{Map, Value, json};

/// One option, read from the left column of its line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HelpOption {
    /// The property name: `--dry-run` is `dry_run`.
    pub name: String,
    /// The option as it is written.
    pub flag: String,
    /// The text on the right.
    pub description: String,
    negative: Option<String>,
    /// What stands for its value, without brackets; empty where it has none.
    placeholder: String,
    /// Whether its value must be joined to it by `=`.
    is_joined: bool,
    is_repeated: bool,
    choices: Vec<String>,
    required: bool,
}

/// Options that print a text about the program instead of doing its work.
const ABOUT: [&str; 4] = ["--help", "-h", "--version", "-V"];

impl HelpOption {
    /// Reads `-o, --output FILE`; `None` for what is not plain, and for help and version.
    pub fn read(spec: &str) -> Option<Self> {
        let mut option = Self::default();
        let mut flags: Vec<String> = Vec::new();
        for part in spellings(spec) {
            let (flag, value) = parts(&part)?;
            if let Some(value) = value {
                option.take_value(value)?;
            }
            flags.push(flag.to_owned());
        }
        let repeated = flags.iter().any(|flag| flag.ends_with("..."));
        option.is_repeated |= repeated;
        for flag in &mut flags {
            *flag = flag.trim_end_matches("...").to_owned();
        }
        if let Some(both) = flags.iter_mut().find(|flag| flag.starts_with("--[no-]")) {
            option.negative = Some(both.replacen("[no-]", "no-", 1));
            *both = both.replacen("[no-]", "", 1);
        }
        let takes_value = !option.placeholder.is_empty();
        if flags
            .iter()
            .any(|flag| ABOUT.contains(&flag.as_str()) && !takes_value)
            || !flags.iter().all(|flag| is_plain_flag(flag, takes_value))
        {
            return None;
        }
        let flag = flags
            .iter()
            .find(|flag| flag.starts_with("--"))
            .or(flags.first())?;
        let opposite = format!("--no-{}", flag.trim_start_matches('-'));
        if option.negative.is_none() && flags.contains(&opposite) && !takes_value {
            option.negative = Some(opposite);
        }
        option.name = flag.trim_start_matches('-').replace(['-', '.'], "_");
        option.flag.clone_from(flag);
        Some(option)
    }

    /// `FILE`, `<FILE>`, `[=FILE]`, `{a,b}`, `=true:`, `strings`; `None` for what is prose.
    fn take_value(&mut self, value: &str) -> Option<()> {
        let value = value.trim_end_matches(':');
        if value == "=..." {
            self.is_joined = true;
            self.placeholder = "VALUE".to_owned();
            return Some(());
        }
        self.is_repeated |= value.ends_with("...");
        let value = value.trim_end_matches("...");
        let value = match value
            .strip_prefix("[=")
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(inner) => {
                self.is_joined = true;
                inner
            }
            None => value,
        };
        let value = match value.strip_prefix('=') {
            Some(rest) => {
                self.is_joined = true;
                rest
            }
            None => value,
        };
        if let Some(choices) = choices_in(value) {
            self.choices = choices;
        }
        let words = value.split_whitespace().count();
        let known = matches!(value, "INTEGER RANGE" | "FLOAT RANGE");
        // Two words are two values, or a sentence.
        if words > 1 && self.choices.is_empty() && !known {
            return None;
        }
        self.placeholder = if value.is_empty() { "''" } else { value }.to_owned();
        Some(())
    }

    /// Reads what only the whole description tells.
    pub fn settle(&mut self) {
        let text = &self.description;
        self.required = text.ends_with("[required]") || text.ends_with("(required)");
        if self.choices.is_empty()
            && !self.placeholder.is_empty()
            && let Some((_, rest)) = text.split_once("[possible values: ")
            && let Some((list, _)) = rest.split_once(']')
        {
            self.choices = list.split(", ").map(str::to_owned).collect();
        }
        self.is_repeated |= matches!(
            self.placeholder.as_str(),
            "strings" | "stringArray" | "list" | "[]"
        );
    }

    /// Whether it is one that stands alone, without a value.
    pub fn is_bare(&self) -> bool {
        self.placeholder.is_empty()
    }

    /// Whether a call must give it.
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// As a parameter of the contract.
    pub fn to_contract(&self) -> Value {
        let mut parameter = Map::new();
        parameter.insert("name".into(), self.name.clone().into());
        if let Value::Object(schema) = self.to_schema() {
            parameter.extend(schema);
        }
        let takes_value = !self.placeholder.is_empty();
        let style = match (takes_value, self.is_repeated) {
            (false, true) => "count",
            (false, false) => "flag",
            (true, true) => "repeat",
            (true, false) => "value",
        };
        parameter.insert("arg_style".into(), style.into());
        parameter.insert("flag".into(), self.flag.clone().into());
        parameter.insert("required".into(), self.required.into());
        if let Some(negative) = &self.negative {
            parameter.insert("negative_flag".into(), negative.clone().into());
        }
        if takes_value {
            // Many parsers with such pages read `-5` behind an option as another option.
            parameter.insert("dashes".into(), "none".into());
        }
        if takes_value && self.is_joined && self.flag.starts_with("--") {
            parameter.insert("separator".into(), "=".into());
        }
        Value::Object(parameter)
    }

    /// As a property of the input schema.
    pub fn to_schema(&self) -> Value {
        let takes_value = !self.placeholder.is_empty();
        let mut schema = match (takes_value, self.is_repeated) {
            (false, false) => json!({"type": "boolean"}),
            (false, true) => json!({"type": "integer", "minimum": 0}),
            (true, _) if !self.choices.is_empty() => {
                json!({"type": "string", "enum": self.choices})
            }
            (true, _) => json!({"type": kind_of(&self.placeholder)}),
        };
        if takes_value && self.is_repeated {
            schema = json!({"type": "array", "items": schema});
        }
        if !self.description.is_empty() {
            schema["description"] = self.description.clone().into();
        }
        schema
    }
}

/// `-o, --output FILE`, `-o --output=FILE`, `-o|--output`: each spelling with what follows it.
fn spellings(spec: &str) -> Vec<String> {
    let spec = spec.replace("|-", " -");
    let mut found: Vec<String> = Vec::new();
    for word in spec
        .split_whitespace()
        .filter(|word| !matches!(*word, "/" | "|"))
    {
        match found.last_mut() {
            Some(last) if !word.starts_with('-') => {
                last.push(' ');
                last.push_str(word.trim_end_matches(','));
            }
            _ => found.push(word.trim_end_matches(',').to_owned()),
        }
    }
    found
}

/// `--output FILE`, `--output=FILE`, `--output[=FILE]` as the flag and what follows it.
fn parts(part: &str) -> Option<(&str, Option<&str>)> {
    let part_of_name = part.starts_with("--[no-]");
    let from = if part_of_name { "--[no-]".len() } else { 0 };
    let end = part[from..]
        .find([' ', '=', '[', '<', '{'])
        .map(|at| at + from);
    let Some(end) = end else {
        return Some((part, None));
    };
    let value = part[end..].trim_start();
    // `-I<dir>` is one word with its value: nothing plain.
    let glued = part[end..].starts_with(['<', '{'])
        || part[end..].starts_with('[') && !value.starts_with("[=");
    (!glued && !value.is_empty()).then_some((&part[..end], Some(value)))
}

/// Whether it is surely an option: `-ldir` may be `-l` and its value.
fn is_plain_flag(flag: &str, takes_value: bool) -> bool {
    let plain = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.len() <= 64
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    match flag.strip_prefix("--") {
        Some(name) => plain(name),
        None => flag.strip_prefix('-').is_some_and(|name| {
            let is_word = takes_value && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            plain(name) && (name.len() == 1 || is_word)
        }),
    }
}

/// The type that a placeholder names, or a default in its place; a text where it says nothing.
fn kind_of(placeholder: &str) -> &'static str {
    let word = placeholder.trim_matches(['<', '>', '[', ']']);
    match word.to_ascii_lowercase().as_str() {
        "int" | "integer" | "uint" | "int32" | "int64" | "integer range" => "integer",
        "float" | "float64" | "double" | "float range" => "number",
        "true" | "false" => "boolean",
        digits if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            "integer"
        }
        _ => "string",
    }
}

/// `{a,b}` of argparse and `[a|b]` of click.
fn choices_in(value: &str) -> Option<Vec<String>> {
    let inside = |open, close| {
        let rest = value.strip_prefix(open)?;
        rest.strip_suffix(close)
    };
    let list: Vec<&str> = match inside('{', '}') {
        Some(list) => list.split(',').collect(),
        None => inside('[', ']')
            .filter(|list| list.contains('|'))?
            .split('|')
            .collect(),
    };
    let plain = |choice: &&str| {
        !choice.is_empty() && !choice.contains("...") && !choice.contains(['{', '[', '<'])
    };
    list.iter()
        .all(|choice| plain(&choice.trim()))
        .then(|| list.iter().map(|choice| choice.trim().to_owned()).collect())
}
