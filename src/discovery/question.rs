//! One question to one plugin: run, bounded in time and bytes, its answer read.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::introspect::{self, CommandPage, PrivateCopy};
use super::outcome::{cleaned_text, ending, last_line, printed, syntax_error};
use super::scan::Found;
use super::unserved::Unserved;
use crate::contract::environment::Environment;
use crate::contract::{self, Payload, find_payload};
use crate::process::{Ending, Finished, Job, Launcher, Round, SideChannels};

/// How much a plugin may print in answer to one question.
const MAX_OUTPUT_BYTES: usize = 4 << 20;

/// What is said of a description that is none.
pub(super) const BROKEN: &str = "its description breaks the contract";

/// How often it is looked at what a program has written before its parser is asked.
const LOOK_AT_COPY_EVERY: Duration = Duration::from_millis(50);

/// How many pages of sub-commands are read.
const MAX_PAGES: usize = 64;

/// Asks plugins.
#[derive(Clone)]
pub struct Asker {
    /// Runs them.
    pub launcher: Launcher,
    /// What they inherit.
    pub environment: Environment,
    /// What they find on top of it, as calls do. Secrets may be among the values.
    pub variables: Arc<[(String, String)]>,
    /// The time for one question.
    pub limit: Duration,
    /// Ends the asking.
    pub stop: CancellationToken,
}

impl fmt::Debug for Asker {
    /// Without what plugins find in their environment.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asker")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// An answer that cannot be used.
pub(super) enum NoAnswer {
    /// This question leads nowhere; the next may.
    Next(String),
    /// The plugin is not served.
    Skip(Unserved),
}

impl NoAnswer {
    pub(super) fn skip(reason: impl Into<String>) -> Self {
        Self::Skip(Unserved::Plugin(reason.into()))
    }
}

impl Asker {
    pub(super) async fn run(
        &self,
        plugin: &Found,
        argv: Vec<OsString>,
        stop: CancellationToken,
    ) -> Result<Finished, NoAnswer> {
        let job = self.job(plugin, argv);
        let finished = self.launcher.run(job, SideChannels::default(), stop).await;
        finished.map_err(|fault| {
            NoAnswer::Skip(if fault.is_passing() {
                Unserved::Shortage(fault.to_string())
            } else {
                Unserved::Plugin(fault.to_string())
            })
        })
    }

    fn job(&self, plugin: &Found, argv: Vec<OsString>) -> Job {
        Job {
            argv,
            environment: self
                .environment
                .of_question(&plugin.directory, &self.variables),
            directory: None,
            stdin: None,
            time_limit: Some(self.limit),
            stdout_limit: MAX_OUTPUT_BYTES,
            stderr_tail: 8 << 10,
            background: None,
            warm: None,
        }
    }
}

/// One plugin being asked.
pub(super) struct Asking<'a> {
    pub(super) asker: &'a Asker,
    /// In which others are asked as well.
    pub(super) round: Option<&'a Round>,
    pub(super) plugin: &'a Found,
    pub(super) start: Vec<OsString>,
    pub(super) interpreter: Option<PathBuf>,
    /// Whether every question so far had its answer: none ran out of time, was cut short, or could not be put.
    pub(super) is_whole: AtomicBool,
}

/// A Python program and what runs it.
pub(super) struct Python<'a> {
    pub(super) interpreter: &'a Path,
    pub(super) cli: &'a Path,
}

/// How the pages of commands are asked for.
#[derive(Clone, Copy)]
pub(super) enum Pages<'a> {
    Guarded(&'a Python<'a>),
    Open,
}

impl Asking<'_> {
    /// `--describe` and `--help`, as version 3 asked.
    pub(super) async fn ask_openly(
        &self,
        with_describe: bool,
        reasons: &mut Vec<String>,
    ) -> Result<Option<(Payload, &'static str)>, Unserved> {
        if with_describe && let Some(payload) = self.listen(self.describe().await, reasons)? {
            return Ok(Some((payload, "describe")));
        }
        let help = self.listen(self.help().await, reasons)?;
        Ok(help.map(|payload| (payload, "help")))
    }

    pub(super) fn listen(
        &self,
        answer: Result<Payload, NoAnswer>,
        reasons: &mut Vec<String>,
    ) -> Result<Option<Payload>, Unserved> {
        match answer {
            Ok(payload) => Ok(Some(payload)),
            Err(NoAnswer::Skip(reason)) => Err(reason),
            Err(NoAnswer::Next(reason)) => {
                reasons.push(reason);
                Ok(None)
            }
        }
    }

    pub(super) async fn describe(&self) -> Result<Payload, NoAnswer> {
        let finished = self.run_with(&["--describe"]).await?;
        self.read_description(finished).await
    }

    /// The same of a Python program that is known to answer: in a fork of an interpreter that others have in common
    /// with it, where there is one. There only an answer counts, and a program that hangs or floods; whatever else comes
    /// of it is seen when the program is executed.
    pub(super) async fn describe_in_round(&self) -> Result<Payload, NoAnswer> {
        let Some(round) = self.round else {
            return self.describe().await;
        };
        let job = self.asker.job(self.plugin, self.argv_with(&["--describe"]));
        let stop = self.asker.stop.clone();
        let forked = self.asker.launcher.run_in_round(job, round, stop).await;
        let Some(finished) = forked else {
            return self.describe().await;
        };
        if let Ending::TimedOut | Ending::OutputTooLarge | Ending::Cancelled = finished.ending {
            let finished = self.noted(Ok(finished))?;
            return self.read_description(finished).await;
        }
        match self.read_description(finished).await {
            Ok(payload) => Ok(payload),
            Err(_) => self.describe().await,
        }
    }

    async fn read_description(&self, finished: Finished) -> Result<Payload, NoAnswer> {
        let finished = self.ended(finished, "--describe")?;
        if finished.ending != Ending::Exited(0) {
            let fault = syntax_error(&finished.stderr_tail).map(NoAnswer::skip);
            let next = || NoAnswer::Next(format!("--describe {}", ending(&finished)));
            return Err(fault.unwrap_or_else(next));
        }
        let nothing = || NoAnswer::Next("--describe printed no JSON".to_owned());
        let payload = payload_of(finished.stdout).await?.ok_or_else(nothing)?;
        if payload.json["commands"].is_array() {
            return Ok(payload);
        }
        // A program that does not know the question may answer with JSON as well, such as an error.
        let reading = aside(move || contract::read(&payload.json)).await;
        let faults = reading.map_err(NoAnswer::Skip)?.err().unwrap_or_default();
        Err(NoAnswer::Next(format!("{BROKEN}: {faults}")))
    }

    pub(super) async fn help(&self) -> Result<Payload, NoAnswer> {
        let finished = self.run_with(&["--help"]).await?;
        let finished = self.ended(finished, "--help")?;
        self.read_help(printed(&finished), Pages::Open).await
    }

    pub(super) async fn read_help(
        &self,
        text: String,
        pages: Pages<'_>,
    ) -> Result<Payload, NoAnswer> {
        let name = self.plugin.name.clone();
        let names_help = introspect::reads_help_after_commands(&text);
        let reading = aside(move || introspect::parse_help(&name, &text)).await;
        let read = reading.map_err(NoAnswer::Skip)?;
        let mut json = read.map_err(|none| NoAnswer::Next(none.to_string()))?;
        if !names_help {
            return Ok(Payload {
                json,
                warning: None,
            });
        }
        // All the pages together have the time of one question.
        let reading = self.add_pages(&mut json, pages);
        let in_time = tokio::time::timeout(self.asker.limit, reading).await;
        self.is_whole.fetch_and(in_time.is_ok(), Ordering::Relaxed);
        let warning = in_time
            .is_err()
            .then(|| "its commands' own help pages took too long to be read".to_owned());
        Ok(Payload { json, warning })
    }

    async fn add_pages(&self, json: &mut Value, pages: Pages<'_>) {
        for command in introspect::pages_to_ask(json).into_iter().take(MAX_PAGES) {
            let words = [command.as_str(), "--help"];
            let page = match pages {
                Pages::Guarded(python) => {
                    let page = self.run_guarded(python, &words).await;
                    page.map(|text| cleaned_text(&text))
                }
                Pages::Open => self.run_with(&words).await.map(|run| printed(&run)),
            };
            // A page that cannot be had leaves the command open.
            let Ok(page) = page else { continue };
            if let Ok(page) = aside(move || CommandPage::read(&page)).await {
                page.add_to(json, &command);
            }
        }
    }

    async fn run_with(&self, words: &[&str]) -> Result<Finished, NoAnswer> {
        let stop = self.asker.stop.clone();
        let argv = self.argv_with(words);
        let run = self.asker.run(self.plugin, argv, stop).await;
        self.noted(run)
    }

    fn argv_with(&self, words: &[&str]) -> Vec<OsString> {
        let words = words.iter().map(OsString::from);
        self.start.iter().cloned().chain(words).collect()
    }

    /// Notes whether a run may have said less than it would have said with more time or means.
    fn noted(&self, run: Result<Finished, NoAnswer>) -> Result<Finished, NoAnswer> {
        let is_whole = match &run {
            Ok(finished) => !matches!(
                finished.ending,
                Ending::TimedOut | Ending::SupervisorLost | Ending::Cancelled
            ),
            Err(NoAnswer::Next(_)) => true,
            Err(NoAnswer::Skip(_)) => false,
        };
        self.is_whole.fetch_and(is_whole, Ordering::Relaxed);
        run
    }

    /// A program that hangs or floods is asked nothing more.
    pub(super) fn ended(&self, finished: Finished, question: &str) -> Result<Finished, NoAnswer> {
        match finished.ending {
            Ending::TimedOut => Err(NoAnswer::Skip(Unserved::Late(format!(
                "{question} had no answer within {} s",
                self.asker.limit.as_secs_f64()
            )))),
            Ending::OutputTooLarge => Err(NoAnswer::skip(format!(
                "{question} printed more than {MAX_OUTPUT_BYTES} bytes"
            ))),
            Ending::SupervisorLost => Err(NoAnswer::Skip(Unserved::Shortage(format!(
                "{question} was ended from outside"
            )))),
            Ending::Cancelled => Err(NoAnswer::skip("the server stops")),
            _ => Ok(finished),
        }
    }

    /// Runs the program under the guard: with `words`, or watching its parser where there are none. What it writes is
    /// gone with the run.
    pub(super) async fn run_watched(
        &self,
        python: &Python<'_>,
        words: &[&str],
    ) -> Result<Finished, NoAnswer> {
        let made = aside(PrivateCopy::make).await.map_err(NoAnswer::Skip);
        let copy = made.inspect_err(|_| self.is_whole.store(false, Ordering::Relaxed))?;
        let (limit, Python { interpreter, cli }) = (self.asker.limit, python);
        let argv = introspect::guarded_argv(interpreter, cli, limit, copy.path(), words);
        let stop = self.asker.stop.child_token();
        let running = self.asker.run(self.plugin, argv, stop.clone());
        let finished = within_bounds(running, copy.path(), &stop).await;
        aside(move || drop(copy)).await.map_err(NoAnswer::Skip)?;
        self.noted(finished)
    }

    /// What the program prints when it is run with `words` under the guard.
    pub(super) async fn run_guarded(
        &self,
        python: &Python<'_>,
        words: &[&str],
    ) -> Result<Vec<u8>, NoAnswer> {
        let finished = self.run_watched(python, words).await?;
        let finished = self.ended(finished, "the question")?;
        match finished.ending {
            Ending::Exited(0) => Ok(finished.stdout),
            _ => Err(NoAnswer::Next(last_line(&finished.stderr_tail))),
        }
    }
}

/// Ends a run that writes more to its copy than is kept for it. The guard looks at that when a file is begun; only
/// here is seen what files grow to.
async fn within_bounds(
    running: impl Future<Output = Result<Finished, NoAnswer>>,
    copy: &Path,
    stop: &CancellationToken,
) -> Result<Finished, NoAnswer> {
    let mut running = std::pin::pin!(running);
    loop {
        if let Ok(finished) = tokio::time::timeout(LOOK_AT_COPY_EVERY, &mut running).await {
            return finished;
        }
        let copy = copy.to_owned();
        let size = aside(move || introspect::size_within_bounds(&copy)).await;
        if let Ok(None) = size {
            stop.cancel();
            let _ended = running.await;
            return Err(NoAnswer::Next(format!(
                "writes more than {} bytes before it asks its parser",
                introspect::MAX_TOTAL_BYTES
            )));
        }
    }
}

/// Does work that takes its time with large texts where it holds up nobody.
pub(super) async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unserved> {
    let working = tokio::task::spawn_blocking(work).await;
    working.map_err(|fault| Unserved::Plugin(format!("its answer could not be read: {fault}")))
}

/// The payload in what a plugin printed.
pub(super) async fn payload_of(printed: Vec<u8>) -> Result<Option<Payload>, NoAnswer> {
    aside(move || find_payload(&printed))
        .await
        .map_err(NoAnswer::Skip)
}
