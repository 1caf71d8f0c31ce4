//! A program that is run to its end for one of the commands, bounded as calls are.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::time::Duration;

use anyhow::bail;

use crate::catalog::prepare::Outfitter;
use crate::commands::setup::Workbench;
use crate::contract::environment::is_of_a_repository;
use crate::process::{Ending, Job, SideChannels};
use crate::text::{cleaned, shown, without_secrets};

/// How long it may take.
const LIMIT: Duration = Duration::from_secs(600);

/// How much it may print, in bytes.
const MAX_OUTPUT: usize = 1 << 20;

/// What the commands work with.
pub(super) struct Bench<'a> {
    /// Settings, programs, signals.
    pub(super) workbench: &'a Workbench,
    /// What plugins are run with.
    pub(super) outfitter: Outfitter,
}

/// One command line.
pub(super) struct Command {
    argv: Vec<OsString>,
    variables: Vec<(&'static str, &'static str)>,
}

impl Command {
    /// Of this program.
    pub(super) fn new(program: impl AsRef<OsStr>) -> Self {
        Self {
            argv: vec![program.as_ref().to_owned()],
            variables: Vec::new(),
        }
    }

    /// More words of it.
    pub(super) fn words(mut self, words: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.argv
            .extend(words.into_iter().map(|word| word.as_ref().to_owned()));
        self
    }

    /// A path among them.
    pub(super) fn path(mut self, path: &Path) -> Self {
        self.argv.push(path.into());
        self
    }

    /// A variable, unless the environment has one of this name.
    pub(super) fn variable(mut self, name: &'static str, value: &'static str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// What it prints.
    ///
    /// # Errors
    /// It failed, with the last of what it said, or a signal asked for the end.
    pub(super) async fn run(self, bench: &Bench<'_>) -> anyhow::Result<String> {
        let program = self.argv[0].to_string_lossy().into_owned();
        // The server's own keys are not among them.
        let mut environment = bench.workbench.config.catalog.environment.clone();
        environment.retain(|(name, _)| !is_of_a_repository(name));
        for (name, value) in self.variables {
            if environment.iter().all(|(known, _)| known != name) {
                environment.push((name.into(), value.into()));
            }
        }
        let job = Job {
            argv: self.argv,
            environment,
            directory: None,
            stdin: None,
            time_limit: Some(LIMIT),
            stdout_limit: MAX_OUTPUT,
            stderr_tail: 8 << 10,
            background: None,
            warm: None,
        };
        let stop = bench.workbench.shutdown.draining().clone();
        let running = bench
            .workbench
            .launcher
            .run(job, SideChannels::default(), stop);
        let finished = running.await?;
        match finished.ending {
            Ending::Exited(0) => {
                return Ok(String::from_utf8_lossy(&finished.stdout).trim().to_owned());
            }
            Ending::Cancelled => bail!("interrupted"),
            Ending::TimedOut => bail!(
                "{program} took longer than {} minutes",
                LIMIT.as_secs() / 60
            ),
            _ => {}
        }
        let said = cleaned(&String::from_utf8_lossy(&finished.stderr_tail));
        let lines: Vec<&str> = said
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let last = lines[lines.len().saturating_sub(3)..].join("; ");
        bail!("{program} failed: {}", shown(&without_secrets(&last), 500))
    }
}
