//! The sub-commands, one file each, and what they have in common.

mod call;
mod check;
mod serve;
mod setup;
mod stdio;
mod tools;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::{Cli, Command};
use crate::config::{self, Config};

/// A setting is wrong, or the server must not start with it.
const BAD_SETTINGS: u8 = 2;

/// Runs the command line; the environment is read once, here.
pub fn run(cli: Cli) -> ExitCode {
    let environment: Vec<(OsString, OsString)> = config::environment();
    let config = match config::read(&cli.flags, environment) {
        Ok(config) => config,
        Err(faults) => {
            faults
                .to_string()
                .lines()
                .for_each(|fault| eprintln!("smcp: {fault}"));
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    let outcome = runtime().and_then(|runtime| {
        let outcome = runtime.block_on(perform(cli.command.unwrap_or(Command::Serve), config));
        // Standard input is read by a thread that nothing can interrupt; nobody waits for it.
        runtime.shutdown_background();
        outcome
    });
    outcome.unwrap_or_else(|error| {
        eprintln!("smcp: {error:#}");
        ExitCode::FAILURE
    })
}

async fn perform(command: Command, config: Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => serve::run(config).await,
        Command::Stdio => stdio::run(config).await,
        Command::Check => check::run(config).await,
        Command::Tools { json } => tools::run(config, json).await,
        Command::Call(args) => call::run(config, args).await,
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    // A runtime that gets no threads panics, so this is found out before.
    crate::process::preflight()?;
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
