//! The catalogue of tools: the face of the plugin floor.

mod load;
pub mod plugin;
pub mod snapshot;

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::call::output::{self, Expectation};
use crate::call::runner::Runner;
use crate::call::types::{CallError, CallRequest, ToolResult};
use crate::contract::environment::Environment;
pub use crate::contract::{OfferKind, PromptArgument, Reference};
use crate::discovery::demo;
use crate::discovery::describe::Asker;
use crate::discovery::interpreter::Resolved;
use crate::jsonrpc::members;
use crate::process::Launcher;
use load::{Home, Known, Loader};
pub use plugin::{BUILT_IN, GOVERNOR, HEALTH, Offering, PluginInfo, Skipped, Tool};
pub use snapshot::{Readable, Snapshot};

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

/// The catalogue: cheap to clone, shared by all sessions.
#[derive(Debug, Clone)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    current: ArcSwap<Snapshot>,
    changes: watch::Sender<u64>,
    /// How many loads were asked for, and how many of these are done.
    wanted: watch::Sender<u64>,
    done: watch::Sender<u64>,
    runner: Runner,
    stop: CancellationToken,
    /// Kept as long as anybody may call: the demo plugins are removed with it.
    home: OnceLock<Home>,
}

/// What a command printed that serves a resource, a prompt or a completion.
#[derive(Debug)]
pub enum Printed {
    /// The protocol's own result object, as it was written.
    Result(Box<RawValue>),
    /// Plain text.
    Text(String),
}

impl Catalog {
    /// Begins to find and ask plugins; returns at once. `stop` ends the asking.
    pub fn start(settings: Settings, launcher: Launcher, stop: CancellationToken) -> Self {
        let environment = Environment::new(&settings.environment);
        let runner = Runner::new(
            launcher.clone(),
            environment.clone(),
            settings.max_calls,
            settings.time_limit,
        );
        let inner = Arc::new(Inner {
            current: ArcSwap::default(),
            changes: watch::Sender::new(0),
            wanted: watch::Sender::new(1),
            done: watch::Sender::new(0),
            runner,
            stop: stop.clone(),
            home: OnceLock::new(),
        });
        let asker = Asker {
            launcher,
            environment,
            limit: settings.describe_limit,
            stop,
        };
        // Ends with `stop`, and publishes to the catalogue alone.
        tokio::spawn(keep_loaded(
            Arc::clone(&inner),
            asker,
            settings.directory,
            settings.python,
        ));
        Self { inner }
    }

    /// The tools of this moment.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.inner.current.load_full()
    }

    /// Changes whenever a snapshot is in place that is not like the one before.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Asks every plugin again, in the background.
    pub fn reload(&self) {
        self.inner.wanted.send_modify(|loads| *loads += 1);
    }

    /// Waits until every load that was asked for by now is done.
    pub async fn reloaded(&self) {
        let wanted = *self.inner.wanted.borrow();
        let mut done = self.inner.done.subscribe();
        tokio::select! {
            _ = done.wait_for(|done| *done >= wanted) => {}
            () = self.inner.stop.cancelled() => {}
        }
    }

    /// Waits until every plugin has answered or timed out.
    pub async fn complete(&self) {
        let mut changes = self.changes();
        while !self.snapshot().complete {
            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = self.inner.stop.cancelled() => return,
            }
        }
    }

    /// How many calls run and how many wait for a place.
    pub fn load(&self) -> (usize, usize) {
        self.inner.runner.load()
    }

    /// Runs one call of one tool: schema, place in the queue, process, output.
    ///
    /// # Errors
    /// Why there is no result, with a stable code.
    pub async fn call(
        &self,
        tool: &Arc<Tool>,
        request: CallRequest,
    ) -> Result<ToolResult, CallError> {
        let ran = self
            .inner
            .runner
            .run(&tool.name, &tool.run, request)
            .await?;
        let expected = Expectation {
            tool: &tool.name,
            output: tool.run.command.output,
            schema: tool.run.output.as_ref(),
            time_limit: ran.time_limit,
        };
        output::result(ran.finished, expected)
    }

    /// Runs the command behind a resource, a prompt or a completion with `request.arguments`: of a declared
    /// command those that it declares, of another all, each as an option.
    ///
    /// # Errors
    /// Why there is no result, with a stable code.
    pub async fn serve(
        &self,
        offering: &Arc<Offering>,
        mut request: CallRequest,
    ) -> Result<Printed, CallError> {
        let run = &offering.run;
        let name = format!("{} {}", offering.plugin, offering.key);
        request.arguments = offering.arguments(request.arguments, &name)?;
        let ran = self.inner.runner.run(&name, run, request).await?;
        let text = output::text(ran.finished, &name, ran.time_limit)?;
        Ok(printed(text, &offering.kind))
    }
}

impl Offering {
    /// The arguments that its command is run with.
    fn arguments(
        &self,
        given: Option<Box<RawValue>>,
        name: &str,
    ) -> Result<Option<Box<RawValue>>, CallError> {
        let invalid = |faults| CallError::InvalidArguments {
            tool: name.to_owned(),
            faults,
        };
        let Some(given) = given.filter(|given| given.get() != "null") else {
            return self
                .missing(&[])
                .map_or(Ok(None), |faults| Err(invalid(faults)));
        };
        let members = members::members(given.get())
            .map_err(|_| invalid(vec!["arguments must be an object".to_owned()]))?;
        let names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        if let Some(faults) = self.missing(&names) {
            return Err(invalid(faults));
        }
        if !self.is_declared {
            return Ok(Some(given));
        }
        let declared = members
            .iter()
            .filter(|(name, _)| self.run.command.parameter(name).is_some());
        let texts: Vec<String> = declared
            .map(|(name, value)| {
                format!("{}:{}", serde_json::Value::from(name.as_str()), value.get())
            })
            .collect();
        let own = RawValue::from_string(format!("{{{}}}", texts.join(",")));
        own.map(Some)
            .map_err(|fault| CallError::Internal(fault.to_string()))
    }

    /// The arguments of a prompt that must be given and are not.
    fn missing(&self, given: &[&str]) -> Option<Vec<String>> {
        let OfferKind::Prompt(arguments) = &self.kind else {
            return None;
        };
        let missing = arguments
            .iter()
            .filter(|known| known.required && !given.contains(&known.name.as_str()));
        let faults: Vec<String> = missing
            .map(|known| format!("'{}' is missing", known.name))
            .collect();
        (!faults.is_empty()).then_some(faults)
    }
}

fn printed(text: String, kind: &OfferKind) -> Printed {
    let member = match kind {
        OfferKind::Resource | OfferKind::Template(_) => "contents",
        OfferKind::Prompt(_) => "messages",
        OfferKind::Completion { .. } => "completion",
    };
    let is_result =
        members::members(&text).is_ok_and(|members| members.iter().any(|(name, _)| name == member));
    match is_result.then(|| RawValue::from_string(text.clone())) {
        Some(Ok(result)) => Printed::Result(result),
        _ => Printed::Text(text),
    }
}

async fn keep_loaded(
    inner: Arc<Inner>,
    asker: Asker,
    directory: Option<PathBuf>,
    python: Option<PathBuf>,
) {
    let home = match home(directory).await {
        Ok(home) => inner.home.get_or_init(|| home),
        Err(reason) => {
            let skipped = Skipped {
                name: "the demo plugins".to_owned(),
                reason,
            };
            inner.publish(Snapshot::new(&[], vec![skipped], true));
            return;
        }
    };
    let stop = asker.stop.clone();
    let loader = Loader {
        directory: home.path().to_owned(),
        asker,
        python,
        resolved: Arc::new(Resolved::default()),
    };
    let mut wanted = inner.wanted.subscribe();
    let mut known = Known::new();
    loop {
        let target = *wanted.borrow_and_update();
        tokio::select! {
            loaded = loader.load(known, |snapshot| inner.publish(snapshot)) => known = loaded,
            () = stop.cancelled() => return,
        }
        inner.done.send_replace(target);
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = stop.cancelled() => return,
        }
    }
}

async fn home(directory: Option<PathBuf>) -> Result<Home, String> {
    if let Some(directory) = directory {
        return Ok(Home::Own(directory));
    }
    let unpacked = tokio::task::spawn_blocking(demo::unpack)
        .await
        .map_err(std::io::Error::other);
    let unpacked = unpacked.and_then(|unpacked| unpacked);
    unpacked
        .map(Home::Unpacked)
        .map_err(|fault| format!("they cannot be unpacked: {fault}; set MCP_PLUGINS_DIR"))
}

impl Inner {
    /// Puts `snapshot` in place. Nobody is told of one that looks the same to clients.
    fn publish(&self, snapshot: Snapshot) {
        let before = self.current.swap(Arc::new(snapshot));
        if !self.current.load().looks_like(&before) {
            self.changes.send_modify(|count| *count += 1);
        }
    }
}
