//! What every command sets up before its work: logs, this process, and how programs are started.

use std::io::{ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use tokio_util::sync::CancellationToken;
use url::Url;

use super::diagnostics::warn;
use crate::app;
use crate::catalog::{self, Catalog};
use crate::config::Config;
use crate::fetch::{Client, Reuse};
use crate::letta::Letta;
use crate::process::Launcher;
use crate::shutdown::{Listener, Shutdown};
use crate::telemetry;
use crate::text::{address_without_secrets, cleaned};

/// A setting is wrong, or the server must not start with it.
pub(super) const BAD_SETTINGS: u8 = 2;

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
            warn([mistake]);
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
            warn([format_args!(
                "what {tool} left running in the background was ended: it ends with this process. \
                 A running server keeps it"
            )]);
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

/// A client of the server at `base`. One that is reached by HTTP needs no certificate of any authority, and a small
/// container has none.
///
/// # Errors
/// It is reached by HTTPS, and the system has none.
pub(super) fn client_for(base: &Url, limit: Duration, reuse: Reuse) -> anyhow::Result<Client> {
    if base.scheme() == "http" {
        return Ok(Client::without_certificates(limit, reuse));
    }
    Client::new(limit, reuse).map_err(|fault| {
        anyhow::anyhow!(
            "cannot ask {}: {fault}; https needs the certificates of authorities, which Debian has in the package ca-certificates",
            address_without_secrets(base.as_str())
        )
    })
}

/// A word as a shell reads it, behind the first of a line.
pub(super) fn quoted(word: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "/._-+:@%,=…".contains(letter);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
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

/// Prints a line of a command's answer. A reader who has had enough, such as `head`, is no fault. What a terminal would
/// take for an order is left out where one reads it; a file or another program gets every byte.
pub(super) fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout();
    must_be_written(match out.is_terminal() {
        true => writeln!(out, "{}", cleaned(&line.to_string())),
        false => writeln!(out, "{line}"),
    });
}

/// Set once something of an answer could not be written. Of the process, as its standard output is.
static IS_CUT_SHORT: AtomicBool = AtomicBool::new(false);

/// Whether something of what was said could not be written: nobody must take half of an answer for the whole.
pub(super) fn is_cut_short() -> bool {
    IS_CUT_SHORT.load(Ordering::Relaxed)
}

fn must_be_written(written: std::io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && !IS_CUT_SHORT.swap(true, Ordering::Relaxed)
    {
        warn([format_args!("cannot write to standard output: {error}")]);
    }
}

/// Gives a file that takes another one's place to whom that belongs, where this user may. Root works in the files of
/// others, who must be able to read them afterwards.
pub(super) fn leave_to_owner(old: &Path, new: &Path) {
    if let Ok(about) = std::fs::metadata(old) {
        let _ = std::os::unix::fs::chown(new, Some(about.uid()), Some(about.gid()));
    }
}

/// How an error is painted.
pub(super) const ERROR: Style = AnsiColor::Red.on_default().bold();
/// How a warning is painted.
pub(super) const WARNING: Style = AnsiColor::Yellow.on_default();

/// How a name is painted.
pub(super) const NAME: Style = Style::new().bold();

/// A text with a colour, for [`say_painted`].
pub(super) fn painted(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// As [`say`], with colours on a terminal, unless `NO_COLOR` is set. What the line has from elsewhere is cleaned before:
/// here it cannot be told from the colours.
pub(super) fn say_painted(line: impl std::fmt::Display) {
    must_be_written(writeln!(anstream::stdout(), "{line}"));
}

/// Prints a whole answer as it is, for commands whose output goes into a file: a file that is cut short is a failure.
pub(super) fn say_bytes(answer: &[u8]) -> ExitCode {
    let mut out = std::io::stdout();
    whole(out.write_all(answer).and_then(|()| out.flush()))
}

/// The status of an answer that had to be written whole. A reader who has had enough is no fault.
pub(super) fn whole(written: std::io::Result<()>) -> ExitCode {
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            warn([format_args!("cannot write to standard output: {error}")]);
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

/// What cannot be done because the command line itself is wrong, as [`misuse`] marks it.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Misuse(anyhow::Error);

/// Marks an error as one of the command line, whoever would run it.
pub(super) fn misuse(error: anyhow::Error) -> anyhow::Error {
    Misuse(error).into()
}

/// Says why a command could not do its work, and gives its status: [`BAD_SETTINGS`] where its command line is wrong.
pub(super) fn failed(error: &anyhow::Error) -> ExitCode {
    warn([in_one_line(error)]);
    match error.chain().any(|cause| cause.is::<Misuse>()) {
        true => ExitCode::from(BAD_SETTINGS),
        false => ExitCode::FAILURE,
    }
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

    #[test]
    fn every_text_is_one_word_of_a_shell() {
        for (path, written) in [
            ("plugins/a-b", "plugins/a-b"),
            ("name=Ada", "name=Ada"),
            ("my tools/a", "'my tools/a'"),
            ("it's", r"'it'\''s'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(path), written);
        }
    }
}
