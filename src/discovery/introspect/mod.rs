//! Programs that do not describe themselves: argparse, click and typer parsers watched, help texts read.
//!
//! Gives command lines to run and reads what they print; starts nothing itself.

mod help;
mod help_page;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

pub use help::{add_page, pages_to_ask, parse_help, reads_help_after_commands};

/// The embedded Python program, one namespace in five parts.
const PROGRAM: &str = concat!(
    include_str!("guard.py"),
    include_str!("payload.py"),
    include_str!("read_argparse.py"),
    include_str!("read_click.py"),
    include_str!("watch.py"),
);

/// A command line that prints one contract v1.1 payload for `cli`, a Python program whose argparse,
/// click or typer parser is watched; the program's own work is not done.
///
/// The process exits with one of the statuses below; unless it is 0, the last line of its stderr is
/// the reason. The program's own output goes to stderr. It gives up by itself when four fifths of
/// `limit` have passed, for it alone can say where the program hangs.
pub fn argv(interpreter: &Path, cli: &Path, limit: Duration) -> Vec<OsString> {
    let patience = format!("{:.2}", limit.as_secs_f64() * 0.8);
    vec![
        interpreter.into(),
        "-c".into(),
        PROGRAM.into(),
        cli.into(),
        patience.into(),
    ]
}

/// Exit status: the program would work, read stdin or hang before it asks its parser. It must not be run with `--help` either.
pub const REFUSED: i32 = 3;

/// Exit status: the program ends without asking a parser that is known here.
pub const NOT_ASKED: i32 = 4;
