//! What is read of the server when it is scraped, as plain numbers. Knows nobody who has them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::call_queue::CallQueueCounts;
use super::service::PluginService;
use super::task::TaskCounts;
use super::trace::SpanCounts;
use super::warm::WarmInterpreter;

/// What calls use at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallLoad {
    /// Calls in progress: between their turn and their answer, their processes included.
    pub calls_in_progress: u64,
    /// Of those, calls that start or compute.
    pub calls_computing: u64,
    /// Calls that wait for their turn.
    pub calls_waiting: u64,
    /// Bytes that outputs take which are being read or written.
    pub output_bytes: u64,
    /// Programs whose output is not read because the memory for outputs is taken.
    pub outputs_waiting: u64,
}

/// The background jobs of one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobCounts {
    /// Those that there are.
    pub running: u64,
    /// Those that were kept since the start.
    pub kept: u64,
    /// Those that are over, by reason; those that were never kept, too.
    pub ended: BTreeMap<&'static str, u64>,
}

impl JobCounts {
    /// Why jobs are over: by themselves, because somebody asked for it, because there were too many, because their
    /// calls failed after all, with the server, or with their supervisors.
    pub const REASONS: [&str; 6] = [
        "itself",
        "asked",
        "limit",
        "call_failed",
        "shutdown",
        "keeper_lost",
    ];

    /// Counts those of another plugin, too.
    pub(super) fn add(&mut self, other: &Self) {
        self.running += other.running;
        self.kept += other.kept;
        for (reason, count) in &other.ended {
            *self.ended.entry(reason).or_default() += count;
        }
    }
}

/// The processes of one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcessCounts {
    /// Programs that have processes left: of calls, of questions to plugins, of background jobs.
    pub programs: u64,
    /// Supervisors that wait for the next program.
    pub idle_supervisors: u64,
    /// Processes that do not end although they were sent SIGKILL.
    pub unkillable: u64,
}

/// What discovery has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginCounts {
    /// The plugins that are served, with the number of their tools.
    pub served: Vec<(String, u64)>,
    /// The plugins that are not, with the class of the reason.
    pub unserved: Vec<(String, &'static str)>,
    /// All classes that there are.
    pub classes: &'static [&'static str],
    /// Plugins that are served as before, because they did not answer when they were asked again.
    pub outdated: u64,
    /// Tools, resources and prompts of served plugins that are not served.
    pub parts_unserved: u64,
    /// Whether every plugin has answered or timed out.
    pub complete: bool,
}

/// How many calls may be where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallLimits {
    /// In progress (`MCP_MAX_CALLS`).
    pub in_progress: u64,
    /// Computing (`MCP_MAX_COMPUTING`).
    pub computing: u64,
}

/// All that is read when the server is scraped, beside its counters.
#[derive(Clone, Debug, Default)]
pub struct Moment {
    /// What calls use.
    pub load: CallLoad,
    /// What bounds them.
    pub limits: CallLimits,
    /// How long they wait.
    pub queue: CallQueueCounts,
    /// Background jobs, by plugin.
    pub jobs: BTreeMap<String, JobCounts>,
    /// Warm interpreters, each plugin once.
    pub warm: Vec<WarmInterpreter>,
    /// Services of plugins.
    pub services: Vec<PluginService>,
    /// Tasks; `None` where none are kept.
    pub tasks: Option<TaskCounts>,
    /// Processes.
    pub processes: ProcessCounts,
    /// Plugins.
    pub plugins: PluginCounts,
    /// What became of spans.
    pub spans: SpanCounts,
    /// Bytes that wait for clients.
    pub waiting_bytes: u64,
    /// How many may.
    pub max_waiting_bytes: u64,
}
