//! Bad input and faults, row by row, against the real binary: what is sent, what must come back, and that a second,
//! well-behaved session still gets its answers after each.
//!
//! The numbers are those of the project's list of faults; a case names its row, so that the lists can be compared.

#[path = "../support/mod.rs"]
mod support;

mod http;
mod jsonrpc;
mod witness;
