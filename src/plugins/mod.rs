//! The plugin floor: command-line programs found, described, checked and run.
//!
//! Knows nothing of JSON-RPC, sessions or HTTP. [`catalog::Catalog`] is its face.

pub mod argv;
pub mod call;
pub mod catalog;
pub mod contract;
pub mod discover;
pub mod embedded;
pub mod introspect;
pub mod output;
pub mod process;
pub mod schema;
pub mod supervise;
