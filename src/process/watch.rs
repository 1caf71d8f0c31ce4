//! A supervisor while its program, or something left of it, runs: reports up, commands down, signals.
//!
//! Knows no order and starts nothing: it is given the program's process.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::activity::Activity;
use super::family::Tree;
use super::forker::Forker;
use super::job::Keep;
use super::socket::Socket;
use super::tree;
use super::wire::{self, Report, Start};

/// From SIGTERM to SIGKILL when the server ends the call.
pub const TERMINATE_GRACE: Duration = Duration::from_secs(5);

/// From SIGTERM to SIGKILL for what a program leaves behind when it exits.
pub(super) const LEFTOVER_GRACE: Duration = Duration::from_secs(2);

/// How long after the program's end a process that it left behind may take to detach itself: the
/// parent in a daemon's double fork exits before its child has a session of its own.
pub(super) const DETACH_GRACE: Duration = Duration::from_secs(1);

/// From the first SIGKILL until processes that are still there are reported as unkillable.
const UNKILLABLE_AFTER: Duration = Duration::from_secs(1);

/// Between the first two rounds of SIGKILL; a process that dies shortens it. Each pause is twice
/// the one before, up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);

/// The longest time between two looks at what may still detach itself.
const MAX_LOOK_PAUSE: Duration = Duration::from_millis(100);

/// The longest time between two rounds of SIGKILL.
const MAX_PAUSE: Duration = Duration::from_secs(1);

/// The supervisor while its program, or something left of it, runs.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    program: Pid,
    /// What may live on. Nothing any more once the tree is to end.
    keep: Keep,
    exited: bool,
    /// Whether the tree waits, as long as that is not known and the program runs.
    activity: Option<Activity>,
    /// How the program ended, until that is reported.
    ending: Option<Report>,
    /// Until when what is left may still detach itself.
    may_detach_until: Option<Instant>,
    /// What is left lives on: this process is its keeper.
    is_keeper: bool,
    /// The server's end of the program's events channel: held open, so that no process of the tree finds its
    /// channel closed before it is ended. What lives on has no channel any more.
    events_held: Option<OwnedFd>,
    /// `None` once the server has closed its end.
    server: Option<Socket>,
    /// Readable when a child has died.
    children: &'a UnixStream,
    /// What has not been written to the server yet.
    reports: Vec<u8>,
    tree: Tree,
    /// When SIGKILL is due; `None` as long as the tree may live.
    kill_at: Option<Instant>,
    /// Until the next round of SIGKILL.
    pause: Duration,
    /// When the tree is reported as unkillable, again and again; `None` before the first SIGKILL.
    unkillable_at: Option<Instant>,
    /// What has started the program, where that is not this process.
    forker: Option<&'a mut Forker>,
    /// Whether the program is a warm interpreter.
    is_nest: bool,
    /// Whether what has come to this process while its program runs is being ended.
    sweeps: bool,
}

/// What a supervisor is to watch over.
#[derive(Debug)]
pub(super) struct Watched<'a> {
    /// The program, which was just started.
    pub(super) program: Pid,
    /// What may live on when it ends with success.
    pub(super) keep: Keep,
    /// How it came to run.
    pub(super) start: Start,
    /// The server's end of its events channel.
    pub(super) events_held: Option<OwnedFd>,
    /// What has started it, where that is not this process.
    pub(super) forker: Option<&'a mut Forker>,
}

impl<'a> Watch<'a> {
    /// Watches over a program. `children` becomes readable when a child dies.
    pub(super) fn over(watched: Watched<'a>, children: &'a UnixStream) -> Self {
        let mut tree = Tree::new(watched.program);
        let mut reports = Vec::new();
        let forker = watched.forker.as_deref();
        if let Some(forker) = forker {
            tree.set_aside(forker.set_aside());
        }
        if !forker.is_some_and(Forker::runs) {
            reports.extend(Report::Started.encode());
        }
        Self {
            program: watched.program,
            keep: watched.keep,
            exited: false,
            activity: Some(Activity::begin()),
            ending: None,
            may_detach_until: None,
            is_keeper: false,
            events_held: watched.events_held,
            server: Some(Socket),
            children,
            reports,
            tree,
            kill_at: None,
            pause: FIRST_PAUSE,
            unkillable_at: None,
            forker: watched.forker,
            is_nest: watched.start == Start::Nest,
            sweeps: false,
        }
    }

    /// Returns when no process of the tree is left, and that has been reported.
    ///
    /// # Errors
    /// When the system cannot wait any more.
    pub(super) fn until_nothing_is_left(mut self) -> io::Result<()> {
        loop {
            self.reap()?;
            let left = self.is_left();
            if left && self.exited && !self.is_keeper {
                self.see_to_leftovers();
            }
            // After what is kept, so that the server knows of it before it answers the call.
            if let Some(ending) = self.ending.take() {
                self.reports.extend(ending.encode());
            }
            if !left {
                if self.forker.as_ref().is_some_and(|forker| forker.is_spent()) {
                    self.reports.extend(Report::Spent.encode());
                }
                self.reports.extend(Report::Done.encode());
            }
            if self.sweeps {
                self.sweep();
            }
            self.report();
            if !left {
                return Ok(());
            }
            if self.kill_at.is_some_and(|due| due <= Instant::now()) {
                self.kill();
            }
            self.wait_for_something()?;
            self.look_at_activity();
            self.handle_command();
        }
    }

    /// Ends what the program left behind, but for what may live on.
    fn see_to_leftovers(&mut self) {
        if self.keep == Keep::Nothing && self.kill_at.is_some() {
            return;
        }
        let left = self.tree.left(self.keep);
        if left.to_end == 0 && left.kept > 0 {
            self.is_keeper = true;
            self.events_held = None;
            if let Some(forker) = &mut self.forker {
                forker.dismiss();
            }
            self.kill_at = None;
            self.unkillable_at = None;
            self.pause = FIRST_PAUSE;
            self.reports.extend(Report::Kept(count(left.kept)).encode());
            return;
        }
        let now = Instant::now();
        let may_detach = self.keep == Keep::Detached
            && now < *self.may_detach_until.get_or_insert(now + DETACH_GRACE);
        if !may_detach && self.kill_at.is_none() {
            if left.to_end > 0 {
                let report = Report::Leftovers(count(left.to_end));
                self.reports.extend(report.encode());
            }
            self.pause = FIRST_PAUSE;
            self.terminate_within(LEFTOVER_GRACE);
        }
    }

    /// Reports once that the tree waits.
    fn look_at_activity(&mut self) {
        let Some(activity) = &mut self.activity else {
            return;
        };
        if activity.due() <= Instant::now() && activity.waits() {
            self.activity = None;
            self.reports.extend(Report::Waits.encode());
        }
    }

    /// From now on nothing may live on.
    fn keep_nothing(&mut self) {
        self.keep = Keep::Nothing;
        self.is_keeper = false;
    }

    fn kill(&mut self) {
        let now = Instant::now();
        // First: it could be stopped, and tell nothing of a program that is killed.
        if let Some(forker) = &mut self.forker {
            forker.end_forker();
        }
        let processes = self.tree.kill(self.keep);
        let unkillable_at = self.unkillable_at.get_or_insert(now + UNKILLABLE_AFTER);
        if *unkillable_at <= now {
            *unkillable_at = now + UNKILLABLE_AFTER;
            self.reports
                .extend(Report::Unkillable(count(processes)).encode());
            self.report();
        }
    }

    fn is_left(&self) -> bool {
        match &self.forker {
            None => self.tree.is_left(),
            Some(forker) => !self.exited || forker.leaves_others(),
        }
    }

    /// Takes every exit status there is; the program's goes to the server.
    fn reap(&mut self) -> io::Result<()> {
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if let Some(forker) = &mut self.forker
                && forker.is(pid)
            {
                forker.note_gone();
            } else if pid == self.program && !self.exited {
                if let Some(forker) = &mut self.forker {
                    forker.note_program_gone();
                }
                self.program_ended(how_it_ended(status));
            }
        }
        if self.exited {
            return Ok(());
        }
        if let Some(forker) = &mut self.forker
            && let Some(ending) = forker.ending()?
        {
            self.tree.set_aside(forker.set_aside());
            self.program_ended(ending);
        }
        Ok(())
    }

    fn program_ended(&mut self, ending: Report) {
        self.exited = true;
        self.activity = None;
        self.ending = Some(ending);
        if self.is_nest || ending != Report::Exited(0) {
            self.keep_nothing();
        }
        if self.is_nest {
            // What it has started belongs to calls, which are lost with it: no process of theirs goes on by
            // itself, and none is taken for one that ended by itself.
            self.kill_at = Some(Instant::now());
        } else if self.kill_at.is_some() {
            // The rest of an ended tree has the shorter of the two graces.
            self.terminate_within(LEFTOVER_GRACE);
        }
    }

    /// Ends what has come to this process from supervisors below the warm interpreter that are gone.
    fn sweep(&mut self) {
        let come = tree::below_this_process(&HashSet::from([self.program]));
        if come.is_empty() {
            self.sweeps = false;
            self.reports.extend(Report::Swept.encode());
        } else {
            tree::kill(&come, &[]);
        }
    }

    fn report(&mut self) {
        // The few bytes of all reports fit the socket's buffer, and a server that does not
        // listen any more is noticed as the end of the socket.
        let _ = Socket.write_all(&self.reports);
        self.reports.clear();
    }

    fn terminate_within(&mut self, grace: Duration) {
        self.activity = None;
        let due = Instant::now() + grace;
        self.kill_at = Some(self.kill_at.map_or(due, |earlier| earlier.min(due)));
        self.tree.terminate(self.keep);
    }

    /// Returns when a child died, the server spoke or left, SIGKILL is due, or it is time to look again
    /// whether what is left has detached itself.
    fn wait_for_something(&mut self) -> io::Result<()> {
        let looks_again = self.exited && !self.is_keeper && self.kill_at.is_none();
        let timeout = match self.kill_at {
            Some(due) => {
                let left = due.saturating_duration_since(Instant::now());
                Some(if left.is_zero() { self.pause } else { left })
            }
            None if looks_again || self.sweeps => Some(self.pause.min(MAX_LOOK_PAUSE)),
            None => self
                .activity
                .as_ref()
                .map(|activity| activity.due().saturating_duration_since(Instant::now())),
        };
        let due = self.forker.as_ref().and_then(|forker| forker.due());
        let due = due.map(|due| due.saturating_duration_since(Instant::now()));
        let timeout = timeout.into_iter().chain(due).min();
        let timeout =
            timeout.map(|pause| Timespec::try_from(pause).expect("a grace of seconds fits"));
        if self.unkillable_at.is_some() || looks_again || self.sweeps {
            self.pause = (self.pause * 2).min(MAX_PAUSE);
        }
        let mut sources = vec![PollFd::new(self.children, PollFlags::IN)];
        if let Some(server) = &self.server {
            sources.push(PollFd::new(server, PollFlags::IN));
        }
        if let Some(forker) = &self.forker {
            sources.extend(forker.sources());
        }
        match poll(&mut sources, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(fault) => return Err(fault.into()),
        }
        let _ = (&mut &*self.children).read(&mut [0; 64]);
        Ok(())
    }

    /// Carries out a command of the server, if there is one.
    fn handle_command(&mut self) {
        let Some(server) = &self.server else { return };
        let mut command = [0];
        let flags = rustix::net::RecvFlags::DONTWAIT;
        match rustix::net::recv(server, &mut command, flags) {
            Ok((1.., _)) if command == [wire::TERMINATE] => {
                self.keep_nothing();
                self.terminate_within(TERMINATE_GRACE);
            }
            Ok((1.., _)) if command == [wire::PING] => {
                self.reports.extend(Report::Alive.encode());
            }
            Ok((1.., _)) if command == [wire::SWEEP] => {
                self.sweeps = true;
                self.pause = FIRST_PAUSE;
            }
            Ok((1.., _)) => {
                self.keep_nothing();
                self.kill_at = Some(Instant::now());
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            // The server is gone, in whatever way, and nobody wants the rest.
            Ok((0, _)) | Err(_) => {
                self.server = None;
                self.keep_nothing();
                self.kill_at = Some(Instant::now());
            }
        }
    }
}

/// A number of processes as a report has it.
fn count(processes: usize) -> i32 {
    i32::try_from(processes).unwrap_or(i32::MAX)
}

fn how_it_ended(status: WaitStatus) -> Report {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(status), _) => Report::Exited(status),
        (None, signal) => Report::Signalled(signal.unwrap_or_default()),
    }
}
