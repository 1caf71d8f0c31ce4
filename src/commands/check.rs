//! `smcp check`: what is served, what is not, and why.

use std::process::ExitCode;

use super::setup::{Workbench, counted, say, source};
use crate::app;
use crate::catalog::Snapshot;
use crate::config::Config;
use crate::governor::Governor;

/// Asks every plugin and reports. Fails when something is not served, or nothing is there.
///
/// # Errors
/// The server cannot be set up, or a signal asked for the end.
pub async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let bench = Workbench::new(config)?;
    let from = source(bench.config.catalog.directory.as_deref());
    say(format_args!("plugins: {from}"));
    let catalog = bench.catalog(Vec::new(), &bench.variables().await?).await?;
    let _closed_at_the_end = catalog.close_on_drop();
    let snapshot = catalog.snapshot();
    report(&snapshot);
    let nothing = app::nothing_found(&snapshot, bench.config.catalog.directory.as_deref());
    if let Some(line) = &nothing {
        say(line);
    }
    let unmatched = Governor::new(bench.config.profiles.clone()).unmatched(&snapshot);
    let holders = app::unknown_holders(&bench.config.catalog.reserved.holders, &snapshot);
    for line in unmatched.into_iter().chain(holders) {
        say(format_args!("warning: {line}"));
    }
    Ok(if snapshot.skipped.is_empty() && nothing.is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(snapshot: &Snapshot) {
    for warning in &snapshot.warnings {
        say(format_args!("warning: {warning}"));
    }
    for plugin in &snapshot.plugins {
        say(format_args!(
            "{}: {}, by {}, run by {}",
            plugin.name,
            counted(plugin.tools, "tool"),
            plugin.source,
            plugin.interpreter.display()
        ));
        for tool in snapshot
            .tools
            .iter()
            .filter(|tool| tool.plugin == plugin.name)
        {
            say(format_args!("  {}", tool.name));
        }
        for warning in &plugin.warnings {
            say(format_args!("  warning: {warning}"));
        }
    }
    for skipped in &snapshot.skipped {
        say(format_args!(
            "{}: not served: {}",
            skipped.name, skipped.reason
        ));
    }
    say(format_args!(
        "{}, {}, {} not served",
        counted(snapshot.plugins.len(), "plugin"),
        counted(snapshot.tools.len(), "tool"),
        snapshot.skipped.len()
    ));
}
