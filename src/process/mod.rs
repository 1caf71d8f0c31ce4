//! The engine: runs one command line under a supervisor, bounded, and ends its whole process tree.
//!
//! Knows no plugin, no tool and no JSON-RPC: a [`Job`] goes in, a [`Finished`] comes out.

mod children;
mod exec_error;
mod job;
mod launcher;
mod pipes;
mod pool;
mod run;
pub mod supervisor;
mod tree;
mod wire;

pub use job::{Ending, Finished, Job, SideChannels, StartError};
pub use launcher::Launcher;
