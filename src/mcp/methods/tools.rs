//! `tools/list` and `tools/call`, and the tool `health`.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::lifecycle;
use super::outcome::{Failure, Outcome, Success};
use super::relay::Relay;
use super::serving;
use crate::call::types::{CallError, CallRequest};
use crate::catalog::{BUILT_IN, HEALTH_TOOL, Snapshot, Tool};
use crate::governor;
use crate::jsonrpc::{self, RpcError};
use crate::mcp::changes::Change;
use crate::mcp::context::{Context, Services};
use crate::mcp::messages::{self, CallParams};
use crate::mcp::principal::Transport;
use crate::telemetry::OK;

/// `tools/list`: everything on one page.
pub async fn list(context: &Context, params: Option<&RawValue>) -> Outcome {
    refuse_cursor("tools/list", params)?;
    lifecycle::settled(&context.services).await;
    Ok(listing(context).into())
}

/// The result of `tools/list` as it stands at this moment.
pub fn listing(context: &Context) -> Box<RawValue> {
    let services = &context.services;
    let snapshot = services.catalog.snapshot();
    let visible = services.governor.visible(&context.governed(), &snapshot);
    let health = health_definition();
    let mut tools: Vec<&RawValue> = visible.iter().map(|tool| &*tool.definition).collect();
    tools.extend([&*health, services.governor.definition()]);
    jsonrpc::to_raw(&Listing { tools: &tools })
}

#[derive(Serialize)]
struct Listing<'a> {
    tools: &'a [&'a RawValue],
}

/// Lists are given whole, so no cursor was ever handed out.
pub fn refuse_cursor(method: &str, params: Option<&RawValue>) -> Result<(), RpcError> {
    #[derive(serde::Deserialize)]
    struct Page {
        #[serde(default)]
        cursor: Option<String>,
    }
    match messages::read::<Page>(method, params)?.cursor {
        Some(cursor) => Err(RpcError::invalid_params(format!(
            "unknown cursor '{}': {method} gives everything on one page",
            crate::text::quoted(&cursor)
        ))),
        None => Ok(()),
    }
}

/// `tools/call`.
pub async fn call(context: &Context, params: Option<&RawValue>) -> Outcome {
    let params: CallParams = messages::read("tools/call", params)?;
    if let Some(arguments) = params
        .arguments
        .filter(|arguments| !arguments.get().starts_with('{'))
    {
        let why = format!(
            "arguments must be an object: {}",
            crate::text::quoted(arguments.get())
        );
        return Err(RpcError::invalid_params(why).into());
    }
    if params.name == HEALTH_TOOL {
        return Ok(messages::text_result(&health(&context.services).to_string(), false).into());
    }
    if params.name == governor::NAME {
        return Ok(govern(context, params.arguments));
    }
    let tool = match resolve(&context.services, &params.name).await {
        Ok(tool) => tool,
        Err(unknown) if context.transport == Transport::Streamable => {
            return Err(RpcError::invalid_params(unknown.to_string()).into());
        }
        Err(unknown) => {
            let _ = context
                .services
                .counters
                .call_started(None)
                .finish(unknown.code());
            return Ok((&unknown).into());
        }
    };
    match context
        .services
        .governor
        .admit(&context.governed(), &tool.name)
    {
        Ok(()) => run(context, &tool, &params).await,
        Err(detached) => Ok((&detached).into()),
    }
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

async fn run(context: &Context, tool: &Arc<Tool>, params: &CallParams<'_>) -> Outcome {
    let token = params.meta.as_ref().and_then(|meta| meta.progress_token);
    let relay = Relay::new(context, token, &tool.name);
    let counted = context.services.counters.call_started(Some(&tool.name));
    let result = relay
        .during(async |events| {
            let request = CallRequest {
                arguments: params.arguments.map(RawValue::to_owned),
                caller: context.caller().await,
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
        Ok(result) => Ok(messages::tool_result(&result).into()),
        Err(CallError::Cancelled) => Err(Failure::Cancelled),
        Err(error @ CallError::MissingCapability { .. }) if !context.revision.has_handshake() => {
            Err(serving::missing_capability(&error).into())
        }
        Err(error) => Ok((&error).into()),
    }
}

/// A name that is not known yet may belong to a plugin that is still being asked.
async fn resolve(services: &Services, name: &str) -> Result<Arc<Tool>, CallError> {
    match services.catalog.snapshot().resolve(name) {
        Err(_) if !services.catalog.snapshot().complete => {
            services.catalog.complete().await;
            services.catalog.snapshot().resolve(name)
        }
        known => known,
    }
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

fn health(services: &Services) -> serde_json::Value {
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
    json!({
        "status": "healthy",
        "plugins": names.len(),
        "plugin_names": names,
        "skipped": skipped,
        "metrics": services.counters.snapshot(),
    })
}
