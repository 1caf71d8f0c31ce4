//! The processes below a process: found in `/proc`, signalled.
//!
//! Knows nothing of who started them or why they have to end. Linux only: elsewhere nothing
//! reparents orphans to the server, so that a group is all that can be named.

use std::collections::{HashMap, HashSet};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// One process of a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// Its id.
    pub(super) pid: Pid,
    /// Its parent's.
    pub(super) parent: Pid,
    /// Its group's.
    pub(super) group: Pid,
}

/// Every process below `root`, dead ones that nobody has waited for included; parents come
/// before their children. A branch that begins with one of `spared` is left out.
pub(super) fn below(root: Pid, spared: &HashSet<Pid>) -> Vec<Member> {
    let mut children: HashMap<Pid, Vec<Member>> = HashMap::new();
    for member in all() {
        children.entry(member.parent).or_default().push(member);
    }
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

/// Sends SIGKILL to every member, to whole groups first: that reaches in one step also what a
/// member starts meanwhile.
pub(super) fn kill(members: &[Member]) {
    let pids: HashSet<Pid> = members.iter().map(|member| member.pid).collect();
    let groups: HashSet<Pid> = members.iter().map(|member| member.group).collect();
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
pub(super) fn terminate(members: &[Member], asked: &mut HashSet<Pid>) {
    for member in members {
        if asked.insert(member.pid) {
            let _ = kill_process(member.pid, Signal::TERM);
            // A stopped process would not see the other one before SIGKILL comes.
            let _ = kill_process(member.pid, Signal::CONT);
        }
    }
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

/// Reads `PID (NAME) STATE PARENT GROUP …`. The name may hold anything, parentheses too.
fn parse(pid: Pid, stat: &[u8]) -> Option<Member> {
    let name_ends = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(&stat[name_ends + 1..]).ok()?;
    let mut fields = rest.split_ascii_whitespace().skip(1);
    let mut pid_field = || Pid::from_raw(fields.next()?.parse().ok()?);
    Some(Member {
        pid,
        parent: pid_field()?,
        group: pid_field()?,
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
                group: pid(4)
            })
        );
        assert_eq!(parse(pid(7), b"7 (kernel) S 0 0 0"), None);
        assert_eq!(parse(pid(7), b""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_spared_child_is_left_out() {
        let me = rustix::process::getpid();
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .expect("sleep starts");
        let child_pid = Pid::from_child(&child);
        let found = |spared| below(me, &spared).iter().any(|m| m.pid == child_pid);
        assert!(found(HashSet::new()));
        assert!(!found(HashSet::from([child_pid])));
        child.kill().expect("it is ours");
        child.wait().expect("it is ours");
    }
}
