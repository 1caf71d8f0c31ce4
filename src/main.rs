//! The `smcp` program: parse, run the command, map its error to an exit code.

#![warn(clippy::disallowed_methods)]

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use smcp::cli::{Cli, Command, PluginFlags};

/// Gives back what bursts of sessions have used, which the allocator of glibc keeps.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Before anything else: a supervisor must cost no runtime, no parser, no logger.
    if smcp::process::supervisor::is_requested() {
        return smcp::process::supervisor::run();
    }
    // Without the thread memory is given back at the next use of the allocator, thus late, and not never.
    #[cfg(feature = "jemalloc")]
    let _ = tikv_jemalloc_ctl::background_thread::write(true);
    let line: Vec<OsString> = std::env::args_os().collect();
    let mut cli = Cli::read(&line).unwrap_or_else(|error| error.exit());
    if called_as_stdio(&line) && cli.command.is_none() {
        cli.command = Some(Command::Stdio(PluginFlags::default()));
    }
    smcp::commands::run(cli)
}

/// `smcp-stdio`, as a link to this program, is a name for `smcp stdio`.
fn called_as_stdio(line: &[OsString]) -> bool {
    let program = line.first().map(Path::new);
    program.and_then(Path::file_name) == Some(OsStr::new("smcp-stdio"))
}
