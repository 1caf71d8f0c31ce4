//! The protocol layer: the Model Context Protocol, one client at a time.
//!
//! Knows no HTTP and no pipe; of the layers below it knows the catalogue and the vocabulary of calls.

pub mod activity;
pub mod adapted;
pub mod budget;
pub mod changes;
pub mod client_state;
pub mod context;
pub mod direct;
pub mod inbound;
pub mod inflight;
pub mod messages;
pub mod method;
pub mod methods;
pub mod outbox;
pub mod places;
pub mod principal;
pub mod record;
pub mod request_state;
pub mod revision;
pub mod round_trips;
pub mod serve;
pub mod server_requests;
pub mod session;
pub mod sessions;
mod spans;
pub mod stateless;
pub mod streams;
pub mod usage;
