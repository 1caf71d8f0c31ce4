//! `smcp tools`: the tools as a client sees them.

use std::process::ExitCode;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::setup::{prepare, quietly};
use crate::catalog::Catalog;
use crate::config::Config;

/// Prints a line for each tool, or all definitions as one JSON array.
pub async fn run(config: Config, json: bool) -> anyhow::Result<ExitCode> {
    let config = quietly(config);
    let (_guard, launcher) = prepare(&config)?;
    let catalog = Catalog::start(config.catalog, launcher, CancellationToken::new());
    let _closed_at_the_end = catalog.close_on_drop();
    catalog.complete().await;
    let snapshot = catalog.snapshot();
    let definitions: Vec<Value> = snapshot
        .tools
        .iter()
        .map(|tool| serde_json::from_str(tool.definition.get()))
        .collect::<Result<_, _>>()?;
    if json {
        println!("{}", serde_json::to_string_pretty(&definitions)?);
        return Ok(ExitCode::SUCCESS);
    }
    for definition in &definitions {
        let text = |member: &str| {
            definition[member]
                .as_str()
                .unwrap_or_default()
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        };
        println!("{:<40} {}", text("name"), text("description"));
    }
    Ok(ExitCode::SUCCESS)
}
