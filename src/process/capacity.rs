//! How many programs this system can have at once: by its memory, its processes and its descriptors.
//!
//! Knows no setting. A limit that cannot be read is none.

use rustix::process::{Resource, getrlimit};

/// What a run is counted with, in bytes: a small interpreter with its supervisor.
const MEMORY_OF_A_RUN: u64 = 16 << 20;

/// Processes and threads of a run: its supervisor, its program, and some that this one starts.
const TASKS_OF_A_RUN: u64 = 4;

/// The server's descriptors of a run: three pipes, two sockets, and one to spare.
const DESCRIPTORS_OF_A_RUN: u64 = 6;

/// How many runs fit into half of each of them; the other half is for everything else.
pub fn max_runs() -> usize {
    let memory = total_memory();
    let tasks = smallest([
        getrlimit(Resource::Nproc).current,
        of_group("pids.max", "pids/pids.max"),
    ]);
    // The server raises its own limit to this one.
    let descriptors = getrlimit(Resource::Nofile).maximum;
    fitting(memory, tasks, descriptors)
}

fn fitting(memory: Option<u64>, tasks: Option<u64>, descriptors: Option<u64>) -> usize {
    let runs = |of: Option<u64>, each: u64| of.map(|of| of / 2 / each);
    let most = smallest([
        runs(memory, MEMORY_OF_A_RUN),
        runs(tasks, TASKS_OF_A_RUN),
        runs(descriptors, DESCRIPTORS_OF_A_RUN),
    ]);
    most.and_then(|most| usize::try_from(most).ok())
        .unwrap_or(usize::MAX)
}

fn smallest<const N: usize>(limits: [Option<u64>; N]) -> Option<u64> {
    limits.into_iter().flatten().min()
}

/// The memory that this process may use: of the machine, or of its control group, in bytes.
pub fn total_memory() -> Option<u64> {
    smallest([
        machine_memory(),
        of_group("memory.max", "memory/memory.limit_in_bytes"),
    ])
}

/// The memory of the machine, in bytes.
fn machine_memory() -> Option<u64> {
    let facts = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = facts
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kibibytes << 10)
}

/// A limit of the control group that this process is in, as containers and services have it: the smallest of the
/// group and of those above it. `unified` is its file in version 2, `older` its controller and file in version 1.
fn of_group(unified: &str, older: &str) -> Option<u64> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let mut directory = std::path::Path::new("/sys/fs/cgroup").join(own.unwrap_or_default());
    let mut found = vec![limit_in(
        &std::path::Path::new("/sys/fs/cgroup").join(older),
    )];
    while directory.starts_with("/sys/fs/cgroup") {
        found.push(limit_in(&directory.join(unified)));
        directory.pop();
    }
    found.into_iter().flatten().min()
}

/// `max`, the word for no limit, is no number.
fn limit_in(file: &std::path::Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_of_memory_processes_and_descriptors_counts() {
        assert_eq!(fitting(None, None, None), usize::MAX);
        assert_eq!(fitting(Some(512 << 20), Some(4096), Some(1 << 20)), 16);
        assert_eq!(fitting(Some(24 << 30), Some(100), Some(1 << 20)), 12);
        assert_eq!(fitting(Some(24 << 30), None, Some(1024)), 85);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_system_has_memory_and_can_run_something() {
        assert!(total_memory().is_some_and(|bytes| bytes > 1 << 20));
        assert!(max_runs() > 0);
    }
}
