//! A plugins directory and a catalogue of it.

use std::ffi::OsString;
use std::future::ready;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use smcp::call::types::Limits;
use smcp::call::types::{CallError, CallRequest, Caller};
use smcp::catalog::{Catalog, Settings, Snapshot};
use smcp::process::Launcher;
use tokio::runtime::Runtime;
use tokio_util::sync::{CancellationToken, DropGuard};

/// How long anything may take that is waited for.
const LIMIT: Duration = Duration::from_secs(60);

/// The one runtime and the one launcher of this process: a launcher takes every child that it did not start
/// itself for an orphan.
static LAUNCHER: LazyLock<(Runtime, Launcher)> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("there are threads");
    let _inside = runtime.enter();
    let launcher = Launcher::with_supervisor(env!("CARGO_BIN_EXE_smcp")).expect("a sub-reaper");
    (runtime, launcher)
});

/// Runs a test where programs can be started.
pub fn live(test: impl Future<Output = ()>) {
    LAUNCHER.0.block_on(test);
}

/// A plugins directory of one test.
pub struct Plugins(tempfile::TempDir);

impl Plugins {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("there is room"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// A plugin with one command, which prints `answer`.
    pub fn serving(&self, name: &str, command: &str, answer: &str) -> &Self {
        let description = format!("{{\"commands\":[{{\"name\":\"{command}\"}}]}}");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = --describe ] && exec echo '{description}'\necho {answer}\n"
        );
        self.write(&format!("{name}/cli"), script.as_bytes(), 0o755)
    }

    /// Puts a file in place of another, which may be running.
    pub fn write(&self, path: &str, bytes: &[u8], mode: u32) -> &Self {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
        let fresh = path.with_extension("fresh");
        std::fs::write(&fresh, bytes).expect("there is room");
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&fresh, permissions).expect("it is ours");
        std::fs::rename(&fresh, &path).expect("it is ours");
        self
    }

    pub fn start(&self) -> Running {
        Running::of(Some(self.path().to_owned()))
    }
}

/// A catalogue that is stopped with the test.
pub struct Running {
    pub catalog: Catalog,
    _stop: DropGuard,
}

impl Running {
    pub fn of(directory: Option<PathBuf>) -> Self {
        Self::with(directory, &[])
    }

    /// A catalogue whose plugins find these variables when they are asked.
    pub fn with(directory: Option<PathBuf>, found: &[(&str, &str)]) -> Self {
        Self::of_settings(Self::settings(directory), found)
    }

    /// The settings of a catalogue of this directory.
    pub fn settings(directory: Option<PathBuf>) -> Settings {
        let variables = ["PATH", "HOME", "TMPDIR"]
            .iter()
            .filter_map(|name| Some((OsString::from(name), std::env::var_os(name)?)));
        Settings {
            directory,
            python: None,
            environment: variables.collect(),
            limits: Limits {
                time: Some(LIMIT),
                ..Limits::default()
            },
            max_calls: 8,
            max_computing: 8,
            describe_limit: Duration::from_secs(50),
            ..Settings::default()
        }
    }

    /// A catalogue with these settings, whose plugins find these variables when they are asked.
    pub fn of_settings(settings: Settings, found: &[(&str, &str)]) -> Self {
        let found = found
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let stop = CancellationToken::new();
        Self {
            catalog: Catalog::start_with(
                settings,
                LAUNCHER.1.clone(),
                stop.clone(),
                ready(found.collect()),
            ),
            _stop: stop.drop_guard(),
        }
    }

    pub async fn complete(self) -> Self {
        let waited = tokio::time::timeout(LIMIT, self.catalog.complete()).await;
        waited.expect("all plugins have answered");
        self
    }

    pub async fn reload(&self) {
        self.catalog.reload();
        let waited = tokio::time::timeout(LIMIT, self.catalog.reloaded()).await;
        waited.expect("all plugins have answered again");
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.catalog.snapshot()
    }

    pub fn names(&self) -> Vec<String> {
        let snapshot = self.snapshot();
        snapshot
            .tools
            .iter()
            .map(|tool| tool.name.clone())
            .collect()
    }

    /// What the plugins' authors should read.
    pub fn warnings(&self) -> String {
        let snapshot = self.snapshot();
        let warnings = snapshot.plugins.iter().flat_map(|plugin| &plugin.warnings);
        warnings.cloned().collect::<Vec<_>>().join("\n")
    }

    /// The first text that a tool answers.
    pub async fn call(&self, tool: &str, arguments: &str) -> Result<String, CallError> {
        let tool = self.snapshot().resolve(tool)?;
        let request = CallRequest {
            arguments: Some(RawValue::from_string(arguments.to_owned()).expect("it is JSON")),
            caller: Caller {
                call_id: "call-1".to_owned(),
                client: "{}".to_owned(),
                ..Caller::default()
            },
            cancel: CancellationToken::new(),
            events: None,
        };
        let called = tokio::time::timeout(LIMIT, self.catalog.call(&tool, request)).await;
        let result = called.expect("a call ends")?;
        let content = serde_json::to_value(result.content.blocks()).expect("it is JSON");
        Ok(content[0]["text"].as_str().unwrap_or_default().to_owned())
    }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
