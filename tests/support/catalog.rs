//! A catalogue of real plugins inside the test's own process, without a server around it.

#![allow(dead_code, reason = "each test program uses its own part")]

#[path = "executable.rs"]
mod executable;

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Value, json};
use smcp::call::types::Limits;
use smcp::call::types::{CallError, CallRequest, Caller, ToolResult};
use smcp::catalog::{Catalog, Offering, Printed, Settings, Snapshot};
use smcp::process::Launcher;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use executable::write_executable;

/// The one runtime and the one launcher of this process. There is one launcher in a process because each takes
/// children that it did not start for orphans, once a supervisor of its own was killed.
static LAUNCHER: LazyLock<(Runtime, Launcher)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("there are threads");
    let _inside = runtime.enter();
    let launcher = Launcher::with_supervisor(env!("CARGO_BIN_EXE_smcp")).expect("a sub-reaper");
    (runtime, launcher)
});

/// No test that uses a catalogue takes nearly as long, so whatever does hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// Runs a test to its end, or to the limit.
#[track_caller]
pub fn live(test: impl Future<Output = ()>) {
    let ended = LAUNCHER
        .0
        .block_on(async { tokio::time::timeout(LIMIT, test).await });
    assert!(ended.is_ok(), "the test hangs: not over after {LIMIT:?}");
}

/// A plugins directory of one test.
pub struct Plugins(tempfile::TempDir);

impl Plugins {
    /// An empty directory.
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room"))
    }

    /// A plugin with this Python program.
    pub fn python(&self, name: &str, source: &str) -> &Self {
        self.write(&format!("{name}/cli.py"), source, 0o644)
    }

    /// A plugin with this shell script.
    pub fn shell(&self, name: &str, script: &str) -> &Self {
        self.write(
            &format!("{name}/cli"),
            &format!("#!/bin/sh\n# A question would come in \"$@\".\n{script}"),
            0o755,
        )
    }

    /// A plugin whose `--describe` is `description`, of version 1.1 where it says nothing about that, and which runs
    /// `script` with its words else.
    pub fn describing(&self, name: &str, description: &Value, script: &str) -> &Self {
        let mut description = description.clone();
        if let Some(members) = description.as_object_mut() {
            let version = members.entry("contract_version");
            version.or_insert_with(|| "1.1".into());
        }
        self.write(
            &format!("{name}/description.json"),
            &description.to_string(),
            0o644,
        );
        self.shell(
            name,
            &format!("[ \"$1\" = --describe ] && exec cat \"$SMCP_PLUGIN_DIR/description.json\"\n{script}"),
        )
    }

    /// Writes a file, or replaces one at once.
    pub fn write(&self, path: &str, text: &str, mode: u32) -> &Self {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
        // A program that is being executed cannot be written to; its name can be given to another.
        let fresh = path.with_extension("fresh");
        write_executable(&fresh, &mut text.as_bytes());
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(mode))
            .expect("it is ours");
        std::fs::rename(&fresh, &path).expect("it is ours");
        self
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Serves these plugins.
    pub fn start(&self) -> Running {
        Running::of(settings(Some(self.path().to_owned())))
    }
}

/// Settings that hold up no test; without a directory the built-in plugins are served.
pub fn settings(directory: Option<PathBuf>) -> Settings {
    let variables = ["PATH", "HOME", "TMPDIR"]
        .iter()
        .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
    Settings {
        directory,
        python: None,
        environment: variables.collect(),
        limits: Limits {
            time: Some(Duration::from_secs(60)),
            ..Limits::default()
        },
        max_calls: 8,
        max_computing: 8,
        describe_limit: Duration::from_secs(50),
        ..Settings::default()
    }
}

/// A catalogue that is stopped with the test.
pub struct Running {
    pub catalog: Catalog,
    _stop: tokio_util::sync::DropGuard,
}

impl Running {
    /// Starts a catalogue; its plugins are still being asked.
    pub fn of(settings: Settings) -> Self {
        let launcher = LAUNCHER.1.clone();
        let stop = CancellationToken::new();
        let catalog = Catalog::start(settings, launcher, stop.clone());
        Self {
            catalog,
            _stop: stop.drop_guard(),
        }
    }

    /// Waits until every plugin has answered or been given up.
    pub async fn complete(self) -> Self {
        let waited = tokio::time::timeout(Duration::from_secs(120), self.catalog.complete()).await;
        waited.expect("all plugins have answered within two minutes");
        self
    }

    /// What there is now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.snapshot()
    }

    /// The names of the tools.
    pub fn names(&self) -> Vec<String> {
        self.snapshot()
            .tools
            .iter()
            .map(|tool| tool.name.clone())
            .collect()
    }

    /// Why a plugin or a tool is not served.
    pub fn skipped(&self, name: &str) -> String {
        let snapshot = self.snapshot();
        let found = snapshot.skipped.iter().find(|skipped| skipped.name == name);
        found
            .unwrap_or_else(|| panic!("{name} is not skipped: {:?}", snapshot.skipped))
            .reason
            .clone()
    }

    /// Calls a tool. What it gives keeps no other call from running.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<ToolResult, CallError> {
        let mut result = self.call_as(tool, request(arguments)).await?;
        result.permit = None;
        Ok(result)
    }

    /// Calls a tool with a request of the test's own. The result has the call's permit.
    pub async fn call_as(&self, tool: &str, request: CallRequest) -> Result<ToolResult, CallError> {
        let tool = self.snapshot().resolve(tool)?;
        let called =
            tokio::time::timeout(Duration::from_secs(60), self.catalog.call(&tool, request)).await;
        called.expect("a call ends within a minute")
    }

    /// The text that a call gives, which must not fail.
    pub async fn text(&self, tool: &str, arguments: Value) -> String {
        text(
            &self
                .call(tool, arguments)
                .await
                .unwrap_or_else(|fault| panic!("{tool} failed: {fault}")),
        )
    }

    /// Runs a command that is no tool.
    pub async fn serve(
        &self,
        offering: &Arc<Offering>,
        arguments: Option<Box<RawValue>>,
    ) -> Result<Printed, CallError> {
        self.catalog
            .serve(
                offering,
                CallRequest {
                    arguments,
                    ..request(json!({}))
                },
            )
            .await
            .map(|(printed, _permit)| printed)
    }
}

/// JSON as it stands.
pub fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).expect("it is JSON")
}

/// A request by nobody in particular.
pub fn request(arguments: Value) -> CallRequest {
    CallRequest {
        arguments: Some(raw(&arguments)),
        caller: Caller {
            call_id: "call-1".to_owned(),
            client: "{}".to_owned(),
            ..Caller::default()
        },
        cancel: CancellationToken::new(),
        events: None,
    }
}

/// The text of a result's first block.
pub fn text(result: &ToolResult) -> String {
    let content = serde_json::to_value(result.content.blocks()).expect("it is JSON");
    content[0]["text"]
        .as_str()
        .expect("it begins with a text")
        .to_owned()
}

/// The lines of an output.
pub fn words(printed: &str) -> Vec<&str> {
    printed.lines().collect()
}

/// Prints the words it was started with, one a line.
pub const PRINT_WORDS: &str = "printf '%s\\n' \"$@\"";

/// Waits for a condition.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
