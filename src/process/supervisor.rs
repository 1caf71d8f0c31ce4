//! The tiny supervisor of a call: this binary, re-executed.
//!
//! Knows no plugin, no runtime and no protocol but the few bytes of its control socket. It starts
//! one program, reports how that ended, stays until no process of its tree is left, and only then
//! takes the next order. Whatever happens to the server, the end of the socket is the end of the tree.
//!
//! It leads a session of its own, and its program is in it: there is no terminal to read from, and
//! what has another session has detached itself on purpose.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::io::{Errno, FdFlags};
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit, setsid};

use super::forker::{Forker, Refused};
use super::signals;
use super::socket::Socket;
use super::watch::{Watch, Watched};
use super::wire::{self, Order, Report, Start};

/// The descriptor at which a program finds its events channel.
const EVENTS: i32 = 3;

/// How long a program is waited for that somebody has open for writing. One that was just written often is: a process
/// that is being started somewhere holds every descriptor of the one that starts it for a moment.
const BUSY_LIMIT: Duration = Duration::from_secs(2);

/// Between two attempts to execute such a program.
const BUSY_PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 10_000_000,
};

/// Whether this process was started as a supervisor.
pub fn is_requested() -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == wire::MARKER)
}

/// Runs one job after the other, and returns when the server needs no more and no process is left.
pub fn run() -> ExitCode {
    match supervise() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let _ = writeln!(
                io::stderr(),
                "smcp {}: {fault}; the server starts this by itself, with a control socket as stdin",
                wire::MARKER
            );
            ExitCode::FAILURE
        }
    }
}

fn supervise() -> io::Result<()> {
    // Taken first, while it is the lowest free descriptor, so that nothing else gets the number.
    let third: OwnedFd = File::open("/dev/null")?.into();
    let mut descriptors = Descriptors {
        third,
        null: File::open("/dev/null")?.into(),
    };
    // Fails only for the leader of a group, which the server does not make it.
    let _ = setsid();
    let children = catch_signals()?;
    become_reaper()?;
    restore_descriptor_limit();
    if !is_lane() {
        return carry_out_orders(&mut descriptors, &children, &mut None);
    }
    let mut forker = Some(Forker::open(&descriptors.null)?);
    let pid = rustix::process::getpid().as_raw_pid();
    Socket.write_all(&Report::Lane(pid).encode())?;
    let ended = carry_out_orders(&mut descriptors, &children, &mut forker);
    // Also when this process can no longer wait for what is below it: nothing of that goes on without it.
    forker.iter_mut().for_each(Forker::end);
    ended
}

/// Carries out one order after the other, until the server closes the socket.
fn carry_out_orders(
    descriptors: &mut Descriptors,
    children: &UnixStream,
    forker: &mut Option<Forker>,
) -> io::Result<()> {
    loop {
        let mut order = match Order::receive(Socket) {
            Ok(order) => order,
            Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            // Where the next order would begin is not known.
            Err(fault) => return fail(&fault),
        };
        let (keep, how) = (order.keep, order.start);
        let events_held = order.events_held.take();
        match start(order, descriptors, forker) {
            Ok(program) => {
                let watched = Watched {
                    program,
                    keep,
                    start: how,
                    events_held,
                    forker: forker.as_mut(),
                };
                Watch::over(watched, children).until_nothing_is_left()?;
            }
            Err(fault) => fail(&fault)?,
        }
        if forker.as_ref().is_some_and(Forker::is_spent) {
            return Ok(());
        }
    }
}

/// Whether a warm interpreter started this process, and left it a copy of itself.
fn is_lane() -> bool {
    std::env::args_os()
        .nth(3)
        .is_some_and(|argument| argument == wire::LANE)
}

/// The descriptors that stay open, so that their numbers stay taken.
struct Descriptors {
    /// Number 3: a program's events channel while that program is started, else [`Self::null`].
    third: OwnedFd,
    null: OwnedFd,
}

impl Descriptors {
    /// The copy has no close-on-exec flag; every other descriptor here has.
    fn install_fd3(&mut self, events: &OwnedFd) -> io::Result<()> {
        if self.third.as_raw_fd() != EVENTS {
            return Err(Errno::BADF.into());
        }
        Ok(rustix::io::dup2(events, &mut self.third)?)
    }

    fn remove_fd3(&mut self) -> io::Result<()> {
        rustix::io::dup2(&self.null, &mut self.third)?;
        Ok(rustix::io::fcntl_setfd(&self.third, FdFlags::CLOEXEC)?)
    }
}

fn fail(fault: &io::Error) -> io::Result<()> {
    let errno = fault.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error());
    Socket.write_all(&Report::Failed(errno).encode())
}

/// Outlives what would end it, and lets a dying child wake the returned stream.
fn catch_signals() -> io::Result<UnixStream> {
    signals::outlive_all()?;
    let (children, wake) = UnixStream::pair()?;
    children.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGCHLD, wake)?;
    Ok(children)
}

/// Gives programs the limit of open files that the server was started with: it raises its own.
fn restore_descriptor_limit() {
    let given = std::env::args_os().nth(2);
    let Some(given) = given.as_deref().and_then(OsStr::to_str) else {
        return;
    };
    let maximum = getrlimit(Resource::Nofile).maximum;
    // Anything but a number is the word for no limit.
    let limit = Rlimit {
        current: given.parse().ok(),
        maximum,
    };
    // A lower limit is always allowed, and a higher one was the server's at its start.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Takes on every orphan of the tree, and keeps what it knows from the programs it starts: it
/// has the rights of all of them, and has seen the environment of earlier ones.
fn become_reaper() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_child_subreaper, set_dumpable_behavior};
        set_child_subreaper(Some(rustix::process::getpid()))?;
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}

/// Starts the program, by the forker where there is one. What it was given is closed here then: the end of its pipes
/// means that its tree has closed them.
fn start(
    order: Order,
    descriptors: &mut Descriptors,
    forker: &mut Option<Forker>,
) -> io::Result<Pid> {
    if let Some(forker) = forker
        && order.start != Start::Cold
    {
        match forker.start(&order) {
            Ok(program) => return Ok(program),
            Err(Refused) => Socket.write_all(&Report::FellBack.encode())?,
        }
    }
    execute(order, descriptors)
}

fn execute(order: Order, descriptors: &mut Descriptors) -> io::Result<Pid> {
    let mut argv = order.argv();
    let program = argv.next().ok_or(Errno::INVAL)?;
    #[allow(
        clippy::disallowed_methods,
        reason = "what it starts is bounded and reaped here"
    )]
    let mut command = Command::new(program);
    command
        .args(argv)
        .env_clear()
        .envs(order.environment())
        .process_group(0);
    if let Some(directory) = order.directory() {
        command.current_dir(directory);
    }
    if let Some(events) = &order.events {
        descriptors.install_fd3(events)?;
    }
    let stdin = order.stdin.map_or_else(Stdio::null, Stdio::from);
    command
        .stdin(stdin)
        .stdout(order.stdout)
        .stderr(order.stderr);
    let child = spawn_when_written(&mut command);
    if order.events.is_some() {
        descriptors.remove_fd3()?;
    }
    Ok(Pid::from_child(&child?))
}

/// Executes a program, and one that is open for writing as soon as it is no longer.
fn spawn_when_written(command: &mut Command) -> io::Result<Child> {
    let deadline = Instant::now() + BUSY_LIMIT;
    loop {
        match command.spawn() {
            Err(fault)
                if Errno::from_io_error(&fault) == Some(Errno::TXTBSY)
                    && Instant::now() < deadline =>
            {
                let _ = poll(&mut [], Some(&BUSY_PAUSE));
            }
            spawned => return spawned,
        }
    }
}
