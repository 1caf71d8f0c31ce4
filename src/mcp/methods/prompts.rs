//! `prompts/list` and `prompts/get`.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::outcome::Outcome;
use super::serving;
use super::tools::refuse_cursor;
use crate::mcp::context::Context;
use crate::mcp::jsonrpc::{self, RpcError};
use crate::mcp::messages::{self, RequestMeta};
use crate::plugins::catalog::Family;

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
    serving::require(context, &[Family::Prompt], "prompts/list")?;
    refuse_cursor("prompts/list", params)?;
    Ok(jsonrpc::to_raw(&json!({"prompts": serving::definitions(context, Family::Prompt)})).into())
}

/// `prompts/get`.
pub async fn get(context: &Context, params: Option<&RawValue>) -> Outcome {
    serving::require(context, &[Family::Prompt], "prompts/get")?;
    let params: GetParams = messages::read("prompts/get", params)?;
    let prompts = serving::all(context, Family::Prompt);
    let Some(prompt) = prompts.iter().find(|prompt| prompt.key == params.name) else {
        let names: Vec<&str> = prompts.iter().map(|prompt| prompt.key.as_str()).collect();
        let why = format!(
            "unknown prompt '{}'; there are: {}",
            jsonrpc::shown(&params.name),
            names.join(", ")
        );
        return Err(RpcError::invalid_params(why).into());
    };
    let arguments = params.arguments.unwrap_or_default();
    check_arguments(&prompt.definition, &arguments)?;
    let token = params.meta.as_ref().and_then(|meta| meta.progress_token);
    let printed = serving::run(context, prompt, arguments, token).await?;
    let result = serving::protocol_object(&printed, "messages").unwrap_or_else(|| {
        let message = json!({"role": "user", "content": {"type": "text", "text": printed}});
        jsonrpc::to_raw(&json!({"messages": [message]}))
    });
    Ok(result.into())
}

fn check_arguments(
    definition: &Map<String, Value>,
    arguments: &Map<String, Value>,
) -> Result<(), RpcError> {
    let declared = definition
        .get("arguments")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let name = |argument: &Value| argument["name"].as_str().unwrap_or_default().to_owned();
    let missing = declared
        .iter()
        .filter(|argument| argument["required"] == true)
        .map(name)
        .filter(|name| !arguments.contains_key(name));
    let mut faults: Vec<String> = missing.map(|name| format!("'{name}' is missing")).collect();
    for (given, value) in arguments {
        if !declared.iter().any(|argument| name(argument) == *given) {
            faults.push(format!(
                "'{}' is no argument of the prompt",
                jsonrpc::shown(given)
            ));
        } else if !value.is_string() {
            faults.push(format!("'{given}' must be a string"));
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(RpcError::invalid_params(faults.join("; ")))
    }
}
