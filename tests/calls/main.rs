//! Calls of commands, inside the test's own process: a real catalogue, real programs, no server and no protocol.

#[path = "../support/catalog.rs"]
mod catalog;

mod arguments;
mod events;
mod failures;
mod limits;
mod names;
mod offerings;
mod waiting;
