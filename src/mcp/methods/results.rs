//! The tool `smcp__result`: for clients that know no tasks, what became of calls that they did not wait for.

use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::outcome::{Outcome, Success, Whole};
use super::tasks::{moment, read_error};
use crate::call::types::CallError;
use crate::jsonrpc::{self, INTERNAL_ERROR, INVALID_PARAMS, REQUEST_CANCELLED, RpcError};
use crate::mcp::context::{Context, Services};
use crate::mcp::messages;
use crate::tasks::store::{ORPHANED, RESTARTED};
use crate::tasks::{End, Task};

/// Its name.
pub const NAME: &str = "smcp__result";
/// The longest that a call of it waits: less than any client gives a call.
const MAX_WAIT: f64 = 50.0;
/// The code for an id that no call has, or has no longer.
const NOT_FOUND: &str = "call_not_found";
/// The code for a call that the server's end cut short.
const LOST: &str = "call_lost";

/// Whether it is there: calls are kept, and some tool's calls may outlive their client. A plugin whose tool has the name
/// keeps it.
pub fn are_offered(services: &Services) -> bool {
    let snapshot = services.catalog.snapshot();
    services.kept.can_be_fetched() && snapshot.detaches() && snapshot.tool(NAME).is_none()
}

/// Its entry in `tools/list`.
pub fn definition() -> Box<RawValue> {
    jsonrpc::to_raw(&json!({
        "name": NAME,
        "description": "Get the result of an earlier call that was still running when its connection ended. Without an id: the list of such calls, the newest first, with their ids. With an id: the result of that call, exactly as the tool gave it, or its status while it still runs.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "id": {"type": "string", "description": "The id of the call, from the list. Leave it out to get the list."},
                "wait": {
                    "type": "number", "minimum": 0, "maximum": MAX_WAIT, "default": 0,
                    "description": "With an id: how many seconds to wait for a call that still runs."
                },
            },
            "additionalProperties": false,
        },
        "annotations": {"readOnlyHint": true, "openWorldHint": false},
    }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Arguments {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    wait: Option<f64>,
}

/// Answers a call of it.
///
/// # Errors
/// [`INTERNAL_ERROR`] when what is kept cannot be read. A call that is not there is a failed result.
pub async fn give(context: &Context, arguments: Option<&RawValue>) -> Outcome {
    let arguments = arguments
        .map(|given| serde_json::from_str(given.get()))
        .transpose();
    let arguments: Arguments = match arguments {
        Ok(arguments) => arguments.unwrap_or_default(),
        Err(fault) => return Ok(invalid(&fault.to_string())),
    };
    let wait = arguments.wait.unwrap_or(0.0);
    if !(0.0..=MAX_WAIT).contains(&wait) {
        return Ok(invalid(&format!(
            "wait must be from 0 to {MAX_WAIT} seconds"
        )));
    }
    match arguments.id {
        None => list(context).await,
        Some(id) => one(context, &id, Duration::from_secs_f64(wait)).await,
    }
}

fn invalid(fault: &str) -> Success {
    let (tool, faults) = (NAME.to_owned(), vec![fault.to_owned()]);
    (&CallError::InvalidArguments { tool, faults }).into()
}

async fn list(context: &Context) -> Outcome {
    let owner = context.owner();
    let page = context.services.kept.list(&owner, None);
    let page = context.unless_cancelled(page).await?;
    let page = page.map_err(|fault| RpcError::new(INTERNAL_ERROR, fault.to_string()))?;
    let calls: Vec<Value> = page.tasks.iter().map(described).collect();
    let mut result = json!({"calls": calls});
    if page.next.is_some() {
        result["more"] = "there are older ones".into();
    }
    Ok(messages::text_result(&result.to_string()).into())
}

async fn one(context: &Context, id: &str, wait: Duration) -> Outcome {
    let (kept, owner) = (&context.services.kept, context.owner());
    let fault =
        |fault: crate::tasks::store::StoreError| RpcError::new(INTERNAL_ERROR, fault.to_string());
    let found = context.unless_cancelled(kept.find(id, &owner)).await?;
    let Some((mut task, live)) = found.map_err(fault)? else {
        let why = format!(
            "there is no kept call {}; call {NAME} without an id for the list, what is kept expires",
            crate::text::in_quotes(id)
        );
        return Ok(failed(NOT_FOUND, &why));
    };
    if let Some(live) = live {
        let over = tokio::time::timeout(wait, live.over());
        let _ = context.unless_cancelled(over).await?;
        task = live.task();
    }
    if !task.status.is_over() {
        return Ok(messages::text_result(&described(&task).to_string()).into());
    }
    let ending = context.unless_cancelled(kept.ending(id, &owner)).await?;
    let Some(ending) = ending.map_err(fault)? else {
        return Ok(failed(NOT_FOUND, "its result has expired"));
    };
    Ok(match ending.end {
        End::Result { text, has_failed } => Success {
            room: ending.room,
            ..Success::written(Whole { text, has_failed })
        },
        End::Error(error) => without_result(&read_error(&error)),
        End::Cancelled => failed(CallError::Cancelled.code(), "the call was cancelled"),
    })
}

/// A call that ended without a result.
fn without_result(error: &RpcError) -> Success {
    let code = match error.code {
        _ if [RESTARTED, ORPHANED].contains(&&*error.message) => LOST,
        INVALID_PARAMS => "invalid_arguments",
        REQUEST_CANCELLED => "cancelled",
        _ => "internal_error",
    };
    failed(code, &error.message)
}

fn failed(code: &'static str, why: &str) -> Success {
    Success::own_failure(code, why, why)
}

fn described(task: &Task) -> Value {
    let mut call = json!({
        "id": task.id,
        "tool": task.tool,
        "status": task.status.name(),
        "began": moment(task.created),
    });
    if task.status.is_over() {
        call["ended"] = moment(task.updated).into();
    }
    if task.has_failed {
        call["failed"] = true.into();
    }
    if let Some(message) = &task.message {
        call["message"] = message.as_str().into();
    }
    call
}
