//! What somebody who runs a server sees of it: its start, its logs, its metrics.

#[path = "../support/mod.rs"]
mod support;

mod logging;
mod metrics;
mod start;
