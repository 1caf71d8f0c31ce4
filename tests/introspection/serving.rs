//! What was found, put to use: as command lines alone, and through a real catalogue with the real supervisor.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use smcp::call::types::{CallError, CallRequest, Caller};
use smcp::catalog::{Catalog, Settings, Snapshot};
use smcp::contract::{self, Command};
use smcp::process::Launcher;
use smcp::{call::arguments, call::argv, contract::schema};
use tokio_util::sync::CancellationToken;

use crate::asking::payload;

/// The commands of one program, without a server around them.
pub struct Commands(Vec<Command>);

impl Commands {
    /// Asks the program.
    pub fn introspected(python: &Path, cli: &Path) -> Self {
        let payload = payload(python, cli);
        let description = contract::read(&payload).unwrap_or_else(|faults| {
            panic!("what introspection gives breaks the contract: {faults:?}: {payload}")
        });
        assert!(description.refused.is_empty(), "{:?}", description.refused);
        Self(description.commands)
    }

    /// The words that a call of `command` is run with; why there are none, where they cannot be written.
    pub fn line(&self, command: &str, given: &Value) -> Result<Vec<String>, String> {
        let known = self.0.iter().find(|known| known.name == command);
        let known = known.unwrap_or_else(|| panic!("there is no command {command}"));
        let schema = schema::of_input(known).expect("introspection gives valid schemas");
        let raw = serde_json::value::to_raw_value(given).expect("values can be written");
        let checked =
            arguments::check(known, &schema, Some(&raw)).map_err(|faults| format!("{faults:?}"))?;
        argv::write(known, &checked)
            .map(|line| line.words)
            .map_err(|fault| format!("{fault:?}"))
    }
}

/// A catalogue whose plugins have all answered.
pub struct Served {
    catalog: Catalog,
    /// What there is.
    pub snapshot: Arc<Snapshot>,
}

impl Served {
    /// Asks the plugins of `directory`, run by `python`.
    pub async fn start(directory: &Path, python: PathBuf) -> Self {
        let launcher = Launcher::with_supervisor(env!("CARGO_BIN_EXE_smcp")).expect("a sub-reaper");
        let settings = Settings {
            directory: Some(directory.to_owned()),
            python: Some(python),
            environment: std::env::vars_os().collect(),
            time_limit: Some(Duration::from_secs(60)),
            max_calls: 4,
            describe_limit: Duration::from_secs(100),
            ..Settings::default()
        };
        let catalog = Catalog::start(settings, launcher, CancellationToken::new());
        catalog.complete().await;
        let snapshot = catalog.snapshot();
        Self { catalog, snapshot }
    }

    /// The text that a call gives; its failure where it fails.
    pub async fn call(&self, tool: &str, arguments: &Value) -> Result<String, CallError> {
        let tool = self.snapshot.resolve(tool)?;
        let arguments = serde_json::value::to_raw_value(arguments).expect("values can be written");
        let request = CallRequest {
            arguments: Some(arguments),
            caller: Caller {
                client: "{}".to_owned(),
                ..Caller::default()
            },
            cancel: CancellationToken::new(),
            events: None,
        };
        let result = self.catalog.call(&tool, request).await?;
        let content: Value = serde_json::from_str(result.content.get()).expect("content is JSON");
        Ok(content[0]["text"].as_str().unwrap_or_default().to_owned())
    }

    /// Why a plugin is not served.
    pub fn reason_for(&self, plugin: &str) -> Option<&str> {
        self.snapshot
            .skipped
            .iter()
            .find(|skipped| skipped.name == plugin)
            .map(|skipped| skipped.reason.as_str())
    }
}
