//! `smcp check`: what is served, what is not, and why.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::setup::{prepare, quietly};
use crate::config::Config;
use crate::plugins::catalog::{Catalog, Snapshot};

/// Longer names are refused by Letta.
const LETTA_NAME_LIMIT: usize = 48;

/// Asks every plugin and reports. Fails when something is not served.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let config = quietly(config);
    let (_guard, launcher) = prepare(&config)?;
    let catalog = Catalog::start(config.catalog, launcher, CancellationToken::new());
    catalog.complete().await;
    let snapshot = catalog.snapshot();
    report(&snapshot);
    Ok(if snapshot.skipped.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(snapshot: &Snapshot) {
    for plugin in &snapshot.plugins {
        println!(
            "{}: {} tools, by {}, run by {}",
            plugin.name,
            plugin.tools,
            plugin.source,
            plugin.interpreter.display()
        );
        for tool in snapshot
            .tools
            .iter()
            .filter(|tool| tool.plugin == plugin.name)
        {
            println!("  {}", tool.name);
            if tool.name.len() > LETTA_NAME_LIMIT {
                println!(
                    "    warning: {} characters; Letta refuses more than {LETTA_NAME_LIMIT}",
                    tool.name.len()
                );
            }
        }
        for warning in &plugin.warnings {
            println!("  warning: {warning}");
        }
    }
    for skipped in &snapshot.skipped {
        println!("{}: not served: {}", skipped.name, skipped.reason);
    }
    println!(
        "{} plugins, {} tools, {} not served",
        snapshot.plugins.len(),
        snapshot.tools.len(),
        snapshot.skipped.len()
    );
}
