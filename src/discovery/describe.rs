//! Asks one plugin what it can do: `--describe`, its own parser, its help text.
//!
//! Knows no catalogue. Each question is bounded in time and bytes, so a plugin can only spoil its own place.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::introspect::{self, Questions};
pub use super::question::Asker;
use super::question::{Asking, Python};
use super::scan::{Found, Program};
use crate::contract::{self, Description, Payload};

/// How many faults of one description a message names.
const MAX_FAULTS: usize = 5;

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

impl Asker {
    /// Asks `plugin`; `interpreter` runs it when it is a Python program.
    ///
    /// # Errors
    /// Why it is skipped.
    pub async fn ask(
        &self,
        plugin: &Found,
        interpreter: Option<PathBuf>,
    ) -> Result<Described, String> {
        let asking = Asking {
            asker: self,
            plugin,
            start: start_words(plugin, interpreter.as_ref()),
            interpreter,
        };
        let (payload, source) = asking.payload().await?;
        let mut description = contract::read(&payload.json).map_err(|faults| broken(&faults))?;
        description.warnings.extend(payload.warning);
        if description.commands.is_empty()
            && description.offers.is_empty()
            && description.refused.is_empty()
        {
            return Err("it has no commands and serves nothing else".to_owned());
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
}

impl Asking<'_> {
    async fn payload(&self) -> Result<(Payload, &'static str), String> {
        let mut reasons = Vec::new();
        let found = match (&self.interpreter, &self.plugin.program) {
            (Some(interpreter), Program::Python(cli)) => {
                let python = Python { interpreter, cli };
                self.ask_python(&python, &mut reasons).await?
            }
            (_, Program::Python(path) | Program::Executable(path)) => {
                self.ask_executable(path.clone(), &mut reasons).await?
            }
        };
        found.ok_or_else(|| reasons.join("; "))
    }

    async fn ask_executable(
        &self,
        path: PathBuf,
        reasons: &mut Vec<String>,
    ) -> Result<Option<(Payload, &'static str)>, String> {
        let looking = tokio::task::spawn_blocking(move || questions_of(&path));
        let may = looking.await.unwrap_or(Questions::of(b""));
        if !may.describe && !may.help {
            return Err("it is a script that looks at neither --describe nor --help, so it would work when it is asked".to_owned());
        }
        if !may.help {
            let described = self.listen(self.describe().await, reasons)?;
            return Ok(described.map(|payload| (payload, "describe")));
        }
        self.ask_openly(may.describe, reasons).await
    }
}

/// What the executable at `path` may be asked; one that cannot be read may be asked anything.
fn questions_of(path: &Path) -> Questions {
    let mut text = Vec::new();
    let limit = introspect::MAX_SCRIPT_BYTES as u64;
    let read = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut text));
    Questions::of(if read.is_ok() { &text } else { b"" })
}

fn start_words(plugin: &Found, interpreter: Option<&PathBuf>) -> Vec<OsString> {
    let (Program::Python(path) | Program::Executable(path)) = &plugin.program;
    let words = interpreter.map(OsString::from).into_iter();
    words.chain([path.into()]).collect()
}

fn broken(faults: &[String]) -> String {
    let named = faults
        .iter()
        .take(MAX_FAULTS)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    match faults.len().saturating_sub(MAX_FAULTS) {
        0 => format!("its description breaks the contract: {named}"),
        more => format!("its description breaks the contract: {named}; and {more} more"),
    }
}
