//! The sub-commands, one file each, and what they have in common.

#![warn(clippy::print_stderr)] // diagnostics.rs has its one place

mod call;
mod check;
mod client;
mod completions;
mod config;
mod diagnostics;
mod doctor;
mod events;
mod health;
mod local;
mod manager;
mod manual;
mod new;
mod plugins;
mod reload;
mod serve;
mod setup;
mod stdio;
mod table;
mod tools;
mod variables;

use std::ffi::OsString;
use std::io::{IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{CallArgs, Cli, Command, DoctorArgs, Flags, HealthArgs, NewArgs};
use crate::config::{Config, Purpose};
use crate::discovery::introspect::PrivateCopy;
use diagnostics::warn;
use setup::{BAD_SETTINGS, failed, in_one_line, say_bytes};

/// How long questions that the end cut short may take to remove what their plugins wrote.
const COPIES_GRACE: Duration = Duration::from_millis(500);

/// Runs the command line; the environment is read once, here.
pub fn run(cli: Cli) -> ExitCode {
    // A server says where it listens, and goes on where nobody could be told.
    let serves = matches!(
        cli.command,
        None | Some(Command::Serve(_) | Command::Stdio(_))
    );
    let code = perform_whole(cli);
    match setup::is_cut_short() && !serves {
        true => ExitCode::FAILURE,
        false => code,
    }
}

/// Says what is wrong with a command line, or what was asked for instead of a run: the help, the version.
pub fn say_instead(answer: &clap::Error) -> ExitCode {
    let said = answer.print();
    match u8::try_from(answer.exit_code()) {
        Ok(0) => setup::whole(said.and_then(|()| std::io::stdout().flush())),
        // Nobody can be told that nothing can be said on standard error.
        code => ExitCode::from(code.unwrap_or(BAD_SETTINGS)),
    }
}

fn perform_whole(cli: Cli) -> ExitCode {
    let environment: Vec<(OsString, OsString)> = crate::config::environment();
    // These must not fail because of settings that they do not use.
    match &cli.command {
        Some(Command::Health(asked)) => {
            return ask_for_health(asked, &cli.settings(), &environment);
        }
        Some(Command::Doctor(asked)) => return examine(asked, &cli.settings(), &environment),
        Some(Command::Completions { shell }) => return say_bytes(&completions::script(*shell)),
        Some(Command::Call(asked)) if asked.url.is_some() => {
            return call_remote(asked, &environment);
        }
        Some(Command::New(asked)) => return make(asked, &cli.settings(), environment),
        Some(Command::Man) => return say_bytes(&manual::page()),
        Some(Command::Config { json, .. }) => {
            let report = crate::config::report(&cli.settings(), environment);
            return config::run(&report, *json);
        }
        _ => {}
    }
    if let Some(Command::Client(args)) = &cli.command {
        return client::run(args, &cli.settings(), environment);
    }
    let purpose = purpose(&cli);
    let sockets = match purpose {
        Purpose::Http => crate::config::passed_sockets(&environment),
        Purpose::Stdio | Purpose::Once => Ok(Vec::new()),
    };
    let mut flags = cli.settings();
    if let Some(Command::Plugins(args)) = &cli.command
        && let Err(error) = plugins::settle(args, &mut flags, &environment)
    {
        return failed(&error);
    }
    let config =
        sockets.and_then(|sockets| crate::config::read(purpose, &flags, environment, sockets));
    let config = match config {
        Ok(config) => config,
        Err(faults) => {
            warn(faults.to_string().lines());
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    let command = cli.command.unwrap_or(Command::Serve(cli.flags));
    let outcome = runtime().and_then(|runtime| {
        let outcome = runtime.block_on(perform(command, config));
        // Questions that were cut short leave nothing behind; their programs are being ended.
        PrivateCopy::remove_all(COPIES_GRACE);
        // Standard input is read by a thread that nothing can interrupt; nobody waits for it.
        runtime.shutdown_background();
        outcome
    });
    outcome.unwrap_or_else(|error| failed(&error))
}

/// Looks at no other setting than where the server is: a health check must not fail because of them.
fn ask_for_health(
    asked: &HealthArgs,
    flags: &Flags,
    environment: &[(OsString, OsString)],
) -> ExitCode {
    let own = || crate::config::own_url(flags, environment).map_err(anyhow::Error::from);
    let url = asked.url.clone().map_or_else(own, Ok);
    let outcome = url.and_then(|url| runtime()?.block_on(health::run(&url, asked.json)));
    outcome.unwrap_or_else(|error| failed(&error))
}

/// Looks at no other setting than the key and, without an address, where the server is.
fn examine(asked: &DoctorArgs, flags: &Flags, environment: &[(OsString, OsString)]) -> ExitCode {
    let target = match &asked.url {
        Some(url) => doctor::address(url),
        None => crate::config::own_url(flags, environment)
            .map_err(anyhow::Error::from)
            .and_then(|own| doctor::address(&own)),
    };
    let key = crate::config::client_key(environment).map_err(anyhow::Error::from);
    let (target, key) = match target.and_then(|target| Ok((target, key?))) {
        Ok(both) => both,
        Err(error) => {
            warn([in_one_line(&error)]);
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    let outcome = runtime().and_then(|runtime| {
        let outcome = runtime.block_on(doctor::run(&target, key, asked));
        // A look-up of a name is made by a thread that nothing can interrupt; nobody waits for it.
        runtime.shutdown_background();
        outcome
    });
    outcome.unwrap_or_else(|error| failed(&error))
}

/// Looks at no other setting than the key: those of a server of its own mean nothing to another.
fn call_remote(asked: &CallArgs, environment: &[(OsString, OsString)]) -> ExitCode {
    let foreign = [
        ("--plugins-dir", asked.plugins.place.plugins_dir.is_some()),
        ("--cache-dir", asked.plugins.place.cache_dir.is_some()),
        ("--no-cache", asked.plugins.place.no_cache),
        ("--plugin-timeout", asked.plugins.plugin_timeout.is_some()),
    ];
    if let Some((flag, _)) = foreign.iter().find(|(_, given)| *given) {
        warn([format_args!(
            "{flag} says how tools are run here, and --url calls a server; leave one of the two out"
        )]);
        return ExitCode::from(BAD_SETTINGS);
    }
    let key = match crate::config::client_key(environment) {
        Ok(key) => key,
        Err(faults) => {
            warn(faults.to_string().lines());
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    let url = asked.url.as_deref().unwrap_or_default();
    let outcome = runtime().and_then(|runtime| {
        let outcome = runtime.block_on(call::run_remote(url, key.as_deref(), asked));
        // Standard input is read by a thread that nothing can interrupt; nobody waits for it.
        runtime.shutdown_background();
        outcome
    });
    outcome.unwrap_or_else(|error| failed(&error))
}

/// Looks at no other setting than where the plugins are, which need not be there yet.
fn make(asked: &NewArgs, flags: &Flags, environment: Vec<(OsString, OsString)>) -> ExitCode {
    let (plugins, is_default) = crate::config::directory_for_new(flags, &environment);
    let work = |runtime: tokio::runtime::Runtime| {
        runtime.block_on(new::run(asked, &plugins, is_default, environment))
    };
    let outcome = runtime().and_then(work);
    outcome.unwrap_or_else(|error| failed(&error))
}

fn purpose(cli: &Cli) -> Purpose {
    match &cli.command {
        None | Some(Command::Serve(_)) => Purpose::Http,
        Some(Command::Stdio(_)) => Purpose::Stdio,
        Some(_) => Purpose::Once,
    }
}

async fn perform(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(_) => serve::run(config).await,
        Command::Stdio(_) => {
            if std::io::stdin().is_terminal() {
                warn([
                    "waiting for the JSON-RPC messages of an MCP client on standard input, one a line; \
                     a client starts this command itself. Ctrl-D ends it. To serve over HTTP, run smcp without stdio",
                ]);
            }
            stdio::run(config).await
        }
        Command::Check(args) => check::run(config, &args).await,
        Command::Tools(args) => tools::run(config, &args).await,
        Command::Call(args) => call::run(config, &args).await,
        Command::Plugins(args) => plugins::run(config, &args).await,
        Command::New(_)
        | Command::Health(_)
        | Command::Doctor(_)
        | Command::Client(_)
        | Command::Config { .. }
        | Command::Completions { .. }
        | Command::Man => {
            unreachable!("it is answered before the settings are read")
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    // A runtime that gets no threads panics, so this is found out before.
    crate::process::preflight()?;
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
