//! `completion/complete`.
//! <https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/completion>

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::outcome::{Outcome, Success};
use super::serving;
use crate::catalog::{Printed, Reference, Snapshot};
use crate::jsonrpc::{Members, RpcError, to_raw};
use crate::mcp::context::Context;
use crate::mcp::inbound::Request;

/// The most values of one answer, as the specification has it.
const MAX_VALUES: usize = 100;

#[derive(Deserialize)]
struct CompleteParams {
    #[serde(rename = "ref")]
    reference: WireReference,
    argument: Argument,
    #[serde(default)]
    context: Option<Value>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum WireReference {
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
///
/// # Errors
/// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for what is not there; else what its command
/// failed with.
pub async fn complete(context: &Context, request: &Request) -> Outcome {
    let params: CompleteParams = request.read()?;
    let snapshot = context.services.catalog.snapshot();
    let reference = known(&snapshot, params.reference)?;
    let Some(completion) = snapshot.completion(&reference, &params.argument.name) else {
        return Ok(Members::from(json!({"completion": {"values": []}})).into());
    };
    let mut arguments = Map::new();
    arguments.insert("argument".to_owned(), params.argument.name.into());
    arguments.insert("value".to_owned(), params.argument.value.into());
    arguments.extend(params.context.map(|known| ("context".to_owned(), known)));
    let arguments = to_raw(&arguments);
    let not_found = RpcError::invalid_params;
    let (printed, permit) =
        serving::run(context, request, &completion, arguments, not_found).await?;
    let result = match printed {
        Printed::Result(result) => serving::printed_result(&result)?,
        Printed::Text(text) => from_lines(&text),
    };
    Ok(Success::holding(result, permit))
}

/// What is to be completed must exist, whether or not somebody completes it.
fn known(snapshot: &Snapshot, reference: WireReference) -> Result<Reference, RpcError> {
    let reference = match reference {
        WireReference::Prompt { name } => Reference::Prompt(name),
        WireReference::Resource { uri } => Reference::Template(uri),
    };
    if snapshot.referred(&reference).is_some() {
        return Ok(reference);
    }
    let (Reference::Prompt(key) | Reference::Template(key)) = &reference;
    let why = format!("nothing is called {}", crate::text::in_quotes(key));
    Err(RpcError::invalid_params(why))
}

fn from_lines(text: &str) -> Members {
    let values: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let shown = &values[..values.len().min(MAX_VALUES)];
    Members::from(json!({"completion": {
        "values": shown, "total": values.len(), "hasMore": values.len() > shown.len(),
    }}))
}
