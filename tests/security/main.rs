//! Who may call, whose a session is, and what of a secret can be seen: against the real binary.

#[path = "../support/mod.rs"]
mod support;

mod matrix;
mod page;
mod refusals;
mod secrets;
mod sessions;
mod share;
mod table;
