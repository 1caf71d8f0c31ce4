//! One run of a tool for a request: what it is counted as, what of it reaches the client, and how its result is
//! written for the revision. Knows no list and no task.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::outcome::{Failure, Outcome, Success};
use super::relay::Relay;
use super::serving;
use crate::call::types::{CallError, CallRequest, ToolResult};
use crate::catalog::Tool;
use crate::mcp::adapted;
use crate::mcp::context::Context;
use crate::mcp::method::Method;
use crate::mcp::revision::Revision;
use crate::tasks::Live;
use crate::telemetry::{CallLabels, OK};

/// What a run of a tool needs beside its surroundings.
#[derive(Debug)]
pub struct Run<'a> {
    /// The tool.
    pub tool: &'a Arc<Tool>,
    /// Its arguments.
    pub arguments: Option<&'a RawValue>,
    /// Names the request in progress notifications.
    pub progress_token: Option<&'a RawValue>,
    /// What is kept once the program says so.
    pub detachable: Option<&'a Arc<Live>>,
}

/// Runs a tool.
///
/// # Errors
/// It was cancelled, or the protocol has an error of its own for its failure.
pub async fn run(context: &Context, run: Run<'_>) -> Outcome {
    let Run {
        tool, arguments, ..
    } = run;
    let (method, token, name) = (Method::CallTool, run.progress_token, &tool.name);
    let relay = Relay::new(context, method, token, name, name).detaching(run.detachable);
    let counted = context.services.counters.call_started(CallLabels {
        tool: Some(&tool.name),
        plugin: Some(&tool.plugin),
        key: context.principal.key_label(),
    });
    let caller = context.caller().await?;
    let result = relay
        .during(async |events| {
            let request = CallRequest {
                arguments: arguments.map(RawValue::to_owned),
                caller,
                cancel: relay.run(),
                events: Some(events),
            };
            context.services.catalog.call(tool, request).await
        })
        .await;
    let result = result.map_err(|error| serving::stopped(error, &relay, &tool.name));
    let outcome = result.as_ref().map_or_else(CallError::code, |result| {
        if result.is_error { "plugin_error" } else { OK }
    });
    relay.watched().ends(outcome);
    counted.finish(outcome);
    match result {
        Ok(result) => {
            let wrapped = is_wrapped(tool, &result, context.revision);
            let success = Success::from(result).wrapped(wrapped);
            Ok(success.readable_by(context.revision))
        }
        Err(CallError::Cancelled) if relay.client_has_gone() => Err(serving::client_gone().into()),
        Err(CallError::Cancelled) => Err(Failure::Cancelled),
        Err(ref error @ CallError::MissingCapability { ref missing, .. })
            if !context.revision.has_handshake() =>
        {
            Err(serving::missing_capability(missing, error).into())
        }
        Err(error) => Ok(failed(tool, &error)),
    }
}

/// A call that failed.
pub fn failed(tool: &Tool, error: &CallError) -> Success {
    Success::failed(error, adapted::has_output_schema(&tool.definition))
}

/// A tool's entry as clients of a revision can read it.
pub fn definition(tool: &Tool, revision: Revision) -> Cow<'_, RawValue> {
    let wrapped = revision
        .structured_content_is_an_object()
        .then(|| adapted::wrapped_definition(&tool.definition))
        .flatten();
    wrapped.map_or(Cow::Borrowed(&*tool.definition), Cow::Owned)
}

/// Whether its structured content goes out as a member of an object, as its entry in the list says.
fn is_wrapped(tool: &Tool, result: &ToolResult, revision: Revision) -> bool {
    let Some(structured) = result.content.structured() else {
        return false;
    };
    revision.structured_content_is_an_object()
        && (!structured.get().starts_with('{')
            || matches!(definition(tool, revision), Cow::Owned(_)))
}
