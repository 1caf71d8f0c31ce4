//! Prompts, resources and completions: found in the catalogue, served by running their command.

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::outcome::Failure;
use super::relay::Relay;
use crate::mcp::context::Context;
use crate::mcp::jsonrpc::{self, INTERNAL_ERROR, MISSING_CAPABILITY, RpcError};
use crate::plugins::call::{CallError, CallRequest};
use crate::plugins::catalog::Family;
use crate::plugins::catalog::Served;

/// Everything of one family, in the catalogue's order.
pub fn all(context: &Context, family: Family) -> Vec<Arc<Served>> {
    let snapshot = context.services.catalog.snapshot();
    snapshot
        .served
        .iter()
        .filter(|served| served.family == family)
        .cloned()
        .collect()
}

/// The list entries of one family.
pub fn definitions(context: &Context, family: Family) -> Vec<Value> {
    all(context, family)
        .iter()
        .map(|served| Value::Object(served.definition.clone()))
        .collect()
}

/// Refuses the methods of a family that nothing declares, as capabilities do not name it.
pub fn require(context: &Context, families: &[Family], method: &str) -> Result<(), RpcError> {
    let declared = families
        .iter()
        .any(|family| !all(context, *family).is_empty());
    if declared {
        Ok(())
    } else {
        Err(RpcError::method_not_found(method))
    }
}

/// Runs the command that serves something, and gives what it printed.
pub async fn run(
    context: &Context,
    served: &Arc<Served>,
    arguments: Map<String, Value>,
    progress_token: Option<&RawValue>,
) -> Result<String, Failure> {
    let relay = Relay::new(context, progress_token, &served.plugin);
    let printed = relay
        .during(async |events| {
            let request = CallRequest {
                arguments: Some(jsonrpc::to_raw(&arguments)),
                caller: context.caller().await,
                cancel: relay.run(),
                events: Some(events),
            };
            context.services.catalog.serve(served, request).await
        })
        .await;
    printed.map_err(|error| match error {
        CallError::Cancelled => Failure::Cancelled,
        CallError::InvalidArguments { .. } => RpcError::invalid_params(error.to_string()).into(),
        CallError::MissingCapability { .. } => {
            RpcError::new(MISSING_CAPABILITY, error.to_string()).into()
        }
        other => {
            let data = serde_json::json!({"code": other.code()});
            RpcError::new(INTERNAL_ERROR, other.to_string())
                .with_data(data)
                .into()
        }
    })
}

/// What a command printed, when it is a protocol object with `member`; anything else is plain text.
pub fn protocol_object(printed: &str, member: &str) -> Option<Box<RawValue>> {
    let raw: &RawValue = serde_json::from_str(printed).ok()?;
    let members: std::collections::BTreeMap<String, &RawValue> =
        serde_json::from_str(raw.get()).ok()?;
    members.contains_key(member).then(|| raw.to_owned())
}
