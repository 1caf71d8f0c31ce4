//! smcp serves a folder of command-line programs as MCP tools for AI agents.
//!
//! The library exists for the `smcp` program and its tests. Its modules are floors: each imports
//! only from those below it, as `ARCHITECTURE.md` lists them and `tests/architecture.rs` checks.

#![cfg_attr(not(test), warn(clippy::disallowed_methods))]

#[cfg(not(unix))]
compile_error!(
    "smcp runs plugins by Unix processes, signals and sockets; on Windows, build and run it inside WSL 2"
);

pub mod app;
pub mod call;
pub mod catalog;
pub mod catalogue_log;
pub mod cli;
pub mod commands;
pub mod config;
pub mod contract;
pub mod discovery;
pub mod fetch;
pub mod governor;
pub mod http;
pub mod jsonrpc;
pub mod letta;
pub mod mcp;
pub mod process;
pub mod services;
pub mod shutdown;
pub mod stdio;
pub mod tasks;
pub mod telemetry;
pub mod text;
