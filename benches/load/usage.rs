//! What a server and the processes below it use, as `/proc` has it.

use std::collections::HashMap;
use std::path::Path;

use serde::Serialize;

/// Processor time and memory of a process tree at one moment.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Usage {
    /// Processor time of the server itself, in seconds.
    pub server_cpu: f64,
    /// Processor time of everything that it started, in seconds: of processes that have ended too, if somebody
    /// waited for them.
    pub children_cpu: f64,
    /// Resident size of the server itself, in KiB.
    pub server_kib: u64,
    /// Resident sizes of the processes below it, in KiB; pages that they share count for each.
    pub children_kib: u64,
    /// Processes below it.
    pub children: usize,
}

struct Process {
    parent: u32,
    /// Clock ticks of its own, and of its children that have ended.
    own: u64,
    ended: u64,
}

impl Usage {
    /// Looks now. All zero where there is no such process, or no `/proc`.
    pub fn of(server: u32) -> Self {
        let processes = processes();
        let mut usage = Self::default();
        let Some(root) = processes.get(&server) else {
            return usage;
        };
        let seconds = |ticks: u64| ticks as f64 / rustix::param::clock_ticks_per_second() as f64;
        usage.server_cpu = seconds(root.own);
        usage.children_cpu = seconds(root.ended);
        usage.server_kib = resident_kib(server);
        for (&id, process) in &processes {
            if is_below(id, server, &processes) {
                usage.children += 1;
                usage.children_cpu += seconds(process.own + process.ended);
                usage.children_kib += resident_kib(id);
            }
        }
        usage
    }
}

fn is_below(id: u32, server: u32, processes: &HashMap<u32, Process>) -> bool {
    let mut id = id;
    // Read one after the other, the entries may contradict each other: a chain is never longer than all of them.
    for _ in 0..processes.len() {
        match processes.get(&id) {
            Some(process) if process.parent == server => return true,
            Some(process) => id = process.parent,
            None => return false,
        }
    }
    false
}

fn processes() -> HashMap<u32, Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter_map(|id: u32| Some((id, read_stat(id)?)))
        .collect()
}

fn read_stat(id: u32) -> Option<Process> {
    let text = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before it may have spaces and parentheses.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    // Counted from the state: parent 1, utime 11, stime 12, cutime 13, cstime 14 (proc_pid_stat(5)).
    let ticks = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(11)? + ticks(12)?,
        ended: ticks(13)? + ticks(14)?,
    })
}

fn resident_kib(id: u32) -> u64 {
    let path = Path::new("/proc").join(id.to_string()).join("status");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}
