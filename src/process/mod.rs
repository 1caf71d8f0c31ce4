//! The engine: runs one command line under a supervisor, bounded, and ends its whole process tree.
//!
//! Knows no JSON-RPC, and of plugins, tools and agents only their names: it writes them beside what they left
//! running ([`Owner`]). A [`Job`] goes in, a [`Finished`] comes out.

#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "there are no warm interpreters elsewhere")
)]

mod activity;
mod background;
mod busy;
mod capacity;
mod children;
mod engine;
mod exec_error;
mod family;
mod forked;
mod forker;
mod forker_sockets;
mod job;
mod launcher;
mod leftovers;
mod output_budget;
mod pipes;
mod pool;
mod preflight;
mod progress;
mod run;
mod signals;
mod socket;
mod spare;
pub mod supervisor;
mod sweeps;
mod time_limit;
mod tree;
#[cfg(target_os = "linux")]
mod warm;
#[cfg(not(target_os = "linux"))]
#[path = "no_warm.rs"]
mod warm;
mod watch;
mod wire;

pub use capacity::{max_runs, total_memory};
pub use exec_error::{first_line_fault, is_shortage};
pub use job::{
    Background, BackgroundJob, Ending, Finished, Held, Job, JobProcess, Keep, Leftover, Owner,
    QuestionEnvironment, SideChannels, StartError, WarmSettings, Warmable,
};
pub use launcher::{DEFAULT_MAX_BACKGROUND, Launcher};
pub use output_budget::{DEFAULT_OUTPUT_BUDGET, OutputLoad, OutputShare};
pub use preflight::{PreflightError, preflight};
pub use signals::is_ignored;
pub use warm::Round;
pub use watch::TERMINATE_GRACE;
