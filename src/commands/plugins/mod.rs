//! `smcp plugins`: what is in the plugins directory, and what each plugin is run with.

mod add;
mod copy;
mod job;
mod leftovers;
mod list;
mod package;
mod remove;
mod source;

use std::ffi::OsString;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::{Context as _, anyhow, bail};

use self::job::Bench;
use super::diagnostics::{note, warn};
use super::setup::{Workbench, counted, say, source as place};
use crate::catalog::environments::State;
use crate::catalog::prepare::{Missing, Outfit, Outfitter};
use crate::cli::{Flags, ListArgs, PluginsArgs, PluginsCommand, SyncArgs};
use crate::config::Config;

/// Says where a plugin is added, and makes that directory: the place of `smcp new`, never the one beside the program,
/// which belongs to whoever installed it. The other commands look where servers do.
///
/// # Errors
/// The directory cannot be made.
pub(super) fn settle(
    args: &PluginsArgs,
    flags: &mut Flags,
    environment: &[(OsString, OsString)],
) -> anyhow::Result<()> {
    if !matches!(args.command, PluginsCommand::Add(_)) {
        return Ok(());
    }
    let (plugins, _) = crate::config::directory_for_new(flags, environment);
    let made = DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(&plugins);
    made.with_context(|| format!("cannot make {}", plugins.display()))?;
    flags.plugins.place.plugins_dir = Some(plugins.display().to_string());
    Ok(())
}

/// Runs one of the commands.
///
/// # Errors
/// It cannot be done, or a signal asked for the end.
pub(super) async fn run(config: Config, args: &PluginsArgs) -> anyhow::Result<ExitCode> {
    let workbench = Workbench::new(config)?;
    let Some(plugins) = workbench.config.catalog.directory.clone() else {
        bail!(
            "there is no plugins directory, only the built-in demos; make one, or name it: --plugins-dir DIR"
        );
    };
    if !matches!(args.command, PluginsCommand::List(_)) {
        leftovers::clear(&plugins, SystemTime::now());
    }
    if let PluginsCommand::Remove(args) = &args.command {
        return remove::run(args, &plugins);
    }
    let bench = Bench {
        outfitter: outfitter(&workbench)?,
        workbench: &workbench,
    };
    let ended = match &args.command {
        PluginsCommand::List(args) => list(&bench, args).await,
        PluginsCommand::Sync(args) => sync(&bench, args).await,
        PluginsCommand::Add(args) => add::run(&bench, args, &plugins).await,
        PluginsCommand::Remove(_) => unreachable!("it is done"),
    };
    // What a signal has cut short is being ended.
    workbench.launcher.idle().await;
    ended
}

async fn list(bench: &Bench<'_>, args: &ListArgs) -> anyhow::Result<ExitCode> {
    let all = bench.outfitter.all(Missing::Leave);
    let all = bench.workbench.unless_ended(all).await?;
    list::print(&all.map_err(|fault| anyhow!("{fault}"))?, args.json)?;
    Ok(ExitCode::SUCCESS)
}

async fn sync(bench: &Bench<'_>, args: &SyncArgs) -> anyhow::Result<ExitCode> {
    let directory = bench.workbench.config.catalog.directory.as_deref();
    note(format_args!("plugins: {}", place(directory)));
    let all = bench.outfitter.all(Missing::Make);
    let all = bench.workbench.unless_ended(all).await?;
    let all = all.map_err(|fault| anyhow!("{fault}"))?;
    let failed = all.iter().filter(|outfit| !told(outfit)).count();
    if args.prune && failed > 0 {
        warn(["nothing is removed while something is missing"]);
    } else if args.prune {
        let removed = bench.outfitter.prune(&all).await;
        let (removed, left) = removed.map_err(|fault| anyhow!("{fault}"))?;
        say(format_args!("removed {}", counted(removed, "environment")));
        if left > 0 {
            say(format_args!(
                "left {}, in use by a server or a call",
                counted(left, "environment")
            ));
        }
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Says what came of one plugin. False where something is missing.
fn told(outfit: &Outfit) -> bool {
    let name = &outfit.name;
    match &outfit.state {
        Ok(State::Made { python, warning }) => {
            say(format_args!("{name}: {}", python.display()));
            warn_of(name, warning.as_deref());
        }
        Ok(State::Met { warning }) => {
            say(format_args!(
                "{name}: its interpreter has all that it needs"
            ));
            warn_of(name, warning.as_deref());
        }
        Ok(State::None { warning: None }) => say(format_args!("{name}: it needs nothing")),
        Ok(State::None { warning: Some(why) }) => say(format_args!("{name}: {why}")),
        Ok(State::Missing) => {
            warn([format_args!("{name}: its environment is not there")]);
            return false;
        }
        Err(fault) => {
            warn([format_args!("{name}: {fault}")]);
            return false;
        }
    }
    true
}

fn warn_of(plugin: &str, warning: Option<&str>) {
    if let Some(warning) = warning {
        warn([format_args!("{plugin}: {warning}")]);
    }
}

fn outfitter(bench: &Workbench) -> anyhow::Result<Outfitter> {
    let stop = bench.shutdown.draining().clone();
    let settings = &bench.config.catalog;
    let Some(outfitter) = Outfitter::new(settings.clone(), bench.launcher.clone(), stop) else {
        match settings.directory {
            Some(_) => bail!("plugins have no environments of their own: MCP_PLUGIN_ENVS is off"),
            None => bail!(
                "there is no plugins directory, only the built-in demos; make one, or name it: --plugins-dir DIR"
            ),
        }
    };
    Ok(outfitter)
}
