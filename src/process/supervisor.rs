//! The tiny supervisor of a call: this binary, re-executed.
//!
//! Knows no plugin, no runtime and no protocol but the few bytes of its control socket. It starts
//! one program, tells how that ended, stays until no process of its tree is left, and only then
//! takes the next order. Whatever happens to the server, the end of the socket is the end of the tree.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags};
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::wire::{self, Order, Report};

/// From SIGTERM to SIGKILL when the server ends the call.
pub(super) const TERMINATE_GRACE: Duration = Duration::from_secs(5);

/// From SIGTERM to SIGKILL for what a program leaves behind when it exits.
pub(super) const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// Between two rounds of SIGKILL; a process that dies shortens it.
const BETWEEN_ROUNDS: Duration = Duration::from_millis(20);

/// The descriptor at which a program finds its events channel.
const EVENTS: i32 = 3;

/// Whether this process was started as a supervisor.
pub fn is_requested() -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == wire::MARKER)
}

/// Runs one job and returns when no process of it is left.
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
    let children = catch_signals()?;
    become_reaper()?;
    loop {
        let order = match Order::receive(Socket) {
            Ok(order) => order,
            Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            // Where the next order would begin is not known.
            Err(fault) => return fail(&fault),
        };
        match start(order, &mut descriptors) {
            Ok(program) => Watch::over(program, &children).until_nothing_is_left()?,
            Err(fault) => fail(&fault)?,
        }
    }
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

    fn take_third_back(&mut self) -> io::Result<()> {
        rustix::io::dup2(&self.null, &mut self.third)?;
        Ok(rustix::io::fcntl_setfd(&self.third, FdFlags::CLOEXEC)?)
    }
}

/// The control socket, which is descriptor 0 for the whole life of the process.
#[derive(Debug, Clone, Copy)]
struct Socket;

impl AsFd for Socket {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        rustix::stdio::stdin()
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(self.as_fd(), buffer)?)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(self.as_fd(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn fail(fault: &io::Error) -> io::Result<()> {
    let errno = fault.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error());
    Socket.write_all(&Report::Failed(errno).encode())
}

/// Makes the process deaf to what would end it, and lets a dying child wake the returned stream.
///
/// By handlers, not by ignoring or blocking: `exec` resets handlers alone, so that the program
/// begins with every signal at its default.
fn catch_signals() -> io::Result<UnixStream> {
    use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    let nobody_looks = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP, SIGQUIT] {
        signal_hook::flag::register(signal, Arc::clone(&nobody_looks))?;
    }
    let (children, wake) = UnixStream::pair()?;
    children.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(SIGCHLD, wake)?;
    Ok(children)
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

/// Starts the program. What it was given is closed here then: the end of its pipes means that
/// its tree has closed them.
fn start(order: Order, descriptors: &mut Descriptors) -> io::Result<Pid> {
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
    let child = command
        .stdin(stdin)
        .stdout(order.stdout)
        .stderr(order.stderr)
        .spawn();
    if order.events.is_some() {
        descriptors.take_third_back()?;
    }
    Ok(Pid::from_child(&child?))
}

/// The supervisor while its program, or something left of it, runs.
#[derive(Debug)]
struct Watch<'a> {
    program: Pid,
    exited: bool,
    /// `None` once the server has closed its end.
    server: Option<Socket>,
    /// Readable when a child has died.
    children: &'a UnixStream,
    /// What has not been written to the server yet.
    reports: Vec<u8>,
    tree: Tree,
    /// When SIGKILL is due; `None` as long as the tree may live.
    kill_at: Option<Instant>,
}

impl<'a> Watch<'a> {
    fn over(program: Pid, children: &'a UnixStream) -> Self {
        Self {
            program,
            exited: false,
            server: Some(Socket),
            children,
            reports: Report::Started.encode().to_vec(),
            tree: Tree::new(program),
            kill_at: None,
        }
    }

    fn until_nothing_is_left(mut self) -> io::Result<()> {
        loop {
            self.reap();
            let left = self.tree.is_left();
            if !left {
                self.reports.extend(Report::Done.encode());
            }
            self.report();
            if !left {
                return Ok(());
            }
            if self.exited && self.kill_at.is_none() {
                self.terminate_within(LEFTOVER_GRACE);
            }
            if self.kill_at.is_some_and(|due| due <= Instant::now()) {
                self.tree.kill();
            }
            self.wait_for_something()?;
            self.handle_command();
        }
    }

    /// Takes every exit status there is; the program's goes to the server.
    fn reap(&mut self) {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if pid == self.program && !self.exited {
                self.exited = true;
                self.reports.extend(how_it_ended(status).encode());
                // The rest of an ended tree has the shorter of the two graces.
                if self.kill_at.is_some() {
                    self.terminate_within(LEFTOVER_GRACE);
                }
            }
        }
    }

    fn report(&mut self) {
        // The few bytes of all reports fit the socket's buffer, and a server that does not
        // listen any more is noticed as the end of the socket.
        let _ = Socket.write_all(&self.reports);
        self.reports.clear();
    }

    fn terminate_within(&mut self, grace: Duration) {
        let due = Instant::now() + grace;
        self.kill_at = Some(self.kill_at.map_or(due, |earlier| earlier.min(due)));
        self.tree.terminate();
    }

    /// Returns when a child died, the server spoke or left, or SIGKILL is due.
    fn wait_for_something(&mut self) -> io::Result<()> {
        let timeout = self.kill_at.map(|due| {
            let left = due.saturating_duration_since(Instant::now());
            let pause = if left.is_zero() { BETWEEN_ROUNDS } else { left };
            Timespec::try_from(pause).expect("a grace of seconds fits")
        });
        let mut sources = vec![PollFd::new(self.children, PollFlags::IN)];
        if let Some(server) = &self.server {
            sources.push(PollFd::new(server, PollFlags::IN));
        }
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(fault) => return Err(fault.into()),
        }
        let _ = (&mut &*self.children).read(&mut [0; 64]);
        Ok(())
    }

    /// Carries out what the server has said, if it has said something.
    fn handle_command(&mut self) {
        let Some(server) = &self.server else { return };
        let mut command = [0];
        let flags = rustix::net::RecvFlags::DONTWAIT;
        match rustix::net::recv(server, &mut command, flags) {
            Ok((1.., _)) if command == [wire::TERMINATE] => {
                self.terminate_within(TERMINATE_GRACE);
            }
            Ok((1.., _)) => self.kill_at = Some(Instant::now()),
            Err(Errno::AGAIN | Errno::INTR) => {}
            // The server is gone, in whatever way, and nobody wants the rest.
            Ok((0, _)) | Err(_) => {
                self.server = None;
                self.kill_at = Some(Instant::now());
            }
        }
    }
}

fn how_it_ended(status: WaitStatus) -> Report {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Report::Exited(status),
        (None, signal) => Report::Signalled(signal.unwrap_or_default()),
    }
}

#[cfg(target_os = "linux")]
use below_a_reaper::Tree;
#[cfg(not(target_os = "linux"))]
use in_a_group::Tree;

/// With sub-reapers every process of the tree is below this one, whatever it did to get away.
#[cfg(target_os = "linux")]
mod below_a_reaper {
    use std::collections::HashSet;

    use rustix::io::Errno;
    use rustix::process::{Pid, WaitId, WaitIdOptions, getpid, waitid};

    use super::super::tree;

    #[derive(Debug)]
    pub(super) struct Tree {
        asked: HashSet<Pid>,
    }

    impl Tree {
        pub(super) fn new(_program: Pid) -> Self {
            let asked = HashSet::new();
            Self { asked }
        }

        /// Whether there is a child, living or not yet waited for.
        pub(super) fn is_left(&self) -> bool {
            let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
            !matches!(waitid(WaitId::All, peek), Err(Errno::CHILD))
        }

        pub(super) fn terminate(&mut self) {
            tree::terminate(&tree::below(getpid(), &HashSet::new()), &mut self.asked);
        }

        pub(super) fn kill(&self) {
            tree::kill(&tree::below(getpid(), &HashSet::new()));
        }
    }
}

/// Without sub-reapers orphans go to init: what stayed in the program's group is all there is to name.
#[cfg(not(target_os = "linux"))]
mod in_a_group {
    use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

    #[derive(Debug)]
    pub(super) struct Tree {
        group: Pid,
        asked: bool,
    }

    impl Tree {
        pub(super) fn new(program: Pid) -> Self {
            Self {
                group: program,
                asked: false,
            }
        }

        pub(super) fn is_left(&self) -> bool {
            test_kill_process_group(self.group).is_ok()
        }

        pub(super) fn terminate(&mut self) {
            if !std::mem::replace(&mut self.asked, true) {
                let _ = kill_process_group(self.group, Signal::TERM);
                let _ = kill_process_group(self.group, Signal::CONT);
            }
        }

        pub(super) fn kill(&self) {
            let _ = kill_process_group(self.group, Signal::KILL);
        }
    }
}
