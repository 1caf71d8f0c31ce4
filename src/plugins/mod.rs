//! The plugin floor: command-line programs found, described, checked and run.
//!
//! Knows nothing of JSON-RPC, sessions or HTTP. [`catalog::Catalog`] is its face.

pub mod argv;
pub mod call;
mod capture;
pub mod catalog;
pub mod contract;
mod control;
pub mod discover;
pub mod embedded;
pub mod events;
pub mod interpreter;
pub mod introspect;
mod job;
pub mod output;
pub mod process;
pub mod queue;
mod reap;
mod refusal;
mod run;
pub mod schema;
pub mod supervise;
mod supervisors;
mod tree;
