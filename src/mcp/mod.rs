//! The protocol floor: JSON-RPC and the Model Context Protocol, one client at a time.
//!
//! Knows no HTTP and no pipe; of the plugin floor it knows the catalogue and its vocabulary alone.

pub mod changes;
pub mod context;
pub mod direct;
pub mod dispatch;
pub mod messages;
pub mod methods;
pub mod outbox;
pub mod principal;
pub mod record;
pub mod request_state;
pub mod revision;
pub mod round_trips;
pub mod server_requests;
pub mod session;
pub mod sessions;
pub mod stateless;
