//! `smcp tools`: the tools as a client sees them, the server's own included.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::local::Local;
use super::setup::{Workbench, say, source};
use crate::config::Config;

/// Prints a line for each tool, or all definitions as one JSON array. What is not served is named on
/// standard error.
///
/// # Errors
/// The server cannot be set up, or a signal asked for the end.
pub async fn run(config: Config, json: bool) -> anyhow::Result<ExitCode> {
    let bench = Workbench::new(config)?;
    let from = source(bench.config.catalog.directory.as_deref());
    eprintln!("plugins: {from}");
    let local = Local::start(&bench).await?;
    let listing = local.ask("tools/list", json!({})).await?;
    let definitions = listing["tools"].as_array().cloned().unwrap_or_default();
    if json {
        say(format_args!(
            "{}",
            serde_json::to_string_pretty(&definitions)?
        ));
    } else {
        definitions.iter().for_each(print);
    }
    for line in local.faults() {
        eprintln!("smcp: {line}");
    }
    Ok(ExitCode::SUCCESS)
}

fn print(definition: &Value) {
    let first_line = |member: &str| {
        let text = definition[member].as_str().unwrap_or_default();
        text.lines().next().unwrap_or_default().to_owned()
    };
    say(format_args!(
        "{:<40} {}",
        first_line("name"),
        first_line("description")
    ));
}
