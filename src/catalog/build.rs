//! One plugin made of what it answered: schemas compiled, tools named, definitions written once.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::plugin::{BUILT_IN, Offering, Plugin, PluginInfo, Service, Skipped, Tool};
use crate::call::command::Runnable;
use crate::contract;
use crate::contract::client_schema::{complete_for_clients, with_objects_for_properties};
use crate::contract::portable::portable;
use crate::contract::schema::{self, Schema};
use crate::contract::{Command, Faults, Offer, ToolName};
use crate::discovery::cache::Content;
use crate::discovery::describe::Described;
use crate::discovery::scan::{Found, Program};
use crate::text::shown;

/// The longest tool name that clients accept.
const MAX_NAME: usize = 64;

/// The longest tool name that Letta accepts.
const MAX_NAME_FOR_LETTA: usize = 48;

impl Plugin {
    /// Makes a plugin of what it answered.
    ///
    /// # Errors
    /// Schemas that are none, each with the address of its field.
    pub fn new(found: &Found, described: Described) -> Result<Self, Faults> {
        let warm_question = warm_question(found, &described);
        let mut building = Building {
            found,
            start: described.start,
            plugin_limit: described.description.max_concurrency,
            warm_question,
            held: described.held,
            about: described.description.about.clone(),
            warnings: described.description.warnings,
            faults: Faults::default(),
        };
        let refused = described.description.refused.into_iter();
        let mut skipped: Vec<Skipped> = refused
            .map(|(command, reason)| Skipped {
                name: format!("{}__{command}", found.name),
                reason,
                class: None,
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
        let mut by_name = HashMap::new();
        for run in &runs {
            by_name.entry(run.command.name.as_str()).or_insert(run);
        }
        let offers = described.description.offers.into_iter();
        let offerings = offers
            .filter_map(|offer| building.offering(offer, &by_name))
            .map(Arc::new)
            .collect();
        if !building.faults.is_empty() {
            return Err(building.faults);
        }
        let (Program::Python(program) | Program::Executable(program)) = &found.program;
        let services = building.services(described.description.services);
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
            services,
            _held: building.held,
        })
    }
}

struct Building<'a> {
    found: &'a Found,
    start: Vec<OsString>,
    plugin_limit: Option<usize>,
    /// As [`Runnable`] has it, where its description leaves it to the commands.
    warm_question: Option<&'static str>,
    held: Option<Arc<File>>,
    about: String,
    warnings: Vec<String>,
    faults: Faults,
}

impl Building<'_> {
    fn runnable(&mut self, command: Command) -> Option<Arc<Runnable>> {
        let input = schema::of_input(&command);
        let output = schema::of_output(&command);
        match (input, output) {
            (Ok(input), Ok(output)) => Some(Arc::new(self.run_of(command, input, output))),
            (input, output) => {
                let faults = [input.err(), output.err()];
                faults
                    .into_iter()
                    .flatten()
                    .for_each(|more| self.faults.append(more));
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
            warm_question: self.warm_question.filter(|_| command.warm),
            held: self.held.clone(),
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
                class: None,
                reason: match &run.command.tool {
                    ToolName::Exact(_) => format!(
                        "{reason}; it is that of the command {} of the plugin {}",
                        run.command.name, self.found.name
                    ),
                    ToolName::Derived | ToolName::None => reason,
                },
            });
        }
        if name.len() > MAX_NAME_FOR_LETTA {
            self.warnings.push(format!(
                "the name {name} has {} characters, and Letta refuses names over {MAX_NAME_FOR_LETTA}; shorten the \
                 command's name or the directory's",
                name.len()
            ));
        }
        let shown = run.output.as_ref().and_then(|schema| {
            let shown = portable(schema.value.clone());
            shown
                .map_err(|fault| self.warnings.push(unshown(run, &fault)))
                .ok()
        });
        Ok(Some(Tool {
            definition: definition(&name, &self.found.name, &self.about, run, shown),
            input_schema: run.input.value.clone(),
            plugin: self.found.name.clone(),
            run: Arc::clone(run),
            name,
        }))
    }

    fn services(&self, declared: Vec<contract::Service>) -> Vec<Arc<Service>> {
        if declared.is_empty() {
            return Vec::new();
        }
        let content = Arc::new(Content::of(self.found));
        let service = |declared: contract::Service| {
            let words = declared.words.into_iter().map(OsString::from);
            Arc::new(Service {
                plugin: self.found.name.clone(),
                name: declared.name,
                directory: self.found.directory.clone(),
                argv: self.start.iter().cloned().chain(words).collect(),
                content: Arc::clone(&content),
            })
        };
        declared.into_iter().map(service).collect()
    }

    fn offering(&mut self, offer: Offer, runs: &HashMap<&str, &Arc<Runnable>>) -> Option<Offering> {
        let declared = runs.get(offer.command.as_str());
        let is_declared = declared.is_some();
        let run = match declared {
            Some(run) => Arc::clone(run),
            None => {
                let open = Schema::compile(json!({"type": "object"}));
                let open = open
                    .map_err(|fault| self.faults.add(&format!("{} {fault}", offer.address)))
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
            prints: offer.prints,
            run,
            is_declared,
        })
    }
}

/// What a Python program can be asked without any other effect: `--describe`, if it answers that. One that is known by
/// its parser or its help may do its work whatever it is asked.
fn warm_question(found: &Found, described: &Described) -> Option<&'static str> {
    let is_python = matches!(found.program, Program::Python(_)) && described.start.len() == 2;
    let knows = described.source == "describe";
    (is_python && knows && described.description.warm).then_some("--describe")
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

fn unshown(run: &Runnable, fault: &str) -> String {
    format!(
        "{}.output_schema {}, which some clients cannot read; it is not shown to any, and results are still held against it",
        run.command.address,
        shown(fault, 200)
    )
}

fn definition(
    name: &str,
    plugin: &str,
    about: &str,
    run: &Runnable,
    output: Option<Value>,
) -> Box<RawValue> {
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
    let schema = run.input.value.clone();
    // A whole schema is its author's word; one made of parameters is ours.
    let schema = match &command.input_schema {
        Some(_) => schema,
        None => complete_for_clients(schema),
    };
    entry.insert(
        "inputSchema".to_owned(),
        with_objects_for_properties(schema),
    );
    if let Some(output) = output {
        entry.insert(
            "outputSchema".to_owned(),
            with_objects_for_properties(output),
        );
    }
    for (member, value) in &command.passed_on {
        entry.insert((*member).to_owned(), value.clone());
    }
    to_raw_value(&entry).expect("a JSON value is JSON")
}

/// The description, with what a schema that every client accepts cannot say. Never empty: clients ask for one.
fn description(plugin: &str, about: &str, command: &Command) -> String {
    let mut text = match (command.description.as_str(), about) {
        ("", "") => format!("Execute {plugin} {} command", command.name),
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
