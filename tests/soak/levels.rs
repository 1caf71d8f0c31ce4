//! What a server holds when nothing is asked of it.

use std::fmt;

use crate::support::http::{exchange, get};
use crate::support::server::Server;
use crate::support::{processes, s, until};

/// Memory may differ by this much between cycles that did the same: allocators keep what they may need again.
const SLACK_BYTES: u64 = 8 << 20;

/// Levels of one moment.
#[derive(Debug, Clone)]
pub struct Levels {
    /// Resident memory, in bytes.
    pub resident: u64,
    /// Open files.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
    /// Processes other than the server itself: supervisors that wait for their next run.
    pub processes: usize,
}

impl Levels {
    /// Waits until no session is open and no call runs, then looks.
    pub fn when_quiet(server: &Server) -> Self {
        until("no session is open and no call runs", s(60), || {
            let quiet = metric(server, "smcp_tool_calls_running")? == 0.0
                && health_of(server, "sessions")? == 0;
            quiet.then_some(())
        });
        // Supervisors that have nothing to do are few; runs that are being ended have more.
        until("only waiting supervisors are left", s(30), || {
            (server.others().len() <= 64).then_some(())
        });
        let directory = format!("/proc/{}", server.pid());
        let entries = |name: &str| {
            std::fs::read_dir(format!("{directory}/{name}"))
                .expect("the server lives")
                .count()
        };
        Self {
            resident: processes::resident(server.pid()),
            descriptors: entries("fd"),
            threads: entries("task"),
            processes: server.others().len(),
        }
    }
}

impl Levels {
    /// Whether nothing has grown beyond what `first` makes likely.
    pub fn is_within(&self, first: &Self) -> bool {
        self.resident <= first.resident + first.resident / 5 + SLACK_BYTES
            && self.descriptors <= first.descriptors + 2
            && self.threads <= first.threads + 4
            && self.processes <= first.processes + 2
    }
}

fn metric(server: &Server, name: &str) -> Option<f64> {
    let text = exchange(server.address(), &get(server.address(), "/metrics", "")).text();
    let line = text.lines().find(|line| line.starts_with(name))?.to_owned();
    line.rsplit(' ').next()?.parse().ok()
}

fn health_of(server: &Server, member: &str) -> Option<u64> {
    exchange(server.address(), &get(server.address(), "/health", "")).json()[member].as_u64()
}

impl fmt::Display for Levels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.1} MiB, {} descriptors, {} threads, {} processes",
            self.resident as f64 / f64::from(1 << 20),
            self.descriptors,
            self.threads,
            self.processes
        )
    }
}
