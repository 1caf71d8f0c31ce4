//! The `smcp` program: parse, run the command, map its error to an exit code.

#![warn(clippy::disallowed_methods)]

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use smcp::cli::{Cli, Command, StdioFlags};

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
    give_memory_back_soon();
    let line: Vec<OsString> = std::env::args_os().collect();
    let mut cli = match Cli::read(&line) {
        Ok(cli) => cli,
        Err(other) => return smcp::commands::say_instead(&other),
    };
    if called_as_stdio(&line) && cli.command.is_none() {
        cli.command = Some(Command::Stdio(StdioFlags::default()));
    }
    smcp::commands::run(cli)
}

/// Lets the allocator keep what is free for a tenth of a second. Its default of ten seconds is long enough for a flood
/// of output to take twice its size; to keep nothing costs every request twice the processor time.
#[cfg(feature = "jemalloc")]
fn give_memory_back_soon() {
    use tikv_jemalloc_ctl::{Access, AsName, background_thread};
    const KEPT_MS: isize = 100;
    // The first for arenas to come, the others for the one that is there.
    for (pages, kept) in [
        ("arenas.dirty_decay_ms\0", KEPT_MS),
        ("arenas.muzzy_decay_ms\0", 0),
        ("arena.0.dirty_decay_ms\0", KEPT_MS),
        ("arena.0.muzzy_decay_ms\0", 0),
    ] {
        // Where that is refused, memory is kept for ten seconds and not for ever.
        let _ = pages.name().write(kept);
    }
    // Without a thread of the allocator's, nothing is given back while nothing is allocated. A system that gives no
    // threads is not asked: the allocator would print a line beside the one that says what to do.
    if smcp::process::preflight().is_ok() {
        let _ = background_thread::write(true);
    }
}

/// `smcp-stdio`, as a link to this program, is a name for `smcp stdio`.
fn called_as_stdio(line: &[OsString]) -> bool {
    let program = line.first().map(Path::new);
    program.and_then(Path::file_name) == Some(OsStr::new("smcp-stdio"))
}
