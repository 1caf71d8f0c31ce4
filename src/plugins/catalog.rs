//! The catalogue of tools: the face of the plugin floor. Knows no protocol.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::argv::{self, Unwritable};
use super::call::{CallError, CallRequest, ClientCapabilities, ToolResult};
pub use super::contract::Family;
use super::contract::{self, Command, ToolName};
use super::discover::{self, Answered, Asker, Found};
use super::interpreter::Interpreters;
use super::output::{self, Limits};
use super::process::{Finished, Job, Launcher, StartError, Taps};
use super::queue::Queue;
use super::schema::{self, Schema};
use super::{embedded, events};

/// The most that a call may print, in bytes.
const MAX_OUTPUT: usize = 16 << 20;
/// The end of stderr that is kept, in bytes.
const STDERR_TAIL: usize = 64 << 10;
/// The longest tool name.
const MAX_NAME: usize = 64;
/// Names of the server's own tools.
const BUILT_IN: [&str; 2] = ["health", "sanctum__tools"];
/// What a closed events channel may still hold when the program has ended is read for this long.
const LAST_EVENTS: Duration = Duration::from_secs(1);

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
    /// Prompts, resources, templates and completions, in the same order.
    pub served: Vec<Arc<Served>>,
    /// The plugins that were loaded, by name.
    pub plugins: Vec<PluginInfo>,
    /// What was passed over, and why.
    pub skipped: Vec<Skipped>,
    /// Whether every plugin has answered or timed out.
    pub complete: bool,
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
    /// For people and models.
    pub description: String,
    /// Its `tools/list` entry, serialised once.
    pub definition: Box<RawValue>,
    /// The input schema as a value.
    pub input_schema: Value,
    /// The client capabilities that it needs.
    pub requires: Vec<String>,
    runnable: Runnable,
}

/// A prompt, resource, template or completion.
#[derive(Debug)]
pub struct Served {
    /// Which of them.
    pub family: Family,
    /// The name of a prompt, the URI of a resource, the template of a template; for completions the
    /// name or URI they are for.
    pub key: String,
    /// For completions: the one argument they are for.
    pub argument: Option<String>,
    /// The plugin that serves it.
    pub plugin: String,
    /// Its list entry as the plugin wrote it.
    pub definition: Map<String, Value>,
    runnable: Runnable,
}

/// A command and all that is needed to run it.
#[derive(Debug)]
struct Runnable {
    command: Command,
    schema: Schema,
    output_schema: Option<jsonschema::Validator>,
    program: Vec<OsString>,
    directory: PathBuf,
    own_places: Option<Arc<Semaphore>>,
}

/// The catalogue: cheap to clone, shared by all sessions.
#[derive(Debug, Clone)]
pub struct Catalog(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: Settings,
    launcher: Launcher,
    asker: Asker,
    queue: Queue,
    current: ArcSwap<Snapshot>,
    changed: watch::Sender<u64>,
    reload: tokio::sync::Notify,
    stop: CancellationToken,
    /// Keeps the unpacked demo plugins for as long as they are served.
    demo: Mutex<Option<tempfile::TempDir>>,
}

impl Catalog {
    /// Begins to find and ask plugins; returns at once. `stop` ends the asking.
    pub fn start(settings: Settings, launcher: Launcher, stop: CancellationToken) -> Self {
        let asker = Asker {
            launcher: launcher.clone(),
            interpreters: Interpreters::new(
                launcher.clone(),
                settings.python.clone(),
                settings.environment.clone(),
            ),
            environment: settings.environment.clone(),
            limit: settings.describe_limit,
        };
        let catalog = Self(Arc::new(Inner {
            queue: Queue::new(settings.max_calls),
            settings,
            launcher,
            asker,
            current: ArcSwap::default(),
            changed: watch::Sender::new(0),
            reload: tokio::sync::Notify::new(),
            stop,
            demo: Mutex::default(),
        }));
        let loading = catalog.clone();
        tokio::spawn(async move { loading.keep_loaded().await });
        catalog
    }

    /// The tools of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.0.current.load_full()
    }

    /// Changes whenever a new snapshot is in place.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Asks every plugin again, in the background.
    pub fn reload(&self) {
        self.0.reload.notify_one();
    }

    /// Waits until every plugin has answered or timed out.
    pub async fn complete(&self) {
        let mut changes = self.changes();
        while !self.snapshot().complete {
            // The sender lives as long as the catalogue, which is here.
            let _ = changes.changed().await;
        }
    }

    /// Runs one call of one tool: schema, place in the queue, process, output.
    pub async fn call(
        &self,
        tool: &Arc<Tool>,
        request: CallRequest,
    ) -> Result<ToolResult, CallError> {
        let missing = missing_capabilities(&tool.requires, request.caller.capabilities);
        if !missing.is_empty() {
            return Err(CallError::MissingCapability {
                tool: tool.name.clone(),
                missing: missing.join(", "),
            });
        }
        let runnable = &tool.runnable;
        let (finished, limits) = self.run(&tool.name, runnable, request).await?;
        output::result(
            &tool.name,
            &runnable.command,
            runnable.output_schema.as_ref(),
            &limits,
            &finished,
        )
    }

    /// Runs the command that serves a prompt, resource, template or completion, and gives its stdout.
    pub async fn serve(
        &self,
        served: &Arc<Served>,
        request: CallRequest,
    ) -> Result<String, CallError> {
        let name = format!("{}:{}", served.plugin, served.runnable.command.name);
        let text_only = Command {
            output: contract::Output::Text,
            ..served.runnable.command.clone()
        };
        let (finished, limits) = self.run(&name, &served.runnable, request).await?;
        let result = output::result(&name, &text_only, None, &limits, &finished)?;
        let blocks: Vec<Value> = serde_json::from_str(result.content.get()).unwrap_or_default();
        Ok(blocks
            .first()
            .and_then(|block| block["text"].as_str())
            .unwrap_or_default()
            .to_owned())
    }

    async fn run(
        &self,
        name: &str,
        runnable: &Runnable,
        request: CallRequest,
    ) -> Result<(Finished, Limits), CallError> {
        let invalid = |faults| CallError::InvalidArguments {
            tool: name.to_owned(),
            faults,
        };
        let arguments = runnable
            .schema
            .check(&runnable.command, request.arguments.as_deref())
            .map_err(invalid)?;
        let line =
            argv::write(&runnable.command, &arguments).map_err(|unwritable| match unwritable {
                Unwritable::Value(fault) => invalid(vec![fault]),
                Unwritable::TooLarge(why) => CallError::ArgumentsTooLarge(why),
            })?;
        let _place = self
            .0
            .queue
            .enter(
                &request.caller.session_id,
                runnable.own_places.as_ref(),
                &request.cancel,
            )
            .await?;
        let time = [self.0.settings.time_limit, runnable.command.timeout]
            .into_iter()
            .flatten()
            .min();
        let (ours, theirs) = match &request.events {
            Some(_) => events::channel()
                .map(|(ours, theirs)| (Some(ours), Some(theirs)))
                .map_err(|error| {
                    CallError::SpawnFailed(format!("cannot make an events channel: {error}"))
                })?,
            None => (None, None),
        };
        let job = Job {
            argv: runnable
                .program
                .iter()
                .cloned()
                .chain(line.words.into_iter().map(OsString::from))
                .collect(),
            environment: self.environment(name, runnable, &request, line.environment),
            directory: None,
            stdin: line.stdin,
            time_limit: time,
            stdout_limit: MAX_OUTPUT,
            stderr_tail: STDERR_TAIL,
        };
        let (lines, mut stderr) = tokio::sync::mpsc::channel(256);
        let taps = Taps {
            events: theirs,
            stderr_lines: Some(lines),
        };
        let told = request.events.clone();
        let telling = async {
            while let Some(line) = stderr.recv().await {
                tracing::debug!(tool = name, "stderr: {line}");
                if let (Some(events), Ok(data)) = (&told, to_raw_value(&line)) {
                    let _ = events
                        .send(super::call::Event::Log {
                            level: "debug".to_owned(),
                            data,
                        })
                        .await;
                }
            }
        };
        let ended = CancellationToken::new();
        let passing = async {
            if let (Some(channel), Some(events)) = (ours, request.events) {
                tokio::select! {
                    () = events::pass_on(channel, events, name) => {}
                    () = async { ended.cancelled().await; tokio::time::sleep(LAST_EVENTS).await } => {}
                }
            }
        };
        let running = async {
            let finished = self.0.launcher.run(job, taps, request.cancel).await;
            ended.cancel();
            finished
        };
        let (finished, (), ()) = tokio::join!(running, passing, telling);
        let limits = Limits {
            time,
            stdout: MAX_OUTPUT,
        };
        finished
            .map(|finished| (finished, limits))
            .map_err(|error| match error {
                StartError::TooLarge => CallError::ArgumentsTooLarge(error.to_string()),
                other => CallError::SpawnFailed(other.to_string()),
            })
    }

    fn environment(
        &self,
        name: &str,
        runnable: &Runnable,
        request: &CallRequest,
        own: Vec<(String, String)>,
    ) -> Vec<(OsString, OsString)> {
        let caller = &request.caller;
        let mut environment: BTreeMap<OsString, OsString> =
            self.0.settings.environment.iter().cloned().collect();
        let mut set = |name: &str, value: &str| environment.insert(name.into(), value.into());
        for (name, value) in caller.environment.iter().chain(&own) {
            set(name, value);
        }
        set("SMCP_CALL_ID", &caller.call_id);
        set("SMCP_TOOL", name);
        set("SMCP_SESSION_ID", &caller.session_id);
        set(
            "SMCP_AGENT_ID",
            caller.agent_id.as_deref().unwrap_or_default(),
        );
        set("SMCP_CLIENT", &caller.client);
        if request.events.is_some() {
            set("SMCP_EVENTS", "3");
        }
        environment.extend(discover::standing(&runnable.directory));
        environment.into_iter().collect()
    }

    async fn keep_loaded(&self) {
        loop {
            self.load().await;
            tokio::select! {
                () = self.0.stop.cancelled() => return,
                () = self.0.reload.notified() => {}
            }
        }
    }

    /// Asks all plugins. At the start their tools appear as they answer; a later round replaces the
    /// catalogue when it is whole.
    async fn load(&self) {
        let first = !self.snapshot().complete;
        let (found, refused) = match self
            .directory()
            .and_then(|directory| discover::find(&directory))
        {
            Ok(found) => found,
            Err(reason) => {
                tracing::error!("no plugin is served: {reason}");
                (Vec::new(), Vec::new())
            }
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let places = Arc::new(Semaphore::new(cores));
        let mut asked = tokio::task::JoinSet::new();
        for plugin in found {
            let (catalog, places) = (self.clone(), Arc::clone(&places));
            asked.spawn(async move { catalog.ask(plugin, &places).await });
        }
        let mut answers: BTreeMap<String, Result<Answered, String>> = refused
            .into_iter()
            .map(|(name, reason)| (name, Err(reason)))
            .collect();
        let mut published = tokio::time::Instant::now();
        while let Some(answer) = asked.join_next().await {
            if let Ok((name, answer)) = answer {
                answers.insert(name, answer);
            }
            // Not after each of 500.
            if first && !asked.is_empty() && published.elapsed() > Duration::from_millis(100) {
                self.publish(&answers, false);
                published = tokio::time::Instant::now();
            }
        }
        self.publish(&answers, true);
    }

    async fn ask(&self, plugin: Found, places: &Semaphore) -> (String, Result<Answered, String>) {
        let name = plugin.name.clone();
        // A plugin that hangs must not hold the place of others for all of its time.
        let place = places.acquire().await.expect("the places are never closed");
        let asking = self.0.asker.ask(plugin, &self.0.stop);
        tokio::pin!(asking);
        let answer = tokio::select! {
            answer = &mut asking => answer,
            () = tokio::time::sleep(Duration::from_millis(500)) => {
                drop(place);
                asking.await
            }
        };
        (name, answer)
    }

    fn directory(&self) -> Result<PathBuf, String> {
        if let Some(directory) = &self.0.settings.directory {
            return Ok(directory.clone());
        }
        let mut demo = self.demo();
        if demo.is_none() {
            *demo = Some(
                embedded::unpack()
                    .map_err(|error| format!("cannot unpack the demo plugins: {error}"))?,
            );
        }
        Ok(demo
            .as_ref()
            .map(|demo| demo.path().to_owned())
            .unwrap_or_default())
    }

    fn demo(&self) -> MutexGuard<'_, Option<tempfile::TempDir>> {
        self.0
            .demo
            .lock()
            .expect("no code that holds this lock can panic")
    }

    fn publish(&self, answers: &BTreeMap<String, Result<Answered, String>>, complete: bool) {
        let snapshot = Snapshot::build(answers, complete);
        if complete {
            for skipped in &snapshot.skipped {
                tracing::warn!(name = skipped.name, "not served: {}", skipped.reason);
            }
        }
        self.0.current.store(Arc::new(snapshot));
        self.0.changed.send_modify(|generation| *generation += 1);
    }
}

fn missing_capabilities(required: &[String], declared: ClientCapabilities) -> Vec<&str> {
    let has = |name: &str| match name {
        "elicitation" => declared.elicitation,
        "sampling" => declared.sampling,
        _ => declared.roots,
    };
    required
        .iter()
        .map(String::as_str)
        .filter(|name| !has(name))
        .collect()
}

impl Snapshot {
    /// The tool that `name` means: the exact name, then `plugin.command`, then `plugin_command` where only one can be meant.
    pub fn resolve(&self, name: &str) -> Result<Arc<Tool>, CallError> {
        if let Some(tool) = self.by_name.get(name) {
            return Ok(Arc::clone(tool));
        }
        if let Some((plugin, command)) = name.split_once('.')
            && let Some(tool) = self.by_name.get(&format!("{plugin}__{command}"))
        {
            return Ok(Arc::clone(tool));
        }
        let mut meant = self
            .tools
            .iter()
            .filter(|tool| tool.name.replacen("__", "_", 1) == name);
        if let (Some(tool), None) = (meant.next(), meant.next()) {
            return Ok(Arc::clone(tool));
        }
        Err(self.unknown(name))
    }

    fn unknown(&self, name: &str) -> CallError {
        let shown: String = contract::clean(name).chars().take(128).collect();
        let Some((plugin, command)) = name
            .split_once("__")
            .or_else(|| name.split_once('.'))
            .filter(|(plugin, command)| !plugin.is_empty() && !command.is_empty())
        else {
            return CallError::InvalidToolName(shown);
        };
        let plugin: String = contract::clean(plugin).chars().take(64).collect();
        if !self.plugins.iter().any(|known| known.name == plugin) {
            return CallError::PluginNotFound(plugin);
        }
        let available: Vec<&str> = self
            .tools
            .iter()
            .filter(|tool| tool.plugin == plugin)
            .map(|tool| tool.runnable.command.name.as_str())
            .collect();
        CallError::CommandNotFound {
            plugin,
            command: contract::clean(command).chars().take(64).collect(),
            available: available.join(", "),
        }
    }

    fn build(answers: &BTreeMap<String, Result<Answered, String>>, complete: bool) -> Self {
        let mut snapshot = Self {
            complete,
            ..Self::default()
        };
        let shared = shared_names(answers);
        for (name, answer) in answers {
            match answer {
                Ok(answered) => snapshot.add(answered, &shared),
                Err(reason) => snapshot.skip(name, reason),
            }
        }
        snapshot
    }

    fn skip(&mut self, name: &str, reason: &str) {
        self.skipped.push(Skipped {
            name: name.to_owned(),
            reason: contract::clean(reason),
        });
    }

    fn add(&mut self, answered: &Answered, shared: &HashSet<String>) {
        let plugin = &answered.found.name;
        let before = self.tools.len();
        for command in answered
            .description
            .commands
            .iter()
            .filter(|command| command.tool != ToolName::None)
        {
            let name = tool_name(plugin, command);
            let tool = match refused_name(&name, shared) {
                Some(reason) => Err(reason),
                None => Tool::of(&name, answered, command),
            };
            match tool {
                Ok(tool) => {
                    let tool = Arc::new(tool);
                    self.by_name.insert(name, Arc::clone(&tool));
                    self.tools.push(tool);
                }
                Err(reason) => self.skip(&contract::clean(&name), &reason),
            }
        }
        for served in &answered.description.served {
            match Served::of(answered, served) {
                Ok(served) => self.served.push(Arc::new(served)),
                Err(reason) => self.skip(&format!("{plugin}: {}", served.key), &reason),
            }
        }
        self.plugins.push(PluginInfo {
            name: plugin.clone(),
            directory: answered.found.directory.clone(),
            interpreter: answered.interpreter.clone(),
            source: answered.source,
            tools: self.tools.len() - before,
            warnings: answered.description.warnings.clone(),
        });
    }
}

fn tool_name(plugin: &str, command: &Command) -> String {
    match &command.tool {
        ToolName::Exact(name) => name.clone(),
        _ => format!("{plugin}__{}", command.name),
    }
}

/// Names that two commands share are refused for both, so that it does not matter who came first.
fn shared_names(answers: &BTreeMap<String, Result<Answered, String>>) -> HashSet<String> {
    let mut seen = HashSet::new();
    let mut shared = HashSet::new();
    for (plugin, answer) in answers {
        let commands = answer
            .iter()
            .flat_map(|answered| &answered.description.commands);
        for command in commands.filter(|command| command.tool != ToolName::None) {
            let name = tool_name(plugin, command);
            if !seen.insert(name.clone()) {
                shared.insert(name);
            }
        }
    }
    shared
}

fn refused_name(name: &str, shared: &HashSet<String>) -> Option<String> {
    let valid = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'));
    if !valid {
        Some("a tool name must match ^[a-zA-Z0-9_.-]+$; rename the directory, the command or its tool member".to_owned())
    } else if name.len() > MAX_NAME {
        Some(format!(
            "the tool name has {} characters; clients take {MAX_NAME}: give the command a shorter tool member",
            name.len()
        ))
    } else if BUILT_IN.contains(&name) {
        Some("the server's own tool has this name; rename the command".to_owned())
    } else if shared.contains(name) {
        Some("two commands have this tool name; rename one of them".to_owned())
    } else {
        None
    }
}

impl Tool {
    fn of(name: &str, answered: &Answered, command: &Command) -> Result<Self, String> {
        let runnable = Runnable::of(answered, command)?;
        let description = described(command, &answered.description.summary);
        let mut definition = Map::new();
        definition.insert("name".to_owned(), name.into());
        definition.insert("description".to_owned(), description.clone().into());
        definition.insert("inputSchema".to_owned(), runnable.schema.value().clone());
        if let Some(schema) = &command.output_schema {
            definition.insert("outputSchema".to_owned(), schema.clone());
        }
        definition.extend(command.passed_on.clone());
        Ok(Self {
            name: name.to_owned(),
            plugin: answered.found.name.clone(),
            description,
            definition: to_raw_value(&definition).map_err(|error| error.to_string())?,
            input_schema: runnable.schema.value().clone(),
            requires: command.requires.clone(),
            runnable,
        })
    }

    /// The command's name, as the plugin knows it.
    pub fn command(&self) -> &str {
        &self.runnable.command.name
    }
}

/// Models choose by the description, so there is always one; what the schema cannot say is said here.
fn described(command: &Command, plugin: &str) -> String {
    let mut text = if !command.description.trim().is_empty() {
        command.description.clone()
    } else if plugin.is_empty() {
        format!("Run {}", command.name)
    } else {
        format!("{}: {plugin}", command.name)
    };
    for group in &command.one_of {
        let rule = if group.required {
            "Exactly one"
        } else {
            "At most one"
        };
        text.push_str(&format!(
            "\n{rule} of {} may be given.",
            group.names.join(", ")
        ));
    }
    text
}

impl Served {
    fn of(answered: &Answered, served: &contract::Served) -> Result<Self, String> {
        let declared = answered
            .description
            .commands
            .iter()
            .find(|command| command.name == served.command);
        let runnable = match declared {
            Some(command) => Runnable::of(answered, command)?,
            None => Runnable::undeclared(answered, &served.command),
        };
        Ok(Self {
            family: served.family,
            key: served.key.clone(),
            argument: served.argument.clone(),
            plugin: answered.found.name.clone(),
            definition: served.definition.clone(),
            runnable,
        })
    }

    /// Whether the command that serves it takes an argument of this name.
    pub fn takes(&self, name: &str) -> bool {
        self.runnable.schema.is_open()
            || self
                .runnable
                .command
                .parameters
                .iter()
                .any(|parameter| contract::same_name(&parameter.name, name))
    }
}

impl Runnable {
    fn of(answered: &Answered, command: &Command) -> Result<Self, String> {
        let open = answered.open && command.parameters.is_empty();
        let output_schema = command
            .output_schema
            .as_ref()
            .map(schema::compile)
            .transpose();
        Ok(Self {
            schema: if open {
                Schema::open()
            } else {
                Schema::of(command)?
            },
            output_schema: output_schema.map_err(|fault| format!("output_schema: {fault}"))?,
            program: answered.program.clone(),
            directory: answered.found.directory.clone(),
            own_places: command
                .max_concurrency
                .map(|most| Arc::new(Semaphore::new(most))),
            command: command.clone(),
        })
    }

    /// A command that is only named by what it serves.
    fn undeclared(answered: &Answered, name: &str) -> Self {
        Self {
            schema: Schema::open(),
            output_schema: None,
            program: answered.program.clone(),
            directory: answered.found.directory.clone(),
            own_places: None,
            command: Command::named(name),
        }
    }
}
