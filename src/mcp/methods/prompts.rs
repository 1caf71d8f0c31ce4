//! `prompts/list` and `prompts/get`.
//! <https://modelcontextprotocol.io/specification/2025-11-25/server/prompts>

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::outcome::{Outcome, Success};
use super::serving;
use crate::catalog::{OfferKind, Offering, Printed};
use crate::jsonrpc::{Members, RpcError, to_raw};
use crate::mcp::adapted;
use crate::mcp::context::Context;
use crate::mcp::inbound::Request;

#[derive(Deserialize)]
struct GetParams {
    name: String,
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
}

/// `prompts/list`.
///
/// # Errors
/// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for a cursor.
pub fn list(context: &Context, request: &Request) -> Outcome {
    serving::refuse_cursor(request)?;
    let snapshot = context.services.catalog.snapshot();
    Ok(serving::list("prompts", &serving::entries(&snapshot.prompts)).into())
}

/// `prompts/get`.
///
/// # Errors
/// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for an unknown prompt or arguments that do not
/// fit; else what the prompt's command failed with.
pub async fn get(context: &Context, request: &Request) -> Outcome {
    let params: GetParams = request.read()?;
    let snapshot = context.services.catalog.snapshot();
    let Some(prompt) = snapshot.prompt(&params.name) else {
        let names: Vec<&str> = snapshot
            .prompts
            .iter()
            .map(|prompt| prompt.key.as_str())
            .collect();
        let why = format!(
            "unknown prompt {}; there are: {}",
            crate::text::in_quotes(&params.name),
            names.join(", ")
        );
        return Err(RpcError::invalid_params(why).into());
    };
    let arguments = params.arguments.unwrap_or_default();
    check_arguments(&prompt, &arguments)?;
    let arguments = to_raw(&arguments);
    let not_found = RpcError::invalid_params;
    let (printed, permit) = serving::run(context, request, &prompt, arguments, not_found).await?;
    let result = match printed {
        Printed::Result(result) => {
            adapted::prompt(serving::printed_result(&result)?, context.revision)
        }
        Printed::Text(text) => {
            let message = json!({"role": "user", "content": {"type": "text", "text": text}});
            Members::from(json!({"messages": [message]}))
        }
    };
    Ok(Success::holding(result, permit))
}

fn check_arguments(prompt: &Offering, given: &Map<String, Value>) -> Result<(), RpcError> {
    let OfferKind::Prompt(declared) = &prompt.kind else {
        return Ok(());
    };
    let names: Vec<&str> = given.keys().map(String::as_str).collect();
    let mut faults = prompt.missing_arguments(&names);
    for (name, value) in given {
        if !declared.iter().any(|argument| argument.name == *name) {
            faults.push(format!(
                "{} is no argument of the prompt",
                crate::text::in_quotes(name)
            ));
        } else if !value.is_string() {
            faults.push(format!("'{name}' must be a string"));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(RpcError::invalid_params(faults.join("; ")))
    }
}
