//! What every command sets up before its work: logs, this process, and how programs are started.

use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::app;
use crate::catalog::{self, Catalog};
use crate::config::Config;
use crate::letta::Letta;
use crate::process::Launcher;
use crate::shutdown::{Listener, Shutdown};
use crate::telemetry;

/// Turns the logs on and makes the process one that no plugin can read.
///
/// # Errors
/// The system refuses to hand over children, or another logger is in place.
pub(super) fn prepare(config: &Config) -> anyhow::Result<(telemetry::Guard, Launcher)> {
    let guard = telemetry::init(&config.telemetry)?;
    hide_memory();
    let launcher = Launcher::new()?.with_max_background(config.max_background);
    let launcher = match config.warm {
        Some(settings) => launcher.with_warm(settings),
        None => launcher,
    };
    Ok((guard, launcher))
}

/// Programs of the same user could read the keys out of `/proc` otherwise.
fn hide_memory() {
    #[cfg(target_os = "linux")]
    if let Err(error) =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!("cannot hide this process's memory from its plugins: {error}");
    }
}

/// What a command that runs once works with. Dropping it writes the last log lines.
pub(super) struct Workbench {
    /// The settings.
    pub(super) config: Config,
    /// How programs are started.
    pub(super) launcher: Launcher,
    /// Asked for by signals.
    pub(super) shutdown: Shutdown,
    /// The logs.
    pub(super) logs: telemetry::Guard,
    _signals: Listener,
}

impl Workbench {
    /// Sets up, and says on standard error which settings have no effect.
    ///
    /// # Errors
    /// See [`prepare`].
    pub(super) fn new(config: Config) -> anyhow::Result<Self> {
        let (logs, launcher) = prepare(&config)?;
        let shutdown = Shutdown::new();
        let signals = shutdown.listen()?;
        for mistake in &config.mistakes {
            eprintln!("smcp: {mistake}");
        }
        Ok(Self {
            config,
            launcher,
            shutdown,
            logs,
            _signals: signals,
        })
    }

    /// What Letta gives to a call without an agent, which is also what plugins are asked with.
    ///
    /// # Errors
    /// A signal asked for the end meanwhile.
    pub(super) async fn variables(&self) -> anyhow::Result<Vec<(String, String)>> {
        let letta = Letta::from_settings(self.config.letta.clone());
        self.unless_ended(app::load(Arc::new(letta))).await
    }

    /// Asks the plugins of these names, or all where none of them is there, and waits for their answers.
    ///
    /// # Errors
    /// A signal asked for the end meanwhile.
    pub(super) async fn catalog(
        &self,
        only: Vec<String>,
        variables: &[(String, String)],
    ) -> anyhow::Result<Catalog> {
        let settings = catalog::Settings {
            only,
            ..self.config.catalog.clone()
        };
        let catalog = Catalog::start_with(
            settings,
            self.launcher.clone(),
            CancellationToken::new(),
            std::future::ready(variables.to_vec()),
        );
        self.unless_ended(catalog.complete())
            .await
            .inspect_err(|_| catalog.close())?;
        Ok(catalog)
    }

    /// Ends what a call has left running, for nothing here outlives this process, and waits until no process is
    /// left.
    pub(super) async fn end_background(&self, tool: &str) {
        // What a program detaches a moment after its end is known when its call is over.
        let jobs = self.launcher.end_background();
        self.launcher.idle().await;
        let ended = self.launcher.background_counts().into_values();
        let ended: u64 = ended.flat_map(|jobs| jobs.ended.into_values()).sum();
        if jobs > 0 || ended > 0 {
            eprintln!(
                "smcp: what {tool} left running in the background was ended: it ends with this process. \
                 A running server keeps it"
            );
        }
    }

    /// Waits for `work`, but not beyond a signal.
    ///
    /// # Errors
    /// A signal asked for the end.
    pub(super) async fn unless_ended<T>(&self, work: impl Future<Output = T>) -> anyhow::Result<T> {
        tokio::select! {
            done = work => Ok(done),
            () = self.shutdown.draining().cancelled() => anyhow::bail!("interrupted"),
        }
    }
}

/// Where the plugins come from, as people are told.
pub(super) fn source(directory: Option<&Path>) -> String {
    match directory {
        Some(path) => {
            let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
            whole.display().to_string()
        }
        None => "the built-in demos".to_owned(),
    }
}

/// A number of things as a person writes it: `1 tool`, `7 tools`.
pub fn counted(number: usize, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{plural}")
}

/// Prints a line of a command's answer. A reader who has had enough, such as `head`, is no fault.
pub(super) fn say(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Prints a whole answer as it is, for commands whose output goes into a file: a file that is cut short is a failure.
pub(super) fn say_bytes(answer: &[u8]) -> ExitCode {
    let mut out = std::io::stdout();
    match out.write_all(answer).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("smcp: cannot write to standard output: {error}");
            ExitCode::FAILURE
        }
    }
}

/// An error with its causes. Many messages name their cause themselves: what was said is not said again.
pub(super) fn in_one_line(error: &anyhow::Error) -> String {
    let mut line = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_that_the_message_names_is_not_said_again() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot listen: {source}; try another port")]
        struct Named {
            source: std::io::Error,
        }
        let cause = std::io::Error::other("address in use");
        let error = anyhow::Error::from(Named { source: cause }).context("starting");
        assert_eq!(
            in_one_line(&error),
            "starting: cannot listen: address in use; try another port"
        );
        let unnamed = anyhow::anyhow!("no file").context("reading");
        assert_eq!(in_one_line(&unnamed), "reading: no file");
    }
}
