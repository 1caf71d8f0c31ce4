//! Signals that the server and its supervisors outlive.
//!
//! By handlers, not by ignoring them: `exec` resets handlers alone, so that a program begins with
//! the default. A signal that was ignored when the process started stays ignored, in the programs
//! too: whoever starts the server with `nohup` means all of it.

use std::io;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use rustix::process::{Pid, Signal};
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
    let status = own_status();
    for number in signals {
        let is_ignored =
            Signal::from_named_raw(*number).is_some_and(|signal| ignored_in(&status, signal));
        if !is_ignored {
            signal_hook::flag::register(*number, Arc::clone(&nobody_looks))?;
        }
    }
    Ok(())
}

/// Whether whoever started this process had the signal ignored. Where the system does not say, it was not.
pub fn is_ignored(signal: Signal) -> bool {
    ignored_in(&own_status(), signal)
}

#[cfg(target_os = "linux")]
/// Whether a process ignores the signal. Where the system does not say, it does not.
pub(super) fn is_ignored_by(pid: Pid, signal: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    ignored_in(&status, signal)
}

/// Empty where the system has no such file.
fn own_status() -> String {
    std::fs::read_to_string("/proc/self/status").unwrap_or_default()
}

fn ignored_in(status: &str, signal: Signal) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inherited_ignored_signal_is_seen_in_the_mask_of_the_system() {
        let status = "Name:\tsmcp\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\n";
        assert!(ignored_in(status, Signal::HUP));
        assert!(ignored_in(status, Signal::PIPE));
        assert!(!ignored_in(status, Signal::TERM));
        assert!(!ignored_in("", Signal::HUP));
    }
}
