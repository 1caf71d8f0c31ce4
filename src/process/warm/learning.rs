//! How a plugin gets its warm interpreter: what it imports is learned from the plugin itself, and what was made is
//! proven by comparison before a call gets it.
//!
//! Knows no call: a question that has no effect is run instead, first as any program, then in a fork.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::super::engine::{Engine, Under};
use super::super::job::{Ending, Finished, Held, Job, SideChannels, Warmable};
use super::super::wire::Start;
use super::fault::Fault;
use super::files::Sources;
use super::idle::Counts;
use super::parent::{Loading, Parent, Recipe};

/// The time of one run of the question.
const QUESTION_LIMIT: Duration = Duration::from_secs(30);

/// The most that an answer may print, in bytes.
const MAX_ANSWER: usize = 8 << 20;

/// How often an interpreter is begun anew because a module has spoiled it.
const MAX_SPOILED: usize = 8;

/// How a plugin is started and asked.
#[derive(Debug)]
pub(in crate::process) struct Lesson {
    /// The interpreter and the script.
    pub(super) start: Vec<OsString>,
    pub(super) question: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) plugin: PathBuf,
}

/// A warm interpreter that gives what a cold one gives, and what it was made of.
#[derive(Debug)]
pub(super) struct Lessons {
    pub(super) parent: Arc<Parent>,
    pub(super) sources: Sources,
    pub(super) fingerprint: u64,
}

/// With what it is learned.
#[derive(Debug)]
pub(super) struct Learner<'a> {
    pub(super) engine: &'a Engine,
    pub(super) tracker: &'a TaskTracker,
    pub(super) end: &'a CancellationToken,
}

impl Lesson {
    pub(super) fn new(job: &Job, warmable: &Warmable) -> Self {
        Self {
            start: job.argv.iter().take(2).cloned().collect(),
            question: warmable.question.clone(),
            environment: (warmable.environment)(),
            plugin: warmable.directory.clone(),
        }
    }

    /// What a change of can be seen before anything was learned.
    pub(super) fn known_sources(&self) -> Sources {
        Sources {
            plugin: self.plugin.clone(),
            interpreter: self.start.first().map(PathBuf::from).unwrap_or_default(),
            ..Sources::default()
        }
    }

    fn job(&self) -> Job {
        Job {
            argv: self.start.iter().chain(&self.question).cloned().collect(),
            environment: self.environment.clone(),
            directory: None,
            stdin: None,
            time_limit: Some(QUESTION_LIMIT),
            stdout_limit: MAX_ANSWER,
            stderr_tail: 64 << 10,
            background: None,
            warm: None,
        }
    }
}

impl Learner<'_> {
    /// Learns, makes an interpreter, and proves it.
    ///
    /// # Errors
    /// Why the plugin has none.
    pub(super) async fn learn(&self, lesson: &Lesson) -> Result<Lessons, Fault> {
        let reference = self.ask(lesson, Under::Any).await?;
        let Ending::Exited(status) = reference.ending else {
            return Err(Fault::lasting(format!(
                "asked with {}, it has not ended by itself",
                shown(lesson)
            )));
        };
        let mut spoiled: Vec<String> = Vec::new();
        let mut modules: Option<Value> = None;
        loop {
            let recipe = Recipe {
                interpreter: lesson.start.first().cloned().unwrap_or_default(),
                script: Some(lesson.start.get(1).cloned().unwrap_or_default()),
                environment: lesson.environment.clone(),
            };
            let parent = Parent::start(self.engine, self.tracker, self.end, recipe).await?;
            let list = match &modules {
                Some(list) => list,
                None => modules.insert(
                    parent
                        .learn(&lesson.question, &lesson.environment, status)
                        .await?,
                ),
            };
            let sources = Sources {
                paths: parent.paths.clone(),
                origins: origins(list),
                ..lesson.known_sources()
            };
            let fingerprint = sources.clone().fingerprint_aside().await?;
            match parent.load(list).await? {
                Loading::Loaded { loaded } => {
                    self.prove(lesson, &reference, &parent).await?;
                    // What was changed meanwhile may be imported in part.
                    if sources.clone().fingerprint_aside().await? != fingerprint {
                        return Err(Fault::passing("its files were changed meanwhile"));
                    }
                    tracing::debug!(
                        loaded,
                        plugin = %lesson.plugin.display(),
                        "a warm interpreter is ready"
                    );
                    return Ok(Lessons {
                        parent,
                        sources,
                        fingerprint,
                    });
                }
                Loading::Spoiled { spoiled: name, why } => {
                    let is_new = !spoiled.contains(&name);
                    if !is_new || spoiled.len() == MAX_SPOILED {
                        return Err(Fault::lasting(format!(
                            "what it imports does not go together with a warm interpreter: {name}: {why}"
                        )));
                    }
                    modules = modules.map(|list| without(list, &name));
                    spoiled.push(name);
                }
            }
        }
    }

    /// Whether a fork gives what the program itself gives.
    async fn prove(
        &self,
        lesson: &Lesson,
        reference: &Finished,
        parent: &Arc<Parent>,
    ) -> Result<(), Fault> {
        let counts = Arc::new(Counts::default());
        let lane = parent.lane(&counts, false).await.map_err(|fault| {
            Fault::passing(format!("its warm interpreter starts no program: {fault}"))
        })?;
        let warm = Start::Warm { reuse: false };
        let proof = self.ask(lesson, Under::Lane(lane, warm)).await?;
        if counts.fell_back.load(std::sync::atomic::Ordering::Relaxed) > 0 {
            return Err(Fault::lasting("its warm interpreter refuses to run it"));
        }
        let differs = if proof.ending != reference.ending {
            "another exit status"
        } else if proof.stdout != reference.stdout {
            "another output"
        } else if proof.stderr_tail != reference.stderr_tail {
            "other messages on stderr"
        } else {
            return Ok(());
        };
        Err(Fault::lasting(format!(
            "asked with {} it gives {differs} warm, or each time",
            shown(lesson)
        )))
    }

    async fn ask(&self, lesson: &Lesson, under: Under) -> Result<Finished, Fault> {
        let (caller, answer) = oneshot::channel();
        let run = self.engine.clone().carry_out(
            lesson.job(),
            SideChannels::default(),
            self.end.child_token(),
            caller,
            Held::<(), ()>::default(),
            under,
        );
        // A task of its own: what it leaves is ended whoever stops waiting.
        self.tracker.spawn(run);
        match answer.await {
            Ok(Ok(finished)) => Ok(finished),
            Ok(Err(fault)) => Err(Fault::passing(fault.to_string())),
            Err(_) => Err(Fault::passing("the server ends")),
        }
    }
}

/// Where modules come from, of a list of them.
fn origins(modules: &Value) -> Vec<PathBuf> {
    let modules = modules.as_array().map_or(&[][..], Vec::as_slice);
    let origins = modules.iter().filter_map(|module| module[1].as_str());
    origins
        .filter(|origin| origin.starts_with('/'))
        .map(PathBuf::from)
        .collect()
}

/// The list without a module and what is inside it.
fn without(mut modules: Value, name: &str) -> Value {
    if let Some(list) = modules.as_array_mut() {
        list.retain(|module| {
            let known = module[0].as_str().unwrap_or_default();
            let rest = known.strip_prefix(name);
            !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
    }
    modules
}

fn shown(lesson: &Lesson) -> String {
    let words = lesson.question.iter().map(|word| word.to_string_lossy());
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_module_goes_with_what_is_inside_it_and_nothing_else_does() {
        let modules = json!([
            ["json", "/a"],
            ["js", "/b"],
            ["js.inner", null],
            ["jsx", "/c"]
        ]);
        let left = without(modules, "js");
        assert_eq!(left, json!([["json", "/a"], ["jsx", "/c"]]));
        assert_eq!(origins(&left), [PathBuf::from("/a"), PathBuf::from("/c")]);
    }
}
