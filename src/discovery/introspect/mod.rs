//! Programs that do not describe themselves: argparse, click and typer parsers watched, help texts read.
//!
//! Gives command lines to run and reads what they print; starts nothing itself.

mod help;
mod private_copy;
mod script;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

pub use help::{CommandPage, NothingToRead, pages_to_ask, parse_help, reads_help_after_commands};
pub use private_copy::{MAX_TOTAL_BYTES, PrivateCopy, size_within_bounds};
pub use script::{MAX_SCRIPT_BYTES, Questions};

/// The embedded Python program: one namespace, its readers as texts that are compiled when needed.
const PROGRAM: &str = concat!(
    include_str!("guard.py"),
    include_str!("change.py"),
    include_str!("streams.py"),
    include_str!("watch.py"),
    "\nDIVERSION = r'''",
    include_str!("divert.py"),
    include_str!("divert_changes.py"),
    include_str!("divert_looks.py"),
    include_str!("divert_databases.py"),
    "'''\nREADERS = (r'''",
    include_str!("payload.py"),
    include_str!("read_argparse.py"),
    include_str!("read_branches.py"),
    "''', r'''",
    include_str!("read_click.py"),
    "''')\n",
    include_str!("start.py"),
);

// One word of a command line can hold no more.
const _: () = assert!(PROGRAM.len() < 131_072);

/// A command line that prints one contract v1.1 payload for `cli`, a Python program whose argparse,
/// click or typer parser is watched; the program's own work is not done. What it writes before goes to `copy`, an
/// empty directory of the caller's; with an empty path it is refused.
///
/// The process exits with one of the statuses below; unless it is 0, the last line of its stderr is
/// the reason. It gives up by itself when four fifths of `limit` have passed, for it alone can say
/// where the program hangs.
pub fn argv(interpreter: &Path, cli: &Path, limit: Duration, copy: &Path) -> Vec<OsString> {
    guarded_argv(interpreter, cli, limit, copy, &[])
}

/// A command line that runs `cli` with `words` under the same guard and prints what it printed; without
/// words, its parser is watched ([`argv`]). Exits as [`argv`] does, with [`NOT_ASKED`] where the program fails.
pub fn guarded_argv(
    interpreter: &Path,
    cli: &Path,
    limit: Duration,
    copy: &Path,
    words: &[&str],
) -> Vec<OsString> {
    let time_limit = format!("{:.2}", limit.as_secs_f64() * 0.8);
    let mut argv: Vec<OsString> = vec![
        interpreter.into(),
        "-c".into(),
        PROGRAM.into(),
        cli.into(),
        time_limit.into(),
        copy.into(),
    ];
    argv.extend(words.iter().map(OsString::from));
    argv
}

/// Exit status: the program failed before it asked its parser, although nothing was refused to it.
pub const FAULT: i32 = 1;

/// Exit status: nothing could be read, and something was refused to the program that could not be led elsewhere.
pub const REFUSED: i32 = 3;

/// Exit status: the program ends without asking a parser that is known here. What it printed, its help text
/// perhaps, is on stdout.
pub const NOT_ASKED: i32 = 4;

/// Exit status: the interpreter is too old to be guarded or watched.
pub const TOO_OLD: i32 = 5;

/// Exit status: the program neither asks its parser nor ends, although nothing was refused to it.
pub const HANGS: i32 = 7;

/// Exit status: as [`NOT_ASKED`], and nothing that the program loaded has the word `describe`.
pub const NO_DESCRIBE: i32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_exit_statuses_and_the_same_bound() {
        let names = "SERVED, FAULT, REFUSED, NOT_ASKED, TOO_OLD, NO_DESCRIBE, HANGS";
        let statuses = format!(
            "{names} = 0, {FAULT}, {REFUSED}, {NOT_ASKED}, {TOO_OLD}, {NO_DESCRIBE}, {HANGS}\n"
        );
        let bound = format!("MAX_TOTAL = {} << 20 ", MAX_TOTAL_BYTES >> 20);
        for line in [statuses, bound] {
            assert!(PROGRAM.contains(&line), "{line}");
        }
    }
}
