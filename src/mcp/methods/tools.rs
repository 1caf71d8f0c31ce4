//! `tools/list` and `tools/call`, and the tool `health`.
//! <https://modelcontextprotocol.io/specification/2025-11-25/server/tools>

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::outcome::{Outcome, Success};
use super::tool_run::{definition, failed};
use super::{kept, results, serving};
use crate::call::types::CallError;
use crate::catalog::{BUILT_IN, HEALTH_TOOL, Snapshot, Tool, View};
use crate::governor;
use crate::jsonrpc::{self, Members, RpcError};
use crate::mcp::changes::Change;
use crate::mcp::context::{Cancelled, Context, Services};
use crate::mcp::inbound::Request;
use crate::mcp::messages;
use crate::telemetry::CallLabels;

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
        with_tasks: services.kept.are_on() && context.revision.has_task_requests(),
        with_results: results::are_offered(services),
    };
    let (visible, with_tasks) = (view.visible.clone(), view.with_tasks);
    let results = view.with_results.then(results::definition);
    let write = || {
        let tools = snapshot.tools.iter().enumerate();
        let tools = tools.filter(|(index, _)| visible.holds(*index));
        let definitions: Vec<Cow<'_, RawValue>> = tools
            .map(|(_, tool)| {
                let entry = definition(tool, context.revision);
                match with_tasks && tool.may_be_a_task() {
                    true => Cow::Owned(with_execution(&entry, tool)),
                    false => entry,
                }
            })
            .collect();
        let health = health_definition();
        let mut tools: Vec<&RawValue> = definitions.iter().map(|tool| &**tool).collect();
        tools.extend([&*health, services.governor.definition()]);
        tools.extend(results.as_deref());
        jsonrpc::to_raw(&tools)
    };
    Success::listing("tools", snapshot.listing(view, write))
}

/// The same with what it says of tasks (2025-11-25).
fn with_execution(entry: &RawValue, tool: &Tool) -> Box<RawValue> {
    let mut members = Members::parse(entry.get()).unwrap_or_default();
    let support = match tool.requires_task() {
        true => "required",
        false => "optional",
    };
    members.set(
        "execution",
        jsonrpc::to_raw(&json!({"taskSupport": support})),
    );
    jsonrpc::to_raw(&members)
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
        return Ok(messages::text_result(&health(&context.services).await.to_string()).into());
    }
    if name == governor::NAME {
        return Ok(govern(context, arguments));
    }
    if name == results::NAME && results::are_offered(&context.services) {
        return results::give(context, arguments).await;
    }
    let tool = match resolve(context, &name).await? {
        Ok(tool) => tool,
        Err(unknown) if context.refuses_unknown_tools => {
            refused(context, request, &name, &unknown);
            return Err(RpcError::invalid_params(unknown.to_string()).into());
        }
        Err(unknown) => {
            refused(context, request, &name, &unknown);
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
        Ok(()) => kept::call(context, request, &tool, arguments).await,
        Err(detached) => {
            refused(context, request, &tool.name, &detached);
            Ok(failed(&tool, &detached))
        }
    }
}

/// Tells of a call that has ended before anything ran those who watch the server.
fn refused(context: &Context, request: &Request, name: &str, why: &CallError) {
    let watched = context.watched(request.method, name, context.cancel.clone());
    watched.ends(why.code());
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
    if reply.is_error {
        let answer: Value = serde_json::from_str(&reply.json).unwrap_or_default();
        let message = answer["error"].as_str().unwrap_or(&reply.json);
        return Success::own_failure("invalid_arguments", message, &reply.json);
    }
    messages::text_result(&reply.json).into()
}

/// The result of a request for a call, for a failure that is none of the call's own.
pub fn failure(context: &Context, request: &Request, error: &CallError) -> Success {
    let name = request.params.string("name").unwrap_or_default();
    match context.services.catalog.snapshot().resolve(&name) {
        Ok(tool) => failed(&tool, error),
        Err(_) => error.into(),
    }
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
    let built_in = BUILT_IN.len() + usize::from(results::are_offered(services));
    services.catalog.snapshot().tools.len() + built_in
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
    let mut health = json!({
        "status": "healthy",
        "plugins": names.len(),
        "plugin_names": names,
        "from_cache": snapshot.recalled,
        "skipped": skipped,
        "unkillable": unkillable,
        "background": services.catalog.background().await,
        "warm": services.catalog.warm_parents(),
        "services": services.plugin_services.list(),
        "load": services.catalog.call_load(),
        "metrics": services.counters.snapshot(),
    });
    if let Some(counts) = services.kept.counts() {
        health["tasks"] = json!(counts);
        if let Some(fault) = services.kept.fault() {
            health["tasks"]["fault"] = fault.into();
        }
    }
    health
}
