//! `smcp check`: what is served, what is not, and why.

use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::setup::{counted, prepare, quietly};
use crate::catalog::{Catalog, Snapshot};
use crate::config::Config;

/// Asks every plugin and reports. Fails when something is not served.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let config = quietly(config);
    let (_guard, launcher) = prepare(&config)?;
    let catalog = Catalog::start(config.catalog, launcher, CancellationToken::new());
    let _closed_at_the_end = catalog.close_on_drop();
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
            "{}: {}, by {}, run by {}",
            plugin.name,
            counted(plugin.tools, "tool"),
            plugin.source,
            plugin.interpreter.display()
        );
        for tool in snapshot
            .tools
            .iter()
            .filter(|tool| tool.plugin == plugin.name)
        {
            println!("  {}", tool.name);
        }
        for warning in &plugin.warnings {
            println!("  warning: {warning}");
        }
    }
    for skipped in &snapshot.skipped {
        println!("{}: not served: {}", skipped.name, skipped.reason);
    }
    println!(
        "{}, {}, {} not served",
        counted(snapshot.plugins.len(), "plugin"),
        counted(snapshot.tools.len(), "tool"),
        snapshot.skipped.len()
    );
}
