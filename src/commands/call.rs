//! `smcp call`: one tool, run here as a client would run it.

use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use super::setup::{prepare, quietly};
use crate::call::types::{CallRequest, Caller};
use crate::catalog::Catalog;
use crate::cli::CallArgs;
use crate::config::Config;
use crate::shutdown::Shutdown;

/// Runs the tool and prints its text, or its whole content when that is more than text.
pub async fn run(config: Config, args: CallArgs) -> anyhow::Result<ExitCode> {
    let config = quietly(config);
    let (_guard, launcher) = prepare(&config)?;
    let shutdown = Shutdown::new();
    let _signals = shutdown.listen()?;
    let catalog = Catalog::start(config.catalog, launcher.clone(), CancellationToken::new());
    let _closed_at_the_end = catalog.close_on_drop();
    catalog.complete().await;
    let tool = catalog.snapshot().resolve(&args.tool)?;
    let arguments = arguments(&args, &tool.input_schema)?;
    let caller = Caller {
        call_id: uuid::Uuid::new_v4().simple().to_string(),
        client: "{}".to_owned(),
        ..Caller::default()
    };
    let request = CallRequest {
        arguments: Some(arguments),
        caller,
        cancel: shutdown.draining().clone(),
        events: None,
    };
    let result = catalog.call(&tool, request).await;
    launcher.idle().await;
    let result = result?;
    println!("{}", printed(&result.content));
    Ok(if result.is_error {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

fn arguments(args: &CallArgs, schema: &Value) -> anyhow::Result<Box<RawValue>> {
    if let Some(json) = &args.json {
        let object: Map<String, Value> = serde_json::from_str(json)
            .with_context(|| format!("--json '{json}' is no JSON object"))?;
        return Ok(to_raw_value(&object)?);
    }
    let mut object = Map::new();
    for argument in &args.arguments {
        let Some((name, value)) = argument.split_once('=') else {
            bail!(
                "'{argument}' is not NAME=VALUE; write it as {argument}=…, or give all arguments with --json"
            );
        };
        let is_text = schema["properties"][name]["type"] == "string";
        let read = (!is_text)
            .then(|| serde_json::from_str(value).ok())
            .flatten();
        let value = read.unwrap_or_else(|| Value::String(value.to_owned()));
        object.insert(name.to_owned(), value);
    }
    Ok(to_raw_value(&object)?)
}

fn printed(content: &RawValue) -> String {
    let blocks: Vec<Value> = serde_json::from_str(content.get()).unwrap_or_default();
    match blocks.as_slice() {
        [only] if only["type"] == "text" => only["text"].as_str().unwrap_or_default().to_owned(),
        _ => content.get().to_owned(),
    }
}
