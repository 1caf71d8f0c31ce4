//! Whether this system can keep the promises that are made about processes.
//!
//! Knows no program: it only looks at what the server stands on.

use std::io;
use std::sync::mpsc;
use std::thread;

/// Why no program can be run safely here.
#[derive(Debug, thiserror::Error)]
pub enum PreflightError {
    /// There is no `/proc`, or not that of this process.
    #[error(
        "/proc is not mounted, or is that of another PID namespace: {0}; process trees could not be ended without it, so mount it (mount -t proc proc /proc)"
    )]
    NoProc(io::Error),
    /// Too few threads are allowed for this user.
    #[error(
        "the system gives this user too few threads or processes: {0}; raise the limit (ulimit -u, TasksMax=, --pids-limit)"
    )]
    NoThreads(io::Error),
    /// A system call that everything else needs was refused.
    #[error("the system refuses what supervision needs: {0}")]
    Refused(#[from] io::Error),
}

/// Looks whether `/proc` is there and whether threads can be started. Cheap; to be called before a
/// runtime is built, which panics where it gets no threads.
///
/// # Errors
/// What is missing and what to do about it.
pub fn preflight() -> Result<(), PreflightError> {
    proc_is_ours()?;
    threads_can_be_started()
}

#[cfg(target_os = "linux")]
fn proc_is_ours() -> Result<(), PreflightError> {
    let stat = std::fs::read_to_string("/proc/self/stat").map_err(PreflightError::NoProc)?;
    let own = std::process::id().to_string();
    if stat.split(' ').next() != Some(own.as_str()) {
        let stranger = "it names this process by another number";
        return Err(PreflightError::NoProc(io::Error::other(stranger)));
    }
    std::fs::read_link("/proc/self/exe").map_err(PreflightError::NoProc)?;
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn proc_is_ours() -> Result<(), PreflightError> {
    Ok(())
}

/// As many as the runtime has workers, one that starts supervisors, one that reads files, and the
/// logs' own, all at the same time.
fn threads_can_be_started() -> Result<(), PreflightError> {
    let wanted = thread::available_parallelism().map_or(1, usize::from) + 4;
    let mut releases = Vec::new();
    let mut threads = Vec::new();
    let mut refused = None;
    for _ in 0..wanted {
        let (release, released) = mpsc::channel::<()>();
        let waiting = move || _ = released.recv();
        match thread::Builder::new().spawn(waiting) {
            Ok(thread) => threads.push(thread),
            Err(fault) => {
                refused = Some(fault);
                break;
            }
        }
        releases.push(release);
    }
    drop(releases);
    for thread in threads {
        let _ = thread.join();
    }
    refused.map_or(Ok(()), |fault| Err(PreflightError::NoThreads(fault)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_runs_tests_passes() {
        preflight().expect("tests run where programs can be run");
    }
}
