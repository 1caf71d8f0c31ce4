//! The protocol floor: JSON-RPC and the Model Context Protocol, one client at a time.
//!
//! Knows no HTTP and no pipe; of the plugin floor it knows the catalogue and its vocabulary alone.

pub mod changes;
pub mod context;
pub mod direct;
pub mod dispatch;
pub mod messages;
pub mod methods;
pub mod origin;
pub mod outbox;
pub mod questions;
pub mod record;
pub mod revision;
pub mod rounds;
pub mod seal;
pub mod session;
pub mod sessions;
pub mod stateless;
