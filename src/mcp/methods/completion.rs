//! `completion/complete`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::outcome::Outcome;
use super::serving;
use crate::mcp::context::Context;
use crate::mcp::jsonrpc::{self, RpcError};
use crate::mcp::messages;
use crate::plugins::catalog::Family;
use crate::plugins::catalog::Served;

/// The most values of one answer, as the specification has it.
const MAX_VALUES: usize = 100;

#[derive(Deserialize)]
struct CompleteParams {
    #[serde(rename = "ref")]
    reference: Reference,
    argument: Argument,
    #[serde(default)]
    context: Option<Value>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Reference {
    #[serde(rename = "ref/prompt")]
    Prompt { name: String },
    #[serde(rename = "ref/resource")]
    Resource { uri: String },
}

#[derive(Deserialize)]
struct Argument {
    name: String,
    value: String,
}

/// Completes one argument of a prompt or one variable of a template.
pub async fn complete(context: &Context, params: Option<&RawValue>) -> Outcome {
    serving::require(context, &[Family::Completion], "completion/complete")?;
    let params: CompleteParams = messages::read("completion/complete", params)?;
    let (kind, key) = known(context, &params.reference)?;
    let Some(served) = completer(context, kind, key, &params.argument.name) else {
        return Ok(jsonrpc::to_raw(&json!({"completion": {"values": []}})).into());
    };
    let mut arguments = Map::new();
    for (name, value) in [
        ("argument", params.argument.name),
        ("value", params.argument.value),
    ] {
        if served.takes(name) {
            arguments.insert(name.to_owned(), value.into());
        }
    }
    if let Some(known) = params.context.filter(|_| served.takes("context")) {
        arguments.insert("context".to_owned(), known);
    }
    let printed = serving::run(context, &served, arguments, None).await?;
    let result = serving::protocol_object(&printed, "completion").unwrap_or_else(|| {
        let values: Vec<&str> = printed.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let more = values.len() > MAX_VALUES;
        jsonrpc::to_raw(&json!({"completion": {
            "values": &values[..values.len().min(MAX_VALUES)], "total": values.len(), "hasMore": more,
        }}))
    });
    Ok(result.into())
}

/// What is to be completed must exist, whether or not somebody completes it.
fn known<'r>(
    context: &Context,
    reference: &'r Reference,
) -> Result<(&'static str, &'r str), RpcError> {
    let (kind, key, families): (_, &str, &[Family]) = match reference {
        Reference::Prompt { name } => ("ref/prompt", name, &[Family::Prompt]),
        Reference::Resource { uri } => ("ref/resource", uri, &[Family::Template, Family::Resource]),
    };
    let exists = families.iter().any(|family| {
        serving::all(context, *family)
            .iter()
            .any(|served| served.key == key)
    });
    if exists {
        Ok((kind, key))
    } else {
        Err(RpcError::invalid_params(format!(
            "{kind} '{}' is not known",
            jsonrpc::shown(key)
        )))
    }
}

/// The completion for just this argument, else the one for all of them.
fn completer(context: &Context, kind: &str, key: &str, argument: &str) -> Option<Arc<Served>> {
    let all = serving::all(context, Family::Completion);
    let matching =
        |served: &&Arc<Served>| served.key == key && served.definition["ref"]["type"] == kind;
    let mut matching: Vec<&Arc<Served>> = all.iter().filter(matching).collect();
    matching.sort_by_key(|served| served.argument.is_none());
    matching
        .into_iter()
        .find(|served| {
            served
                .argument
                .as_deref()
                .is_none_or(|only| only == argument)
        })
        .cloned()
}
