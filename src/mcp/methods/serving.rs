//! What prompts, resources and completions have in common: served by running their command.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::lifecycle;
use super::outcome::Failure;
use super::relay::Relay;
use crate::call::types::{CallError, CallRequest};
use crate::catalog::{Offering, Printed};
use crate::jsonrpc::{INTERNAL_ERROR, MISSING_CAPABILITY, RpcError};
use crate::mcp::context::Context;

/// Refuses the methods of a family that nothing declares, as the capabilities do not name it.
pub fn require(context: &Context, family: &str, method: &str) -> Result<(), RpcError> {
    if lifecycle::capabilities(&context.services).contains_key(family) {
        Ok(())
    } else {
        Err(RpcError::method_not_found(method))
    }
}

/// The list entries of offerings.
pub fn entries(offerings: &[Arc<Offering>]) -> Vec<&RawValue> {
    offerings
        .iter()
        .map(|offering| &*offering.definition)
        .collect()
}

/// Runs the command that serves `offering`, and gives what it printed.
pub async fn run(
    context: &Context,
    offering: &Arc<Offering>,
    arguments: Box<RawValue>,
    progress_token: Option<&RawValue>,
) -> Result<Printed, Failure> {
    let relay = Relay::new(context, progress_token, &offering.plugin);
    let printed = relay
        .during(async |events| {
            let request = CallRequest {
                arguments: Some(arguments),
                caller: context.caller().await,
                cancel: relay.run(),
                events: Some(events),
            };
            context.services.catalog.serve(offering, request).await
        })
        .await;
    printed.map_err(|error| match error {
        CallError::Cancelled => Failure::Cancelled,
        CallError::InvalidArguments { .. } => RpcError::invalid_params(error.to_string()).into(),
        CallError::MissingCapability { .. } => missing_capability(&error).into(),
        other => {
            let data = serde_json::json!({"code": other.code()});
            RpcError::new(INTERNAL_ERROR, other.to_string())
                .with_data(data)
                .into()
        }
    })
}

/// Under 2026-07-28 what a client lacks is an error of its own, which names it for the program.
pub fn missing_capability(error: &CallError) -> RpcError {
    let names = match error {
        CallError::MissingCapability { missing, .. } => missing.as_slice(),
        _ => &[],
    };
    let required: Map<String, Value> = names
        .iter()
        .map(|name| ((*name).to_owned(), serde_json::json!({})))
        .collect();
    let data = serde_json::json!({"requiredCapabilities": required});
    RpcError::new(MISSING_CAPABILITY, error.to_string()).with_data(data)
}
