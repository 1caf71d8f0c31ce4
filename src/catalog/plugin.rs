//! One plugin ready to be served: its tools, its resources, its prompts, and what running them needs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::call::command::Runnable;
use crate::contract::schema::{self, Schema};
use crate::contract::{Command, Offer, OfferKind, ToolName};
use crate::discovery::describe::Described;
use crate::discovery::scan::{Found, Program};
use crate::text::shown;

/// The longest tool name that clients accept.
const MAX_NAME: usize = 64;

/// The longest tool name that Letta accepts.
const MAX_NAME_FOR_LETTA: usize = 48;

/// The names of the tools that the server itself has.
pub const BUILT_IN: [&str; 2] = [HEALTH, GOVERNOR];

/// The built-in tool that says how the server is.
pub const HEALTH: &str = "health";

/// The built-in tool that attaches and detaches others.
pub const GOVERNOR: &str = "sanctum__tools";

/// One tool as clients see it and as calls need it.
#[derive(Debug)]
pub struct Tool {
    /// The name clients call it by.
    pub name: String,
    /// The plugin that serves it.
    pub plugin: String,
    /// Its `tools/list` entry, serialised once: name, title, description, inputSchema, outputSchema, annotations, icons, _meta.
    pub definition: Box<RawValue>,
    /// The input schema as a value (header checks read `x-mcp-header` from it).
    pub input_schema: Value,
    /// What a call needs.
    pub(super) run: Arc<Runnable>,
}

/// One resource, resource template, prompt or completion.
#[derive(Debug)]
pub struct Offering {
    /// The plugin that serves it.
    pub plugin: String,
    /// The address, the template or the prompt's name; of a completion, what it refers to.
    pub key: String,
    /// What it is.
    pub kind: OfferKind,
    /// Its entry in the list of its kind, serialised once; `null` for a completion.
    pub definition: Box<RawValue>,
    /// The media type that it declares, for contents that are plain text.
    pub mime_type: Option<String>,
    pub(super) run: Arc<Runnable>,
    /// Whether the command is declared, so that it takes its own arguments alone.
    pub(super) is_declared: bool,
}

/// One plugin as the start lines and `health` show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    /// The directory's name: the namespace of its tools.
    pub name: String,
    /// Its directory.
    pub directory: PathBuf,
    /// The real interpreter that runs it, or the executable itself.
    pub interpreter: PathBuf,
    /// How its tools became known: `describe`, `introspection` or `help`.
    pub source: &'static str,
    /// How many tools it gives.
    pub tools: usize,
    /// Warnings that its author should read.
    pub warnings: Vec<String>,
}

/// One plugin, or one command of it, that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// `plugin` or `plugin__command`.
    pub name: String,
    /// What is wrong, which value, what to do.
    pub reason: String,
}

/// All that one plugin gives.
#[derive(Debug)]
pub struct Plugin {
    /// For people.
    pub info: PluginInfo,
    /// In the order of its description.
    pub tools: Vec<Arc<Tool>>,
    /// In the order of its description.
    pub offerings: Vec<Arc<Offering>>,
    /// Commands that are not served.
    pub skipped: Vec<Skipped>,
}

impl Plugin {
    /// Makes a plugin of what it answered.
    ///
    /// # Errors
    /// Schemas that are none, each with the address of its field.
    pub fn new(found: &Found, described: Described) -> Result<Self, Vec<String>> {
        let mut building = Building {
            found,
            start: described.start,
            plugin_limit: described.description.max_concurrency,
            about: described.description.about.clone(),
            warnings: described.description.warnings,
            faults: Vec::new(),
        };
        let refused = described.description.refused.into_iter();
        let mut skipped: Vec<Skipped> = refused
            .map(|(command, reason)| Skipped {
                name: format!("{}__{command}", found.name),
                reason,
            })
            .collect();
        let runs: Vec<Arc<Runnable>> = described
            .description
            .commands
            .into_iter()
            .filter_map(|command| building.runnable(command))
            .collect();
        let mut tools = Vec::new();
        for run in &runs {
            match building.tool(run) {
                Ok(tool) => tools.extend(tool.map(Arc::new)),
                Err(refused) => skipped.push(refused),
            }
        }
        let offers = described.description.offers.into_iter();
        let offerings = offers
            .filter_map(|offer| building.offering(offer, &runs))
            .map(Arc::new)
            .collect();
        if !building.faults.is_empty() {
            return Err(building.faults);
        }
        let (Program::Python(program) | Program::Executable(program)) = &found.program;
        let interpreter = if building.start.len() > 1 {
            PathBuf::from(&building.start[0])
        } else {
            program.clone()
        };
        Ok(Self {
            info: PluginInfo {
                name: found.name.clone(),
                directory: found.directory.clone(),
                interpreter,
                source: described.source,
                tools: tools.len(),
                warnings: building.warnings,
            },
            tools,
            offerings,
            skipped,
        })
    }
}

struct Building<'a> {
    found: &'a Found,
    start: Vec<OsString>,
    plugin_limit: Option<usize>,
    about: String,
    warnings: Vec<String>,
    faults: Vec<String>,
}

impl Building<'_> {
    fn runnable(&mut self, command: Command) -> Option<Arc<Runnable>> {
        let input = schema::of_input(&command);
        let output = schema::of_output(&command);
        match (input, output) {
            (Ok(input), Ok(output)) => Some(Arc::new(self.run_of(command, input, output))),
            (input, output) => {
                self.faults
                    .extend(input.err().into_iter().chain(output.err()).flatten());
                None
            }
        }
    }

    fn run_of(&self, command: Command, input: Schema, output: Option<Schema>) -> Runnable {
        Runnable {
            plugin: self.found.name.clone(),
            directory: self.found.directory.clone(),
            start: self.start.clone(),
            plugin_limit: self.plugin_limit,
            command,
            input,
            output,
        }
    }

    fn tool(&mut self, run: &Arc<Runnable>) -> Result<Option<Tool>, Skipped> {
        let name = match &run.command.tool {
            ToolName::None => return Ok(None),
            ToolName::Exact(name) => name.clone(),
            ToolName::Derived => format!("{}__{}", self.found.name, run.command.name),
        };
        if let Some(reason) = fault_of_name(&name) {
            return Err(Skipped {
                name: shown(&name, 100),
                reason,
            });
        }
        if name.len() > MAX_NAME_FOR_LETTA {
            self.warnings.push(format!(
                "the name {name} has {} characters; Letta refuses names over {MAX_NAME_FOR_LETTA}",
                name.len()
            ));
        }
        Ok(Some(Tool {
            definition: definition(&name, &self.found.name, &self.about, run),
            input_schema: run.input.value.clone(),
            plugin: self.found.name.clone(),
            run: Arc::clone(run),
            name,
        }))
    }

    fn offering(&mut self, offer: Offer, runs: &[Arc<Runnable>]) -> Option<Offering> {
        let declared = runs
            .iter()
            .find(|run| run.command.name == offer.command)
            .map(Arc::clone);
        let is_declared = declared.is_some();
        let run = match declared {
            Some(run) => run,
            None => {
                let open = Schema::compile(json!({"type": "object"}));
                let open = open
                    .map_err(|fault| self.faults.push(format!("{} {fault}", offer.address)))
                    .ok()?;
                Arc::new(self.run_of(Command::undeclared(&offer.command), open, None))
            }
        };
        Some(Offering {
            plugin: self.found.name.clone(),
            definition: to_raw_value(&offer.definition).expect("a JSON value is JSON"),
            key: offer.key,
            kind: offer.kind,
            mime_type: offer.mime_type,
            run,
            is_declared,
        })
    }
}

fn fault_of_name(name: &str) -> Option<String> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    let length = name.chars().count();
    if length > MAX_NAME {
        Some(format!(
            "its tool name has {length} characters; clients accept at most {MAX_NAME}"
        ))
    } else if !name.chars().all(allowed) {
        Some("its tool name has characters other than a-z, A-Z, 0-9, '_', '-' and '.'".to_owned())
    } else if BUILT_IN.contains(&name) {
        Some("its tool name is that of a built-in tool; rename the command".to_owned())
    } else {
        None
    }
}

fn definition(name: &str, plugin: &str, about: &str, run: &Runnable) -> Box<RawValue> {
    let command = &run.command;
    let mut entry = Map::new();
    entry.insert("name".to_owned(), name.into());
    if let Some(title) = &command.title {
        entry.insert("title".to_owned(), title.as_str().into());
    }
    entry.insert(
        "description".to_owned(),
        description(plugin, about, command).into(),
    );
    entry.insert("inputSchema".to_owned(), run.input.value.clone());
    if let Some(output) = &run.output {
        entry.insert("outputSchema".to_owned(), output.value.clone());
    }
    for (member, value) in &command.passed_on {
        entry.insert((*member).to_owned(), value.clone());
    }
    to_raw_value(&entry).expect("a JSON value is JSON")
}

/// The description, with what a schema that every client accepts cannot say. Never empty: clients ask for one.
fn description(plugin: &str, about: &str, command: &Command) -> String {
    let mut text = match (command.description.as_str(), about) {
        ("", "") => format!("Runs {} of {plugin}.", command.name),
        ("", about) => format!("{} of {plugin}: {about}", command.name),
        (own, _) => own.to_owned(),
    };
    for group in &command.one_of {
        let names = group.names.join(", ");
        let sentence = if group.required {
            format!("Give exactly one of {names}.")
        } else {
            format!("Give at most one of {names}.")
        };
        if !text.ends_with(['.', '!', '?']) {
            text.push('.');
        }
        text.push(' ');
        text.push_str(&sentence);
    }
    text
}
