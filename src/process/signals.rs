//! Signals that the server and its supervisors outlive.
//!
//! By handlers, not by ignoring them: `exec` resets handlers alone, so that a program begins with
//! the default. A signal that was ignored when the process started stays ignored, in the programs
//! too: whoever starts the server with `nohup` means all of it.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{
    SIGALRM, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXFSZ,
};

/// Those that end a process which has no use for them. SIGXFSZ comes with a file that grows over
/// its limit; the write fails as well, and that is how it is noticed.
const USELESS: [i32; 5] = [SIGALRM, SIGUSR1, SIGUSR2, SIGVTALRM, SIGXFSZ];

/// Those that ask for the end. A supervisor ends when its work is done, and when the server does.
const POLITE: [i32; 4] = [SIGTERM, SIGINT, SIGHUP, SIGQUIT];

/// Lets this process outlive signals that it has no use for. Holds until it ends.
///
/// # Errors
/// When the system refuses a handler.
pub(super) fn outlive_useless_ones() -> io::Result<()> {
    // A disposition belongs to the whole process: once is enough, however many launchers there are.
    static DONE: OnceLock<()> = OnceLock::new();
    if DONE.set(()).is_ok() {
        outlive(&USELESS)?;
    }
    Ok(())
}

/// Lets a supervisor outlive everything but SIGKILL and its own faults.
///
/// # Errors
/// When the system refuses a handler.
pub(super) fn outlive_all() -> io::Result<()> {
    outlive(&USELESS)?;
    outlive(&POLITE)
}

fn outlive(signals: &[i32]) -> io::Result<()> {
    let nobody_looks = Arc::new(AtomicBool::new(false));
    let ignored = ignored();
    for signal in signals {
        if ignored & (1 << (signal - 1)) == 0 {
            signal_hook::flag::register(*signal, Arc::clone(&nobody_looks))?;
        }
    }
    Ok(())
}

/// The signals that this process ignores, as a mask: bit 0 is signal 1. Known on Linux alone; elsewhere none
/// counts as ignored.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.unwrap_or(0)
}
