//! A real catalogue over a directory of plugins, with the real supervisor, and calls through it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use smcp::plugins::call::{CallError, CallRequest, Caller};
use smcp::plugins::catalog::{Catalog, Settings, Snapshot};
use smcp::plugins::process::Launcher;
use tokio_util::sync::CancellationToken;

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
            describe_limit: Duration::from_secs(30),
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
