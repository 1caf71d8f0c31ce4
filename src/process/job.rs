//! The types of one run: the job, its side channels, its result, and why it could not start.
//!
//! Knows no process: [`crate::process::Launcher`] runs jobs.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::output_budget::OutputShare;

/// One program to run: its command line, environment, input and bounds.
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
    /// What it may leave running when it ends with success; `None` is nothing.
    pub background: Option<Background>,
    /// Whether a warm interpreter may run it, and what has to be known for that; `None` is never.
    pub warm: Option<Warmable>,
}

/// What may be said about warm interpreters.
#[derive(Debug, Clone, Copy)]
pub struct WarmSettings {
    /// How much memory all of them may take, in bytes: they themselves, not the calls that are forked from them.
    pub max_bytes: u64,
}

/// What has to be known of a Python program so that a warm interpreter can run it. [`Job::argv`] begins with the
/// interpreter and the script.
#[derive(Clone)]
pub struct Warmable {
    /// The plugin's name: the label of what is counted.
    pub plugin: String,
    /// Its directory. What is in it is never kept in a warm interpreter, and a change of it ends one.
    pub directory: PathBuf,
    /// The arguments of a run that shows what the program imports, and that has no other effect.
    pub question: Vec<OsString>,
    /// The environment of such a run, and of the warm interpreter.
    pub environment: QuestionEnvironment,
    /// Whether calls may run one after the other in one process.
    pub reuse: bool,
}

/// Makes an environment when one is needed.
pub type QuestionEnvironment = Arc<dyn Fn() -> Vec<(OsString, OsString)> + Send + Sync>;

/// What a program may leave running when it ends with success, and for whom.
#[derive(Debug, Clone)]
pub struct Background {
    /// Which of its processes.
    pub keep: Keep,
    /// For whom.
    pub owner: Owner,
    /// Cancelled when what it left is not wanted after all.
    pub end: CancellationToken,
}

/// Which processes of a run may live on after the program has exited with status 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// None.
    #[default]
    Nothing,
    /// Those that were detached on purpose: that have a session of their own, or ignore SIGHUP as
    /// `nohup` makes them.
    Detached,
    /// All.
    Everything,
}

/// On whose behalf a job is kept. The engine carries their names and understands none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Owner {
    /// Whose command it was; a share of the limit is for each.
    pub plugin: String,
    /// What was called.
    pub tool: String,
    /// Who called, where one was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
}

/// What a program that ended with success has left running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BackgroundJob {
    /// By which it can be ended.
    pub id: u64,
    /// Whose it is.
    #[serde(flatten)]
    pub owner: Owner,
    /// How long ago its program ended, in whole seconds.
    pub age_seconds: u64,
    /// Its processes as they are at this moment, parents before their children; empty where the system hides them.
    pub processes: Vec<JobProcess>,
}

/// One process of a background job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JobProcess {
    /// Its number.
    pub pid: i32,
    /// The name of its program, as the system keeps it: at most 15 bytes.
    pub command: String,
}

/// Channels of a running program beside its stdin and stdout.
#[derive(Debug, Default)]
pub struct SideChannels {
    /// The program's end of the events channel: becomes its descriptor 3, and `SMCP_EVENTS=3` is the caller's to set.
    pub events: Option<OwnedFd>,
    /// The other end of it, which the supervisor keeps open for as long as a process of the run is left: whatever
    /// becomes of the server, a program that waits for an answer is ended before it finds its channel closed.
    pub events_held: Option<OwnedFd>,
    /// How many questions of the program are open. While there is one, its time does not run.
    pub open_questions: Option<watch::Receiver<usize>>,
    /// Each line of stderr (at most 8 KiB of it, lossy UTF-8, without its end) as it comes; a full
    /// channel loses lines, never blocks.
    pub stderr_lines: Option<mpsc::Sender<String>>,
    /// Stdout goes where stderr goes: nothing of it is kept, and it has no limit. Never of a job that may be warm.
    pub stdout_to_stderr: bool,
}

impl fmt::Debug for Job {
    /// Shows the names of the environment's variables, not their values, and nothing of stdin:
    /// both may hold secrets.
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

/// How a run ended.
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

/// The result of a run.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub ending: Ending,
    /// What it printed, up to the limit.
    pub stdout: Vec<u8>,
    /// The end of what it printed to stderr.
    pub stderr_tail: Vec<u8>,
    /// The memory that its output takes of what all outputs may take; to be kept as long as that.
    pub share: OutputShare,
}

/// What is kept for a run while it needs it, and dropped then.
#[derive(Debug, Default)]
pub struct Held<T = (), B = ()> {
    /// Until no process of the run is left but a background job.
    pub tree: T,
    /// Until the program waits, or has ended, or has computed for ten seconds.
    pub busy: B,
}

/// A program that the system does not end although it was sent SIGKILL: a process of another user,
/// or one that waits for a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The program of the run that it belongs to.
    pub program: String,
    /// How many processes of that run are left.
    pub processes: usize,
    /// How long that has been known, in whole seconds.
    pub seconds: u64,
}

/// Why a run could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The program could not be executed: missing, not executable, a bad interpreter.
    #[error("cannot start {program}: {source}")]
    Program {
        /// What was to be run.
        program: String,
        /// The system's error, explained.
        source: std::io::Error,
    },
    /// Somebody has had the program open for writing all the time (ETXTBSY), as whoever copies it has.
    #[error(
        "cannot start {program}: somebody has it open for writing; it can be started when it is closed"
    )]
    Busy {
        /// What was to be run.
        program: String,
    },
    /// The arguments and the environment together are larger than the system takes (E2BIG).
    #[error("the arguments are larger than this system passes to a program")]
    TooLarge,
    /// No descriptors, processes or memory for it, or its supervisor ended before it had started.
    #[error(
        "cannot start a process: {0}; the system may be out of descriptors, processes or memory"
    )]
    System(std::io::Error),
}

impl StartError {
    /// Whether the same start may succeed a moment later: a shortage of descriptors, processes or
    /// memory passes, and so does a program that is being written; a missing file does not.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::System(_) | Self::Busy { .. })
    }
}

/// The longest text that a program is given without asking the system whether it would: Linux takes 128 KiB each.
const MAX_FORKED_TEXT: usize = 128 << 10;

/// The same for all of its arguments and variables together. Systems take 1 MiB or more.
const MAX_FORKED_TEXTS: usize = 512 << 10;

impl Job {
    /// Whether its arguments and variables are so small that every system gives them to a program.
    pub(super) fn may_be_forked(&self) -> bool {
        let variables = self.environment.iter();
        let variables = variables.map(|(name, value)| name.len() + value.len() + 2);
        let texts = self.argv.iter().map(|text| text.len() + 1).chain(variables);
        let mut all: usize = 0;
        texts
            .inspect(|length| all += length)
            .all(|length| length <= MAX_FORKED_TEXT)
            && all <= MAX_FORKED_TEXTS
    }

    /// The program's name, for messages.
    pub(super) fn program(&self) -> String {
        let program = self.argv.first().map(OsString::as_os_str);
        program.unwrap_or_default().to_string_lossy().into_owned()
    }
}
