//! The catalogue of tools: the face of the plugin floor.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::call::{CallError, CallRequest, ToolResult};
use super::process::Launcher;

/// Where plugins come from and how they run.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory that is scanned; `None` serves the embedded demo plugins.
    pub directory: Option<PathBuf>,
    /// `MCP_PYTHON`: the interpreter for every plugin.
    pub python: Option<PathBuf>,
    /// What plugins inherit: the server's environment without its own secrets.
    pub environment: Vec<(OsString, OsString)>,
    /// The time limit of a call; a command's own smaller one wins.
    pub time_limit: Option<Duration>,
    /// Calls that run at once; more wait in a bounded queue.
    pub max_calls: usize,
    /// How long a plugin may take to describe itself.
    pub describe_limit: Duration,
}

/// The tools of one moment. Immutable: a reload replaces it whole.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// In the fixed order: plugin name, then the order of the plugin's description.
    pub tools: Vec<Arc<Tool>>,
    /// The plugins that were loaded, by name.
    pub plugins: Vec<PluginInfo>,
    /// What was passed over, and why.
    pub skipped: Vec<Skipped>,
    /// Whether every plugin has answered or timed out.
    pub complete: bool,
    /// The tools by their exact name.
    by_name: HashMap<String, Arc<Tool>>,
}

/// One plugin as the start lines and `health` show it.
#[derive(Debug, Clone)]
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
#[derive(Debug, Clone)]
pub struct Skipped {
    /// `plugin` or `plugin__command`.
    pub name: String,
    /// What is wrong, which value, what to do.
    pub reason: String,
}

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
    pub input_schema: serde_json::Value,
    // … what a call needs, private to the floor
}

/// The catalogue: cheap to clone, shared by all sessions.
#[derive(Debug, Clone)]
pub struct Catalog {}

impl Catalog {
    /// Begins to find and ask plugins; returns at once. `stop` ends the asking.
    pub fn start(settings: Settings, launcher: Launcher, stop: CancellationToken) -> Self {
        let _ = (settings, launcher, stop);
        Self {}
    }

    /// The tools of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::default()
    }

    /// Changes whenever a new snapshot is in place.
    pub fn changes(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    /// Asks every plugin again, in the background.
    pub fn reload(&self) {}

    /// Waits until every plugin has answered or timed out.
    pub async fn complete(&self) {}

    /// Runs one call of one tool: schema, place in the queue, process, output.
    pub async fn call(
        &self,
        tool: &Arc<Tool>,
        request: CallRequest,
    ) -> Result<ToolResult, CallError> {
        let _ = (tool, request);
        Err(CallError::Cancelled)
    }
}

impl Snapshot {
    /// The tool that `name` means: the exact name, then `plugin.command`, then `plugin_command` where only one can be meant.
    pub fn resolve(&self, name: &str) -> Result<Arc<Tool>, CallError> {
        self.by_name
            .get(name)
            .cloned()
            .ok_or_else(|| CallError::InvalidToolName(name.to_owned()))
    }
}
