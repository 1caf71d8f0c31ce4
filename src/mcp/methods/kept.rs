//! Calls that may outlive the request that asked for them: as tasks of clients that know tasks, and kept for clients
//! that may go. Which of the two a call is, or neither, is decided here.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join3;
use serde_json::json;
use serde_json::value::RawValue;
use tokio::sync::oneshot;

use super::outcome::{Failure, Outcome, Success, Whole};
use super::{completed, tasks, tool_run};
use crate::call::types::{CallError, Permit};
use crate::catalog::{Detach, Tool};
use crate::jsonrpc::{
    self, INTERNAL_ERROR, METHOD_NOT_FOUND, MISSING_CAPABILITY, Members, RpcError,
};
use crate::mcp::context::{Asking, Context};
use crate::mcp::inbound::Request;
use crate::mcp::messages::TASKS_EXTENSION;
use crate::mcp::method::{Method, Setting};
use crate::tasks::{Begun, End, Kind, Live, Refused};
use crate::telemetry::OK;

/// A result with more than this many bytes is written off the event loop.
const LARGE: usize = 256 << 10;

/// How a call is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// For as long as its client waits.
    Attached,
    /// As a task of its client, from its begin.
    Task(Duration),
    /// As a task once its program says so; until then as every call.
    BecomesTask(Duration),
    /// For a client that waits for it, and may go. `later`: once its program says so.
    Kept { later: bool },
}

/// Runs a call in the manner that its tool and its client allow.
///
/// # Errors
/// The client asks for a task where there is none, or for none where one is needed; or those of the run.
pub async fn call(
    context: &Context,
    request: &Request,
    tool: &Arc<Tool>,
    arguments: Option<&RawValue>,
) -> Outcome {
    let manner = match manner(context, request, tool)? {
        Ok(manner) => manner,
        Err(refused) => return Ok(tool_run::failed(tool, &refused)),
    };
    let attached = || tool_run::Run {
        tool,
        arguments,
        progress_token: request.progress_token(),
        detachable: None,
    };
    let (kind, ttl, waits) = match manner {
        Manner::Attached => return tool_run::run(context, attached()).await,
        Manner::Task(ttl) => (Kind::Task, ttl, false),
        Manner::BecomesTask(ttl) => (Kind::Task, ttl, true),
        Manner::Kept { later } => (Kind::Call, context.services.kept.ttl(None), later),
    };
    let kept = &context.services.kept;
    let begun = kept.begin(context.owner(), &tool.name, kind, ttl, waits);
    let mut begun = match context.unless_cancelled(begun).await? {
        Ok(begun) => begun,
        // Its client can hold a task, and does not have to.
        Err(refused) if context.revision.has_task_requests() && kind == Kind::Task => {
            return Err(RpcError::new(INTERNAL_ERROR, refused.to_string()).into());
        }
        Err(refused) if tool.requires_task() || is_crowded(kind, &refused) => {
            return Ok(tool_run::failed(
                tool,
                &CallError::Overloaded(refused.to_string()),
            ));
        }
        Err(refused) => {
            tracing::warn!(tool = tool.name, "a call is not kept: {refused}");
            return tool_run::run(context, attached()).await;
        }
    };
    begun.runs();
    let live = Arc::clone(&begun);
    let run = KeptRun {
        context: surroundings(context, manner, &live),
        tool: Arc::clone(tool),
        arguments: arguments.map(RawValue::to_owned),
        progress_token: request.progress_token().map(RawValue::to_owned),
        live: begun,
    };
    let (sender, reply) = oneshot::channel();
    let wanted = !matches!(manner, Manner::Task(_));
    context
        .services
        .tasks
        .spawn(run.finish(wanted.then_some(sender)));
    match manner {
        Manner::Task(_) => Ok(created(context, &live)),
        _ => wait(context, live, reply, kind == Kind::Task).await,
    }
}

/// Whether a call that cannot be a task would only wait with the tasks before it.
fn is_crowded(kind: Kind, refused: &Refused) -> bool {
    kind == Kind::Task && matches!(refused, Refused::TooManyRun { .. })
}

/// What the protocol and the plugin's description say. The inner error is a failed call.
fn manner(
    context: &Context,
    request: &Request,
    tool: &Tool,
) -> Result<Result<Manner, CallError>, RpcError> {
    let kept = &context.services.kept;
    let needs = tool.requires_task();
    if !kept.are_on() {
        return Ok(match needs {
            true => Err(CallError::Internal(format!(
                "{} runs as a task only: a client that knows tasks has to call it, of a server that keeps them, with \
                 MCP_STATE_DIR set to a directory of its own; smcp call without --url keeps none",
                tool.name
            ))),
            false => Ok(Manner::Attached),
        });
    }
    if context.setting == Setting::Stateless {
        return match (context.client.knows_tasks(), tool.detach()) {
            (true, Detach::WhenSaid) => Ok(Ok(Manner::BecomesTask(kept.ttl(None)))),
            (true, Detach::AtOnce) => Ok(Ok(Manner::Task(kept.ttl(None)))),
            (true, Detach::Never) if needs => Ok(Ok(Manner::Task(kept.ttl(None)))),
            (false, _) if needs => Err(needs_tasks(tool)),
            _ => Ok(Ok(Manner::Attached)),
        };
    }
    let asked = request.params.get("task");
    if let Some(asked) =
        asked.filter(|asked| context.revision.has_task_requests() && asked.get() != "null")
    {
        if !tool.may_be_a_task() {
            let why = format!(
                "{} cannot be called as a task: its execution.taskSupport is forbidden",
                tool.name
            );
            return Err(RpcError::new(METHOD_NOT_FOUND, why));
        }
        return Ok(Ok(Manner::Task(kept.ttl(wanted_ttl(asked)?))));
    }
    if needs && context.revision.has_task_requests() {
        let why = format!(
            "{} has to be called as a task: send the param task; its execution.taskSupport is required",
            tool.name
        );
        return Err(RpcError::new(METHOD_NOT_FOUND, why));
    }
    if needs {
        let (tool, missing) = (tool.name.clone(), vec!["tasks"]);
        return Ok(Err(CallError::MissingCapability { tool, missing }));
    }
    Ok(Ok(match tool.detach() {
        Detach::Never => Manner::Attached,
        Detach::AtOnce => Manner::Kept { later: false },
        Detach::WhenSaid => Manner::Kept { later: true },
    }))
}

/// The error for a client that did not declare what the tool needs.
fn needs_tasks(tool: &Tool) -> RpcError {
    let why = format!(
        "{} runs as a task only; declare the extension {TASKS_EXTENSION}",
        tool.name
    );
    RpcError::new(MISSING_CAPABILITY, why).with_data(tasks::required())
}

/// For how long the client wants the task to be kept, in milliseconds.
fn wanted_ttl(asked: &RawValue) -> Result<Option<u64>, RpcError> {
    let fault = |what: &str| RpcError::invalid_params(format!("params.task{what}"));
    let members = Members::parse(asked.get())
        .map_err(|_| fault(" must be an object, such as {\"ttl\": 60000}"))?;
    let Some(ttl) = members.get("ttl").filter(|ttl| ttl.get() != "null") else {
        return Ok(None);
    };
    let number: f64 = serde_json::from_str(ttl.get()).unwrap_or(f64::NAN);
    if number >= 0.0 && number.fract() == 0.0 {
        // Above what a number of 64 bits can say it is the largest of them; what is kept has a bound of its own.
        return Ok(Some(number as u64));
    }
    Err(fault(&format!(
        ".ttl must be a whole number of milliseconds, not {}",
        crate::text::quoted(ttl.get())
    )))
}

/// What the run of a kept call has around it. Nothing that ends with the request ends the run.
fn surroundings(context: &Context, manner: Manner, live: &Arc<Live>) -> Context {
    let mut own = context.clone();
    own.cancel = live.cancel().clone();
    match (manner, &context.asking) {
        (Manner::Task(_), _) => {
            own.asking = Asking::Task(Arc::clone(live));
            own.outbox.clone_from(&context.standing);
        }
        (Manner::BecomesTask(_), Asking::RoundTrips(rounds)) => {
            own.asking = Asking::Turning(Arc::clone(rounds), Arc::clone(live));
        }
        _ => {}
    }
    own
}

/// The answer to a client that gets a task instead of a result.
fn created(context: &Context, live: &Live) -> Success {
    let task = tasks::shown(&live.task(), context.revision);
    if context.revision.has_handshake() {
        return Members::from(json!({"task": task})).into();
    }
    let mut result = Members::from(task);
    result.set_default("resultType", &"task");
    result.into()
}

/// Waits for the result of a kept call, for as long as the client does.
async fn wait(
    context: &Context,
    live: Arc<Live>,
    reply: oneshot::Receiver<Outcome>,
    becomes_a_task: bool,
) -> Outcome {
    let waiter = Waiter(&live);
    tokio::select! {
        biased;
        outcome = reply => outcome.unwrap_or(Err(Failure::Cancelled)),
        () = live.kept(), if becomes_a_task => Ok(created(context, &live)),
        () = context.cancel.cancelled() => {
            let has_left = !context.ending.cancels();
            if has_left {
                // What its program has said counts, although it is not on the disk yet.
                live.decided_whether_kept().await;
            }
            if !has_left || !live.is_kept() {
                context.services.kept.cancel(waiter.0).await;
            }
            Err(Failure::Cancelled)
        }
    }
}

/// Whoever waits for a call that nobody else can know takes it along.
struct Waiter<'a>(&'a Arc<Live>);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        if !self.0.is_kept() {
            self.0.cancel().cancel();
        }
    }
}

/// The run of a kept call.
struct KeptRun {
    context: Context,
    tool: Arc<Tool>,
    arguments: Option<Box<RawValue>>,
    progress_token: Option<Box<RawValue>>,
    live: Begun,
}

impl KeptRun {
    /// Runs it to its end, and tells its client how it is where that wants to hear of it.
    async fn finish(self, waiting: Option<oneshot::Sender<Outcome>>) {
        let told = self.context.clone();
        let live = Arc::clone(&self.live);
        // In this order: what has lost its key is cancelled before it is looked whether it can go on.
        let ending = end_with_key(&told, &live);
        join3(ending, self.run(waiting), tell(&told, &live)).await;
    }

    /// Runs it, answers whoever waits, and keeps what came of it.
    async fn run(self, waiting: Option<oneshot::Sender<Outcome>>) {
        let services = Arc::clone(&self.context.services);
        let run = tool_run::Run {
            tool: &self.tool,
            arguments: self.arguments.as_deref(),
            progress_token: self.progress_token.as_deref(),
            detachable: Some(&self.live),
        };
        let work = AssertUnwindSafe(Box::pin(tool_run::run(&self.context, run))).catch_unwind();
        let outcome = tokio::select! {
            biased;
            outcome = work => outcome,
            // Whoever waits hears of it where the request is served.
            () = services.overdue.cancelled() => return services.kept.shut_down(&self.live).await,
        };
        let panicked = |_| {
            let why = "internal error; the server's log says more";
            Err(RpcError::new(INTERNAL_ERROR, why).into())
        };
        let outcome = outcome.unwrap_or_else(panicked);
        let (end, outcome, permit) = self.ended(outcome).await;
        match waiting {
            // Whoever waited may have gone: that is what it is kept for.
            Some(waiting) => drop(waiting.send(outcome)),
            // It holds its place among the calls.
            None => drop(outcome),
        }
        services.kept.end(&self.live, end, permit).await;
    }

    /// What is kept of an outcome, with the outcome for whoever waits, and what its memory counts for.
    async fn ended(&self, outcome: Outcome) -> (End, Outcome, Option<Arc<Permit>>) {
        match outcome {
            Ok(success) => {
                let (permit, code) = (success.permit.clone(), success.code);
                let has_failed = code != OK || success.has_failed();
                let success = self.as_its_revision_has_it(success);
                match text_of(success).await {
                    Ok(text) => {
                        let text = Arc::new(text);
                        // Neither of both has a copy of its own.
                        let again = Success {
                            permit: permit.clone(),
                            code,
                            ..Success::written(Whole {
                                text: Arc::clone(&text),
                                has_failed,
                            })
                        };
                        (End::Result { text, has_failed }, Ok(again), permit)
                    }
                    Err(error) => (
                        End::Error(jsonrpc::to_raw(&error)),
                        Err(error.into()),
                        permit,
                    ),
                }
            }
            Err(Failure::Error(error)) => {
                (End::Error(jsonrpc::to_raw(&error)), Err(error.into()), None)
            }
            Err(Failure::Cancelled) => (End::Cancelled, Err(Failure::Cancelled), None),
        }
    }

    fn as_its_revision_has_it(&self, mut success: Success) -> Success {
        if self.context.setting == Setting::Stateless {
            completed::complete(success.members(), Method::CallTool);
        }
        success
    }
}

/// Cancels a task when the key counts no longer with which it was begun.
async fn end_with_key(context: &Context, live: &Arc<Live>) {
    tokio::select! {
        biased;
        () = live.over() => {}
        () = context.principal.validity.ended() => {
            context.services.kept.cancel(live).await;
        }
    }
}

/// Tells the client of each status that its task gets (2025-11-25). What finds no room is lost: it can ask.
async fn tell(context: &Context, live: &Live) {
    let is_wanted =
        matches!(context.asking, Asking::Task(_)) && context.revision.has_task_requests();
    let Some(outbox) = context.standing.as_ref().filter(|_| is_wanted) else {
        return;
    };
    let mut state = live.watch();
    let mut status = state.borrow_and_update().status;
    while !status.is_over() {
        // The task owns the sender.
        let _ = state.changed().await;
        let now = state.borrow_and_update().status;
        if std::mem::replace(&mut status, now) != now {
            let params = tasks::shown(&live.task(), context.revision);
            let line = jsonrpc::encode_notification("notifications/tasks/status", &params);
            outbox.offer_latest(&format!("task {}", live.id()), line);
        }
    }
}

/// A result as text, a large one written off the event loop.
async fn text_of(success: Success) -> Result<Box<RawValue>, RpcError> {
    let unwritten = || RpcError::new(INTERNAL_ERROR, "the result could not be written");
    let size = success.written_size();
    if size <= LARGE {
        return Ok(jsonrpc::to_raw(&success));
    }
    let writing = tokio::task::spawn_blocking(move || jsonrpc::to_large_raw(&success, size));
    writing.await.map_err(|_| unwritten())
}
