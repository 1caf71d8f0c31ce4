//! `prompts/list` and `prompts/get`.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::outcome::Outcome;
use super::serving;
use super::tools::refuse_cursor;
use crate::catalog::{OfferKind, Offering, Printed};
use crate::jsonrpc::{self, RpcError};
use crate::mcp::context::Context;
use crate::mcp::messages::{self, RequestMeta};

#[derive(Deserialize)]
struct GetParams<'a> {
    name: String,
    #[serde(default)]
    arguments: Option<Map<String, Value>>,
    #[serde(borrow, default, rename = "_meta")]
    meta: Option<RequestMeta<'a>>,
}

/// `prompts/list`.
pub fn list(context: &Context, params: Option<&RawValue>) -> Outcome {
    serving::require(context, "prompts", "prompts/list")?;
    refuse_cursor("prompts/list", params)?;
    let snapshot = context.services.catalog.snapshot();
    Ok(jsonrpc::to_raw(&json!({"prompts": serving::entries(&snapshot.prompts)})).into())
}

/// `prompts/get`.
pub async fn get(context: &Context, params: Option<&RawValue>) -> Outcome {
    serving::require(context, "prompts", "prompts/get")?;
    let params: GetParams = messages::read("prompts/get", params)?;
    let snapshot = context.services.catalog.snapshot();
    let Some(prompt) = snapshot.prompt(&params.name) else {
        let names: Vec<&str> = snapshot
            .prompts
            .iter()
            .map(|prompt| prompt.key.as_str())
            .collect();
        let why = format!(
            "unknown prompt '{}'; there are: {}",
            crate::text::quoted(&params.name),
            names.join(", ")
        );
        return Err(RpcError::invalid_params(why).into());
    };
    let arguments = params.arguments.unwrap_or_default();
    check_arguments(&prompt, &arguments)?;
    let token = params.meta.as_ref().and_then(|meta| meta.progress_token);
    Ok(
        match serving::run(context, &prompt, jsonrpc::to_raw(&arguments), token).await? {
            Printed::Result(result) => result,
            Printed::Text(text) => {
                let message = json!({"role": "user", "content": {"type": "text", "text": text}});
                jsonrpc::to_raw(&json!({"messages": [message]}))
            }
        }
        .into(),
    )
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
                "'{}' is no argument of the prompt",
                crate::text::quoted(name)
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
