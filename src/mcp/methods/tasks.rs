//! `tasks/get`, `tasks/result`, `tasks/list`, `tasks/cancel`, `tasks/update`.
//!
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks>, and for 2026-07-28 the extension
//! `io.modelcontextprotocol/tasks`: <https://modelcontextprotocol.io/seps/2663-tasks-extension>

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::sync::OwnedSemaphorePermit;

use super::outcome::{Failure, Outcome, Success};
use super::serving;
use crate::jsonrpc::{
    INTERNAL_ERROR, MISSING_CAPABILITY, Members, REQUEST_CANCELLED, RpcError, to_raw,
};
use crate::mcp::context::{Asking, Context};
use crate::mcp::inbound::Request;
use crate::mcp::messages::{RELATED_TASK, TASKS_EXTENSION};
use crate::mcp::method::Setting;
use crate::mcp::revision::Revision;
use crate::mcp::server_requests::{ServerRequests, Unanswered};
use crate::tasks::{End, Live, Putting, Status, Task};

/// How often a client should look at a task, in milliseconds.
const POLL_INTERVAL: u64 = 1_000;
/// For how long nobody may read a question that is put to a client before another one may be asked it.
const UNREAD: Duration = Duration::from_secs(1);

/// Refuses the methods of tasks where there are none, or where the client does not know them.
///
/// # Errors
/// [`METHOD_NOT_FOUND`](crate::jsonrpc::METHOD_NOT_FOUND), or [`MISSING_CAPABILITY`] for a client of 2026-07-28 that did
/// not declare the extension.
pub fn require(context: &Context, request: &Request) -> Result<(), RpcError> {
    if !request.method.is_about_tasks() {
        return Ok(());
    }
    let is_known = context.revision.has_task_requests() || !context.revision.has_handshake();
    if !context.services.kept.can_be_fetched() || !is_known {
        return Err(RpcError::method_not_found(request.name()));
    }
    if context.setting == Setting::Stateless && !context.client.knows_tasks() {
        let why = format!("{} needs the extension {TASKS_EXTENSION}", request.name());
        return Err(RpcError::new(MISSING_CAPABILITY, why).with_data(required()));
    }
    Ok(())
}

/// What a client has to declare, for the program that reads an error.
pub fn required() -> Value {
    json!({"requiredCapabilities": {"extensions": {TASKS_EXTENSION: {}}}})
}

/// A task as clients of a revision read it.
pub fn shown(task: &Task, revision: Revision) -> Value {
    let old = revision.has_handshake();
    // There a tool that has failed is a failed task; later clients read that in the result.
    let status = match task.status {
        Status::Completed if old && task.has_failed => Status::Failed,
        status => status,
    };
    let mut shown = Map::new();
    let mut set = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    set("taskId", task.id.as_str().into());
    set("status", status.name().into());
    if let Some(message) = &task.message {
        set("statusMessage", message.as_str().into());
    }
    set("createdAt", moment(task.created).into());
    set("lastUpdatedAt", moment(task.updated).into());
    set(if old { "ttl" } else { "ttlMs" }, task.ttl.into());
    let interval = if old {
        "pollInterval"
    } else {
        "pollIntervalMs"
    };
    set(interval, POLL_INTERVAL.into());
    shown.into()
}

/// A moment as RFC 3339 has it.
pub fn moment(millis: i64) -> String {
    let moment = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// `tasks/get`.
///
/// # Errors
/// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for a task that is not there; [`INTERNAL_ERROR`] when what is kept
/// cannot be read.
pub async fn get(context: &Context, request: &Request) -> Outcome {
    let (task, live) = find(context, request).await?;
    let mut result = Members::from(shown(&task, context.revision));
    let mut room = None;
    if !context.revision.has_handshake() {
        let live = live.as_deref();
        match live.filter(|_| task.status == Status::InputRequired) {
            Some(live) => ask_by_result(live, &mut result),
            None => room = add_ending(context, &task, &mut result).await?,
        }
    }
    Ok(Success {
        room,
        ..result.into()
    })
}

/// The questions that a task waits with; without any, because they were just answered, it works.
fn ask_by_result(live: &Live, result: &mut Members) {
    let questions = live.questions().into_iter().map(|(key, question)| {
        let request = json!({"method": question.method, "params": question.params});
        (key, request)
    });
    let questions: Map<String, Value> = questions.collect();
    if questions.is_empty() {
        result.set("status", to_raw(&Status::Working.name()));
    } else {
        result.set("inputRequests", to_raw(&questions));
    }
}

/// What a task gave, where clients read it of the task itself.
async fn add_ending(
    context: &Context,
    task: &Task,
    result: &mut Members,
) -> Result<Option<OwnedSemaphorePermit>, Failure> {
    if !matches!(task.status, Status::Completed | Status::Failed) {
        return Ok(None);
    }
    let (end, room) = ending(context, task).await?;
    match end {
        End::Result { text, .. } => {
            // It is nobody else's, but for one that the disk does not have.
            let text = Arc::try_unwrap(text).unwrap_or_else(|shared| (*shared).clone());
            result.set("result", text);
        }
        End::Error(error) => result.set("error", error),
        End::Cancelled => {}
    }
    Ok(room)
}

/// `tasks/result`: what the call gave, once it is over. Until then the client is asked what its program asks.
///
/// # Errors
/// The call's own error; [`REQUEST_CANCELLED`] for a task that was cancelled; those of [`get`].
pub async fn result(context: &Context, request: &Request) -> Outcome {
    let (task, live) = find(context, request).await?;
    if let Some(live) = live {
        over(context, &live).await?;
    }
    let (end, room) = ending(context, &task).await?;
    match end {
        End::Result { text, .. } => {
            let mut result = Members::parse(text.get()).unwrap_or_default();
            drop(text);
            let meta = result.get("_meta").map(RawValue::get);
            let meta = meta.and_then(|meta| Members::parse(meta).ok());
            let mut meta = meta.unwrap_or_default();
            meta.set(RELATED_TASK, to_raw(&json!({"taskId": task.id})));
            result.set("_meta", to_raw(&meta));
            Ok(Success {
                room,
                ..result.into()
            })
        }
        End::Error(error) => Err(read_error(&error).into()),
        End::Cancelled => Err(RpcError::new(REQUEST_CANCELLED, "the task was cancelled").into()),
    }
}

/// Waits until a task is over, and asks this client what its program asks meanwhile.
async fn over(context: &Context, live: &Live) -> Result<(), Failure> {
    let mut state = live.watch();
    loop {
        if state.borrow_and_update().status.is_over() {
            return Ok(());
        }
        let question = match &context.asking {
            Asking::Session(asking) => {
                let is_read = (context.outbox.as_ref()).is_some_and(|outbox| !outbox.is_left());
                let taken = live.take_question(|method| can_be_asked(context, method), is_read);
                taken.map(|taken| (asking, taken))
            }
            _ => None,
        };
        let Some((asking, taken)) = question else {
            // The task owns the sender.
            let _ = context.unless_cancelled(state.changed()).await?;
            continue;
        };
        let put = put(
            context,
            asking,
            live,
            &taken.question.params,
            taken.question.method,
        );
        let answer = tokio::select! {
            biased;
            () = live.over() => continue,
            () = taken.replaced() => continue,
            () = tell_whether_read(context, &taken) => continue,
            answer = context.unless_cancelled(put) => answer?,
        };
        match answer {
            Ok(answer) => {
                let key = taken.key.clone();
                live.answer(&key, answer);
            }
            Err(Unanswered::Gone) => return Err(serving::client_gone().into()),
            // Its program has been told so in this moment.
            Err(Unanswered::TooLate) => {}
        }
    }
}

/// Says of a question that is put for how long nobody reads it: another client of the task may be asked it then.
async fn tell_whether_read(context: &Context, taken: &Putting<'_>) {
    let Some(outbox) = &context.outbox else {
        return std::future::pending().await;
    };
    loop {
        outbox.abandoned_unannounced(UNREAD).await;
        taken.is_unread(true);
        outbox.read().await;
        taken.is_unread(false);
    }
}

/// Whether the client of this request has declared that it can be asked this; whoever made the task has.
fn can_be_asked(context: &Context, method: &str) -> bool {
    let capability = method.split('/').next().unwrap_or_default();
    context.client.capabilities.contains_key(capability)
}

/// Asks the client of this request one question of a task.
async fn put(
    context: &Context,
    asking: &ServerRequests,
    live: &Live,
    params: &Value,
    method: &'static str,
) -> Result<crate::tasks::Answer, Unanswered> {
    let Some(outbox) = &context.outbox else {
        return Err(Unanswered::Gone);
    };
    let mut params = params.clone();
    if let Some(params) = params.as_object_mut() {
        let meta = params.entry("_meta").or_insert_with(|| json!({}));
        meta[RELATED_TASK] = json!({"taskId": live.id()});
    }
    let answer = asking.ask(outbox, method, &params).await?;
    let read = |raw: Box<RawValue>| serde_json::from_str(raw.get()).unwrap_or_default();
    Ok(answer.map(read).map_err(read))
}

/// `tasks/list`: the tasks of whoever asks, the newest first.
///
/// # Errors
/// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for a cursor that was not given out; those of [`get`].
pub async fn list(context: &Context, request: &Request) -> Outcome {
    let cursor = request.params.get("cursor");
    let before = match cursor.filter(|cursor| cursor.get() != "null") {
        None => None,
        Some(cursor) => Some(position(cursor).ok_or_else(|| {
            let cursor = crate::text::quoted(cursor.get());
            RpcError::invalid_params(format!("unknown cursor {cursor}; begin without one"))
        })?),
    };
    let owner = context.owner();
    let page = context.services.kept.list(&owner, before);
    let page = context.unless_cancelled(page).await?;
    let page = page.map_err(|fault| RpcError::new(INTERNAL_ERROR, fault.to_string()))?;
    let tasks = page.tasks.iter();
    let tasks: Vec<Value> = tasks.map(|task| shown(task, context.revision)).collect();
    let mut result = Members::from(json!({"tasks": tasks}));
    if let Some(next) = page.next {
        result.set("nextCursor", to_raw(&cursor_of(next)));
    }
    Ok(result.into())
}

fn position(cursor: &RawValue) -> Option<i64> {
    let cursor: String = serde_json::from_str(cursor.get()).ok()?;
    let number = URL_SAFE_NO_PAD.decode(&cursor).ok()?;
    let number: i64 = std::str::from_utf8(&number).ok()?.parse().ok()?;
    // Others can be read as well, and none of them was given out.
    (number > 0 && cursor_of(number) == cursor).then_some(number)
}

fn cursor_of(position: i64) -> String {
    URL_SAFE_NO_PAD.encode(position.to_string())
}

/// `tasks/cancel`.
///
/// # Errors
/// Those of [`get`]; and [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) under 2025-11-25 for a task that is over.
pub async fn cancel(context: &Context, request: &Request) -> Outcome {
    let (task, live) = find(context, request).await?;
    let was_running = match &live {
        Some(live) => context.services.kept.cancel(live).await,
        None => false,
    };
    if !context.revision.has_handshake() {
        return Ok(Members::default().into());
    }
    if !was_running {
        let status =
            shown(&live.map_or(task, |live| live.task()), context.revision)["status"].clone();
        let why = format!(
            "the task is over already: {}",
            status.as_str().unwrap_or_default()
        );
        return Err(RpcError::invalid_params(why).into());
    }
    let task = live.map_or(task, |live| live.task());
    Ok(Members::from(shown(&task, context.revision)).into())
}

/// `tasks/update`: answers to questions of a task. Those to what is not asked are passed over.
///
/// # Errors
/// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for answers that are none; those of [`get`].
pub async fn update(context: &Context, request: &Request) -> Outcome {
    let answers = request.params.get("inputResponses");
    let answers = answers.and_then(|answers| serde_json::from_str(answers.get()).ok());
    let answers: Map<String, Value> = answers.ok_or_else(|| {
        RpcError::invalid_params("inputResponses must be an object of answers by key")
    })?;
    let (_, live) = find(context, request).await?;
    if let Some(live) = live {
        for (key, answer) in answers {
            live.answer(&key, Ok(answer));
        }
    }
    Ok(Members::default().into())
}

/// The task that a request names.
async fn find(context: &Context, request: &Request) -> Result<(Task, Option<Arc<Live>>), Failure> {
    let id = request.params.get("taskId");
    let id = id.ok_or_else(|| RpcError::invalid_params("missing field `taskId`"))?;
    let id: String = serde_json::from_str(id.get())
        .map_err(|_| RpcError::invalid_params("taskId must be a string"))?;
    let owner = context.owner();
    let found = context.services.kept.find(&id, &owner);
    let found = context.unless_cancelled(found).await?;
    let found = found.map_err(|fault| RpcError::new(INTERNAL_ERROR, fault.to_string()))?;
    Ok(found.ok_or_else(|| unknown(&id))?)
}

/// The error for a task that is not there, or belongs to somebody else.
fn unknown(id: &str) -> RpcError {
    let id = crate::text::in_quotes(id);
    RpcError::invalid_params(format!(
        "there is no task {id}; it may have expired, or belong to another key"
    ))
}

async fn ending(
    context: &Context,
    task: &Task,
) -> Result<(End, Option<OwnedSemaphorePermit>), Failure> {
    let owner = context.owner();
    let ending = context.services.kept.ending(&task.id, &owner);
    let ending = context.unless_cancelled(ending).await?;
    let ending = ending.map_err(|fault| RpcError::new(INTERNAL_ERROR, fault.to_string()))?;
    let ending = ending.ok_or_else(|| unknown(&task.id))?;
    Ok((ending.end, ending.room))
}

/// An error as it was kept.
pub fn read_error(error: &RawValue) -> RpcError {
    let read: Value = serde_json::from_str(error.get()).unwrap_or_default();
    let message = read["message"].as_str().unwrap_or("it failed");
    let code = read["code"].as_i64().unwrap_or(INTERNAL_ERROR);
    RpcError {
        data: read.get("data").cloned(),
        ..RpcError::new(code, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_that_was_not_given_out_is_none() {
        let read = |text: &str| position(&to_raw(&text));
        for good in [1, 2, 101, i64::MAX] {
            assert_eq!(read(&cursor_of(good)), Some(good));
        }
        for bad in ["-1", "0", "+5", "007", " 5", "", "x"] {
            assert_eq!(read(&URL_SAFE_NO_PAD.encode(bad)), None, "{bad:?}");
        }
        assert_eq!(read("LTE"), None);
        assert_eq!(read("MA"), None);
    }
}
