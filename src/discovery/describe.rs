//! Asks one plugin what it can do: `--describe`, its own parser, its help text.
//!
//! Knows no catalogue. Each question is bounded in time and bytes, so a plugin can only spoil its own place.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::introspect;
use super::mentions::mentions_describe;
use super::scan::{Found, Program};
use super::unserved::Unserved;
use crate::contract::environment::Environment;
use crate::contract::{self, Description, Payload, find_payload};
use crate::process::{Ending, Finished, Job, Launcher, SideChannels, StartError};
use crate::text::shown;

/// How much a plugin may print in answer to one question.
const MAX_OUTPUT_BYTES: usize = 4 << 20;

/// How many pages of sub-commands are read.
const MAX_PAGES: usize = 64;

/// Asks plugins.
#[derive(Debug, Clone)]
pub struct Asker {
    /// Runs them.
    pub launcher: Launcher,
    /// What they inherit.
    pub environment: Environment,
    /// The time for one question.
    pub limit: Duration,
    /// Ends the asking.
    pub stop: CancellationToken,
}

/// What a plugin answered.
#[derive(Debug)]
pub struct Described {
    /// What it can do.
    pub description: Description,
    /// `describe`, `introspection` or `help`.
    pub source: &'static str,
    /// The words that start it, before those of a command.
    pub start: Vec<OsString>,
}

/// An answer that cannot be used.
enum No {
    /// This question leads nowhere; the next may.
    Next(String),
    /// The plugin is not served.
    Skip(Unserved),
}

impl No {
    fn skip(reason: impl Into<String>) -> Self {
        Self::Skip(Unserved::Plugin(reason.into()))
    }
}

impl Asker {
    /// Asks `plugin`; `interpreter` runs it when it is a Python program.
    ///
    /// # Errors
    /// Why it is skipped.
    pub async fn ask(
        &self,
        plugin: &Found,
        interpreter: Option<PathBuf>,
    ) -> Result<Described, Unserved> {
        let asking = Asking {
            asker: self,
            plugin,
            start: start_words(plugin, interpreter.as_ref()),
            interpreter,
        };
        let (payload, source) = asking.payload().await?;
        let reading = move || contract::read(&payload.json);
        let mut description = aside(reading).await?.map_err(|faults| {
            Unserved::Plugin(format!("its description breaks the contract: {faults}"))
        })?;
        description.warnings.extend(payload.warning);
        if description.commands.is_empty()
            && description.offers.is_empty()
            && description.refused.is_empty()
        {
            let text = "it has no commands and serves nothing else";
            return Err(Unserved::Plugin(text.to_owned()));
        }
        if source == "introspection" {
            for command in &mut description.commands {
                command.ends_options = true;
            }
        }
        Ok(Described {
            description,
            source,
            start: asking.start,
        })
    }

    async fn run(&self, plugin: &Found, argv: Vec<OsString>) -> Result<Finished, No> {
        let job = Job {
            argv,
            environment: self.environment.of_question(&plugin.directory),
            directory: None,
            stdin: None,
            time_limit: Some(self.limit),
            stdout_limit: MAX_OUTPUT_BYTES,
            stderr_tail: 8 << 10,
        };
        let finished = self
            .launcher
            .run(job, SideChannels::default(), self.stop.clone())
            .await;
        finished.map_err(|fault| {
            No::Skip(match fault {
                StartError::System(_) => Unserved::Shortage(fault.to_string()),
                StartError::Program { .. } | StartError::TooLarge => {
                    Unserved::Plugin(fault.to_string())
                }
            })
        })
    }
}

/// One plugin being asked.
struct Asking<'a> {
    asker: &'a Asker,
    plugin: &'a Found,
    start: Vec<OsString>,
    interpreter: Option<PathBuf>,
}

impl Asking<'_> {
    async fn payload(&self) -> Result<(Payload, &'static str), Unserved> {
        let parser_first = self.interpreter.is_some() && !self.knows_the_question().await;
        let mut reasons = Vec::new();
        let mut by_parser = None;
        if parser_first {
            by_parser = self.listen(self.parser().await, &mut reasons)?;
            // A library may have taught it the question without a word of it in its own files.
            if let Some(payload) = by_parser.take_if(|payload| !has_describe_option(&payload.json))
            {
                return Ok((payload, "introspection"));
            }
        }
        if let Some(payload) = self.listen(self.describe().await, &mut reasons)? {
            return Ok((payload, "describe"));
        }
        if !parser_first && self.interpreter.is_some() {
            by_parser = self.listen(self.parser().await, &mut reasons)?;
        }
        if let Some(payload) = by_parser {
            return Ok((payload, "introspection"));
        }
        if let Some(payload) = self.listen(self.help().await, &mut reasons)? {
            return Ok((payload, "help"));
        }
        Err(Unserved::Plugin(reasons.join("; ")))
    }

    /// Whether the plugin's own files mention `--describe`; reading them may take a while.
    async fn knows_the_question(&self) -> bool {
        let directory = self.plugin.directory.clone();
        let looking = tokio::task::spawn_blocking(move || mentions_describe(&directory));
        looking.await.unwrap_or(true)
    }

    fn listen(
        &self,
        answer: Result<Payload, No>,
        reasons: &mut Vec<String>,
    ) -> Result<Option<Payload>, Unserved> {
        match answer {
            Ok(payload) => Ok(Some(payload)),
            Err(No::Skip(reason)) => Err(reason),
            Err(No::Next(reason)) => {
                reasons.push(reason);
                Ok(None)
            }
        }
    }

    async fn describe(&self) -> Result<Payload, No> {
        let finished = self.run_with(&["--describe"]).await?;
        let finished = self.ended(finished, "--describe")?;
        if finished.ending != Ending::Exited(0) {
            return Err(No::Next(format!("--describe {}", ending(&finished))));
        }
        let nothing = || No::Next("--describe printed no JSON".to_owned());
        payload_of(finished.stdout).await?.ok_or_else(nothing)
    }

    async fn parser(&self) -> Result<Payload, No> {
        let (Some(interpreter), Program::Python(cli)) = (&self.interpreter, &self.plugin.program)
        else {
            return Err(No::Next("it is no Python program".to_owned()));
        };
        let finished = self
            .asker
            .run(
                self.plugin,
                introspect::argv(interpreter, cli, self.asker.limit),
            )
            .await?;
        let finished = self.ended(finished, "the question for its parser")?;
        match finished.ending {
            Ending::Exited(0) => payload_of(finished.stdout)
                .await?
                .ok_or_else(|| No::Next("its parser could not be read".to_owned())),
            Ending::Exited(introspect::REFUSED) => Err(No::skip(last_line(&finished.stderr_tail))),
            Ending::Exited(introspect::NOT_ASKED) => {
                Err(No::Next(last_line(&finished.stderr_tail)))
            }
            _ => Err(No::Next(format!(
                "the question for its parser {}",
                ending(&finished)
            ))),
        }
    }

    async fn help(&self) -> Result<Payload, No> {
        let finished = self.run_with(&["--help"]).await?;
        let finished = self.ended(finished, "--help")?;
        let name = self.plugin.name.clone();
        let reading = aside(move || {
            let text = printed(&finished);
            let read = introspect::parse_help(&name, &text);
            (read, introspect::reads_help_after_commands(&text))
        });
        let (read, has_pages) = reading.await.map_err(No::Skip)?;
        let mut json = read.map_err(No::Next)?;
        if !has_pages {
            return Ok(Payload {
                json,
                warning: None,
            });
        }
        // All the pages together have the time of one question.
        let pages = self.pages(&mut json);
        let in_time = tokio::time::timeout(self.asker.limit, pages).await.is_ok();
        let warning =
            (!in_time).then(|| "its commands' own help pages took too long to be read".to_owned());
        Ok(Payload { json, warning })
    }

    async fn pages(&self, json: &mut Value) {
        for command in introspect::pages_to_ask(json).into_iter().take(MAX_PAGES) {
            // A page that cannot be had leaves the command open.
            let Ok(finished) = self.run_with(&[&command, "--help"]).await else {
                continue;
            };
            let mut described = json.clone();
            let reading = aside(move || {
                introspect::add_page(&mut described, &command, &printed(&finished));
                described
            });
            if let Ok(described) = reading.await {
                *json = described;
            }
        }
    }

    async fn run_with(&self, words: &[&str]) -> Result<Finished, No> {
        let words = words.iter().map(OsString::from);
        self.asker
            .run(
                self.plugin,
                self.start.iter().cloned().chain(words).collect(),
            )
            .await
    }

    /// A program that hangs or floods is asked nothing more.
    fn ended(&self, finished: Finished, question: &str) -> Result<Finished, No> {
        match finished.ending {
            Ending::TimedOut => Err(No::skip(format!(
                "{question} had no answer within {} s",
                self.asker.limit.as_secs_f64()
            ))),
            Ending::OutputTooLarge => Err(No::skip(format!(
                "{question} printed more than {MAX_OUTPUT_BYTES} bytes"
            ))),
            Ending::Cancelled => Err(No::skip("the server stops")),
            Ending::SupervisorLost => Err(No::Skip(Unserved::Shortage(format!(
                "{question} was ended from outside"
            )))),
            _ => Ok(finished),
        }
    }
}

/// Does work that takes its time with large texts where it holds up nobody.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unserved> {
    let working = tokio::task::spawn_blocking(work).await;
    working.map_err(|fault| Unserved::Plugin(format!("its answer could not be read: {fault}")))
}

async fn payload_of(printed: Vec<u8>) -> Result<Option<Payload>, No> {
    aside(move || find_payload(&printed))
        .await
        .map_err(No::Skip)
}

fn start_words(plugin: &Found, interpreter: Option<&PathBuf>) -> Vec<OsString> {
    let (Program::Python(path) | Program::Executable(path)) = &plugin.program;
    let words = interpreter.map(OsString::from).into_iter();
    words.chain([path.into()]).collect()
}

/// Whether a parser that was read has an option `--describe` of its own.
fn has_describe_option(payload: &Value) -> bool {
    let commands = payload["commands"].as_array().into_iter().flatten();
    let mut options =
        commands.flat_map(|command| command["parameters"].as_array().into_iter().flatten());
    options.any(|parameter| parameter["flag"] == "--describe")
}

fn printed(finished: &Finished) -> String {
    let bytes = if finished.stdout.trim_ascii().is_empty() {
        &finished.stderr_tail
    } else {
        &finished.stdout
    };
    crate::text::cleaned(&String::from_utf8_lossy(bytes))
}

fn ending(finished: &Finished) -> String {
    let how = match finished.ending {
        Ending::Exited(status) => format!("exited with status {status}"),
        Ending::Signalled(signal) => format!("was ended by signal {signal}"),
        _ => "was ended".to_owned(),
    };
    match last_line(&finished.stderr_tail) {
        line if line.is_empty() => how,
        line => format!("{how} ({line})"),
    }
}

fn last_line(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rev().find(|line| !line.trim().is_empty());
    shown(line.unwrap_or_default().trim(), 300)
}
