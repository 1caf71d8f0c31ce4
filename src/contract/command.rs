//! One command: a tool, or what serves resources and prompts.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::{Map, Value};

use super::capabilities::{ClientCapabilities, TASKS};
use super::kind::ValueType;
use super::members::{MAX_ITEMS, Members};
use super::parameter::Parameter;
use super::parameters::Parameters;
use super::patterns::readable;
use super::protocol::{ICONS, TOOL_ANNOTATIONS};
use super::shape::Form;
use super::writing::Style;
use crate::text::in_quotes;

/// What a command prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Output {
    /// Text.
    #[default]
    Text,
    /// One JSON value.
    Json,
    /// A complete tool result.
    Content,
}

/// How a command gets its arguments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Input {
    /// On the command line.
    #[default]
    Argv,
    /// As one JSON object on standard input.
    Stdin,
}

/// From when on a call may outlive the client that waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detach {
    /// Never: it ends with its client.
    #[default]
    Never,
    /// From its begin.
    AtOnce,
    /// From when its program says so.
    WhenSaid,
}

/// The name of a command's tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ToolName {
    /// `plugin__command`.
    #[default]
    Derived,
    /// Exactly this.
    Exact(String),
    /// It is no tool; it only serves.
    None,
}

/// Arguments that exclude each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OneOf {
    /// Their declared names.
    pub names: Vec<String>,
    /// Whether one of them must be given.
    pub required: bool,
}

/// One command of a plugin.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Command {
    /// Where it stands in the description, for messages.
    pub address: String,
    /// Its name.
    pub name: String,
    /// For the model that chooses between tools.
    pub description: String,
    /// Its arguments, in the order in which they are written.
    pub parameters: Parameters,
    /// The whole schema of the arguments, where the author wrote one.
    pub input_schema: Option<Value>,
    /// The schema of what it prints.
    pub output_schema: Option<Value>,
    /// What it prints.
    pub output: Output,
    /// How it gets its arguments.
    pub input: Input,
    /// The name of its tool.
    pub tool: ToolName,
    /// The name that people are shown.
    pub title: Option<String>,
    /// `annotations`, `icons` and `_meta`, passed on.
    pub passed_on: Vec<(&'static str, Value)>,
    /// Its own time limit.
    pub time_limit: Option<Duration>,
    /// How many calls of it run at once.
    pub max_concurrency: Option<usize>,
    /// What the client must be able to answer.
    pub requires: ClientCapabilities,
    /// The words that select it on the command line.
    pub invoke: Vec<String>,
    /// Groups of arguments that exclude each other.
    pub one_of: Vec<OneOf>,
    /// What a successful call may leave running: nothing when false, everything when true, and what
    /// detached itself where it does not say.
    pub background: Option<bool>,
    /// From when on a call may outlive its client.
    pub detach: Detach,
    /// Whether the client must hold a task for each call.
    pub requires_task: bool,
    /// Whether an interpreter prepared beforehand may run it.
    pub warm: bool,
    /// Whether calls may share one process, one after the other.
    pub reuse: bool,
    /// Whether `--` stands before positional values in any case, not only where one begins with `-`.
    pub ends_options: bool,
    /// Words that the program's parser loses, so that no value may be one of them.
    pub refuse_words: Vec<String>,
    /// Whether values are held against their types alone: version 1.0 of the contract knows nothing else, so that a
    /// program of that version gets whatever else it got before.
    pub checks_types_alone: bool,
}

/// What becomes of one entry of `commands`.
#[derive(Debug)]
pub enum Entry {
    /// A command.
    Command(Box<Command>),
    /// One that cannot be served, for this reason.
    Refused {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Nothing: it is passed over, or its faults are noted.
    Nothing,
}

impl Command {
    /// Reads one entry of `commands`.
    pub fn read(members: &Members<'_>) -> Entry {
        let Some(name) = command_name(members, "name") else {
            return Entry::Nothing;
        };
        if matches!(name.as_str(), "connect" | "disconnect") {
            return Entry::Nothing;
        }
        let input_schema = input_schema(members);
        let parameters = match Parameters::read(members, input_schema.as_ref()) {
            Ok(parameters) => parameters,
            Err(twins) => {
                let reason = twins.to_string();
                return Entry::Refused { name, reason };
            }
        };
        let invoke = match members.value("invoke") {
            Some(_) => words(members, "invoke"),
            None => vec![name.clone()],
        };
        parameters.check_levels(members, invoke.len());
        let input = members
            .choice("input", &[("argv", Input::Argv), ("stdin", Input::Stdin)])
            .unwrap_or_default();
        let required = members.texts("requires");
        if let Some(word) = repeated(&required) {
            members.hint("requires", &format!("names {} twice", in_quotes(word)));
        }
        if input == Input::Argv && !members.is_version_1_0() {
            parameters.check_options(members);
        }
        Entry::Command(Box::new(Self {
            address: members.address.clone(),
            description: members
                .decoration()
                .prose("description")
                .unwrap_or_default(),
            output_schema: members
                .object("output_schema")
                .map(|schema| readable(members, "output_schema", schema.clone())),
            output: members
                .choice(
                    "output",
                    &[
                        ("text", Output::Text),
                        ("json", Output::Json),
                        ("content", Output::Content),
                    ],
                )
                .unwrap_or_default(),
            input,
            tool: tool_name(members),
            title: members.decoration().prose("title"),
            passed_on: passed_on(members),
            time_limit: time_limit(members),
            max_concurrency: at_least_one(members, "max_concurrency"),
            requires: ClientCapabilities::required(members),
            one_of: one_of(members, &parameters),
            background: members.flag("background"),
            detach: detach(members),
            requires_task: required.iter().any(|word| word == TASKS),
            warm: members.flag("warm").unwrap_or(true),
            reuse: members.flag("reuse").unwrap_or(false),
            ends_options: false,
            refuse_words: members.texts("refuse_words"),
            checks_types_alone: members.is_version_1_0(),
            name,
            parameters,
            input_schema,
            invoke,
        }))
    }

    /// A command that a resource, prompt or completion names and `commands` does not have.
    pub fn undeclared(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            invoke: vec![name.to_owned()],
            tool: ToolName::None,
            warm: true,
            ..Self::default()
        }
    }

    /// The declared argument that `name` means, `-` and `_` being the same.
    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.named(name)
    }
}

/// A member that names a command.
pub fn command_name(members: &Members<'_>, member: &str) -> Option<String> {
    let name = members.name(member)?;
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if name.starts_with('-') {
        members.fault(
            member,
            &format!("{} must not begin with '-'", in_quotes(&name)),
        );
    } else if !name.chars().all(allowed) {
        let what = "has characters other than a-z, A-Z, 0-9, '_' and '-'";
        members.fault(member, &format!("{} {what}", in_quotes(&name)));
    } else {
        return Some(name);
    }
    None
}

/// The first of the words that stands among those before it.
fn repeated(words: &[String]) -> Option<&String> {
    let mut known = HashSet::new();
    words.iter().find(|word| !known.insert(word.as_str()))
}

/// Words of a command line, none of them empty.
fn words(members: &Members<'_>, member: &str) -> Vec<String> {
    let words = members.texts(member);
    if words.iter().any(String::is_empty) {
        members.hint(member, "has an empty word, which the program gets as well");
    }
    words
}

/// A whole number from 1.
pub fn at_least_one(members: &Members<'_>, member: &str) -> Option<usize> {
    let count = members.count(member)?;
    if count == 0 {
        members.fault(member, "must be at least 1");
    }
    usize::try_from(count).ok().filter(|count| *count > 0)
}

fn input_schema(members: &Members<'_>) -> Option<Value> {
    let schema = members.object("input_schema")?;
    if schema["type"] != "object" {
        members.fault(
            "input_schema",
            "must have \"type\": \"object\": arguments are an object",
        );
    }
    let properties = schema["properties"].as_object().map_or(0, Map::len);
    if properties > MAX_ITEMS {
        let what = format!("has {properties} properties; at most {MAX_ITEMS} are read");
        members.fault("input_schema", &what);
        return None;
    }
    Some(readable(members, "input_schema", schema.clone()))
}

fn tool_name(members: &Members<'_>) -> ToolName {
    match members.value("tool") {
        None => ToolName::Derived,
        Some(Value::Bool(false)) => ToolName::None,
        Some(_) => members
            .name("tool")
            .map_or(ToolName::Derived, ToolName::Exact),
    }
}

fn passed_on(members: &Members<'_>) -> Vec<(&'static str, Value)> {
    let mut passed_on = Vec::new();
    for (name, form) in [
        ("annotations", TOOL_ANNOTATIONS),
        ("icons", ICONS),
        ("_meta", Form::Object),
    ] {
        let value = members.fitting(name, &form);
        passed_on.extend(value.map(|value| (name, value)));
    }
    passed_on
}

fn detach(members: &Members<'_>) -> Detach {
    match members.value("detach") {
        Some(Value::String(_)) => {
            let later = members.choice("detach", &[("later", Detach::WhenSaid)]);
            later.unwrap_or_default()
        }
        Some(_) if members.flag("detach") == Some(true) => Detach::AtOnce,
        _ => Detach::Never,
    }
}

fn time_limit(members: &Members<'_>) -> Option<Duration> {
    let seconds = members.number("timeout")?;
    let limit = Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|limit| !limit.is_zero());
    if limit.is_none() {
        members.fault(
            "timeout",
            &format!("must be a number of seconds above 0, not {seconds}"),
        );
    }
    limit
}

fn one_of(members: &Members<'_>, parameters: &Parameters) -> Vec<OneOf> {
    let mut groups = Vec::new();
    for group in members.objects("one_of") {
        let mut names = Vec::new();
        let given = group.texts("names");
        if given.len() < 2 {
            group.hint("names", "should have two names at least");
        }
        if let Some(name) = repeated(&given) {
            group.hint("names", &format!("has {} twice", in_quotes(name)));
        }
        for (index, name) in given.iter().enumerate() {
            match parameters.named(name) {
                Some(known) => names.push(known.name.clone()),
                None => group.fault(
                    &format!("names[{index}]"),
                    &format!("{} is no parameter", in_quotes(name)),
                ),
            }
        }
        let required = group.flag("required").unwrap_or(false);
        groups.push(OneOf { names, required });
    }
    groups
}

/// Whether the value `false` of a parameter is written at all.
pub fn says_false(parameter: &Parameter) -> bool {
    parameter.kind != Some(ValueType::Boolean)
        || parameter.writing.negative_flag.is_some()
        || parameter.writing.style != Some(Style::Flag)
}
