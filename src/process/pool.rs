//! The supervisors, as the server sees them: started when needed, kept for the next run when idle.
//!
//! Knows no job and no pipe: an order is bytes and descriptors. A supervisor serves one run at a
//! time; starting one costs as much as starting a small program, so an idle one is used again.

use std::fmt;
use std::future::pending;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use rustix::io::Errno;
use rustix::net::RecvFlags;
use rustix::process::{Pid, Resource, getrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use super::children::{Children, Owned};
use super::wire::{self, Report};

/// Idle supervisors that are kept for each core; runs beyond that start their own.
const KEPT_PER_CORE: usize = 2;

/// All supervisors. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Supervisors {
    program: Arc<Path>,
    children: Children,
    idle: Arc<Mutex<Vec<Supervisor>>>,
    kept: usize,
    /// The limit of open files that a supervisor sets for its programs.
    descriptor_limit: Arc<str>,
}

impl Supervisors {
    /// A pool of supervisors that execute `program`. Programs get the limit of open files that
    /// holds at this moment.
    pub(super) fn new(program: Arc<Path>, children: Children) -> Self {
        let limit = getrlimit(Resource::Nofile).current;
        let limit = limit.map_or_else(|| "unlimited".to_owned(), |limit| limit.to_string());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            program,
            children,
            idle: Arc::default(),
            kept: KEPT_PER_CORE * cores,
            descriptor_limit: limit.into(),
        }
    }

    /// How many idle supervisors are kept, at most.
    pub(super) fn kept(&self) -> usize {
        self.kept
    }

    /// The binary that supervisors execute, and the limit of open files that they set.
    pub(super) fn program(&self) -> (&Path, &str) {
        (&self.program, &self.descriptor_limit)
    }

    /// Gives the order to an idle supervisor, or to a new one. What of it does not fit the socket
    /// at once is sent by [`Commands::send`].
    pub(super) async fn give(
        &self,
        mut order: Vec<u8>,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Supervisor> {
        loop {
            let idle = self.idle().pop();
            let was_idle = idle.is_some();
            let mut supervisor = match idle {
                Some(supervisor) => supervisor,
                None => self.start().await?,
            };
            match supervisor.commands.order(order, descriptors) {
                Ok(()) => return Ok(supervisor),
                Err((back, fault)) => {
                    order = back;
                    supervisor.retire().await;
                    // One that was killed while it was idle has harmed nobody.
                    if !(was_idle && fault.kind() == io::ErrorKind::BrokenPipe) {
                        return Err(fault);
                    }
                }
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Supervisor>> {
        // A push or a pop either happened or did not.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(&self) -> io::Result<Supervisor> {
        let program = Arc::clone(&self.program);
        let limit = Arc::clone(&self.descriptor_limit);
        let starting = self.children.start(move || spawn(&program, &limit));
        let (process, socket) = starting.await?;
        match channels(socket) {
            Ok((reports, commands)) => Ok(Supervisor {
                process: Arc::new(Pooled {
                    process,
                    pool: self.clone(),
                }),
                reports,
                commands,
            }),
            Err(fault) => {
                // Its socket is closed by now, and that ends it.
                process.gone().await;
                Err(fault)
            }
        }
    }
}

/// The two directions of a supervisor's socket.
pub(super) fn channels(socket: StdUnixStream) -> io::Result<(Reports, Commands)> {
    socket.set_nonblocking(true)?;
    let (reports, commands) = UnixStream::from_std(socket)?.into_split();
    Ok((Reports::new(reports), Commands::new(commands)))
}

/// The process of a supervisor, and what becomes of it after a run.
pub(super) trait Process: fmt::Debug + Send + Sync {
    /// Its number.
    fn pid(&self) -> Pid;
    /// Sends SIGKILL, unless it is gone.
    fn kill(&self);
    /// Waits until it is gone.
    fn gone(&self) -> BoxFuture<'_, ()>;
    /// Waits until it is gone that was sent SIGKILL, and ends what it had below it.
    fn end_tree(self: Arc<Self>) -> BoxFuture<'static, ()>;
    /// How many processes of the tree have outlived SIGKILL.
    fn unkillable(&self) -> usize;
    /// Takes back what has reported its last run as done, was sent no command and can take another order.
    fn take_back(self: Arc<Self>, reports: Reports, commands: Commands) -> BoxFuture<'static, ()>;
    /// Takes notice of a report of the run.
    fn note(&self, _report: Report) {}
}

/// A supervisor that the server has started itself.
#[derive(Debug)]
struct Pooled {
    process: Owned,
    pool: Supervisors,
}

impl Process for Pooled {
    fn pid(&self) -> Pid {
        self.process.pid()
    }

    fn kill(&self) {
        self.process.kill();
    }

    fn gone(&self) -> BoxFuture<'_, ()> {
        self.process.gone().boxed()
    }

    /// What it has below it comes to this process.
    fn end_tree(self: Arc<Self>) -> BoxFuture<'static, ()> {
        async move {
            self.process.gone().await;
            self.pool.children.end_orphans().await;
        }
        .boxed()
    }

    fn unkillable(&self) -> usize {
        self.pool.children.unkillable()
    }

    fn take_back(self: Arc<Self>, reports: Reports, commands: Commands) -> BoxFuture<'static, ()> {
        let pool = self.pool.clone();
        let supervisor = Supervisor {
            process: self,
            reports,
            commands,
        };
        async move {
            let too_many = {
                let mut idle = pool.idle();
                if idle.len() < pool.kept {
                    idle.push(supervisor);
                    None
                } else {
                    Some(supervisor)
                }
            };
            if let Some(supervisor) = too_many {
                supervisor.retire().await;
            }
        }
        .boxed()
    }
}

/// Starts a supervisor; blocks until it executes.
fn spawn(program: &Path, descriptor_limit: &str) -> io::Result<(Pid, StdUnixStream)> {
    let (socket, supervisors_end) = StdUnixStream::pair()?;
    // Nothing here may need code between fork and exec: only then is the whole process not copied.
    #[allow(
        clippy::disallowed_methods,
        reason = "what it starts is bounded and reaped here"
    )]
    let child = Command::new(program)
        .arg0("smcp")
        .arg(wire::MARKER)
        .arg(descriptor_limit)
        .env_clear()
        // A build that measures coverage says here where supervisors write theirs; no other build has the variable.
        .envs(option_env!("LLVM_PROFILE_FILE").map(|file| ("LLVM_PROFILE_FILE", file)))
        .stdin(Stdio::from(OwnedFd::from(supervisors_end)))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|fault| naming(program, fault))?;
    Ok((Pid::from_child(&child), socket))
}

/// A lack of something speaks for itself; any other fault is the program's path.
fn naming(program: &Path, fault: io::Error) -> io::Error {
    match fault.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => io::Error::new(
            fault.kind(),
            format!("the supervisor {}: {fault}", program.display()),
        ),
        _ => fault,
    }
}

/// One supervisor and the two directions of its socket.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub(super) process: Arc<dyn Process>,
    pub(super) reports: Reports,
    pub(super) commands: Commands,
}

impl Supervisor {
    /// Lets it end, with whatever it still has below it, and waits for that.
    pub(super) async fn retire(self) {
        drop((self.reports, self.commands));
        self.process.gone().await;
    }

    /// Keeps it for another run. It has reported its last one as done and was sent no command.
    pub(super) async fn give_back(self) {
        self.process.take_back(self.reports, self.commands).await;
    }
}

/// The reports of a supervisor.
#[derive(Debug)]
pub(super) struct Reports {
    socket: OwnedReadHalf,
    received: Vec<u8>,
}

impl Reports {
    fn new(socket: OwnedReadHalf) -> Self {
        let received = Vec::with_capacity(4 * Report::SIZE);
        Self { socket, received }
    }

    /// The next report; `None` when there will be none. Safe to drop while it waits.
    pub(super) async fn next(&mut self) -> Option<Report> {
        loop {
            if let Some((report, _)) = self.received.split_first_chunk() {
                let report = Report::decode(*report);
                self.received.drain(..Report::SIZE);
                return report;
            }
            if !matches!(self.socket.read_buf(&mut self.received).await, Ok(1..)) {
                return None;
            }
        }
    }
}

/// The order and the commands for a supervisor. Dropping it closes the socket, and that kills the tree.
#[derive(Debug)]
pub(super) struct Commands {
    socket: OwnedWriteHalf,
    unsent: Vec<u8>,
    sent: usize,
}

impl Commands {
    fn new(socket: OwnedWriteHalf) -> Self {
        Self {
            socket,
            unsent: Vec::new(),
            sent: 0,
        }
    }

    /// Sends what fits at once, and keeps the rest for [`Commands::send`].
    ///
    /// # Errors
    /// Nothing of the order was sent; it comes back.
    pub(super) fn order(
        &mut self,
        order: Vec<u8>,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), (Vec<u8>, io::Error)> {
        let socket: &UnixStream = self.socket.as_ref();
        match wire::send_order(socket.as_fd(), &order, descriptors) {
            Ok(sent) => {
                self.unsent = order;
                self.sent = sent;
                Ok(())
            }
            Err(fault) => Err((order, fault)),
        }
    }

    /// Whether the supervisor has its end of the socket still.
    pub(super) fn is_connected(&self) -> bool {
        let socket: &UnixStream = self.socket.as_ref();
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        let peeked = rustix::net::recv(socket, &mut [0; 1], flags);
        !matches!(peeked, Ok((0, _))) && !matches!(peeked, Err(fault) if fault != Errno::AGAIN)
    }

    pub(super) fn push(&mut self, command: u8) {
        self.unsent.push(command);
    }

    /// Sends once. Never ready when all is sent; safe to drop while it waits.
    pub(super) async fn send(&mut self) {
        let rest = &self.unsent[self.sent..];
        if rest.is_empty() {
            return pending().await;
        }
        match self.socket.write(rest).await {
            Ok(more @ 1..) => self.sent += more,
            // What has become of it is seen at the end of the reports.
            _ => self.sent = self.unsent.len(),
        }
        if self.sent == self.unsent.len() {
            self.unsent = Vec::new();
            self.sent = 0;
        }
    }
}
