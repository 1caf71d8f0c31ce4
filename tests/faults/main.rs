//! Bad input and faults, row by row, against the real binary: what is sent, what must come back, and that a second,
//! well-behaved session still gets its answers after each.
//!
//! Row 48 has its test beside the code that catches a panic (`src/mcp/serve.rs`): from outside none can be caused.
//! The numbers are those of the project's list of faults; a case names its row, so that the lists can be compared.

#[path = "../support/mod.rs"]
mod support;

mod arguments;
mod background;
mod calls;
mod clients;
mod clock;
mod connections;
mod container;
mod discovery;
mod edge;
mod engine;
mod gate;
mod http;
mod jsonrpc;
mod kills;
mod messages;
mod process;
mod programs;
mod refusals;
mod requests;
mod served;
mod sessions;
mod stdio;
mod supervision;
mod unread;
