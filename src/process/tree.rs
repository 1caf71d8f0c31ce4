//! The processes below this process: found in `/proc` and by asking the system, and signalled.
//!
//! Knows nothing of who started them or why they have to end. Linux only: elsewhere nothing
//! reparents orphans to the server, so that a group is all that can be named.
//!
//! A `/proc` mounted with `hidepid` does not show processes of the same user that keep their memory
//! to themselves. They are found by asking for each number whether it is a child: what is deeper
//! becomes a child when its parent is gone, because every caller here is a sub-reaper.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getpid, getsid, kill_process, kill_process_group, waitid,
};

/// Between two looks whether a process has stopped.
pub(super) const LOOK_PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

/// One process of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// Its id.
    pub(super) pid: Pid,
    /// Its parent's.
    pub(super) parent: Pid,
    /// Its group's; its own where the system hides that.
    pub(super) group: Pid,
    /// Its session's. A program runs in the session of its supervisor: another one means that the
    /// process detached itself on purpose. `None` where the system does not say.
    pub(super) session: Option<Pid>,
    /// Whether it has ended, and is only there until its parent takes notice.
    pub(super) is_dead: bool,
}

/// Every process below this one, dead ones that nobody has waited for included; parents come
/// before their children. A branch that begins with one of `spared` is left out.
pub(super) fn below_this_process(spared: &HashSet<Pid>) -> Vec<Member> {
    let mut found = visible(getpid(), spared);
    // Whoever is left although nothing is seen is hidden, whatever the mount options say.
    if proc_hides_processes() || (found.is_empty() && spared.is_empty() && has_child()) {
        let known: HashSet<Pid> = found.iter().map(|member| member.pid).collect();
        let hidden = children_by_asking()
            .filter(|pid| !known.contains(pid) && !spared.contains(pid))
            .map(|pid| Member {
                pid,
                parent: getpid(),
                group: pid,
                session: getsid(Some(pid)).ok(),
                is_dead: false,
            });
        found.extend(hidden);
    }
    found
}

/// Whether this process has a child, living or not yet waited for.
pub(super) fn has_child() -> bool {
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    !matches!(waitid(WaitId::All, peek), Err(Errno::CHILD))
}

/// Whether `/proc` is mounted so that it shows a user less than all of its processes.
fn proc_hides_processes() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().any(|line| {
        line.contains(" /proc ")
            && line.split([' ', ',']).any(|option| {
                option
                    .strip_prefix("hidepid=")
                    .is_some_and(|mode| mode != "0" && mode != "off")
            })
    })
}

/// The children of this process, by asking for every number that one can have. One question takes
/// less than a microsecond.
fn children_by_asking() -> impl Iterator<Item = Pid> {
    let peek = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let mine = getpid().as_raw_pid();
    let newest = newest_pid();
    // Children are younger than this process, and numbers begin anew after the highest.
    let (last, last_wrapped) = if mine <= newest {
        (newest, 0)
    } else {
        (highest_pid(), newest)
    };
    (mine + 1..=last)
        .chain(1..=last_wrapped)
        .filter_map(Pid::from_raw)
        .filter(move |pid| waitid(WaitId::Pid(*pid), peek).is_ok())
}

/// The number that the newest process got.
fn newest_pid() -> i32 {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let newest = load.split_ascii_whitespace().next_back();
    newest
        .and_then(|pid| pid.parse().ok())
        .unwrap_or_else(highest_pid)
}

/// The highest number that a process can have.
fn highest_pid() -> i32 {
    let highest = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap_or_default();
    // 2^22 is the most that Linux takes.
    highest.trim().parse().unwrap_or(1 << 22)
}

/// What `/proc` shows below `root`.
fn visible(root: Pid, spared: &HashSet<Pid>) -> Vec<Member> {
    let mut children: HashMap<Pid, Vec<Member>> = HashMap::new();
    for member in all() {
        children.entry(member.parent).or_default().push(member);
    }
    take_below(root, &mut children, spared)
}

/// Takes what is below `root` out of all processes, which are sorted by their parents.
fn take_below(
    root: Pid,
    children: &mut HashMap<Pid, Vec<Member>>,
    spared: &HashSet<Pid>,
) -> Vec<Member> {
    let mut found = Vec::new();
    let mut parents = vec![root];
    while let Some(parent) = parents.pop() {
        for member in children.remove(&parent).unwrap_or_default() {
            if !spared.contains(&member.pid) {
                parents.push(member.pid);
                found.push(member);
            }
        }
    }
    found
}

/// The living processes below each of `roots`, parents before their children.
pub(super) fn below(roots: &[Pid]) -> HashMap<Pid, Vec<Member>> {
    let mut children: HashMap<Pid, Vec<Member>> = HashMap::new();
    for member in all() {
        children.entry(member.parent).or_default().push(member);
    }
    let found = roots.iter().map(|root| {
        let mut members = take_below(*root, &mut children, &HashSet::new());
        members.retain(|member| !member.is_dead);
        (*root, members)
    });
    found.collect()
}

/// Sends SIGKILL to every member, to whole groups first: that reaches in one step also what a
/// member starts meanwhile. A group that one of `spared` is in is left alone.
pub(super) fn kill(members: &[Member], spared: &[Member]) {
    let pids: HashSet<Pid> = members.iter().map(|member| member.pid).collect();
    let mut groups: HashSet<Pid> = members.iter().map(|member| member.group).collect();
    for member in spared {
        groups.remove(&member.group);
    }
    // None of another group goes on because it finds the pipe of one that is dead already.
    for pid in &pids {
        let _ = kill_process(*pid, Signal::STOP);
    }
    // A group led by a stranger, which a program can join within its session, is not the tree's to kill.
    for group in groups.intersection(&pids) {
        let _ = kill_process_group(*group, Signal::KILL);
    }
    for pid in pids {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Asks every member to end that is not among `asked`, and adds it. Each is asked once and for
/// itself, because many programs take a second SIGTERM for impatience and skip their clean-up.
///
/// All of them are asked before one of them can act on it: no member goes on because it finds the pipe of
/// another closed.
pub(super) fn terminate(members: &[Member], asked: &mut HashSet<Pid>) {
    let pids = members.iter().map(|member| member.pid);
    let pids: Vec<Pid> = pids.filter(|pid| asked.insert(*pid)).collect();
    // Also what was stopped before goes on: it would not see SIGTERM before SIGKILL comes.
    for signal in [Signal::STOP, Signal::TERM, Signal::CONT] {
        for pid in &pids {
            let _ = kill_process(*pid, signal);
        }
    }
}

/// Stops these processes.
pub(super) fn stop(pids: &[Pid]) {
    for pid in pids {
        let _ = kill_process(*pid, Signal::STOP);
    }
}

/// Stops a process. Whether it stood still before the limit was over.
pub(super) fn stop_within(pid: Pid, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    stop(&[pid]);
    while !stands_still(pid) {
        if Instant::now() >= deadline {
            return false;
        }
        let _ = poll(&mut [], Some(&LOOK_PAUSE));
    }
    true
}

/// Whether a process has stopped or ended, or cannot be seen.
pub(super) fn stands_still(pid: Pid) -> bool {
    let stat = std::fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let name_ends = stat.iter().rposition(|byte| *byte == b')');
    let state = name_ends.and_then(|end| stat.get(end + 2));
    state.is_none_or(|state| b"TtZX".contains(state))
}

/// Lets a stopped process go on.
pub(super) fn resume(pid: Pid) {
    let _ = kill_process(pid, Signal::CONT);
}

/// How many threads of a tree are looked at. A tree with more is judged by the first of them.
const MAX_THREADS: usize = 256;

/// What a tree uses of the processors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ProcessorUse {
    /// Whether a thread of it runs, is ready to run, or reads from a disk, as a program does that starts.
    pub(super) runs: bool,
    /// The processor time of its threads so far, in ticks of the system's clock.
    pub(super) ticks: u64,
}

/// What the processes below this one use of the processors. Reads of `/proc` what belongs to them alone, however
/// many processes there are besides; nothing is seen where the system lists no children.
pub(super) fn activity_below_this_process() -> ProcessorUse {
    let mut seen = ProcessorUse::default();
    let mut threads_left = MAX_THREADS;
    let mut processes = children_in("/proc/thread-self");
    while let Some(process) = processes.pop() {
        let threads = std::fs::read_dir(format!("/proc/{process}/task"));
        for thread in threads.into_iter().flatten().flatten() {
            if threads_left == 0 {
                return seen;
            }
            threads_left -= 1;
            let thread = thread.path();
            let stat = std::fs::read(thread.join("stat")).unwrap_or_default();
            if let Some((runs, ticks)) = parse_use(&stat) {
                seen.runs |= runs;
                seen.ticks += ticks;
            }
            processes.extend(children_in(thread));
        }
    }
    seen
}

/// The children of this process, which has one thread. Exact as long as nobody else takes one off the list.
///
/// # Errors
/// The system does not list children.
pub(super) fn children() -> std::io::Result<Vec<Pid>> {
    let children = std::fs::read_to_string("/proc/thread-self/children")?;
    let children = children.split_ascii_whitespace();
    Ok(children
        .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
        .collect())
}

/// Whether a process has children, as far as the system says so.
pub(super) fn has_children(process: Pid) -> bool {
    let threads = std::fs::read_dir(format!("/proc/{process}/task"));
    let mut threads = threads.into_iter().flatten().flatten();
    threads.any(|thread| !children_in(thread.path()).is_empty())
}

/// The children that a thread has started.
fn children_in(thread: impl AsRef<std::path::Path>) -> Vec<i32> {
    let children = std::fs::read_to_string(thread.as_ref().join("children")).unwrap_or_default();
    let children = children.split_ascii_whitespace();
    children.filter_map(|pid| pid.parse().ok()).collect()
}

/// Whether a thread runs, is ready to, or reads from a disk, and its time in user and in system mode: the third, the fourteenth and
/// the fifteenth field.
fn parse_use(stat: &[u8]) -> Option<(bool, u64)> {
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_ends + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let runs = matches!(fields.next()?, "R" | "D");
    let mut times = fields.skip(10).map_while(|field| field.parse::<u64>().ok());
    Some((runs, times.next()? + times.next()?))
}

/// All processes that `/proc` shows; none where there is no `/proc`.
fn all() -> impl Iterator<Item = Member> {
    std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let pid = name.to_str()?.parse().ok()?;
            let stat = std::fs::read(entry.path().join("stat")).ok()?;
            parse(Pid::from_raw(pid)?, &stat)
        })
}

/// Reads `PID (NAME) STATE PARENT GROUP SESSION …`. The name may hold anything, parentheses too.
fn parse(pid: Pid, stat: &[u8]) -> Option<Member> {
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_ends + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let is_dead = matches!(fields.next()?, "Z" | "X");
    let mut pid_field = || Pid::from_raw(fields.next()?.parse().ok()?);
    Some(Member {
        pid,
        parent: pid_field()?,
        group: pid_field()?,
        session: pid_field(),
        is_dead,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pid(raw: i32) -> Pid {
        Pid::from_raw(raw).expect("not zero")
    }

    #[test]
    fn a_name_with_spaces_and_parentheses_is_read_over() {
        let member = parse(pid(7), b"7 (a) S 9 9) R 3 4 5 0 -1 4194304\n");
        assert_eq!(
            member,
            Some(Member {
                pid: pid(7),
                parent: pid(3),
                group: pid(4),
                session: Some(pid(5)),
                is_dead: false,
            })
        );
        let dead = parse(pid(7), b"7 (a) Z 3 4 5 0 -1 4194304\n");
        assert!(dead.is_some_and(|member| member.is_dead));
        assert_eq!(parse(pid(7), b"7 (kernel) S 0 0 0"), None);
        assert_eq!(parse(pid(7), b""), None);
    }

    #[test]
    fn the_time_of_a_thread_is_read_whatever_its_name() {
        let stat = b"7 (a) S 9 9) R 3 4 5 0 -1 4194304 80 0 1 0 31 11 7 8 20 0 1 0\n";
        assert_eq!(parse_use(stat), Some((true, 42)));
        let asleep = b"7 (a) S 3 4 5 0 -1 4194304 80 0 1 0 0 1 7 8 20 0 1 0\n";
        assert_eq!(parse_use(asleep), Some((false, 1)));
        assert_eq!(parse_use(b"7 (a) S 3 4"), None);
        assert_eq!(parse_use(b""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_child_is_found_by_proc_and_by_asking_and_a_spared_one_is_left_out() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep starts");
        let child_pid = Pid::from_child(&child);
        let found = |spared| {
            below_this_process(&spared)
                .iter()
                .any(|m| m.pid == child_pid)
        };
        assert!(found(HashSet::new()));
        assert!(!found(HashSet::from([child_pid])));
        assert!(children_by_asking().any(|pid| pid == child_pid));
        assert!(has_child());
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
        assert!(!children_by_asking().any(|pid| pid == child_pid));
    }
}
