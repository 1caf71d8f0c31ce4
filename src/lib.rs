//! smcp serves a folder of command-line programs as MCP tools for AI agents.
//!
//! The library exists for the `smcp` program and its tests. Its modules are floors: each imports
//! only from those below it, as `ARCHITECTURE.md` lists them and `tests/architecture.rs` checks.

pub mod governor;
pub mod letta;
pub mod plugins;
pub mod telemetry;
