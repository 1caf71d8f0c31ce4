//! One run of one program: started below a supervisor, read, bounded, and ended with its whole tree.
//!
//! Knows no plugin and no tool: a [`Job`] goes in, a [`Finished`] comes out.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustix::process::Pid;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::capture::{Stderr, Stdout};
use super::control::{self, Unsendable};
pub use super::job::{Ending, Finished, Job, StartError, Taps};
use super::reap::Children;
use super::run::{Answer, Commands, NotRun, Progress, Reports, Run, Stdin, Wires};

/// Starts runs and reaps what they leave. One for the process; cheap to clone.
///
/// Waits for nobody's children but its own, with one exception: when a supervisor has been killed
/// from outside, every child of the process that no launcher call started is taken for its orphan
/// and ended. Nothing else in the process may therefore keep children for longer than a moment.
#[derive(Debug, Clone)]
pub struct Launcher {
    supervisor: Arc<Path>,
    children: Children,
    runs: TaskTracker,
}

impl Launcher {
    /// Makes the process a sub-reaper and starts to reap. Must be called within a tokio runtime.
    ///
    /// The running binary itself is the supervisor: its `main` must begin with
    /// [`super::supervise::is_requested`].
    pub fn new() -> io::Result<Self> {
        // The path names the running binary itself, also when its file has been replaced.
        #[cfg(target_os = "linux")]
        let this_binary = PathBuf::from("/proc/self/exe");
        #[cfg(not(target_os = "linux"))]
        let this_binary = std::env::current_exe()?;
        Self::with_supervisor(this_binary)
    }

    /// The same with another binary as the supervisor; for programs that only link this library.
    pub fn with_supervisor(program: impl Into<PathBuf>) -> io::Result<Self> {
        // Whoever started this process may have left it descriptors that its programs must not get.
        close_fds::set_fds_cloexec_threadsafe(3, &[]);
        let runs = TaskTracker::new();
        // A closed tracker still tracks; it only lets `idle` return when there is nothing left.
        runs.close();
        Ok(Self {
            supervisor: program.into().into(),
            children: Children::new()?,
            runs,
        })
    }

    /// Runs `job` to its end. Cancelling the token ends the tree; dropping the future does so too.
    ///
    /// A program that ended by itself is answered when its pipes are closed, 2 s after its exit at
    /// the latest; one that is ended, when its tree is gone: 5 s after SIGTERM comes SIGKILL. What
    /// is left of the tree after the answer is ended by a task that [`Launcher::idle`] waits for.
    ///
    /// # Errors
    ///
    /// [`StartError`] when the program has not run at all.
    pub async fn run(
        &self,
        job: Job,
        taps: Taps,
        cancel: CancellationToken,
    ) -> Result<Finished, StartError> {
        let (caller, answer) = oneshot::channel();
        let run = self.clone().carry_out(job, taps, cancel, caller);
        // A task of its own, so that a caller who leaves does not take the end of the tree along.
        self.runs.spawn(run);
        answer.await.unwrap_or_else(|_| {
            let lost = io::Error::other("the run was given up, because the server ends");
            Err(StartError::System(lost))
        })
    }

    /// How many runs have processes left at this moment.
    pub fn running(&self) -> usize {
        self.runs.len()
    }

    /// Waits until no run has a process left.
    pub async fn idle(&self) {
        self.runs.wait().await;
    }

    async fn carry_out(
        self,
        mut job: Job,
        taps: Taps,
        cancel: CancellationToken,
        mut caller: Answer<StartError>,
    ) {
        let mut run = match self.start(&mut job, taps).await {
            Ok(run) => run,
            Err(fault) => {
                let _ = caller.send(Err(fault));
                return;
            }
        };
        let known = run.until_known(job.time_limit, &cancel, &mut caller).await;
        let answer = match known {
            Ok(finished) => Ok(finished),
            Err(NotRun::Refused(errno)) => Err(StartError::of_program(&job, errno)),
            Err(NotRun::Lost) => Err(StartError::System(io::Error::other(
                "the supervisor died before the program began",
            ))),
        };
        let _ = caller.send(answer);
        run.finish().await;
    }

    async fn start(&self, job: &mut Job, taps: Taps) -> Result<Run, StartError> {
        let stdin = job.stdin.take();
        let order = control::encode_order(
            &job.argv,
            &job.environment,
            job.directory.as_deref(),
            stdin.is_some(),
            taps.events.is_some(),
        )
        .map_err(|refused| unsendable(job, refused))?;
        let program = Arc::clone(&self.supervisor);
        let has_stdin = stdin.is_some();
        let (supervisor, ends) = self
            .children
            .start(move || spawn(&program, order, has_stdin, taps.events))
            .await
            .map_err(StartError::System)?;
        match ends.attach(job, stdin.unwrap_or_default(), taps.stderr_lines) {
            Ok(wires) => Ok(Run {
                children: self.children.clone(),
                supervisor,
                wires,
                progress: Progress::default(),
            }),
            Err(fault) => {
                supervisor.kill();
                supervisor.gone().await;
                self.children.end_orphans().await;
                Err(StartError::System(fault))
            }
        }
    }
}

fn unsendable(job: &Job, refused: Unsendable) -> StartError {
    match refused {
        Unsendable::TooLarge => StartError::TooLarge,
        Unsendable::Nul(text) => StartError::Program {
            program: job.program(),
            source: io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("a NUL byte cannot be passed to a program: {text:?}"),
            ),
        },
    }
}

/// The server's ends of what it shares with a supervisor and its program.
#[derive(Debug)]
struct Ends {
    socket: StdUnixStream,
    stdin: Option<OwnedFd>,
    stdout: OwnedFd,
    stderr: OwnedFd,
    order: Vec<u8>,
    /// How many bytes of the order are on their way.
    sent: usize,
}

impl Ends {
    /// Hands them to the runtime.
    fn attach(
        self,
        job: &Job,
        stdin: Vec<u8>,
        stderr_lines: Option<mpsc::Sender<String>>,
    ) -> io::Result<Wires> {
        let (reports, commands) = UnixStream::from_std(self.socket)?.into_split();
        let stdout = pipe::Receiver::from_owned_fd(self.stdout)?;
        let stderr = pipe::Receiver::from_owned_fd(self.stderr)?;
        let feed = self.stdin.map(pipe::Sender::from_owned_fd).transpose()?;
        Ok(Wires {
            reports: Reports::new(reports),
            commands: Commands::new(commands, self.order, self.sent),
            stdin: Stdin::new(feed, stdin),
            stdout: Stdout::new(stdout, job.stdout_limit),
            stderr: Stderr::new(stderr, job.stderr_tail, stderr_lines),
        })
    }
}

/// Starts a supervisor whose order, or what of it fits, waits in its socket already. Blocks until it executes.
fn spawn(
    supervisor: &Path,
    order: Vec<u8>,
    has_stdin: bool,
    events: Option<OwnedFd>,
) -> io::Result<(Pid, Ends)> {
    let (socket, supervisors_end) = StdUnixStream::pair()?;
    let (stdout, stdout_writer) = io::pipe()?;
    let (stderr, stderr_writer) = io::pipe()?;
    let (stdin_reader, stdin) = if has_stdin {
        let (reader, writer) = io::pipe()?;
        (Some(OwnedFd::from(reader)), Some(OwnedFd::from(writer)))
    } else {
        (None, None)
    };
    socket.set_nonblocking(true)?;
    let travelling: Vec<BorrowedFd<'_>> = stdin_reader
        .iter()
        .chain(&events)
        .map(AsFd::as_fd)
        .collect();
    let sent = control::send_order(&socket, &order, &travelling)?;
    // Nothing here may need code between fork and exec: only then is the whole process not copied.
    let child = Command::new(supervisor)
        .arg0("smcp")
        .arg(control::MARKER)
        .env_clear()
        .process_group(0)
        .stdin(Stdio::from(OwnedFd::from(supervisors_end)))
        .stdout(stdout_writer)
        .stderr(stderr_writer)
        .spawn()
        .map_err(|fault| naming(supervisor, fault))?;
    let ends = Ends {
        socket,
        stdin,
        stdout: stdout.into(),
        stderr: stderr.into(),
        order,
        sent,
    };
    Ok((Pid::from_child(&child), ends))
}

/// A lack of something speaks for itself; any other fault is the supervisor's path.
fn naming(supervisor: &Path, fault: io::Error) -> io::Error {
    match fault.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => io::Error::new(
            fault.kind(),
            format!("the supervisor {}: {fault}", supervisor.display()),
        ),
        _ => fault,
    }
}
