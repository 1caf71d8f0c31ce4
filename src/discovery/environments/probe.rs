//! One interpreter asked what it lacks of a declaration, and what it can install with.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::sync::OnceCell;

use super::super::question::Asker;
use super::need::Need;
use crate::process::{Ending, Job, SideChannels};

/// The program that the interpreter runs.
const PROGRAM: &str = include_str!("probe.py");

/// How long the answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// The first pip that installs into an environment other than its own.
const PIP_FOR_OTHERS: (u32, u32) = (22, 3);

/// What an interpreter has.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Probed {
    /// The requirements that it does not meet, or of which that cannot be told.
    pub(super) missing: Vec<String>,
    /// The version of its pip.
    pip: Option<String>,
    /// Whether it can put a pip of its own into an environment.
    pub(super) ensurepip: bool,
    /// Whether it can make environments.
    pub(super) venv: bool,
    /// The directories of its packages, as Python writes them.
    pub(super) packages: Vec<String>,
    /// Its version.
    pub(super) python: String,
    /// Whether that is none of those that are asked for.
    pub(super) is_unfit: bool,
}

impl Probed {
    /// Whether its pip installs into an environment without one.
    pub(super) fn has_pip_for_others(&self) -> bool {
        let parts = self.pip.as_deref().unwrap_or_default().split('.');
        let mut numbers = parts.map(|part| part.parse().unwrap_or(0));
        let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        version >= PIP_FOR_OTHERS
    }
}

/// What interpreters have answered: each is asked once for equal declarations while plugins are asked side by side. Goes
/// with the load that it belongs to, and has an entry for each plugin of that at most.
#[derive(Debug, Default)]
pub struct Probes(Mutex<HashMap<String, Answer>>);

type Answer = Arc<OnceCell<Result<Probed, String>>>;

impl Probes {
    /// What the interpreter of `need` lacks, asked unless it was asked for the same.
    ///
    /// # Errors
    /// Why it gave no answer.
    pub(super) async fn of(&self, need: &Need, asker: &Asker) -> Result<Probed, String> {
        let answer = {
            let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(answers.entry(need.question.clone()).or_default())
        };
        answer.get_or_init(|| probe(asker, need)).await.clone()
    }
}

/// Asks the interpreter in the environment in which it runs the plugin.
async fn probe(asker: &Asker, need: &Need) -> Result<Probed, String> {
    let (interpreter, directory): (&Path, &Path) = (&need.base, &need.plugin.directory);
    let python = need.declared.python.as_ref();
    let question = json!({
        "requirements": need.declared.asked,
        "directory": directory.to_string_lossy(),
        "python": python.map(|python| &python.specifier),
    });
    let job = Job {
        argv: vec![interpreter.into(), "-c".into(), PROGRAM.into()],
        environment: asker.environment.of_question(directory, &[]),
        directory: None,
        stdin: Some(question.to_string().into_bytes()),
        time_limit: Some(LIMIT),
        stdout_limit: 4 << 20,
        stderr_tail: 4 << 10,
        background: None,
        warm: None,
    };
    let running = asker
        .launcher
        .run(job, SideChannels::default(), asker.stop.clone());
    let finished = running.await.map_err(|fault| fault.to_string())?;
    let interpreter = interpreter.display();
    if finished.ending != Ending::Exited(0) {
        let how = super::super::outcome::ending(&finished);
        return Err(format!("{interpreter} could not say what it has: it {how}"));
    }
    let lines = finished.stdout.rsplit(|byte| *byte == b'\n');
    let answer = lines.into_iter().next().unwrap_or_default();
    let mut probed: Probed = serde_json::from_slice(answer)
        .map_err(|fault| format!("{interpreter} could not say what it has: {fault}"))?;
    let missing: HashSet<String> = probed.missing.into_iter().collect();
    // Shown are the lines as they were written: values of variables may be secrets.
    let lines = need.declared.asked.iter().zip(&need.declared.lines);
    let lines = lines.filter(|(asked, _)| missing.contains(*asked));
    probed.missing = lines.map(|(_, line)| line.clone()).collect();
    Ok(probed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pip_that_installs_for_others_is_told_by_its_version() {
        let with = |pip: Option<&str>| Probed {
            missing: Vec::new(),
            pip: pip.map(str::to_owned),
            ensurepip: false,
            venv: true,
            packages: Vec::new(),
            python: "3.11.0".to_owned(),
            is_unfit: false,
        };
        for (pip, expected) in [
            (None, false),
            (Some("20.3.4"), false),
            (Some("22.2.2"), false),
            (Some("22.3"), true),
            (Some("23.0.1"), true),
            (Some("26.1.dev0"), true),
            (Some("odd"), false),
        ] {
            assert_eq!(with(pip).has_pip_for_others(), expected, "{pip:?}");
        }
    }
}
