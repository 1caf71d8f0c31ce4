//! The plugin floor: command-line programs found, described, checked and run.
//!
//! Knows nothing of JSON-RPC, sessions or HTTP. [`catalog::Catalog`] is its face.

pub mod arguments;
pub mod argv;
pub mod call;
mod capture;
pub mod catalog;
pub mod contract;
mod control;
pub mod describe;
pub mod discover;
pub mod embedded;
pub mod environment;
pub mod events;
pub mod interpreter;
pub mod introspect;
mod job;
pub mod load;
pub mod output;
pub mod process;
pub mod queue;
mod raw;
mod reap;
mod refusal;
mod run;
pub mod runner;
pub mod schema;
pub mod snapshot;
pub mod supervise;
mod supervisors;
pub mod tool;
mod tree;
pub mod uri_template;
