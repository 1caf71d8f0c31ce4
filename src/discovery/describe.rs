//! Asks one plugin what it can do: `--describe`, its own parser, its help text.
//!
//! Knows no catalogue. Each question is bounded in time and bytes, so a plugin can only spoil its own place.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::advice;
use super::introspect::{self, Questions};
pub use super::question::Asker;
use super::question::{Asking, BROKEN, Python, aside};
use super::regular_file::read_regular;
use super::scan::{Found, Program};
use super::unserved::Unserved;
use crate::contract::{self, Description, Payload};
use crate::process::{Round, first_line_fault};

/// The ways in which plugins become known: `describe`, `introspection` or `help`.
pub const SOURCES: [&str; 3] = ["describe", "introspection", "help"];

/// What a plugin answered, whatever the contract says of it.
#[derive(Debug)]
pub struct Answer {
    /// The answer itself.
    pub payload: Payload,
    /// One of [`SOURCES`].
    pub source: &'static str,
    /// Whether every question on the way to it had its answer: none ran out of time, was cut short, or could not be
    /// put for want of something.
    pub is_whole: bool,
}

/// What a plugin says of itself.
#[derive(Debug)]
pub struct Described {
    /// What it can do.
    pub description: Description,
    /// One of [`SOURCES`].
    pub source: &'static str,
    /// The words that start it, before those of a command.
    pub start: Vec<OsString>,
    /// The lock on the environment that runs it, if one does.
    pub held: Option<Arc<File>>,
}

impl Asker {
    /// Asks `plugin`; `interpreter` runs it when it is a Python program, and may have others to ask in this `round`.
    ///
    /// # Errors
    /// Why it is skipped.
    pub async fn ask(
        &self,
        plugin: &Found,
        interpreter: Option<PathBuf>,
        round: Option<&Round>,
    ) -> Result<Answer, Unserved> {
        let asking = Asking {
            asker: self,
            round,
            plugin,
            start: start_words(plugin, interpreter.as_ref()),
            interpreter,
            is_whole: AtomicBool::new(true),
        };
        match asking.payload().await {
            Ok((payload, source)) => Ok(Answer {
                payload,
                source,
                is_whole: asking.is_whole.into_inner(),
            }),
            Err(fault) => Err(asking.advised(fault).await),
        }
    }
}

/// What `answer` says of `plugin`, which `interpreter` runs when it is a Python program. Takes its time with a large
/// one.
///
/// # Errors
/// What is wrong with it.
pub fn described(
    answer: &Answer,
    plugin: &Found,
    interpreter: Option<&PathBuf>,
) -> Result<Described, Unserved> {
    let payload = &answer.payload;
    let mut description = contract::read(&payload.json)
        .map_err(|faults| Unserved::Contract(format!("{BROKEN}: {faults}")))?;
    description.warnings.extend(payload.warning.clone());
    if description.commands.is_empty()
        && description.offers.is_empty()
        && description.services.is_empty()
        && description.refused.is_empty()
    {
        let text = "it has no commands and serves nothing else";
        return Err(Unserved::Contract(text.to_owned()));
    }
    if answer.source == "introspection" {
        for command in &mut description.commands {
            command.ends_options = true;
        }
    }
    Ok(Described {
        description,
        source: answer.source,
        start: start_words(plugin, interpreter),
        held: None,
    })
}

impl Asking<'_> {
    /// A reason with what to do about it.
    async fn advised(&self, fault: Unserved) -> Unserved {
        let (text, again): (String, fn(String) -> Unserved) = match fault {
            Unserved::Plugin(text) => (text, Unserved::Plugin),
            Unserved::Late(text) => (text, Unserved::Late),
            Unserved::Contract(text) => (text, Unserved::Contract),
            fault => return fault,
        };
        let (Program::Python(path) | Program::Executable(path)) = self.plugin.program.clone();
        let interpreter = self.interpreter.clone();
        let words = text.clone();
        let advising = aside(move || advice::of(&words, &path, interpreter.as_deref())).await;
        again(advising.ok().flatten().unwrap_or(text))
    }

    async fn payload(&self) -> Result<(Payload, &'static str), Unserved> {
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
        let Some((mut payload, source)) = found else {
            let is_broken = reasons.iter().any(|why| why.starts_with(BROKEN));
            let text = reasons.join("; ");
            return Err(if is_broken {
                Unserved::Contract(text)
            } else {
                Unserved::Plugin(text)
            });
        };
        let broken = reasons.into_iter().find(|why| why.starts_with(BROKEN));
        payload.warning = payload.warning.or(broken);
        Ok((payload, source))
    }

    async fn ask_executable(
        &self,
        path: PathBuf,
        reasons: &mut Vec<String>,
    ) -> Result<Option<(Payload, &'static str)>, Unserved> {
        let (may, fault) = aside(move || look_into(&path)).await?;
        if let Some(fault) = fault {
            return Err(Unserved::Plugin(fault));
        }
        if !may.describe && !may.help {
            let text = "it was not run to ask what it can do: its text has neither --describe nor --help, so it would not take \
                        the question for one, and do its work; let it answer --describe";
            return Err(Unserved::Plugin(text.to_owned()));
        }
        if !may.help {
            let described = self.listen(self.describe().await, reasons)?;
            return Ok(described.map(|payload| (payload, "describe")));
        }
        self.ask_openly(may.describe, reasons).await
    }
}

/// What the executable at `path` may be asked, and what keeps it from being run at all. One that cannot be read may
/// be asked anything.
fn look_into(path: &Path) -> (Questions, Option<String>) {
    let text = read_regular(path, introspect::MAX_SCRIPT_BYTES as u64).unwrap_or_default();
    (Questions::of(&text), first_line_fault(&text))
}

fn start_words(plugin: &Found, interpreter: Option<&PathBuf>) -> Vec<OsString> {
    let (Program::Python(path) | Program::Executable(path)) = &plugin.program;
    let words = interpreter.map(OsString::from).into_iter();
    words.chain([path.into()]).collect()
}
