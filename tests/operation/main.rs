//! What somebody who runs a server sees of it: its command line, its start, its cache, its logs, its metrics.

#[path = "../support/mod.rs"]
mod support;

mod cache;
mod command_line;
mod environments;
mod health;
mod letta;
mod live;
mod logging;
mod metrics;
mod packaging;
mod plugin_services;
mod service;
mod start;
mod traces;
mod version;
