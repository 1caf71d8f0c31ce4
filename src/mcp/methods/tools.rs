//! `tools/list` and `tools/call`, and the tool `health`.
//! <https://modelcontextprotocol.io/specification/2025-11-25/server/tools>

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::json;
use serde_json::value::RawValue;

use super::outcome::{Failure, Outcome, Success};
use super::relay::Relay;
use super::serving;
use crate::call::types::{CallError, CallRequest, ToolResult};
use crate::catalog::{BUILT_IN, HEALTH_TOOL, Snapshot, Tool, View};
use crate::governor;
use crate::jsonrpc::{self, RpcError};
use crate::mcp::adapted;
use crate::mcp::changes::Change;
use crate::mcp::context::{Cancelled, Context, Services};
use crate::mcp::inbound::Request;
use crate::mcp::messages;
use crate::mcp::revision::Revision;
use crate::telemetry::{CallLabels, OK};

/// `tools/list`: everything on one page.
///
/// # Errors
/// [`INVALID_PARAMS`](jsonrpc::INVALID_PARAMS) for a cursor.
pub fn list(context: &Context, request: &Request) -> Outcome {
    serving::refuse_cursor(request)?;
    Ok(listing(context))
}

/// The result of `tools/list` as it stands at this moment.
pub fn listing(context: &Context) -> Success {
    let services = &context.services;
    let snapshot = services.catalog.snapshot();
    let view = View {
        visible: services.governor.visible(&context.governed(), &snapshot),
        wrapped: context.revision.structured_content_is_an_object(),
    };
    let visible = view.visible.clone();
    let write = || {
        let tools = snapshot.tools.iter().enumerate();
        let tools = tools.filter(|(index, _)| visible.holds(*index));
        let definitions: Vec<Cow<'_, RawValue>> = tools
            .map(|(_, tool)| definition(tool, context.revision))
            .collect();
        let health = health_definition();
        let mut tools: Vec<&RawValue> = definitions.iter().map(|tool| &**tool).collect();
        tools.extend([&*health, services.governor.definition()]);
        jsonrpc::to_raw(&tools)
    };
    Success::listing("tools", snapshot.listing(view, write))
}

/// A tool's entry as clients of a revision can read it.
fn definition(tool: &Tool, revision: Revision) -> Cow<'_, RawValue> {
    let wrapped = revision
        .structured_content_is_an_object()
        .then(|| adapted::wrapped_definition(&tool.definition))
        .flatten();
    wrapped.map_or(Cow::Borrowed(&*tool.definition), Cow::Owned)
}

/// `tools/call`.
///
/// # Errors
/// [`INVALID_PARAMS`](jsonrpc::INVALID_PARAMS) for params that do not fit, and for an unknown tool
/// where the transport asks for that. A failed call is a result.
pub async fn call(context: &Context, request: &Request) -> Outcome {
    let name = request
        .params
        .get("name")
        .ok_or_else(|| invalid("missing field `name`"))?;
    let name: String =
        serde_json::from_str(name.get()).map_err(|_| invalid("name must be a string"))?;
    let arguments = request
        .params
        .get("arguments")
        .filter(|given| given.get() != "null");
    if let Some(arguments) = arguments.filter(|arguments| !arguments.get().starts_with('{')) {
        let why = format!(
            "arguments must be an object: {}",
            crate::text::quoted(arguments.get())
        );
        return Err(RpcError::invalid_params(why).into());
    }
    if name == HEALTH_TOOL {
        return Ok(
            messages::text_result(&health(&context.services).await.to_string(), false).into(),
        );
    }
    if name == governor::NAME {
        return Ok(govern(context, arguments));
    }
    let tool = match resolve(context, &name).await? {
        Ok(tool) => tool,
        Err(unknown) if context.refuses_unknown_tools => {
            return Err(RpcError::invalid_params(unknown.to_string()).into());
        }
        Err(unknown) => {
            let _ = context
                .services
                .counters
                .call_started(CallLabels {
                    key: context.principal.key_label(),
                    ..CallLabels::default()
                })
                .finish(unknown.code());
            return Ok((&unknown).into());
        }
    };
    match context
        .services
        .governor
        .admit(&context.governed(), &tool.name)
    {
        Ok(()) => run(context, request, &tool, arguments).await,
        Err(detached) => Ok(failed(&tool, &detached)),
    }
}

fn invalid(why: &str) -> RpcError {
    RpcError::invalid_params(format!("invalid params for tools/call: {why}"))
}

/// The governor's tool: its answer, and word of what it changed to the client's other sessions.
fn govern(context: &Context, arguments: Option<&RawValue>) -> Success {
    let services = &context.services;
    let client = context.governed();
    let reply = services
        .governor
        .run_tool(&client, &services.catalog.snapshot(), arguments);
    if reply.changed {
        services.changes.notify(Change::ToolsOf(client));
    }
    messages::text_result(&reply.json, reply.is_error).into()
}

async fn run(
    context: &Context,
    request: &Request,
    tool: &Arc<Tool>,
    arguments: Option<&RawValue>,
) -> Outcome {
    let relay = Relay::new(context, request, &tool.name);
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
    counted.finish(result.as_ref().map_or_else(CallError::code, |result| {
        if result.is_error { "plugin_error" } else { OK }
    }));
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

fn failed(tool: &Tool, error: &CallError) -> Success {
    Success::failed(error, adapted::has_output_schema(&tool.definition))
}

/// The result of a request for a call, for a failure that is none of the call's own.
pub fn failure(context: &Context, request: &Request, error: &CallError) -> Success {
    let name = request.params.string("name").unwrap_or_default();
    match context.services.catalog.snapshot().resolve(&name) {
        Ok(tool) => failed(&tool, error),
        Err(_) => error.into(),
    }
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

/// A name that is not known yet may belong to a plugin that is still being asked, or is known only by what it said at an
/// earlier start.
async fn resolve(context: &Context, name: &str) -> Result<Result<Arc<Tool>, CallError>, Cancelled> {
    let catalog = &context.services.catalog;
    Ok(match catalog.snapshot().resolve(name) {
        Err(_) if !catalog.snapshot().complete => {
            context.unless_cancelled(catalog.complete()).await?;
            catalog.snapshot().resolve(name)
        }
        Err(_) if catalog.snapshot().recalled > 0 => {
            context.unless_cancelled(catalog.confirm()).await?;
            catalog.snapshot().resolve(name)
        }
        known => known,
    })
}

/// How many tools there are, the built-in ones included.
pub fn count(services: &Services) -> usize {
    services.catalog.snapshot().tools.len() + BUILT_IN.len()
}

fn health_definition() -> Box<RawValue> {
    jsonrpc::to_raw(&json!({
        "name": HEALTH_TOOL,
        "description": "Report the server's health: its plugins, and counts of sessions, calls and errors.",
        "inputSchema": {"type": "object", "properties": {}, "additionalProperties": false},
    }))
}

async fn health(services: &Services) -> serde_json::Value {
    let snapshot: Arc<Snapshot> = services.catalog.snapshot();
    let names: Vec<&str> = snapshot
        .plugins
        .iter()
        .map(|plugin| plugin.name.as_str())
        .collect();
    let skipped: Vec<_> = snapshot
        .skipped
        .iter()
        .map(|skipped| json!({"name": skipped.name, "reason": skipped.reason}))
        .collect();
    let unkillable: Vec<_> = services
        .catalog
        .leftovers()
        .into_iter()
        .map(|(program, processes)| json!({"program": program, "processes": processes}))
        .collect();
    json!({
        "status": "healthy",
        "plugins": names.len(),
        "plugin_names": names,
        "from_cache": snapshot.recalled,
        "skipped": skipped,
        "unkillable": unkillable,
        "background": services.catalog.background().await,
        "warm": services.catalog.warm_parents(),
        "load": services.catalog.call_load(),
        "metrics": services.counters.snapshot(),
    })
}
