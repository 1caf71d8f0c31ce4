//! What a plugin may say of itself: contract v1 and v1.1, validated with field addresses.
//!
//! Knows no process: a JSON value goes in, a description or all its faults come out.

use std::time::Duration;

use serde_json::{Map, Value};

/// The types that a parameter may have.
const TYPES: [&str; 6] = ["string", "number", "integer", "boolean", "array", "object"];
/// Commands of MCP bridges that are no tools.
const PASSED_OVER: [&str; 2] = ["connect", "disconnect"];
/// Members of a parameter that are no JSON Schema keyword.
const OWN_MEMBERS: [&str; 11] = [
    "name",
    "required",
    "action",
    "arg_style",
    "takes_value",
    "flag",
    "negative_flag",
    "level",
    "env",
    "metavar",
    "aliases",
];

/// A whole description.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// What the plugin says that it does.
    pub summary: String,
    /// The commands, in its order.
    pub commands: Vec<Command>,
    /// Resources, templates, prompts and completions.
    pub served: Vec<Served>,
    /// What its author should read.
    pub warnings: Vec<String>,
}

/// One command.
#[derive(Debug, Clone)]
pub struct Command {
    /// The word that selects it.
    pub name: String,
    /// How it becomes a tool.
    pub tool: ToolName,
    /// For people and models.
    pub description: String,
    /// Its parameters, in its order.
    pub parameters: Vec<Parameter>,
    /// A whole input schema of its own.
    pub input_schema: Option<Value>,
    /// What its structured output fits.
    pub output_schema: Option<Value>,
    /// What its stdout is.
    pub output: Output,
    /// How it takes its arguments.
    pub input: Input,
    /// Members of the tool's definition that are passed on as they are.
    pub passed_on: Map<String, Value>,
    /// Its own time limit.
    pub timeout: Option<Duration>,
    /// Runs of it at once.
    pub max_concurrency: Option<usize>,
    /// Client capabilities that it needs.
    pub requires: Vec<String>,
    /// The words that select it on the command line.
    pub invoke: Vec<String>,
    /// Parameters that exclude each other.
    pub one_of: Vec<OneOf>,
}

impl Command {
    /// A command of which only the name is known.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            tool: ToolName::Composed,
            description: String::new(),
            parameters: Vec::new(),
            input_schema: None,
            output_schema: None,
            output: Output::Text,
            input: Input::Argv,
            passed_on: Map::new(),
            timeout: None,
            max_concurrency: None,
            requires: Vec::new(),
            invoke: vec![name.to_owned()],
            one_of: Vec::new(),
        }
    }
}

/// How a command becomes a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToolName {
    /// As `plugin__command`.
    Composed,
    /// By this exact name.
    Exact(String),
    /// Not at all: it only serves resources, prompts or completions.
    None,
}

/// What a command's stdout is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    /// Text.
    Text,
    /// One JSON value.
    Json,
    /// A whole tool result.
    Content,
}

/// How a command takes its arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// On the command line.
    Argv,
    /// As one JSON object on stdin.
    Stdin,
}

/// One parameter.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// Its name in the schema.
    pub name: String,
    /// One of the six types.
    pub kind: String,
    /// Whether a call must have it.
    pub required: bool,
    /// How it is written.
    pub style: Style,
    /// The exact option string.
    pub flag: Option<String>,
    /// The option that says false.
    pub negative_flag: Option<String>,
    /// How many words of `invoke` stand before it.
    pub level: Option<usize>,
    /// The environment variable that takes it instead of the command line.
    pub env: Option<String>,
    /// Its JSON Schema keywords: type, description, default, enum and the like.
    pub schema: Map<String, Value>,
}

/// How a parameter is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As its type suggests.
    Usual,
    /// The bare option when true, nothing when false.
    Flag,
    /// Option and value.
    Value,
    /// The value alone.
    Positional,
    /// The option before each item.
    Repeat,
    /// The option once, before all items.
    List,
    /// The bare option as many times as the number says.
    Count,
}

/// Parameters of which a call may have one.
#[derive(Debug, Clone)]
pub struct OneOf {
    /// Their names.
    pub names: Vec<String>,
    /// Whether a call must have one.
    pub required: bool,
}

/// Something beside a tool that a command serves.
#[derive(Debug, Clone)]
pub struct Served {
    /// Of which family.
    pub family: Family,
    /// The name of a prompt, the URI of a resource, the template of a template, and for completions the name or URI that they are for.
    pub key: String,
    /// For completions: the one argument that they are for.
    pub argument: Option<String>,
    /// Its list entry, passed on as it is.
    pub definition: Map<String, Value>,
    /// The command that serves it.
    pub command: String,
}

/// The families beside tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// `resources`.
    Resource,
    /// `resource_templates`.
    Template,
    /// `prompts`.
    Prompt,
    /// `completions`.
    Completion,
}

/// Reads what a plugin printed; log lines before the JSON are passed over. The error names every fault by its field.
pub fn read(text: &str) -> Result<Description, String> {
    let (value, skipped) = find_json(text)?;
    let mut description = validate(&value)?;
    if skipped > 0 {
        description.warnings.push(format!(
            "--describe prints {skipped} line(s) before its JSON; print logs to stderr"
        ));
    }
    Ok(description)
}

/// Whether a text holds a JSON object at all.
pub fn has_json(text: &str) -> bool {
    find_json(text).is_ok()
}

fn find_json(text: &str) -> Result<(Value, usize), String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut offset = 0;
    let mut first_error = None;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with('{') {
            match serde_json::from_str::<Value>(text[offset..].trim()) {
                Ok(value) => return Ok((value, number)),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        offset += line.len();
    }
    Err(first_error.map_or_else(
        || "--describe printed no JSON object".to_owned(),
        |error| format!("--describe printed no valid JSON: {error}"),
    ))
}

/// Validates a payload. The error names every fault by its field.
pub fn validate(value: &Value) -> Result<Description, String> {
    let mut reader = Reader { faults: Vec::new() };
    let description = reader.description(value);
    if reader.faults.is_empty() {
        Ok(description)
    } else {
        Err(reader.faults.join("; "))
    }
}

/// Text from elsewhere without control characters and escape sequences; line breaks and tabs stay.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            if characters.next_if_eq(&'[').is_some() {
                while characters
                    .next_if(|next| !('@'..='~').contains(next))
                    .is_some()
                {}
                characters.next();
            }
        } else if !character.is_control() || matches!(character, '\n' | '\t') {
            cleaned.push(character);
        }
    }
    cleaned
}

struct Reader {
    faults: Vec<String>,
}

impl Reader {
    fn fault(&mut self, fault: String) {
        self.faults.push(fault);
    }

    fn description(&mut self, value: &Value) -> Description {
        let Some(payload) = value.as_object() else {
            self.fault(format!(
                "the description must be an object, not {}",
                kind_of(value)
            ));
            return Description::default();
        };
        self.version(payload);
        let plugin = payload.get("plugin").cloned().unwrap_or_default();
        let summary = self
            .text(&plugin, "plugin", "description")
            .unwrap_or_default();
        let commands = self.commands(payload);
        let served = self.served(payload);
        Description {
            summary,
            commands,
            served,
            warnings: Vec::new(),
        }
    }

    fn version(&mut self, payload: &Map<String, Value>) {
        let version = match payload.get("contract_version") {
            None | Some(Value::Null) => return,
            Some(Value::String(version)) => version.clone(),
            Some(other) => other.to_string(),
        };
        if version.split('.').next() != Some("1") {
            self.fault(format!(
                "contract_version '{}' is not supported; use 1.0 or 1.1",
                clean(&version)
            ));
        }
    }

    fn commands(&mut self, payload: &Map<String, Value>) -> Vec<Command> {
        let Some(Value::Array(commands)) = payload.get("commands") else {
            let found = payload.get("commands").map_or("missing", kind_of);
            self.fault(format!("commands must be an array, it is {found}"));
            return Vec::new();
        };
        let all = commands.iter().enumerate();
        all.filter_map(|(number, command)| self.command(command, &format!("commands[{number}]")))
            .collect()
    }

    fn command(&mut self, value: &Value, at: &str) -> Option<Command> {
        let Some(members) = value.as_object() else {
            self.fault(format!("{at} must be an object, not {}", kind_of(value)));
            return None;
        };
        let name = self.text(value, at, "name").or_else(|| {
            self.missing(members, at, "name");
            None
        })?;
        if PASSED_OVER.contains(&name.as_str()) {
            return None;
        }
        if name.is_empty()
            || name.starts_with('-')
            || !name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        {
            self.fault(format!(
                "{at}.name '{}' must match ^[a-zA-Z0-9_-]+$ and not begin with -",
                clean(&name)
            ));
        }
        let parameters = self.parameters(members, at);
        Some(Command {
            tool: self.tool_name(members, at),
            description: self.text(value, at, "description").unwrap_or_default(),
            input_schema: self.object(members, at, "input_schema"),
            output_schema: self.object(members, at, "output_schema"),
            output: self.choice(
                value,
                at,
                "output",
                &[
                    ("text", Output::Text),
                    ("json", Output::Json),
                    ("content", Output::Content),
                ],
                Output::Text,
            ),
            input: self.choice(
                value,
                at,
                "input",
                &[("argv", Input::Argv), ("stdin", Input::Stdin)],
                Input::Argv,
            ),
            passed_on: self.passed_on(members, at),
            timeout: self.timeout(members, at),
            max_concurrency: self
                .count(members, at, "max_concurrency")
                .map(|count| count.max(1)),
            requires: self.requires(members, at),
            invoke: self
                .words(members, at, "invoke")
                .unwrap_or_else(|| vec![name.clone()]),
            one_of: self.one_of(members, at, &parameters),
            parameters,
            name,
        })
    }

    fn missing(&mut self, members: &Map<String, Value>, at: &str, member: &str) {
        // A member of a wrong type was named already.
        if !members.contains_key(member) {
            self.fault(format!("{at}.{member} is missing"));
        }
    }

    fn parameters(&mut self, command: &Map<String, Value>, at: &str) -> Vec<Parameter> {
        let parameters = match command.get("parameters") {
            None | Some(Value::Null) => return Vec::new(),
            Some(Value::Array(parameters)) => parameters,
            Some(other) => {
                self.fault(format!(
                    "{at}.parameters must be an array, not {}",
                    kind_of(other)
                ));
                return Vec::new();
            }
        };
        let mut read: Vec<Parameter> = Vec::new();
        for (number, parameter) in parameters.iter().enumerate() {
            let at = format!("{at}.parameters[{number}]");
            if let Some(parameter) = self.parameter(parameter, &at) {
                if let Some(twin) = read
                    .iter()
                    .find(|known| same_name(&known.name, &parameter.name))
                {
                    let twin = twin.name.clone();
                    self.fault(format!(
                        "{at}.name '{}' is declared twice (as '{twin}')",
                        parameter.name
                    ));
                }
                read.push(parameter);
            }
        }
        read
    }

    fn parameter(&mut self, value: &Value, at: &str) -> Option<Parameter> {
        let Some(members) = value.as_object() else {
            self.fault(format!("{at} must be an object, not {}", kind_of(value)));
            return None;
        };
        let name = self.text(value, at, "name").or_else(|| {
            self.missing(members, at, "name");
            None
        })?;
        if name.is_empty()
            || name.starts_with('-')
            || name.contains(['=', '\0', '\n'])
            || name.contains(char::is_whitespace)
        {
            self.fault(format!(
                "{at}.name '{}' must be a name without spaces and =, and not begin with -",
                clean(&name)
            ));
        }
        let kind = self
            .text(value, at, "type")
            .unwrap_or_else(|| "string".to_owned());
        if !TYPES.contains(&kind.as_str()) {
            self.fault(format!(
                "{at}.type '{}' is not one of {}",
                clean(&kind),
                TYPES.join(", ")
            ));
        }
        Some(Parameter {
            required: self.flag(members, at, "required").unwrap_or(false),
            style: self.style(value, at),
            flag: self.option(value, at, "flag"),
            negative_flag: self.option(value, at, "negative_flag"),
            level: self.count(members, at, "level"),
            env: self.variable(value, at),
            schema: keywords(members, &kind),
            name,
            kind,
        })
    }

    fn style(&mut self, value: &Value, at: &str) -> Style {
        let styles = [
            ("flag", Style::Flag),
            ("value", Style::Value),
            ("positional", Style::Positional),
            ("repeat", Style::Repeat),
            ("list", Style::List),
            ("count", Style::Count),
        ];
        let style = self.choice(value, at, "arg_style", &styles, Style::Usual);
        let action = value
            .get("action")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let takes_none = value.get("takes_value").and_then(Value::as_bool) == Some(false);
        if style == Style::Usual && (takes_none || matches!(action, "store_true" | "store_false")) {
            Style::Flag
        } else {
            style
        }
    }

    fn option(&mut self, value: &Value, at: &str, member: &str) -> Option<String> {
        let option = self.text(value, at, member)?;
        if option.len() < 2 || option.contains(char::is_whitespace) || option.contains(['=', '\0'])
        {
            self.fault(format!(
                "{at}.{member} '{}' is no option such as --name",
                clean(&option)
            ));
        }
        Some(option)
    }

    fn variable(&mut self, value: &Value, at: &str) -> Option<String> {
        let name = self.text(value, at, "env")?;
        let valid = !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !valid || is_reserved_variable(&name) {
            self.fault(format!(
                "{at}.env '{}' is no variable that a parameter may set",
                clean(&name)
            ));
        }
        Some(name)
    }

    fn tool_name(&mut self, members: &Map<String, Value>, at: &str) -> ToolName {
        match members.get("tool") {
            None | Some(Value::Null | Value::Bool(true)) => ToolName::Composed,
            Some(Value::Bool(false)) => ToolName::None,
            Some(Value::String(name)) => ToolName::Exact(name.clone()),
            Some(other) => {
                self.fault(format!(
                    "{at}.tool must be a name or false, not {}",
                    kind_of(other)
                ));
                ToolName::Composed
            }
        }
    }

    fn passed_on(&mut self, members: &Map<String, Value>, at: &str) -> Map<String, Value> {
        let mut passed_on = Map::new();
        for (member, wanted) in [
            ("title", "a string"),
            ("annotations", "an object"),
            ("icons", "an array"),
            ("_meta", "an object"),
        ] {
            match members.get(member) {
                None | Some(Value::Null) => {}
                Some(value) if kind_of(value) == wanted => {
                    passed_on.insert(member.to_owned(), cleaned(value));
                }
                Some(value) => self.fault(format!(
                    "{at}.{member} must be {wanted}, not {}",
                    kind_of(value)
                )),
            }
        }
        passed_on
    }

    fn requires(&mut self, members: &Map<String, Value>, at: &str) -> Vec<String> {
        let known = ["elicitation", "sampling", "roots"];
        let names = self.words(members, at, "requires").unwrap_or_default();
        for name in names.iter().filter(|name| !known.contains(&name.as_str())) {
            self.fault(format!(
                "{at}.requires '{}' is not one of {}",
                clean(name),
                known.join(", ")
            ));
        }
        names
    }

    fn one_of(
        &mut self,
        members: &Map<String, Value>,
        at: &str,
        parameters: &[Parameter],
    ) -> Vec<OneOf> {
        let Some(groups) = members.get("one_of").filter(|groups| !groups.is_null()) else {
            return Vec::new();
        };
        let Some(groups) = groups.as_array() else {
            self.fault(format!(
                "{at}.one_of must be an array, not {}",
                kind_of(groups)
            ));
            return Vec::new();
        };
        let mut read = Vec::new();
        for (number, group) in groups.iter().enumerate() {
            let at = format!("{at}.one_of[{number}]");
            let Some(group) = group.as_object() else {
                self.fault(format!("{at} must be an object with names"));
                continue;
            };
            let names = self.words(group, &at, "names").unwrap_or_default();
            for name in names
                .iter()
                .filter(|name| !parameters.iter().any(|parameter| parameter.name == **name))
            {
                self.fault(format!(
                    "{at}.names '{}' is no parameter of the command",
                    clean(name)
                ));
            }
            read.push(OneOf {
                names,
                required: self.flag(group, &at, "required").unwrap_or(false),
            });
        }
        read
    }

    fn timeout(&mut self, members: &Map<String, Value>, at: &str) -> Option<Duration> {
        let value = members.get("timeout").filter(|value| !value.is_null())?;
        match value
            .as_f64()
            .filter(|seconds| *seconds > 0.0)
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        {
            Some(timeout) => Some(timeout),
            None => {
                self.fault(format!(
                    "{at}.timeout {value} must be a number of seconds above 0"
                ));
                None
            }
        }
    }

    fn served(&mut self, payload: &Map<String, Value>) -> Vec<Served> {
        let families = [
            ("resources", Family::Resource, "uri"),
            ("resource_templates", Family::Template, "uriTemplate"),
            ("prompts", Family::Prompt, "name"),
            ("completions", Family::Completion, "ref"),
        ];
        let mut served = Vec::new();
        for (member, family, key) in families {
            let entries = match payload.get(member) {
                None | Some(Value::Null) => continue,
                Some(Value::Array(entries)) => entries,
                Some(other) => {
                    self.fault(format!("{member} must be an array, not {}", kind_of(other)));
                    continue;
                }
            };
            for (number, entry) in entries.iter().enumerate() {
                served.extend(self.served_entry(
                    entry,
                    &format!("{member}[{number}]"),
                    family,
                    key,
                ));
            }
        }
        served
    }

    fn served_entry(
        &mut self,
        entry: &Value,
        at: &str,
        family: Family,
        key: &str,
    ) -> Option<Served> {
        let Some(members) = entry.as_object() else {
            self.fault(format!("{at} must be an object, not {}", kind_of(entry)));
            return None;
        };
        let command = self.text(entry, at, "command");
        if command
            .as_ref()
            .is_none_or(|command| command.is_empty() || command.starts_with('-'))
        {
            self.fault(format!("{at}.command must name the command that serves it"));
        }
        let key_value = match (family, members.get(key)) {
            (Family::Completion, Some(reference)) => ["name", "uri"]
                .iter()
                .find_map(|member| reference.get(member)?.as_str()),
            (_, Some(value)) => value.as_str(),
            (_, None) => None,
        };
        let Some(key_value) = key_value.filter(|value| !value.is_empty()) else {
            self.fault(format!("{at}.{key} is missing or no text"));
            return None;
        };
        if matches!(family, Family::Resource | Family::Template)
            && !members.get("name").is_some_and(Value::is_string)
        {
            self.fault(format!("{at}.name is missing"));
        }
        let mut definition = members.clone();
        definition.remove("command");
        Some(Served {
            family,
            key: key_value.to_owned(),
            argument: self
                .text(entry, at, "argument")
                .filter(|_| family == Family::Completion),
            definition: definition
                .iter()
                .map(|(name, value)| (name.clone(), cleaned(value)))
                .collect(),
            command: command.unwrap_or_default(),
        })
    }

    fn text(&mut self, value: &Value, at: &str, member: &str) -> Option<String> {
        match value.get(member) {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) => Some(clean(text)),
            Some(other) => {
                self.fault(format!(
                    "{at}.{member} must be a string, not {}",
                    kind_of(other)
                ));
                None
            }
        }
    }

    fn flag(&mut self, members: &Map<String, Value>, at: &str, member: &str) -> Option<bool> {
        match members.get(member) {
            None | Some(Value::Null) => None,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(other) => {
                self.fault(format!(
                    "{at}.{member} must be true or false, not {}",
                    kind_of(other)
                ));
                None
            }
        }
    }

    fn count(&mut self, members: &Map<String, Value>, at: &str, member: &str) -> Option<usize> {
        let value = members.get(member).filter(|value| !value.is_null())?;
        match value.as_u64().and_then(|count| usize::try_from(count).ok()) {
            Some(count) => Some(count),
            None => {
                self.fault(format!("{at}.{member} {value} must be a whole number"));
                None
            }
        }
    }

    fn words(
        &mut self,
        members: &Map<String, Value>,
        at: &str,
        member: &str,
    ) -> Option<Vec<String>> {
        let value = members.get(member).filter(|value| !value.is_null())?;
        let words: Option<Vec<String>> = value.as_array().and_then(|words| {
            words
                .iter()
                .map(|word| word.as_str().map(str::to_owned))
                .collect()
        });
        if words.is_none() {
            self.fault(format!("{at}.{member} must be an array of strings"));
        }
        words
    }

    fn object(&mut self, members: &Map<String, Value>, at: &str, member: &str) -> Option<Value> {
        let value = members.get(member).filter(|value| !value.is_null())?;
        if !value.is_object() {
            self.fault(format!(
                "{at}.{member} must be an object, not {}",
                kind_of(value)
            ));
        }
        Some(value.clone())
    }

    fn choice<T: Copy>(
        &mut self,
        value: &Value,
        at: &str,
        member: &str,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        let Some(given) = self.text(value, at, member) else {
            return default;
        };
        if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == given) {
            return *choice;
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        self.fault(format!(
            "{at}.{member} '{given}' is not one of {}",
            names.join(", ")
        ));
        default
    }
}

/// Whether two spellings are one name: `-` and `_` are not told apart.
pub fn same_name(one: &str, other: &str) -> bool {
    one.len() == other.len()
        && one
            .bytes()
            .zip(other.bytes())
            .all(|(a, b)| a == b || (matches!(a, b'-' | b'_') && matches!(b, b'-' | b'_')))
}

/// Variables that a call must not set: they would change how the program is run or what it is told of the call.
fn is_reserved_variable(name: &str) -> bool {
    let prefixes = ["LD_", "DYLD_", "PYTHON", "SMCP_", "MCP_API_KEY", "LISTEN_"];
    matches!(name, "PATH" | "BASH_ENV" | "ENV" | "IFS" | "NOTIFY_SOCKET")
        || prefixes.iter().any(|prefix| name.starts_with(prefix))
}

fn keywords(members: &Map<String, Value>, kind: &str) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), kind.into());
    for (name, value) in members {
        let own = OWN_MEMBERS.contains(&name.as_str()) || name == "type";
        if !own && !(name == "default" && value.is_null()) {
            schema.insert(name.clone(), cleaned(value));
        }
    }
    schema
}

fn cleaned(value: &Value) -> Value {
    match value {
        Value::String(text) => clean(text).into(),
        Value::Array(items) => items.iter().map(cleaned).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (clean(name), cleaned(value)))
            .collect::<Map<_, _>>()
            .into(),
        other => other.clone(),
    }
}

/// What a value is, for a message.
pub fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
