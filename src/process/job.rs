//! The vocabulary of one run: what goes in, what comes out, why it could not begin.
//!
//! Knows no process: [`crate::process::Launcher`] carries it out.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

/// What to run, with what, and within which bounds.
#[derive(Clone)]
pub struct Job {
    /// The program and its arguments; the program is an absolute path or is looked up in the
    /// `PATH` of [`Job::environment`].
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

/// What is listened to while a program runs.
#[derive(Debug, Default)]
pub struct SideChannels {
    /// The program's end of the events channel: becomes its descriptor 3, and `SMCP_EVENTS=3` is the caller's to set.
    pub events: Option<OwnedFd>,
    /// Each line of stderr (at most 8 KiB of it, lossy UTF-8, without its end) as it comes; a full
    /// channel loses lines, never blocks.
    pub stderr_lines: Option<mpsc::Sender<String>>,
}

impl fmt::Debug for Job {
    /// Of the environment and of stdin as much as can be no secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&OsString> = self.environment.iter().map(|(name, _)| name).collect();
        f.debug_struct("Job")
            .field("program", &self.argv.first())
            .field("environment", &names)
            .field("directory", &self.directory)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
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

impl Job {
    /// The program's name, for messages.
    pub(super) fn program(&self) -> String {
        let program = self.argv.first().map(OsString::as_os_str);
        program.unwrap_or_default().to_string_lossy().into_owned()
    }
}
