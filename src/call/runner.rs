//! One call from its arguments to its result: checks, permit, command line, process, output.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::argv::Line;
use super::command::Runnable;
use super::event_channel::EventChannel;
use super::output::{self, Expected, STDERR_TAIL};
use super::prepare;
use super::queue::{Bounds, Client, Demand, Full, Load, Permits, Queue};
use super::types::{
    BackgroundJob, CallError, CallRequest, Caller, ClientCapabilities, Limits, OutputLoad, Permit,
    ToolResult,
};
use crate::contract::environment::{Environment, OfCall};
use crate::process::{
    Background, Ending, Finished, Held, Job, Keep, Launcher, Leftover, Owner, Warmable,
};
use crate::telemetry::trace::Span;
use crate::telemetry::{
    CallLimits, CallQueueCounts, JobCounts, ProcessCounts, QueueLimit, WarmInterpreter,
};
use crate::text::cut;

/// Outputs above this size, in bytes, are worked on off the runtime's threads.
const LARGE: usize = 256 << 10;

/// How much of an agent's name is kept with what its call has left running, in bytes.
const MAX_SHOWN_AGENT: usize = 200;

/// Runs commands.
#[derive(Debug)]
pub struct Runner {
    launcher: Launcher,
    environment: Environment,
    queue: Queue,
    bounds: Bounds,
    waits: CallQueueCounts,
    limits: Limits,
    /// Bounds how many large outputs are worked on at the same time.
    large: Arc<Semaphore>,
    /// Bounds how many large arguments are read at the same time.
    large_arguments: Arc<Semaphore>,
}

/// A program that has run, and the limits that it had.
struct Run {
    finished: Finished,
    limits: Limits,
    /// Ends what it has left running.
    background: CancellationToken,
    /// Kept until the answer is written: outputs that wait for that take memory.
    permit: Permit,
}

impl Runner {
    /// A runner of as many calls at once as `bounds` allow, each within `limits`.
    pub fn new(
        launcher: Launcher,
        environment: Environment,
        bounds: Bounds,
        limits: Limits,
    ) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            launcher,
            environment,
            queue: Queue::new(bounds),
            bounds,
            waits: CallQueueCounts::default(),
            limits,
            large: Arc::new(Semaphore::new(cores)),
            large_arguments: Arc::new(Semaphore::new(prepare::MAX_LARGE_AT_ONCE)),
        }
    }

    /// How many calls are in progress, compute, and wait.
    pub fn load(&self) -> Load {
        self.queue.load()
    }

    /// How many calls may be in progress and compute.
    pub fn call_limits(&self) -> CallLimits {
        CallLimits {
            in_progress: self.bounds.running as u64,
            computing: self.bounds.computing as u64,
        }
    }

    /// How long calls wait for their turn, and how many have none.
    pub fn waits(&self) -> CallQueueCounts {
        self.waits.clone()
    }

    /// How many programs and supervisors there are.
    pub fn processes(&self) -> ProcessCounts {
        self.launcher.processes()
    }

    /// How much memory what programs print takes at this moment.
    pub fn outputs(&self) -> OutputLoad {
        self.launcher.outputs()
    }

    /// The processes that do not end although they were sent SIGKILL, by run.
    pub fn leftovers(&self) -> Vec<Leftover> {
        self.launcher.leftovers()
    }

    /// What successful calls have left running, the oldest first. Reads `/proc`: not for the runtime's threads.
    pub fn background(&self) -> Vec<BackgroundJob> {
        self.launcher.background()
    }

    /// How many background jobs there are and were, by plugin.
    pub fn background_counts(&self) -> BTreeMap<String, JobCounts> {
        self.launcher.background_counts()
    }

    /// The plugins that have, had, or might have warm interpreters.
    pub fn warm_parents(&self) -> Vec<WarmInterpreter> {
        self.launcher.warm_parents()
    }

    /// Begins to end a background job. False when there is none of this id.
    pub fn end_background_job(&self, id: u64) -> bool {
        self.launcher.end_background_job(id)
    }

    /// Calls `run` under the name `tool`, and makes a tool result of what it prints.
    ///
    /// # Errors
    /// Why there is no result.
    pub async fn call(
        &self,
        tool: &str,
        run: &Arc<Runnable>,
        request: CallRequest,
    ) -> Result<ToolResult, CallError> {
        let cancel = request.cancel.clone();
        let Run {
            finished,
            limits,
            background,
            permit,
        } = self.run(tool, run, request).await?;
        let (name, declared) = (tool.to_owned(), Arc::clone(run));
        let result = self.work_on(finished.stdout.len(), &cancel, move || {
            let expected = Expected {
                tool: &name,
                output: declared.command.output,
                schema: declared.output.as_ref(),
                limits,
            };
            let mut result = output::result(finished, expected)?;
            result.permit = Some(Arc::new(permit));
            Ok(result)
        });
        let result = result.await;
        // Nobody will ask for what a failed call has begun.
        if result.as_ref().map_or(true, |result| result.is_error) {
            background.cancel();
        }
        result
    }

    /// Calls the command that serves a resource, a prompt or a completion, and gives what `read` makes of what it
    /// prints, with the call's permit, which is kept until that is written as an answer.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn text<T: Send + 'static>(
        &self,
        name: &str,
        run: &Arc<Runnable>,
        request: CallRequest,
        read: impl FnOnce(String) -> Result<T, CallError> + Send + 'static,
    ) -> Result<(T, Arc<Permit>), CallError> {
        let cancel = request.cancel.clone();
        let Run {
            finished,
            limits,
            background,
            permit,
        } = self.run(name, run, request).await?;
        let name = name.to_owned();
        let printed = self.work_on(finished.stdout.len(), &cancel, move || {
            Ok((
                read(output::text(finished, &name, limits)?)?,
                Arc::new(permit),
            ))
        });
        printed.await.inspect_err(|_| background.cancel())
    }

    async fn run(
        &self,
        tool: &str,
        run: &Arc<Runnable>,
        mut request: CallRequest,
    ) -> Result<Run, CallError> {
        require(tool, run.command.requires, request.caller.capabilities)?;
        let sent = request
            .arguments
            .as_ref()
            .map_or(0, |arguments| arguments.get().len());
        let hold = |bytes| {
            let held = self.queue.hold(&client(&request.caller), bytes);
            held.map_err(|full| self.overloaded(full))
        };
        let line = tokio::select! {
            biased;
            () = request.cancel.cancelled() => return Err(CallError::Cancelled),
            line = prepare::line(tool, run, request.arguments, &self.large_arguments, hold) => line?,
        };
        // The request stays with whoever answers it, beside the line that is made from it.
        let size = sent + line.size();
        let Permits {
            run: in_progress,
            compute,
        } = self
            .permits(run, size, &request.caller, &request.cancel)
            .await?;
        let in_progress = Arc::new(in_progress);
        // What the program tells of itself belongs below its own span.
        let mut span = request.caller.trace.span("run");
        span.set("smcp.plugin", run.plugin.clone());
        request.caller.trace = span.trace().clone();
        let limits = Limits {
            time: shorter(self.limits.time, run.command.time_limit),
            bytes: self.limits.bytes,
        };
        let mut job = self.job(tool, run, &request.caller, line, limits);
        let background = CancellationToken::new();
        job.background = kept(tool, run, &request.caller, &background);
        // A token of its own: a program may be ended without its request being cancelled.
        let cancel = request.cancel.child_token();
        let (channel, side_channels) = EventChannel::open(tool, request.events, cancel.clone())
            .map_err(|fault| {
                CallError::SpawnFailed(format!("cannot open a channel to {tool}: {fault}"))
            })?;
        let held = Held {
            // Neither is another's before no process is left.
            tree: (Arc::clone(&in_progress), channel.held()),
            busy: compute,
        };
        let ended = CancellationToken::new();
        // The token counts when this future is dropped as well: nobody may listen on for ever.
        let over = ended.clone().drop_guard();
        let running = async {
            let launched = self.launcher.run_holding(job, side_channels, cancel, held);
            let finished = launched.await;
            drop(over);
            finished
        };
        let (finished, ()) = tokio::join!(running, channel.until(ended));
        match &finished {
            Ok(finished) => describe(&mut span, finished.ending),
            Err(_) => span.fail("not_started"),
        }
        drop(span);
        let mut finished = finished.map_err(output::not_started)?;
        let output = std::mem::take(&mut finished.share);
        Ok(Run {
            finished,
            limits,
            background,
            permit: Permit::new(in_progress, output),
        })
    }

    /// Does `work` on `size` bytes: here when that takes no time, else on a thread that may block,
    /// and on no more of them than there are cores.
    async fn work_on<T: Send + 'static>(
        &self,
        size: usize,
        cancel: &CancellationToken,
        work: impl FnOnce() -> Result<T, CallError> + Send + 'static,
    ) -> Result<T, CallError> {
        if size <= LARGE {
            return work();
        }
        let working = async {
            let permit = Arc::clone(&self.large).acquire_owned().await;
            let working = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                work()
            });
            working
                .await
                .unwrap_or_else(|fault| Err(CallError::Internal(fault.to_string())))
        };
        tokio::select! {
            biased;
            done = working => done,
            () = cancel.cancelled() => Err(CallError::Cancelled),
        }
    }

    async fn permits(
        &self,
        run: &Runnable,
        size: usize,
        caller: &Caller,
        cancel: &CancellationToken,
    ) -> Result<Permits, CallError> {
        let demand = Demand {
            client: client(caller),
            limits: limits(run),
            size,
            unread: caller.unread.clone(),
        };
        let began = Instant::now();
        let mut span = caller.trace.span("queue");
        let waited = tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CallError::Cancelled),
            permits = self.queue.acquire(demand) => {
                permits.map_err(|full| self.overloaded(full))
            }
        };
        self.waits.waited(began.elapsed());
        if let Err(CallError::Overloaded(_)) = &waited {
            span.fail("overloaded");
        }
        waited
    }

    fn overloaded(&self, full: Full) -> CallError {
        self.waits.refused(match full {
            Full::ForAll => QueueLimit::Calls,
            Full::ForSession => QueueLimit::OfSession,
            Full::ForKey => QueueLimit::OfKey,
            Full::BytesOfAll => QueueLimit::Bytes,
            Full::BytesOfClient => QueueLimit::BytesOfClient,
        });
        CallError::Overloaded(full.to_string())
    }

    fn job(&self, tool: &str, run: &Runnable, caller: &Caller, line: Line, limits: Limits) -> Job {
        let environment = self.environment.of_call(OfCall {
            directory: &run.directory,
            variables: caller.variables(tool, line.environment),
        });
        let words = line.words.into_iter().map(Into::into);
        Job {
            argv: run.start.iter().cloned().chain(words).collect(),
            environment,
            directory: None,
            stdin: line.stdin,
            time_limit: limits.time,
            stdout_limit: limits.bytes,
            stderr_tail: STDERR_TAIL,
            background: None,
            warm: run
                .warm_question
                .map(|question| self.warmable(run, question)),
        }
    }

    fn warmable(&self, run: &Runnable, question: &str) -> Warmable {
        let (environment, directory) = (self.environment.clone(), run.directory.clone());
        Warmable {
            plugin: run.plugin.clone(),
            directory: run.directory.clone(),
            question: vec![question.into()],
            environment: Arc::new(move || environment.of_question(&directory, &[])),
            reuse: run.command.reuse,
        }
    }
}

/// Says in the span of a run how it ended.
fn describe(span: &mut Span, ending: Ending) {
    match ending {
        Ending::Exited(0) => span.set("process.exit.code", 0),
        Ending::Exited(status) => {
            span.set("process.exit.code", i64::from(status));
            span.fail("exit_status");
        }
        Ending::Signalled(signal) => {
            span.set("smcp.signal", i64::from(signal));
            span.fail("signal");
        }
        Ending::TimedOut => span.fail("timeout"),
        Ending::OutputTooLarge => span.fail("output_too_large"),
        Ending::Cancelled => span.set("smcp.outcome", "cancelled"),
        Ending::SupervisorLost => span.fail("supervisor_lost"),
    }
}

/// What a successful call may leave running; `end` is cancelled when it failed after all.
fn kept(
    tool: &str,
    run: &Runnable,
    caller: &Caller,
    end: &CancellationToken,
) -> Option<Background> {
    let keep = match run.command.background {
        Some(false) => return None,
        Some(true) => Keep::Everything,
        None => Keep::Detached,
    };
    Some(Background {
        keep,
        owner: Owner {
            plugin: run.plugin.clone(),
            tool: tool.to_owned(),
            // Chosen by the client, and shown wherever the job is.
            agent: caller
                .agent_id
                .as_deref()
                .map(|id| cut(id, MAX_SHOWN_AGENT).to_owned()),
        },
        end: end.clone(),
    })
}

/// Refuses a call of a client that lacks a capability which the command needs.
fn require(
    tool: &str,
    needed: ClientCapabilities,
    declared: ClientCapabilities,
) -> Result<(), CallError> {
    let missing = declared.missing(needed);
    if missing.is_empty() {
        return Ok(());
    }
    Err(CallError::MissingCapability {
        tool: tool.to_owned(),
        missing,
    })
}

/// How many calls of the command and of its plugin may run at once.
fn limits(run: &Runnable) -> Vec<(String, usize)> {
    let of_command = run
        .command
        .max_concurrency
        .map(|limit| (format!("{} {}", run.plugin, run.command.name), limit));
    let of_plugin = run.plugin_limit.map(|limit| (run.plugin.clone(), limit));
    of_command.into_iter().chain(of_plugin).collect()
}

fn client(caller: &Caller) -> Client {
    Client {
        key: caller.key.clone(),
        agent: caller.agent_id.clone(),
        session: Some(caller.session_id.clone()).filter(|session| !session.is_empty()),
    }
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
