//! One call from its arguments to what the program printed: checks, place, command line, process.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::argv::Line;
use super::command::Runnable;
use super::event_channel::EventChannel;
use super::output::{self, MAX_OUTPUT_BYTES, STDERR_TAIL};
use super::prepare;
use super::queue::{Demand, Full, Permit, Queue};
use super::types::{CallError, CallRequest, Caller, ClientCapabilities};
use crate::contract::environment::{Environment, OfCall};
use crate::process::{Finished, Job, Launcher};

/// Runs commands.
#[derive(Debug)]
pub struct Runner {
    launcher: Launcher,
    environment: Environment,
    queue: Queue,
    time_limit: Option<Duration>,
}

/// What a run left, and the limit that it had.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub finished: Finished,
    /// The limit that applied.
    pub time_limit: Option<Duration>,
}

impl Runner {
    /// A runner with `places` places.
    pub fn new(
        launcher: Launcher,
        environment: Environment,
        places: usize,
        time_limit: Option<Duration>,
    ) -> Self {
        Self {
            launcher,
            environment,
            queue: Queue::new(places),
            time_limit,
        }
    }

    /// How many calls run and how many wait.
    pub fn load(&self) -> (usize, usize) {
        self.queue.load()
    }

    /// Runs `run` under the name `tool`.
    ///
    /// # Errors
    /// Why the program was not run to its end.
    pub async fn run(
        &self,
        tool: &str,
        run: &Arc<Runnable>,
        request: CallRequest,
    ) -> Result<Ran, CallError> {
        able(tool, run.command.requires, request.caller.capabilities)?;
        let line = tokio::select! {
            biased;
            () = request.cancel.cancelled() => return Err(CallError::Cancelled),
            line = prepare::line(tool, run, request.arguments) => line?,
        };
        let _place = self
            .place_when_read(run, &request.caller, &request.cancel)
            .await?;
        let time_limit = shorter(self.time_limit, run.command.time_limit);
        let job = self.job(tool, run, &request.caller, line, time_limit);
        // A token of its own: a program may be ended without its request being cancelled.
        let cancel = request.cancel.child_token();
        let (channel, side_channels) = EventChannel::open(tool, request.events, cancel.clone())
            .map_err(|fault| {
                CallError::SpawnFailed(format!("cannot open a channel to {tool}: {fault}"))
            })?;
        let ended = CancellationToken::new();
        // The token counts when this future is dropped as well: nobody may listen on for ever.
        let over = ended.clone().drop_guard();
        let running = async {
            let finished = self.launcher.run(job, side_channels, cancel).await;
            drop(over);
            finished
        };
        let (finished, ()) = tokio::join!(running, channel.until(ended));
        let finished = finished.map_err(output::not_started)?;
        Ok(Ran {
            finished,
            time_limit,
        })
    }

    /// A place, once the client has read what waits for it: the answers of calls that were let in
    /// all the same would pile up behind a reader that stalls.
    async fn place_when_read(
        &self,
        run: &Runnable,
        caller: &Caller,
        cancel: &CancellationToken,
    ) -> Result<Permit, CallError> {
        loop {
            let place = self.place(run, caller, cancel).await?;
            let Some(mut unread) = caller.unread.clone().filter(|unread| *unread.borrow() > 0)
            else {
                return Ok(place);
            };
            // The place is for others meanwhile.
            drop(place);
            tokio::select! {
                () = cancel.cancelled() => return Err(CallError::Cancelled),
                _ = unread.wait_for(|waiting| *waiting == 0) => {}
            }
        }
    }

    async fn place(
        &self,
        run: &Runnable,
        caller: &Caller,
        cancel: &CancellationToken,
    ) -> Result<Permit, CallError> {
        let mut limits = Vec::new();
        if let Some(limit) = run.command.max_concurrency {
            limits.push((format!("{} {}", run.plugin, run.command.name), limit));
        }
        if let Some(limit) = run.plugin_limit {
            limits.push((run.plugin.clone(), limit));
        }
        let demand = Demand {
            client: client(caller),
            limits,
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(CallError::Cancelled),
            place = self.queue.place(demand) => place.map_err(overloaded),
        }
    }

    fn job(
        &self,
        tool: &str,
        run: &Runnable,
        caller: &Caller,
        line: Line,
        time_limit: Option<Duration>,
    ) -> Job {
        let environment = self.environment.of_call(OfCall {
            directory: &run.directory,
            variables: caller.variables(tool, line.environment),
        });
        Job {
            argv: run
                .start
                .iter()
                .cloned()
                .chain(line.words.into_iter().map(Into::into))
                .collect(),
            environment,
            directory: None,
            stdin: line.stdin,
            time_limit,
            stdout_limit: MAX_OUTPUT_BYTES,
            stderr_tail: STDERR_TAIL,
        }
    }
}

fn able(
    tool: &str,
    needed: ClientCapabilities,
    offered: ClientCapabilities,
) -> Result<(), CallError> {
    let wanted = [
        ("elicitation", needed.elicitation, offered.elicitation),
        ("sampling", needed.sampling, offered.sampling),
        ("roots", needed.roots, offered.roots),
    ];
    let missing: Vec<&'static str> = wanted
        .iter()
        .filter(|(_, needed, offered)| *needed && !offered)
        .map(|(name, ..)| *name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(CallError::MissingCapability {
        tool: tool.to_owned(),
        missing,
    })
}

/// Whose turn it is: the session's, or without one the agent's; else each call stands for itself.
fn client(caller: &Caller) -> String {
    let names = [
        Some(caller.session_id.as_str()),
        caller.agent_id.as_deref(),
        Some(caller.call_id.as_str()),
    ];
    names
        .into_iter()
        .flatten()
        .find(|name| !name.is_empty())
        .unwrap_or_default()
        .to_owned()
}

fn shorter(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn overloaded(full: Full) -> CallError {
    CallError::Overloaded(match full {
        Full::ForAll => {
            "too many calls wait already; call again later, or raise MCP_MAX_CALLS".to_owned()
        }
        Full::ForClient => {
            "too many calls of this session wait already; wait for their answers first".to_owned()
        }
    })
}
