//! `smcp call`: one tool, called as a client calls it, of a server in this process or of one that runs.

mod arguments;
mod dialogue;
mod form;
mod http_link;
mod local_link;
mod names;
mod result;
mod screen;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::diagnostics::{note, warn};
use super::setup::{Workbench, say, source};
use crate::catalog::{BUILT_IN, Snapshot, Tool};
use crate::cli::CallArgs;
use crate::config::Config;
use crate::discovery::advice::missing_module;
use crate::governor::Profiles;
use crate::shutdown::Shutdown;
use arguments::Given;
use dialogue::{Dialogue, Link};
use http_link::HttpLink;
use local_link::LocalLink;
use names::{explained, plugins_in, uninstalled, unknown};
use result::{Files, failure};
use screen::Screen;

/// The code of a failure that is the program's own word.
const BY_PROGRAM: &str = "plugin_error";

/// How long the writing of one file may go on after a signal.
const LAST_FILE: Duration = Duration::from_millis(500);

/// Runs the tool here and prints what it gives.
///
/// # Errors
/// The server cannot be set up, a signal asked for the end, or there is no result: a wrong name, wrong arguments, a call
/// that failed.
pub(super) async fn run(config: Config, args: &CallArgs) -> anyhow::Result<ExitCode> {
    let bench = Workbench::new(config)?;
    let from = source(bench.config.catalog.directory.as_deref());
    note(format_args!("plugins: {from}"));
    let given = bench.unless_ended(Given::read(args)).await??;
    let (link, tool) = find(&bench, &args.tool).await?;
    let snapshot = link.snapshot();
    let name = tool.as_ref().map_or(&args.tool, |tool| &tool.name).clone();
    let outcome = {
        let work = converse(Link::Local(Box::new(link)), args, &name, given);
        // The session ends with this, and what it runs with the session.
        bench.unless_ended(work).await
    };
    bench.end_background(&name).await;
    // The server of this call hears of the end as well, and what it says of it is meant for clients that stay.
    ensure!(!bench.shutdown.draining().is_cancelled(), "interrupted");
    let result = outcome??;
    let hint = tool.and_then(|tool| lacking(&result, &tool, &snapshot));
    let code = report(&bench.shutdown, &name, result, args).await?;
    let Some(hint) = hint else { return Ok(code) };
    warn([hint]);
    Ok(ExitCode::FAILURE)
}

/// Calls the tool of the server at `url` and prints what it gives. `key` is shown to the server.
///
/// # Errors
/// As [`run`] has them, and those of the way there.
pub(super) async fn run_remote(
    url: &str,
    key: Option<&str>,
    args: &CallArgs,
) -> anyhow::Result<ExitCode> {
    let shutdown = Shutdown::new();
    let _signals = shutdown.listen()?;
    let stop = shutdown.draining();
    let work = async {
        let given = stop.run_until_cancelled(Given::read(args)).await;
        let given = given.context("interrupted")??;
        let link = Link::Http(Box::new(HttpLink::new(url, key)?));
        let mut dialogue = Dialogue::new(link, Screen::new(Given::reads_input(args)));
        let called = call(&mut dialogue, &args.tool, given);
        let called = stop.run_until_cancelled(called).await;
        dialogue.close(called.is_none()).await;
        called.context("interrupted")?
    };
    let result = tokio::select! {
        result = work => result?,
        () = shutdown.forced().cancelled() => bail!("interrupted"),
    };
    report(&shutdown, &args.tool, result, args).await
}

async fn converse(link: Link, args: &CallArgs, tool: &str, given: Given) -> anyhow::Result<Value> {
    let mut dialogue = Dialogue::new(link, Screen::new(Given::reads_input(args)));
    let called = call(&mut dialogue, tool, given).await;
    dialogue.close(false).await;
    called
}

async fn call(dialogue: &mut Dialogue, name: &str, given: Given) -> anyhow::Result<Value> {
    dialogue.open().await?;
    let tools = dialogue.tools().await?;
    let Some(definition) = tools.iter().find(|tool| tool["name"] == *name) else {
        let names = tools.iter().filter_map(|tool| tool["name"].as_str());
        let names: Vec<&str> = names.collect();
        bail!("{}", unknown(name, &names));
    };
    let arguments = given.against(&definition["inputSchema"])?;
    dialogue.call(name, arguments).await
}

/// A server of the plugins that the name may speak of, and the tool; all of them where it speaks of none, or that has no
/// such tool. The server's own tools are no plugin's.
async fn find(bench: &Workbench, name: &str) -> anyhow::Result<(LocalLink, Option<Arc<Tool>>)> {
    let mut config = bench.config.clone();
    if BUILT_IN.contains(&name) {
        let link = LocalLink::open(bench, &config).await?;
        return Ok((link, None));
    }
    // Whoever has a shell sees every tool, whatever agents see.
    config.profiles = Profiles::default();
    config.catalog.only = plugins_in(name);
    let link = LocalLink::open(bench, &config).await?;
    if let Ok(tool) = link.snapshot().resolve(name) {
        return Ok((link, Some(tool)));
    }
    drop(link);
    config.catalog.only = Vec::new();
    let link = LocalLink::open(bench, &config).await?;
    let snapshot = link.snapshot();
    match snapshot.resolve(name) {
        Ok(tool) => Ok((link, Some(tool))),
        Err(error) => bail!("{}", explained(&error, name, &snapshot)),
    }
}

/// What the plugin of a call that failed lacks: what could not be installed, or a module that its program has not found.
fn lacking(result: &Value, tool: &Tool, snapshot: &Snapshot) -> Option<String> {
    let has_failed = result["isError"] == true;
    if let Some(lacks) = uninstalled(&tool.plugin, snapshot).filter(|_| has_failed) {
        return Some(lacks);
    }
    let (_, message) = failure(result).filter(|(code, _)| *code == BY_PROGRAM)?;
    let mut plugins = snapshot.plugins.iter();
    let plugin = plugins.find(|info| info.name == tool.plugin)?;
    missing_module(&message, &plugin.interpreter)
}

/// Prints a result, and says on standard error when it is a failure. Whoever reads it may let it wait, so that is done by
/// a thread that nobody waits for after a signal.
async fn report(
    shutdown: &Shutdown,
    tool: &str,
    result: Value,
    args: &CallArgs,
) -> anyhow::Result<ExitCode> {
    let stop = shutdown.draining().clone();
    let (tool, save, is_raw) = (tool.to_owned(), args.save.clone(), args.raw);
    let told = stop.clone();
    let mut printing = tokio::task::spawn_blocking(move || match is_raw {
        true => print_raw(&result),
        false => print(&tool, &result, Files::new(save, &tool), &told),
    });
    match stop.run_until_cancelled(&mut printing).await {
        Some(printed) => printed?,
        // The file that is being written is not left as half of one.
        None => timeout(LAST_FILE, printing)
            .await
            .context("interrupted")??,
    }
}

fn print_raw(result: &Value) -> anyhow::Result<ExitCode> {
    say(result);
    Ok(code_of(result))
}

fn print(
    tool: &str,
    result: &Value,
    mut files: Files,
    stop: &CancellationToken,
) -> anyhow::Result<ExitCode> {
    let has_failed = result["isError"] == true;
    if let Some((code, message)) = failure(result).filter(|_| has_failed) {
        if code != BY_PROGRAM {
            bail!("{message}");
        }
        note(format_args!("{tool} failed: {message}"));
    } else {
        result::print(result, &mut files, stop)?;
        if has_failed {
            note(format_args!("{tool} failed; it said so itself, above"));
        }
    }
    Ok(code_of(result))
}

fn code_of(result: &Value) -> ExitCode {
    match result["isError"] == true {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    }
}
