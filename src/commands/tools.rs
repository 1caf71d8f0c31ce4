//! `smcp tools`: what clients see, the server's own tools included, or one tool with its arguments.

mod one;

use std::process::ExitCode;

use anyhow::bail;
use serde_json::{Value, json};

use super::diagnostics::{note, warn};
use super::local::Local;
use super::setup::{Workbench, say, source};
use super::table::Table;
use crate::catalog::Snapshot;
use crate::cli::ToolsArgs;
use crate::config::Config;
use crate::governor::tool_index::like;

/// Prints what is served as tables, or the definitions of the tools as one JSON array; of one tool its arguments, or its
/// definition. What is not served is named on standard error.
///
/// # Errors
/// The server cannot be set up, a signal asked for the end, or there is no such tool.
pub(super) async fn run(config: Config, args: &ToolsArgs) -> anyhow::Result<ExitCode> {
    let bench = Workbench::new(config)?;
    let from = source(bench.config.catalog.directory.as_deref());
    note(format_args!("plugins: {from}"));
    let local = Local::start(&bench).await?;
    let listing = local.ask("tools/list", json!({})).await?;
    let definitions = listing["tools"].as_array().cloned().unwrap_or_default();
    let snapshot = local.snapshot();
    let Some(name) = &args.name else {
        match args.json {
            true => say(serde_json::to_string_pretty(&definitions)?),
            false => print_all(&definitions, &snapshot),
        }
        warn(local.faults());
        return Ok(ExitCode::SUCCESS);
    };
    let Some(definition) = named(name, &definitions, &snapshot) else {
        warn(local.faults());
        let known = definitions.iter().filter_map(|tool| tool["name"].as_str());
        let alike = like(name, known);
        let shown = crate::text::in_quotes(name);
        match alike.is_empty() {
            true => bail!("no tool {shown} is served; to see those that are: smcp tools"),
            false => bail!(
                "no tool {shown} is served; did you mean {}?",
                alike.join(" or ")
            ),
        }
    };
    match args.json {
        true => say(serde_json::to_string_pretty(definition)?),
        false => one::print(definition, &plugin_of(definition, &snapshot)),
    }
    Ok(ExitCode::SUCCESS)
}

/// The tool of this name, or of one that stands for it.
fn named<'a>(name: &str, definitions: &'a [Value], snapshot: &Snapshot) -> Option<&'a Value> {
    let resolved = snapshot.resolve(name);
    let name = resolved.as_ref().map_or(name, |tool| &tool.name);
    definitions.iter().find(|tool| tool["name"] == *name)
}

/// Whose tool it is, and how that became known.
fn plugin_of(definition: &Value, snapshot: &Snapshot) -> String {
    let name = &definition["name"];
    let tool = snapshot.tools.iter().find(|tool| *name == *tool.name);
    let plugin = tool.and_then(|tool| {
        let mut plugins = snapshot.plugins.iter();
        plugins.find(|plugin| plugin.name == tool.plugin)
    });
    plugin.map_or_else(
        || "the server".to_owned(),
        |plugin| format!("{}, by {}", plugin.name, plugin.source),
    )
}

fn print_all(definitions: &[Value], snapshot: &Snapshot) {
    let mut tools = Table::new(["TOOL", "ARGUMENTS", "SOURCE", "DESCRIPTION"]);
    for definition in definitions {
        tools.row([
            text(&definition["name"]),
            one::arguments_in_short(&definition["inputSchema"]),
            plugin_of(definition, snapshot),
            text(&definition["description"]),
        ]);
    }
    tools.print();
    let mut others = Table::new(["RESOURCE OR PROMPT", "KIND", "SOURCE", "DESCRIPTION"]);
    for (kind, offerings) in [
        ("resource", &snapshot.resources),
        ("template", &snapshot.templates),
        ("prompt", &snapshot.prompts),
    ] {
        for offering in offerings {
            let definition: Value =
                serde_json::from_str(offering.definition.get()).unwrap_or_default();
            let description = match text(&definition["description"]) {
                none if none.is_empty() => text(&definition["name"]),
                description => description,
            };
            others.row([
                offering.key.clone(),
                kind.to_owned(),
                offering.plugin.clone(),
                description,
            ]);
        }
    }
    if !others.is_empty() {
        say("");
        others.print();
    }
}

/// The first line of a text.
fn text(value: &Value) -> String {
    let text = value.as_str().unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}
