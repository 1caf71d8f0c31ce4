//! The processes of one program, as its supervisor sees them: what may live on, and what has to end.
//!
//! Knows no order and no deadline.

use super::job::Keep;

/// What is left of a tree.
#[derive(Debug, Default)]
pub(super) struct Left {
    /// Processes that may live on.
    pub(super) kept: usize,
    /// Processes that have to end.
    pub(super) to_end: usize,
}

#[cfg(target_os = "linux")]
pub(super) use below_a_reaper::Tree;
#[cfg(not(target_os = "linux"))]
pub(super) use in_a_group::Tree;

/// With sub-reapers every process of the tree is below this one, whatever it did to get away.
#[cfg(target_os = "linux")]
mod below_a_reaper {
    use std::cell::OnceCell;
    use std::collections::HashSet;
    use std::time::{Duration, Instant};

    use rustix::event::poll;
    use rustix::process::{Pid, Signal, getpid, getsid};

    use super::super::signals;
    use super::super::tree::{self, Member};
    use super::{Keep, Left};

    /// How long processes may take to stop before they are asked to end: one in the middle of a read from a disk
    /// stops only after it.
    const STOPPING: Duration = Duration::from_millis(100);

    #[derive(Debug)]
    pub(in crate::process) struct Tree {
        /// Those that were asked to end. They do, whatever they do then.
        asked: HashSet<Pid>,
        /// Processes below this one that are no part of the tree; what is below them is.
        set_aside: Vec<Pid>,
        /// The session of programs that did not detach themselves.
        session: Pid,
        /// Whether a process that ignores SIGHUP was made to: this one was not started so. Read when something
        /// is left, which is rare.
        sighup_means_detached: OnceCell<bool>,
    }

    impl Tree {
        pub(in crate::process) fn new(_program: Pid) -> Self {
            Self {
                asked: HashSet::new(),
                set_aside: Vec::new(),
                session: getsid(None).unwrap_or_else(|_| getpid()),
                sighup_means_detached: OnceCell::new(),
            }
        }

        /// From now on these processes are no part of the tree; what is below them is.
        pub(in crate::process) fn set_aside(&mut self, pids: Vec<Pid>) {
            self.set_aside = pids;
        }

        /// Whether there is a child, living or not yet waited for.
        pub(in crate::process) fn is_left(&self) -> bool {
            tree::has_child()
        }

        /// What there is besides processes that have ended.
        pub(in crate::process) fn left(&self, keep: Keep) -> Left {
            let (kept, to_end) = self.split(keep);
            let alive = |members: &[Member]| members.iter().filter(|one| !one.is_dead).count();
            Left {
                kept: alive(&kept),
                to_end: alive(&to_end),
            }
        }

        pub(in crate::process) fn terminate(&mut self, keep: Keep) {
            let stopped = self.stop(keep);
            let (_, to_end) = self.split(keep);
            tree::terminate(&to_end, &mut self.asked);
            // What detached itself at this moment may live on after all.
            let spared = stopped.into_iter().filter(|pid| !self.asked.contains(pid));
            spared.for_each(tree::resume);
        }

        /// Stops what has to end, until a look that comes after all of them stood still finds nothing else: a
        /// process that is starting another one does so before it stops. Which they are.
        fn stop(&self, keep: Keep) -> HashSet<Pid> {
            let deadline = Instant::now() + STOPPING;
            let mut stopped = HashSet::new();
            loop {
                let (_, to_end) = self.split(keep);
                let known = |member: &Member| {
                    member.is_dead
                        || self.asked.contains(&member.pid)
                        || stopped.contains(&member.pid)
                };
                let new: Vec<Pid> = to_end
                    .iter()
                    .filter(|member| !known(member))
                    .map(|member| member.pid)
                    .collect();
                if new.is_empty() || Instant::now() >= deadline {
                    return stopped;
                }
                tree::stop(&new);
                while !new.iter().copied().all(tree::stands_still) && Instant::now() < deadline {
                    let _ = poll(&mut [], Some(&tree::LOOK_PAUSE));
                }
                stopped.extend(new);
            }
        }

        /// How many processes it was sent to.
        pub(in crate::process) fn kill(&self, keep: Keep) -> usize {
            let (kept, to_end) = self.split(keep);
            tree::kill(&to_end, &kept);
            to_end.len()
        }

        /// What may live on, and what has to end.
        fn split(&self, keep: Keep) -> (Vec<Member>, Vec<Member>) {
            let members = tree::below_this_process(&HashSet::new()).into_iter();
            let members = members.filter(|member| !self.set_aside.contains(&member.pid));
            members.partition(|member| match keep {
                Keep::Nothing => false,
                Keep::Detached => !self.asked.contains(&member.pid) && self.is_detached(member),
                Keep::Everything => true,
            })
        }

        fn is_detached(&self, member: &Member) -> bool {
            if member
                .session
                .is_some_and(|session| session != self.session)
            {
                return true;
            }
            let started_without = || !signals::is_ignored(Signal::HUP);
            *self.sighup_means_detached.get_or_init(started_without)
                && signals::is_ignored_by(member.pid, Signal::HUP)
        }
    }
}

/// Without sub-reapers orphans go to init: what stayed in the program's group is all there is to name.
#[cfg(not(target_os = "linux"))]
mod in_a_group {
    use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};

    use super::{Keep, Left};

    #[derive(Debug)]
    pub(in crate::process) struct Tree {
        group: Pid,
        asked: bool,
    }

    impl Tree {
        pub(in crate::process) fn new(program: Pid) -> Self {
            Self {
                group: program,
                asked: false,
            }
        }

        /// A warm interpreter starts nothing where there are no sub-reapers.
        pub(in crate::process) fn set_aside(&mut self, _pids: Vec<Pid>) {}

        pub(in crate::process) fn is_left(&self) -> bool {
            test_kill_process_group(self.group).is_ok()
        }

        pub(in crate::process) fn left(&self, keep: Keep) -> Left {
            let group = usize::from(self.is_left());
            match keep {
                Keep::Everything => Left {
                    kept: group,
                    to_end: 0,
                },
                // Another session is another group, of which nothing is known.
                Keep::Nothing | Keep::Detached => Left {
                    kept: 0,
                    to_end: group,
                },
            }
        }

        pub(in crate::process) fn terminate(&mut self, _keep: Keep) {
            if !std::mem::replace(&mut self.asked, true) {
                let _ = kill_process_group(self.group, Signal::TERM);
                let _ = kill_process_group(self.group, Signal::CONT);
            }
        }

        pub(in crate::process) fn kill(&self, _keep: Keep) -> usize {
            let _ = kill_process_group(self.group, Signal::KILL);
            1
        }
    }
}
