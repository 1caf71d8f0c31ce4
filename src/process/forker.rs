//! The forker of a lane, as its supervisor sees it: a copy of a warm interpreter, which starts each program of this
//! supervisor by forking itself.
//!
//! Knows no report and no deadline of a run. The forker, and a worker that waits for its next order, are no part of
//! what a call leaves behind; everything else below the supervisor is. The order goes to the forked process itself:
//! the forker, from which later calls are forked, never learns what an earlier one was given.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, wait, waitid,
};

use super::forked::Forked;
use super::forker_sockets::{NUMBER, Sockets, read_number};
use super::socket::Socket;
use super::tree;
use super::wire::{self, Order, Report, Start};

/// How long a forked process may take to say that it runs the program; it needs a few milliseconds. The same program
/// is executed then.
const START_LIMIT: Duration = Duration::from_secs(3);

/// How long processes that were sent SIGKILL are waited for before the supervisor goes on.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// How long the forker may take to stop before it is let go on; it stops at once as a rule.
const STOP_LIMIT: Duration = Duration::from_millis(100);

/// The word for one more process.
const NEXT: &[u8] = b"n";

/// What a forked process says when it can go on to run the program.
const RUNS: u8 = b's';

/// What it waits for then.
const GO: &[u8] = b"g";

/// What it says when the program has to be executed instead; it ends then.
const REFUSES: u8 = b'r';

/// What a worker says when a program is over and it waits for the next one; the exit status follows.
const OVER: u8 = b'e';

/// The forker of this supervisor.
#[derive(Debug)]
pub(super) struct Forker {
    pid: Pid,
    /// `None` once the two do not go on together.
    sockets: Option<Sockets>,
    /// Whether its exit status was taken.
    is_gone: bool,
    /// A process that runs one program after the other.
    worker: Option<Pid>,
    /// The program that runs.
    running: Option<Forked>,
}

/// Why a program has to be executed: the warm interpreter cannot run it.
#[derive(Debug)]
pub(super) struct Refused;

impl Forker {
    /// Takes the sockets that a warm interpreter left at descriptors 1 and 2, and puts `/dev/null` there.
    ///
    /// # Errors
    /// When this process has not just one child, or the system does not list it.
    pub(super) fn open(null: &OwnedFd) -> io::Result<Self> {
        let control = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
        let orders = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stderr(), 3)?;
        rustix::stdio::dup2_stdout(null)?;
        rustix::stdio::dup2_stderr(null)?;
        let orders = UnixStream::from(orders);
        // A process that does not read its order must not hold up the end of the call.
        orders.set_write_timeout(Some(START_LIMIT))?;
        let control = UnixStream::from(control);
        let [pid] = tree::children()?[..] else {
            return Err(io::Error::other("a warm interpreter leaves one child"));
        };
        Ok(Self {
            pid,
            sockets: Some(Sockets { control, orders }),
            is_gone: false,
            worker: None,
            running: None,
        })
    }

    /// Its process number, as a report has it.
    pub(super) fn is(&self, pid: Pid) -> bool {
        pid == self.pid
    }

    /// Its exit status was taken.
    pub(super) fn note_gone(&mut self) {
        self.is_gone = true;
    }

    /// Whether it can start no other program.
    pub(super) fn is_spent(&self) -> bool {
        self.is_gone || self.sockets.is_none()
    }

    /// The processes that are no part of a call: the forker, and a worker that waits.
    pub(super) fn set_aside(&self) -> Vec<Pid> {
        let waiting = self.worker.filter(|_| self.running.is_none());
        [Some(self.pid), waiting].into_iter().flatten().collect()
    }

    /// Whether it runs the program, which has been reported.
    pub(super) fn runs(&self) -> bool {
        self.running.is_some()
    }

    /// Lets a forked process, or the worker, run the program, and reports that.
    ///
    /// # Errors
    /// It does not run, and no process is left of the attempt. Unless the server is gone, nothing of it has run.
    pub(super) fn start(&mut self, order: &Order) -> Result<Pid, Refused> {
        match self.attempt(order) {
            Ok(Some(program)) => Ok(program),
            Ok(None) => Err(Refused),
            Err(_) => {
                self.end();
                Err(Refused)
            }
        }
    }

    /// `None` is a refusal after which the next order may be carried out; any error is the end of the forker.
    fn attempt(&mut self, order: &Order) -> io::Result<Option<Pid>> {
        let reuse = order.start == Start::Warm { reuse: true };
        let deadline = Instant::now() + START_LIMIT;
        self.end_worker_unless(reuse, deadline)?;
        let sockets = self.sockets.as_mut().ok_or(Errno::PIPE)?;
        let mut program = self.worker;
        if program.is_none() {
            sockets.control.write_all(NEXT)?;
        }
        let (bytes, descriptors) = order.passed_on();
        let sent = wire::send_order_blocking(&sockets.orders, &bytes, &descriptors)?;
        sockets.orders.write_all(&bytes[sent..])?;
        loop {
            let ready = sockets.wait(deadline)?;
            if program.is_none() && ready.control {
                let pid = Pid::from_raw(read_number(&mut sockets.control)?);
                program = Some(pid.ok_or(Errno::CHILD)?);
                continue;
            }
            if !ready.orders {
                // Its status where its answer should be: it has died.
                return Err(Errno::CHILD.into());
            }
            let Some(pid) = program else {
                // Its number is on the way.
                sockets.wait_for_control(deadline)?;
                continue;
            };
            let mut answer = [0];
            sockets.orders.read_exact(&mut answer)?;
            return match answer {
                [RUNS] => {
                    // While it certainly lives: it waits for the next word.
                    let program = Forked::new(pid, reuse);
                    // The server first: what it has not been told of has not run, and can be started again.
                    Socket.write_all(&Report::Started.encode())?;
                    sockets.orders.write_all(GO)?;
                    self.worker = reuse.then_some(pid);
                    self.running = Some(program);
                    Ok(Some(pid))
                }
                [REFUSES] => {
                    // Its status: it is gone then, with all that it was given.
                    sockets.wait_for_control(deadline)?;
                    read_number(&mut sockets.control)?;
                    self.worker = None;
                    Ok(None)
                }
                _ => Err(io::ErrorKind::InvalidData.into()),
            };
        }
    }

    /// Takes notice of a worker that has ended, and ends one that must not run the next program.
    fn end_worker_unless(&mut self, reuse: bool, deadline: Instant) -> io::Result<()> {
        let Some(worker) = self.worker else {
            return Ok(());
        };
        let sockets = self.sockets.as_mut().ok_or(Errno::PIPE)?;
        if !reuse {
            let _ = kill_process(worker, Signal::KILL);
            sockets.wait_for_control(deadline)?;
        } else if !sockets.control_is_ready()? {
            return Ok(());
        }
        read_number(&mut sockets.control)?;
        self.worker = None;
        Ok(())
    }

    /// What becomes readable when the program ends.
    pub(super) fn sources(&self) -> impl Iterator<Item = PollFd<'_>> {
        let both = self.sockets.iter().zip(&self.running);
        both.flat_map(|(sockets, program)| {
            let orders = program.is_worker.then_some(&sockets.orders);
            let sockets = [Some(&sockets.control), orders].into_iter().flatten();
            let sockets = sockets.map(|socket| PollFd::new(socket, PollFlags::IN));
            sockets.chain(program.source())
        })
    }

    /// When [`Self::ending`] has to be asked again although nothing became readable.
    pub(super) fn due(&self) -> Option<Instant> {
        self.sockets.as_ref()?;
        self.running.as_ref()?.due()
    }

    /// How the program ended, if it has.
    ///
    /// # Errors
    /// It has, and nobody knows how: the forker that took its status is gone.
    pub(super) fn ending(&mut self) -> io::Result<Option<Report>> {
        let Some(program) = &mut self.running else {
            return Ok(None);
        };
        let Some(sockets) = &mut self.sockets else {
            // Its children come to this process before it can be waited for, but after the end of its sockets.
            return if self.is_gone {
                known_by_the_system(program.pid)
            } else {
                Ok(None)
            };
        };
        let ready = sockets.look(Duration::ZERO)?;
        if program.is_worker && ready.orders {
            let mut word = [0; 1 + NUMBER];
            if sockets.orders.read_exact(&mut word).is_err() {
                // Both the worker and the forker, which has a copy of its end, are gone.
                self.sockets = None;
                return self.ending();
            }
            let [OVER, status @ ..] = word else {
                return Err(io::ErrorKind::InvalidData.into());
            };
            self.running = None;
            return Ok(Some(Report::Exited(i32::from_le_bytes(status))));
        }
        if !ready.control {
            if program.is_overdue() {
                self.end_forker();
            }
            return Ok(None);
        }
        let Ok(status) = read_number(&mut sockets.control) else {
            self.sockets = None;
            return self.ending();
        };
        self.running = None;
        self.worker = None;
        let status = ExitStatus::from_raw(status);
        Ok(Some(match (status.code(), status.signal()) {
            (Some(code), _) => Report::Exited(code),
            (None, signal) => Report::Signalled(signal.unwrap_or_default()),
        }))
    }

    /// Ends the forker of a program that runs or whose end it does not tell: the program then comes to this process,
    /// which learns how it ended. No other program is started.
    ///
    /// A forker that has taken the exit status is left to tell it.
    pub(super) fn end_forker(&mut self) {
        let (Some(sockets), Some(program)) = (&self.sockets, &self.running) else {
            return;
        };
        if self.is_gone {
            return;
        }
        // What it has not taken while it stands still it never will.
        let stands_still = tree::stop_within(self.pid, STOP_LIMIT);
        if stands_still && !program.is_taken() && sockets.control_is_ready().is_ok_and(|is| !is) {
            let _ = kill_process(self.pid, Signal::KILL);
            self.sockets = None;
        } else {
            tree::resume(self.pid);
        }
    }

    /// The program's exit status was taken by this process: the forker had died before it.
    pub(super) fn note_program_gone(&mut self) {
        self.running = None;
        self.worker = None;
    }

    /// Whether there is a process below this one besides the forker and a worker that waits.
    pub(super) fn leaves_others(&self) -> bool {
        if self.running.is_some() {
            return true;
        }
        // The list is exact: this process alone takes its children off it.
        let Ok(children) = tree::children() else {
            return tree::has_child();
        };
        if children.iter().any(|child| *child != self.pid) {
            return true;
        }
        match self.worker {
            Some(worker) if tree::has_children(worker) => {
                // They come to this process then, and are ended as any other leftover.
                let _ = kill_process(worker, Signal::KILL);
                true
            }
            _ => false,
        }
    }

    /// Ends the forker and its worker: what is kept of a call lives on without them.
    pub(super) fn dismiss(&mut self) {
        for pid in self.worker.take().into_iter().chain([self.pid]) {
            if !(self.is_gone && pid == self.pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        self.sockets = None;
    }

    /// Ends everything below this process, and waits for it, but not for ever.
    pub(super) fn end(&mut self) {
        // With its sockets goes what lies in them unread: descriptors of a program, among others.
        self.sockets = None;
        self.running = None;
        self.worker = None;
        let deadline = Instant::now() + KILL_LIMIT;
        let pause = Timespec {
            tv_sec: 0,
            tv_nsec: 2_000_000,
        };
        loop {
            while let Ok(Some((pid, _))) = wait(WaitOptions::NOHANG) {
                self.is_gone |= pid == self.pid;
            }
            if !tree::has_child() || Instant::now() >= deadline {
                return;
            }
            tree::kill(&tree::below_this_process(&Default::default()), &[]);
            let _ = poll(&mut [], Some(&pause));
        }
    }
}

/// Of a program whose forker is gone: nothing as long as it is a child of this process.
fn known_by_the_system(program: Pid) -> io::Result<Option<Report>> {
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    waitid(WaitId::Pid(program), peek)?;
    Ok(None)
}
