//! The tiny supervisor of one call: this binary, re-executed.
//!
//! Knows no plugin, no runtime and no protocol but the few bytes of its control socket.

use std::process::ExitCode;

/// Whether this process was started as a supervisor.
pub fn is_requested() -> bool {
    false
}

/// Runs one job and returns when no process of it is left.
pub fn run() -> ExitCode {
    ExitCode::SUCCESS
}
