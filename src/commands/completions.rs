//! `smcp completions SHELL`: scripts by which shells complete the command line, made from its definition.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;

/// The script for `shell`.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "smcp", &mut script);
    script
}
