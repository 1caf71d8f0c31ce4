//! Which Python runs a plugin: the real program behind any shim, resolved once.
//!
//! Knows no plugin but its directory.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{Mutex, OnceCell};
use tokio_util::sync::CancellationToken;

use super::process::{Ending, Job, Launcher, Taps};

/// A shim may be slow, a real interpreter is not.
const TIME_LIMIT: Duration = Duration::from_secs(10);
const WHERE: &str = "import sys; sys.stdout.write(sys.executable)";

/// The interpreters that were found, by the name they were asked for.
#[derive(Debug)]
pub struct Interpreters {
    launcher: Launcher,
    configured: Option<PathBuf>,
    environment: Vec<(OsString, OsString)>,
    known: Mutex<HashMap<PathBuf, std::sync::Arc<OnceCell<PathBuf>>>>,
}

impl Interpreters {
    /// `configured` wins for every plugin.
    pub fn new(
        launcher: Launcher,
        configured: Option<PathBuf>,
        environment: Vec<(OsString, OsString)>,
    ) -> Self {
        Self {
            launcher,
            configured,
            environment,
            known: Mutex::default(),
        }
    }

    /// The interpreter of the plugin in `directory`.
    pub async fn of(&self, directory: &Path) -> Result<PathBuf, String> {
        let named = self.named(directory);
        let cell = std::sync::Arc::clone(self.known.lock().await.entry(named.clone()).or_default());
        cell.get_or_try_init(|| self.resolve(&named)).await.cloned()
    }

    /// Configured, the plugin's own environment, one beside the plugins, the active one, `python3`.
    fn named(&self, directory: &Path) -> PathBuf {
        if let Some(configured) = &self.configured {
            return configured.clone();
        }
        let beside = directory.parent().unwrap_or(directory);
        let around = beside.parent().unwrap_or(beside);
        let active = self.variable("VIRTUAL_ENV").map(PathBuf::from);
        let environments = [directory, beside, around]
            .into_iter()
            .flat_map(|place| [place.join(".venv"), place.join("venv")]);
        environments
            .chain(active)
            .map(|environment| environment.join("bin/python"))
            .find(|python| python.is_file())
            .unwrap_or_else(|| PathBuf::from("python3"))
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        self.environment
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    async fn resolve(&self, named: &Path) -> Result<PathBuf, String> {
        let job = Job {
            argv: vec![named.into(), "-c".into(), WHERE.into()],
            environment: self.environment.clone(),
            directory: None,
            stdin: None,
            time_limit: Some(TIME_LIMIT),
            stdout_limit: 1 << 16,
            stderr_tail: 1 << 12,
        };
        let advice = "install Python 3, or set MCP_PYTHON to its path";
        let finished = self
            .launcher
            .run(job, Taps::default(), CancellationToken::new())
            .await
            .map_err(|error| format!("{error}; {advice}"))?;
        let path = PathBuf::from(String::from_utf8_lossy(&finished.stdout).trim());
        if finished.ending == Ending::Exited(0) && path.is_absolute() {
            Ok(path)
        } else {
            let said = String::from_utf8_lossy(&finished.stderr_tail)
                .trim()
                .to_owned();
            Err(format!(
                "the interpreter {} does not run ({said}); {advice}",
                named.display()
            ))
        }
    }
}
