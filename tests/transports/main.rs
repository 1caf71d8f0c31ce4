//! The ways to a server, each against the real binary: HTTP+SSE, Streamable HTTP with sessions and stateless, and stdio.
//!
//! What a transport does with well-formed messages stands here, in the file with its name; what it does with bad ones in
//! `tests/faults`. `sdk` walks two of them with the official Rust client; `served` reads resources, prompts and
//! completions, and hears of their changes, in both eras; `tasks` has calls whose results outlive the connection.

#[path = "../support/mod.rs"]
mod support;

mod lasting;
mod results;
mod sdk;
mod served;
mod sse;
mod stateless;
mod stdio;
mod streamable;
mod tasks;
