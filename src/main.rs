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
    #[cfg(feature = "jemalloc")]
    give_memory_back_at_once();
    let line: Vec<OsString> = std::env::args_os().collect();
    let mut cli = Cli::read(&line).unwrap_or_else(|error| error.exit());
    if called_as_stdio(&line) && cli.command.is_none() {
        cli.command = Some(Command::Stdio(PluginFlags::default()));
    }
    smcp::commands::run(cli)
}

/// Lets the allocator keep nothing of what is free. By default it does so for ten seconds, and while a large output is
/// copied that is as much again as the output itself.
#[cfg(feature = "jemalloc")]
fn give_memory_back_at_once() {
    use tikv_jemalloc_ctl::{Access, AsName};
    // The first for arenas to come, the others for the one that is there.
    for pages in [
        "arenas.dirty_decay_ms\0",
        "arenas.muzzy_decay_ms\0",
        "arena.0.dirty_decay_ms\0",
        "arena.0.muzzy_decay_ms\0",
    ] {
        // What is refused is kept for some seconds, and not for ever.
        let _ = pages.name().write(0_isize);
    }
}

/// `smcp-stdio`, as a link to this program, is a name for `smcp stdio`.
fn called_as_stdio(line: &[OsString]) -> bool {
    let program = line.first().map(Path::new);
    program.and_then(Path::file_name) == Some(OsStr::new("smcp-stdio"))
}
