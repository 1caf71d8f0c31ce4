//! One plugin ready to be served: its tools, its resources, its prompts, and what running them needs.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use serde_json::value::RawValue;

use crate::call::command::Runnable;
use crate::contract::{Detach, OfferKind, Prints};
use crate::discovery::Class;
use crate::discovery::cache::Content;

/// The server's own tool that says how it is.
pub const HEALTH_TOOL: &str = "health";

/// The server's own tool that says and changes which tools an agent sees.
pub const GOVERNOR_TOOL: &str = "sanctum__tools";

/// The names that no plugin's tool can have, because the server's own tools have them.
pub const BUILT_IN: [&str; 2] = [HEALTH_TOOL, GOVERNOR_TOOL];

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

impl Tool {
    /// The first of the words that select its command; `None` where the program itself is the command.
    pub fn selector(&self) -> Option<&str> {
        self.run.command.invoke.first().map(String::as_str)
    }

    /// Where its command stands in the description of its plugin.
    pub fn address(&self) -> &str {
        &self.run.command.address
    }

    /// From when on a call of it may outlive its client.
    pub fn detach(&self) -> Detach {
        self.run.command.detach
    }

    /// Whether a client must hold a task for each call.
    pub fn requires_task(&self) -> bool {
        self.run.command.requires_task
    }

    /// Whether a client may hold a task for a call.
    pub fn may_be_a_task(&self) -> bool {
        self.detach() != Detach::Never || self.requires_task()
    }

    /// Whether its author says what it does.
    pub fn is_described(&self) -> bool {
        !self.run.command.description.is_empty()
    }
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
    /// What its command prints, where the description says it.
    pub prints: Option<Prints>,
    pub(super) run: Arc<Runnable>,
    /// Whether the command is declared, so that it takes its own arguments alone.
    pub(super) is_declared: bool,
}

/// A program that runs for as long as its plugin is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The plugin's name.
    pub plugin: String,
    /// By which it is told from the plugin's others.
    pub name: String,
    /// The plugin's directory.
    pub directory: PathBuf,
    /// The whole command line.
    pub argv: Vec<OsString>,
    /// What the plugin's programs were made of when it was asked.
    pub content: Arc<Content>,
}

impl Service {
    /// What is another than `before`, in words, if this one has to take its place.
    pub fn changed_since(&self, before: &Self) -> Option<String> {
        if (&self.directory, &self.argv) != (&before.directory, &before.argv) {
            return Some("its command line has changed".to_owned());
        }
        let file = self.content.changed_since(&before.content)?;
        Some(format!("{file} has changed"))
    }
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
    /// The class of the reason; `None` for a part of a plugin that is served.
    pub class: Option<Class>,
}

/// All that one plugin gives.
#[derive(Debug, Clone)]
pub struct Plugin {
    /// For people.
    pub info: PluginInfo,
    /// In the order of its description.
    pub tools: Vec<Arc<Tool>>,
    /// In the order of its description.
    pub offerings: Vec<Arc<Offering>>,
    /// Commands that are not served.
    pub skipped: Vec<Skipped>,
    /// In the order of its description.
    pub services: Vec<Arc<Service>>,
    /// The lock on the environment that runs it, for as long as it is served.
    pub(super) _held: Option<Arc<File>>,
}

impl Plugin {
    /// The same plugin with one more warning.
    pub fn with_warning(&self, warning: String) -> Self {
        let mut warned = self.clone();
        warned.info.warnings.push(warning);
        warned
    }
}
