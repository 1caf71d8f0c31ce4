//! `smcp call`: one tool, run here as a client would run it.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use super::local::Local;
use super::setup::{Workbench, say, source};
use crate::call::types::{CallError, CallRequest, Caller};
use crate::catalog::{BUILT_IN, Catalog, Snapshot, Tool};
use crate::cli::CallArgs;
use crate::config::Config;
use crate::discovery::advice::missing_module;
use crate::governor::tool_index::like;
use crate::jsonrpc::strict;
use crate::mcp::messages::ClientDetails;
use crate::mcp::revision::Revision;

/// Runs the tool and prints its text, or its whole content when that is more than text.
///
/// # Errors
/// The server cannot be set up, a signal asked for the end, or there is no result: a wrong name, wrong arguments, a call
/// that failed.
pub async fn run(config: Config, args: CallArgs) -> anyhow::Result<ExitCode> {
    let bench = Workbench::new(config)?;
    let from = source(bench.config.catalog.directory.as_deref());
    eprintln!("plugins: {from}");
    if BUILT_IN.contains(&args.tool.as_str()) {
        return run_own(&bench, &args).await;
    }
    let variables = bench.variables().await?;
    let (catalog, tool) = find(&bench, &args.tool, &variables).await?;
    let _closed_at_the_end = catalog.close_on_drop();
    let arguments = arguments(&args, &tool.input_schema)?;
    let caller = Caller {
        call_id: uuid::Uuid::new_v4().simple().to_string(),
        client: shell().for_plugin(Revision::NEWEST_WITH_HANDSHAKE),
        environment: variables,
        ..Caller::default()
    };
    let request = CallRequest {
        arguments: Some(to_raw_value(&arguments)?),
        caller,
        cancel: bench.shutdown.draining().clone(),
        events: None,
    };
    let result = catalog.call(&tool, request).await;
    bench.end_background(&tool.name).await;
    match result {
        Ok(result) => {
            let content = result.content.blocks().to_raw()?;
            Ok(print(&tool.name, &content, result.is_error))
        }
        // The program's own word, not the server's.
        Err(CallError::Plugin(message)) => {
            eprintln!("{} failed: {message}", tool.name);
            let snapshot = catalog.snapshot();
            let plugin = snapshot
                .plugins
                .iter()
                .find(|info| info.name == tool.plugin);
            if let Some(hint) = plugin.and_then(|info| missing_module(&message, &info.interpreter))
            {
                eprintln!("smcp: {hint}");
            }
            Ok(ExitCode::FAILURE)
        }
        Err(error) => Err(error.into()),
    }
}

/// The client that programs learn of: this command, which can be asked nothing.
fn shell() -> ClientDetails {
    let info = [
        ("name", "smcp call"),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    let info = info.map(|(member, value)| (member.to_owned(), value.into()));
    ClientDetails {
        info: Map::from_iter(info),
        ..ClientDetails::default()
    }
}

/// Calls one of the server's own tools.
async fn run_own(bench: &Workbench, args: &CallArgs) -> anyhow::Result<ExitCode> {
    let local = Local::start(bench).await?;
    let listing = local.ask("tools/list", json!({})).await?;
    let tools = listing["tools"].as_array().cloned().unwrap_or_default();
    let definition = tools.into_iter().find(|tool| tool["name"] == *args.tool);
    let schema = definition.unwrap_or_default()["inputSchema"].take();
    let params = json!({"name": args.tool, "arguments": arguments(args, &schema)?});
    let result = local.ask("tools/call", params).await?;
    let content = to_raw_value(&result["content"])?;
    Ok(print(&args.tool, &content, result["isError"] == true))
}

/// Asks the plugin that the name speaks of; all of them where it speaks of none, or that one has no such tool.
async fn find(
    bench: &Workbench,
    name: &str,
    variables: &[(String, String)],
) -> anyhow::Result<(Catalog, Arc<Tool>)> {
    let catalog = bench.catalog(plugins_in(name), variables).await?;
    if let Ok(tool) = catalog.snapshot().resolve(name) {
        return Ok((catalog, tool));
    }
    catalog.close();
    let catalog = bench.catalog(Vec::new(), variables).await?;
    let snapshot = catalog.snapshot();
    match snapshot.resolve(name) {
        Ok(tool) => Ok((catalog, tool)),
        Err(error) => {
            catalog.close();
            bail!("{}", explained(&error, name, &snapshot))
        }
    }
}

/// The names that a plugin can have whose tool is called `name`.
fn plugins_in(name: &str) -> Vec<String> {
    let joints = name.match_indices(['_', '.']).map(|(at, _)| at);
    joints
        .filter(|at| *at > 0)
        .map(|at| name[..at].to_owned())
        .collect()
}

/// Why there is no such tool: the plugin is not served, or the name is only like one that there is.
fn explained(error: &CallError, name: &str, snapshot: &Snapshot) -> String {
    let meant = plugins_in(name);
    let skipped = snapshot
        .skipped
        .iter()
        .find(|skipped| skipped.name == name || meant.contains(&skipped.name));
    if let Some(skipped) = skipped {
        return format!("{} is not served: {}", skipped.name, skipped.reason);
    }
    if name.contains('/') {
        return format!(
            "'{name}' is no tool; for a method of the protocol a client is needed; to see the tools: smcp tools"
        );
    }
    let known = snapshot.tools.iter().map(|tool| tool.name.as_str());
    let alike = like(name, known.chain(BUILT_IN));
    if !alike.is_empty() {
        return format!("no tool '{name}'; did you mean {}?", alike.join(" or "));
    }
    match error {
        // What they say is for clients, who have no shell.
        CallError::InvalidToolName(_) | CallError::PluginNotFound(_) => {
            format!("no tool '{name}'; to see the tools: smcp tools")
        }
        error => error.to_string(),
    }
}

/// The arguments as one object. A name that is given several times is a list, where the tool takes one.
fn arguments(args: &CallArgs, schema: &Value) -> anyhow::Result<Map<String, Value>> {
    if let Some(json) = &args.json {
        let object = serde_json::from_str(json).with_context(|| {
            format!("--json '{json}' is no JSON object; write it as '{{\"name\": \"value\"}}'")
        })?;
        // Of two members with one name the parser would silently take the last.
        strict::check(json).context("--json")?;
        return Ok(object);
    }
    let mut object: Map<String, Value> = Map::new();
    for argument in &args.arguments {
        let Some((name, value)) = argument.split_once('=') else {
            bail!(
                "'{argument}' is not NAME=VALUE; write it as {argument}=…, or give all arguments with --json"
            );
        };
        let declared = &schema["properties"][name];
        let is_list = is_of(declared, "array");
        let repeated = args.arguments.iter().filter(|other| {
            other
                .split_once('=')
                .is_some_and(|(other, _)| other == name)
        });
        if repeated.count() == 1 {
            object.insert(name.to_owned(), read(value, is_of(declared, "string")));
            continue;
        }
        if !is_list {
            bail!("'{name}' is given several times, but the tool takes one value for it");
        }
        let items = object
            .entry(name)
            .or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(items) = items {
            items.push(read(value, is_of(&declared["items"], "string")));
        }
    }
    Ok(object)
}

fn is_of(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::Array(kinds) => kinds.iter().any(|known| known == kind),
        known => known == kind,
    }
}

fn read(value: &str, is_text: bool) -> Value {
    let json = (!is_text)
        .then(|| serde_json::from_str(value).ok())
        .flatten();
    json.unwrap_or_else(|| Value::String(value.to_owned()))
}

fn print(tool: &str, content: &RawValue, is_error: bool) -> ExitCode {
    let blocks: Vec<Value> = serde_json::from_str(content.get()).unwrap_or_default();
    match blocks.as_slice() {
        [only] if only["type"] == "text" => {
            say(format_args!(
                "{}",
                only["text"].as_str().unwrap_or_default()
            ));
        }
        _ => say(format_args!("{}", content.get())),
    }
    if is_error {
        eprintln!("{tool} failed; it said so itself, above");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(arguments: &[&str], schema: &Value) -> Result<Value, String> {
        let args = CallArgs {
            tool: "t".to_owned(),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            json: None,
            plugins: Default::default(),
        };
        let read = super::arguments(&args, schema);
        read.map(Value::Object).map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_given_several_times_is_a_list_or_an_error() {
        let schema = json!({"properties": {
            "tags": {"type": "array", "items": {"type": "string"}},
            "sizes": {"type": "array", "items": {"type": "integer"}},
            "name": {"type": "string"},
        }});
        assert_eq!(
            given(&["tags=1", "sizes=2", "tags=a=b", "sizes=3"], &schema),
            Ok(json!({"tags": ["1", "a=b"], "sizes": [2, 3]}))
        );
        assert_eq!(
            given(&["name=1", "tags=[\"x\"]"], &schema),
            Ok(json!({"name": "1", "tags": ["x"]}))
        );
        for name in ["name", "unknown"] {
            let twice = given(&[&format!("{name}=1"), &format!("{name}=2")], &schema);
            assert!(
                twice.is_err_and(|why| why.contains("several times")),
                "{name}"
            );
        }
    }

    #[test]
    fn json_that_names_a_member_twice_is_refused() {
        for json in [r#"{"a":1,"a":2}"#, r#"{"o":{"a":1,"a":2}}"#] {
            let args = CallArgs {
                tool: "t".to_owned(),
                arguments: Vec::new(),
                json: Some(json.to_owned()),
                plugins: Default::default(),
            };
            let refused = super::arguments(&args, &json!({})).unwrap_err();
            assert!(
                format!("{refused:#}").contains("'a' is repeated"),
                "{refused:#}"
            );
        }
    }

    #[test]
    fn the_plugins_that_a_name_can_mean_are_all_its_beginnings() {
        assert_eq!(plugins_in("health"), Vec::<String>::new());
        assert_eq!(plugins_in("a_b__c.d"), ["a", "a_b", "a_b_", "a_b__c"]);
        assert_eq!(plugins_in("__x"), ["_"]);
    }
}
