//! What prompts, resources and completions have in common: served by running their command.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::lifecycle;
use super::outcome::Failure;
use super::relay::Relay;
use crate::call::types::{CallError, CallRequest, Permit};
use crate::catalog::{Offering, Printed};
use crate::jsonrpc::{INTERNAL_ERROR, MISSING_CAPABILITY, Members, RpcError, to_raw};
use crate::mcp::context::Context;
use crate::mcp::inbound::Request;
use crate::telemetry::OK;

/// Arguments up to this size together, in bytes, fit any command line that the server's own environment fits.
const LARGE: usize = 64 << 10;

/// Refuses the methods of a family that nothing declares, as the capabilities do not name it.
///
/// # Errors
/// [`METHOD_NOT_FOUND`](crate::jsonrpc::METHOD_NOT_FOUND).
pub fn require(context: &Context, request: &Request) -> Result<(), RpcError> {
    let Some(family) = request.method.family() else {
        return Ok(());
    };
    // What a session was offered may have gone since; its methods have not.
    let state = context.state.as_ref();
    if state.is_some_and(|state| state.was_offered(family))
        || lifecycle::serves(&context.services, family)
    {
        return Ok(());
    }
    Err(RpcError::method_not_found(request.name()))
}

/// Lists are given whole, so no cursor was ever handed out.
/// <https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/pagination>
///
/// # Errors
/// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for any cursor.
pub fn refuse_cursor(request: &Request) -> Result<(), RpcError> {
    #[derive(Deserialize)]
    struct Page {
        #[serde(default)]
        cursor: Option<String>,
    }
    match request.read::<Page>()?.cursor {
        Some(cursor) => Err(RpcError::invalid_params(format!(
            "unknown cursor {}: {} gives everything on one page",
            crate::text::in_quotes(&cursor),
            request.method.name()
        ))),
        None => Ok(()),
    }
}

/// A result that is one list.
pub fn list(name: &str, entries: &[&RawValue]) -> Members {
    vec![(name.to_owned(), to_raw(&entries))].into()
}

/// The result that a plugin printed, member by member.
///
/// # Errors
/// [`INTERNAL_ERROR`] when it is no object; what is printed is checked before.
pub fn printed_result(result: &RawValue) -> Result<Members, RpcError> {
    Members::parse(result.get())
        .map_err(|fault| RpcError::new(INTERNAL_ERROR, format!("the result is no object: {fault}")))
}

/// The list entries of offerings.
pub fn entries(offerings: &[Arc<Offering>]) -> Vec<&RawValue> {
    offerings
        .iter()
        .map(|offering| &*offering.definition)
        .collect()
}

/// Runs the command that serves `offering`, and gives what it printed, with the permit of the call. `not_found` is
/// the error for a program that says, in its own words, that what it is to read is not there.
///
/// # Errors
/// The command's failure as the error that the protocol has for it.
pub async fn run(
    context: &Context,
    request: &Request,
    offering: &Arc<Offering>,
    arguments: Box<RawValue>,
    not_found: impl FnOnce(String) -> RpcError,
) -> Result<(Printed, Arc<Permit>), Failure> {
    let largest = largest(&arguments);
    let (method, token) = (request.method, request.progress_token());
    let relay = Relay::new(context, method, token, &offering.plugin, &offering.key);
    let caller = context.caller().await?;
    let printed = relay
        .during(async |events| {
            let request = CallRequest {
                arguments: Some(arguments),
                caller,
                cancel: relay.run(),
                events: Some(events),
            };
            context.services.catalog.serve(offering, request).await
        })
        .await;
    let printed = printed.map_err(|error| stopped(error, &relay, &offering.key));
    relay
        .watched()
        .ends(printed.as_ref().map_or_else(CallError::code, |_| OK));
    printed.map_err(|error| match error {
        CallError::Cancelled if relay.client_has_gone() => client_gone().into(),
        CallError::Cancelled => Failure::Cancelled,
        CallError::InvalidArguments { .. } => RpcError::invalid_params(error.to_string()).into(),
        CallError::ArgumentsTooLarge(message) => too_large(&message, largest).into(),
        CallError::NotFound(words) => not_found(words).into(),
        CallError::MissingCapability { ref missing, .. } => {
            missing_capability(missing, &error).into()
        }
        other => {
            let data = json!({"code": other.code()});
            RpcError::new(INTERNAL_ERROR, other.to_string())
                .with_data(data)
                .into()
        }
    })
}

/// The error of a run, for one that somebody has stopped who watches the server: its client waits for an answer.
pub fn stopped(error: CallError, relay: &Relay<'_>, name: &str) -> CallError {
    if error == CallError::Cancelled && relay.watched().is_stopped() {
        return CallError::Stopped(name.to_owned());
    }
    error
}

/// The largest of `arguments` and its size in bytes, where there are so many that a command line may not carry them.
fn largest(arguments: &RawValue) -> Option<(String, usize)> {
    if arguments.get().len() <= LARGE {
        return None;
    }
    let members = Members::parse(arguments.get()).ok()?;
    let sizes = members
        .iter()
        .map(|(name, value)| (name, value.get().len()));
    let (name, size) = sizes.max_by_key(|(_, size)| *size)?;
    Some((name.to_owned(), size))
}

/// The error for arguments that no command line carries. One that is too large by itself is named in `message`.
fn too_large(message: &str, largest: Option<(String, usize)>) -> RpcError {
    let largest = largest.filter(|_| !message.starts_with('\''));
    let largest = largest.map(|(name, size)| {
        let name = crate::text::in_quotes(&name);
        format!("; the largest is {name} with {size} bytes")
    });
    RpcError::invalid_params(format!("{message}{}", largest.unwrap_or_default()))
}

/// The end of a run whose client went while it was asked.
pub fn client_gone() -> RpcError {
    RpcError::new(
        INTERNAL_ERROR,
        "the run was ended: it asked the client, which had gone",
    )
}

/// Under 2026-07-28 what a client lacks is an error of its own, which names it for the program.
/// <https://modelcontextprotocol.io/specification/draft/basic#error-codes>
pub fn missing_capability(missing: &[&'static str], error: &CallError) -> RpcError {
    let mut required = json!({});
    for name in missing {
        // A part of a capability is a member of its object.
        match name.split_once('.') {
            Some((capability, part)) => required[capability][part] = json!({}),
            None => required[name] = json!({}),
        }
    }
    let data = json!({"requiredCapabilities": required});
    RpcError::new(MISSING_CAPABILITY, error.to_string()).with_data(data)
}
