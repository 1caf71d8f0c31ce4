//! Plugins found and asked what they offer: real programs, inside the test's own process or by themselves.

#[path = "../support/catalog.rs"]
mod catalog;
#[path = "../support/commands.rs"]
mod commands;
#[allow(dead_code, reason = "nothing here is a message of a server")]
#[path = "../support/wire.rs"]
mod wire;

mod bundled;
mod contract;
mod descriptions;
mod directories;
mod introspection;
mod older_contract;
mod strictness;
mod waiting;
