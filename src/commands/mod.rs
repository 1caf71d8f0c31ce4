//! The sub-commands, one file each, and what they have in common.

mod call;
mod check;
mod completions;
mod health;
mod local;
mod manager;
mod manual;
mod serve;
mod setup;
mod stdio;
mod tools;

use std::ffi::OsString;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{Cli, Command, Flags, HealthArgs};
use crate::config::{self, Config, Purpose};
use crate::discovery::introspect::PrivateCopy;
use setup::{in_one_line, say_bytes};

/// A setting is wrong, or the server must not start with it.
const BAD_SETTINGS: u8 = 2;

/// How long questions that the end cut short may take to remove what their plugins wrote.
const COPIES_GRACE: Duration = Duration::from_millis(500);

/// Runs the command line; the environment is read once, here.
pub fn run(cli: Cli) -> ExitCode {
    let environment: Vec<(OsString, OsString)> = config::environment();
    // These must not fail because of settings that they do not use.
    match &cli.command {
        Some(Command::Health(asked)) => {
            return ask_for_health(asked, &cli.settings(), &environment);
        }
        Some(Command::Completions { shell }) => return say_bytes(&completions::script(*shell)),
        Some(Command::Man) => return say_bytes(&manual::page()),
        _ => {}
    }
    let purpose = purpose(&cli);
    let sockets = match purpose {
        Purpose::Http => config::passed_sockets(&environment),
        Purpose::Stdio | Purpose::Once => Ok(Vec::new()),
    };
    let config =
        sockets.and_then(|sockets| config::read(purpose, &cli.settings(), environment, sockets));
    let config = match config {
        Ok(config) => config,
        Err(faults) => {
            faults
                .to_string()
                .lines()
                .for_each(|fault| eprintln!("smcp: {fault}"));
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
    outcome.unwrap_or_else(|error| {
        eprintln!("smcp: {}", in_one_line(&error));
        ExitCode::FAILURE
    })
}

/// Looks at no other setting than where the server is: a health check must not fail because of them.
fn ask_for_health(
    asked: &HealthArgs,
    flags: &Flags,
    environment: &[(OsString, OsString)],
) -> ExitCode {
    let own = || config::own_url(flags, environment).map_err(anyhow::Error::from);
    let url = asked.url.clone().map_or_else(own, Ok);
    let outcome = url.and_then(|url| runtime()?.block_on(health::run(&url, asked.json)));
    outcome.unwrap_or_else(|error| {
        eprintln!("smcp: {}", in_one_line(&error));
        ExitCode::FAILURE
    })
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
                eprintln!(
                    "smcp: waiting for the JSON-RPC messages of an MCP client on standard input, one a line; \
                     a client starts this command itself. Ctrl-D ends it. To serve over HTTP, run smcp without stdio"
                );
            }
            stdio::run(config).await
        }
        Command::Check(_) => check::run(config).await,
        Command::Tools { json, .. } => tools::run(config, json).await,
        Command::Call(args) => call::run(config, args).await,
        Command::Health(_) | Command::Completions { .. } | Command::Man => {
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
