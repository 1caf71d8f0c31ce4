//! By how much a server grows.

use rustix::process::Pid;

use crate::support::processes;

/// How much memory a process takes, from now on.
pub struct Memory {
    pid: Pid,
    before: u64,
}

impl Memory {
    pub fn of(pid: Pid) -> Self {
        let before = processes::resident(pid);
        Self { pid, before }
    }

    /// By how much it has grown at most, in MiB. A server that was just started has had no higher peak before.
    pub fn grown_mib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid))
            .expect("the process is there");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.expect("every process with memory has the line").trim();
        let kib: u64 = peak.trim_end_matches(" kB").parse().expect("a number");
        (kib << 10).saturating_sub(self.before) >> 20
    }
}
