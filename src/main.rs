//! The `smcp` program: parse, run the command, map its error to an exit code.

#![warn(clippy::disallowed_methods)]

use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: a supervisor must cost no runtime, no parser, no logger.
    if smcp::plugins::supervise::is_requested() {
        return smcp::plugins::supervise::run();
    }
    ExitCode::SUCCESS
}
