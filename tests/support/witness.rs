//! The second, well-behaved session: it is there before the fault, and must be served after it.

use std::net::SocketAddr;

use serde_json::json;

use super::session::{Session, text_of};
use super::wire;

/// A session that has done nothing wrong.
pub struct Witness(Session);

impl Witness {
    /// Connects before the fault; the header lines show a key where one is needed.
    #[track_caller]
    pub fn of(address: SocketAddr, headers: &str) -> Self {
        let mut session = Session::open_with(address, "/sse", headers);
        session.initialize(wire::NEWEST);
        Self(session)
    }

    /// Pings, lists and calls after the fault.
    #[track_caller]
    pub fn must_be_served(mut self) {
        let pong = self.0.ask("ping", json!({}));
        assert_eq!(pong["result"], json!({}), "{pong}");
        let listed = self.0.ask("tools/list", json!({}));
        assert!(
            listed["result"]["tools"].is_array(),
            "no list of tools: {listed}"
        );
        let health = self.0.call("health", json!({}));
        assert!(text_of(&health).contains("healthy"), "{health}");
    }
}
