//! What somebody who runs a server sees of it: its command line, its start, its cache, its logs, its metrics.

#[path = "../support/mod.rs"]
mod support;

mod cache;
mod command_line;
mod health;
mod letta;
mod logging;
mod metrics;
mod service;
mod start;
mod traces;
mod version;
