//! One plugin asked by itself: how long it takes, what it writes, and which commands its own parser has.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::files::Listing;
use super::finding::{Finding, Rule, Severity};
use crate::catalog::{PluginInfo, Snapshot};
use crate::commands::setup::Workbench;
use crate::contract::environment::Environment;
use crate::contract::find_payload;
use crate::discovery::introspect::{self, MAX_SCRIPT_BYTES, PrivateCopy, Questions};
use crate::discovery::regular_file::read_regular;
use crate::process::{Ending, Finished, Job, SideChannels};
use crate::text::{cleaned, shown};

/// A program that takes longer to start makes every call wait.
const SLOW: Duration = Duration::from_secs(1);
/// How many times as long as the start of an interpreter a slow program takes. Where that takes long as well, the machine
/// is slow and not the program.
const TIMES_A_START: u32 = 5;
/// What stands for the start of an interpreter where the program's own is not known: about as much work as Python's.
const AS_A_START: &str = "i=0; while [ $i -lt 20 ]; do /bin/sh -c :; i=$((i+1)); done";
/// How often a program must be slow. What is slow once may have been disturbed.
const TRIALS: usize = 3;
/// How much a program may print in answer, in bytes.
const MAX_OUTPUT: usize = 4 << 20;
/// Paths that are named.
const MAX_NAMED: usize = 3;

/// Asks plugins one after the other.
pub(super) struct Looker<'a> {
    bench: &'a Workbench,
    environment: Environment,
    variables: Vec<(String, String)>,
}

impl<'a> Looker<'a> {
    /// Asks with what the catalogue asks with.
    pub(super) fn new(bench: &'a Workbench, variables: Vec<(String, String)>) -> Self {
        let settings = &bench.config.catalog;
        Self {
            bench,
            environment: Environment::new(&settings.environment, settings.reserved.clone()),
            variables,
        }
    }

    /// What is found of one plugin that is served.
    ///
    /// # Errors
    /// A signal asked for the end.
    pub(super) async fn look(
        &self,
        plugin: &PluginInfo,
        snapshot: &Snapshot,
    ) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let mut note = |severity, rule, message: String, mend: &str| {
            findings.push(Finding {
                plugin: Some(plugin.name.clone()),
                severity,
                rule,
                place: None,
                message,
                mend: mend.to_owned(),
                said: None,
            });
        };
        let python = plugin.directory.join("cli.py");
        let is_python = python.symlink_metadata().is_ok();
        let own = self.bench.config.catalog.cache.as_ref();
        let own = own.map(|cache| cache.directory.as_path());
        let here = || Listing::of_working_directory(own);
        let before = here();
        let mut took = Duration::MAX;
        let mut parser = None;
        let mut is_slow = true;
        for _ in 0..TRIALS {
            let began = Instant::now();
            if plugin.source == "introspection" {
                parser = self.ask_parser(plugin, &python).await?;
            } else {
                let word = if plugin.source == "help" {
                    "--help"
                } else {
                    "--describe"
                };
                self.run(plugin, vec![word.into()]).await?;
            }
            let this_time = began.elapsed();
            took = took.min(this_time);
            is_slow = this_time >= SLOW && {
                let start = self.start_alone(plugin, is_python).await?;
                this_time >= start * TIMES_A_START
            };
            if !is_slow {
                break;
            }
        }
        let mut written = before.changed(&here());
        if is_slow {
            let message = format!(
                "takes {:.1} s to say what it can do, and every call that finds no warm interpreter starts it anew",
                took.as_secs_f64()
            );
            let mend = match is_python {
                true => "import what is large where it is used, inside the command",
                false => "do at the start only what every command needs",
            };
            note(Severity::Warning, Rule::SlowStart, message, mend);
        }
        if plugin.source == "describe" && is_python {
            parser = self.ask_parser(plugin, &python).await?;
        }
        if let Some(parser) = &parser {
            written.extend(parser.written.iter().cloned());
        }
        if !written.is_empty() {
            let mend = "write where the command does its work, not where the program starts: it is asked at every start of a server";
            note(Severity::Warning, Rule::Writes, writes(&written), mend);
        }
        let known = match (&parser, plugin.source) {
            (Some(parser), "describe") => parser
                .commands
                .clone()
                .map(|known| (known, Severity::Error)),
            (None, "describe") if !is_python => {
                let listed = self.listed(plugin).await?;
                listed.map(|known| (known, Severity::Warning))
            }
            _ => None,
        };
        if let Some((known, severity)) = known {
            let tools = snapshot
                .tools
                .iter()
                .filter(|tool| tool.plugin == plugin.name);
            for tool in tools {
                let Some(selector) = tool.selector().filter(|word| !known.contains(*word)) else {
                    continue;
                };
                findings.push(Finding {
                    plugin: Some(plugin.name.clone()),
                    severity,
                    rule: Rule::UnknownCommand,
                    place: Some(tool.address().to_owned()),
                    message: format!(
                        "names the command '{}', which the program does not know; it has {}",
                        shown(selector, 60),
                        shown(&known.iter().cloned().collect::<Vec<_>>().join(", "), 200)
                    ),
                    mend: "correct the description, or add the command to the program".to_owned(),
                    said: None,
                });
            }
        }
        Ok(findings)
    }

    async fn run(
        &self,
        plugin: &PluginInfo,
        words: Vec<OsString>,
    ) -> anyhow::Result<Option<Finished>> {
        let python = plugin.directory.join("cli.py");
        let mut argv: Vec<OsString> = vec![plugin.interpreter.clone().into()];
        if python.symlink_metadata().is_ok() {
            argv.push(python.into());
        }
        argv.extend(words);
        self.run_line(plugin, argv).await
    }

    /// How long the start of an interpreter with nothing to do takes at this moment: the better of two times.
    async fn start_alone(&self, plugin: &PluginInfo, is_python: bool) -> anyhow::Result<Duration> {
        let (interpreter, work) = match is_python {
            true => (plugin.interpreter.as_os_str(), ""),
            false => (OsStr::new("/bin/sh"), AS_A_START),
        };
        let mut best = Duration::MAX;
        for _ in 0..2 {
            let began = Instant::now();
            let argv = vec![interpreter.to_owned(), "-c".into(), work.into()];
            self.run_line(plugin, argv).await?;
            best = best.min(began.elapsed());
        }
        Ok(best)
    }

    /// A run, or nothing where it could not be started: the catalogue has said why.
    async fn run_line(
        &self,
        plugin: &PluginInfo,
        argv: Vec<OsString>,
    ) -> anyhow::Result<Option<Finished>> {
        let job = Job {
            argv,
            environment: self
                .environment
                .of_question(&plugin.directory, &self.variables),
            directory: None,
            stdin: None,
            time_limit: Some(self.bench.config.catalog.describe_limit),
            stdout_limit: MAX_OUTPUT,
            stderr_tail: 8 << 10,
            background: None,
            warm: None,
        };
        let cancel: CancellationToken = self.bench.shutdown.draining().clone();
        let finished = self
            .bench
            .launcher
            .run(job, SideChannels::default(), cancel)
            .await;
        anyhow::ensure!(
            !self.bench.shutdown.draining().is_cancelled(),
            "interrupted"
        );
        Ok(finished.ok())
    }

    /// What the program's own parser says, under the guard that keeps it from working.
    async fn ask_parser(&self, plugin: &PluginInfo, cli: &Path) -> anyhow::Result<Option<Parser>> {
        let copy = PrivateCopy::make();
        let limit = self.bench.config.catalog.describe_limit;
        let argv = introspect::argv(&plugin.interpreter, cli, limit, copy.path());
        let finished = self.run_line(plugin, argv).await?;
        let finished = finished.filter(|run| run.ending == Ending::Exited(0));
        Ok(finished.map(|run| Parser {
            commands: find_payload(&run.stdout).and_then(|payload| words(&payload.json)),
            written: copy.written(),
        }))
    }

    /// The commands that a program's help lists. It is asked for that only where it has the word in it: one that does not
    /// know the question may do its work instead.
    async fn listed(&self, plugin: &PluginInfo) -> anyhow::Result<Option<BTreeSet<String>>> {
        let program = read_regular(&plugin.interpreter, MAX_SCRIPT_BYTES as u64);
        let program = program.unwrap_or_default();
        let knows = memchr::memmem::find(&program, b"--help").is_some();
        if !knows || !Questions::of(&program).help {
            return Ok(None);
        }
        let Some(run) = self.run(plugin, vec!["--help".into()]).await? else {
            return Ok(None);
        };
        if run.ending != Ending::Exited(0) {
            return Ok(None);
        }
        let text = cleaned(&String::from_utf8_lossy(&run.stdout));
        let read = introspect::parse_help(&plugin.name, &text).ok();
        Ok(read.and_then(|json| words(&json)))
    }
}

/// What a parser says.
struct Parser {
    /// The words that select its commands; `None` where it has none.
    commands: Option<BTreeSet<String>>,
    /// What was written before it was asked.
    written: Vec<PathBuf>,
}

/// The words that select commands; `None` where the program itself is one, which takes any words.
fn words(payload: &Value) -> Option<BTreeSet<String>> {
    let commands = payload["commands"].as_array()?;
    let word = |command: &Value| -> Option<String> {
        match command["invoke"].as_array() {
            Some(words) => Some(words.first()?.as_str()?.to_owned()),
            None => Some(command["name"].as_str()?.to_owned()),
        }
    };
    let words: Option<BTreeSet<String>> = commands.iter().map(word).collect();
    words.filter(|words| !words.is_empty())
}

/// The sentence about what was written.
pub(super) fn writes(paths: &[PathBuf]) -> String {
    let named = paths
        .iter()
        .take(MAX_NAMED)
        .map(|path| path.display().to_string());
    let named = named.collect::<Vec<_>>().join(", ");
    let more = match paths.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!(
        "writes {}{more} when it is only asked what it can do",
        shown(&named, 300)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_program_that_takes_any_words_has_no_list_of_commands() {
        let set = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        for (commands, expected) in [
            (
                json!([{"name": "a", "invoke": ["a"]}, {"name": "b"}]),
                set(&["a", "b"]),
            ),
            (json!([{"name": "a.b", "invoke": ["a", "b"]}]), set(&["a"])),
            (json!([{"name": "whole", "invoke": []}]), None),
            (json!([]), None),
        ] {
            assert_eq!(words(&json!({"commands": commands})), expected);
        }
    }
}
