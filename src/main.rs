//! The `smcp` program: parse, run the command, map its error to an exit code.

#![warn(clippy::disallowed_methods)]

use std::process::ExitCode;

use clap::Parser;
use smcp::cli::{Cli, Command, PluginFlags};

fn main() -> ExitCode {
    // Before anything else: a supervisor must cost no runtime, no parser, no logger.
    if smcp::process::supervisor::is_requested() {
        return smcp::process::supervisor::run();
    }
    let mut cli = Cli::parse();
    if called_as_stdio() && cli.command.is_none() {
        cli.command = Some(Command::Stdio(PluginFlags::default()));
    }
    smcp::commands::run(cli)
}

/// `smcp-stdio`, as a link to this program, is a name for `smcp stdio`.
fn called_as_stdio() -> bool {
    let program = std::env::args_os().next().map(std::path::PathBuf::from);
    program
        .and_then(|program| program.file_name().map(|name| name == "smcp-stdio"))
        .unwrap_or(false)
}
