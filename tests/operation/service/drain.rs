//! The time between the wish to end and the end, in which whoever sends clients here can see it.

use rustix::process::Signal;
use serde_json::json;

use super::{Notices, plugin};
use crate::support::http::{PATIENCE, exchange, get};
use crate::support::plugins::Folder;
use crate::support::server::Server;
use crate::support::session::Session;
use crate::support::{s, until};

#[test]
fn a_server_that_leaves_says_so_and_serves_until_its_delay_is_over() {
    let folder = Folder::new();
    plugin(&folder, "walker", "", "echo went");
    let notices = Notices::new();
    let setup = notices
        .setup(folder.path())
        .variable("MCP_DRAIN_DELAY", "10m");
    let mut server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let status = |path: &str| exchange(at, &get(at, path, "")).status;
    server.signal(Signal::TERM);
    until("a balancer sees it", PATIENCE, || {
        (status("/readyz") == 503).then_some(())
    });
    let health = exchange(at, &get(at, "/health", "")).text();
    assert!(health.contains("draining"), "{health}");
    assert_eq!(status("/healthz"), 200);
    // 25 s for the end itself.
    notices.message(0, &["STOPPING=1", "EXTEND_TIMEOUT_USEC=625000000"]);
    // Nobody who was sent here before is refused.
    let went = Session::ready(at).call("walker__go", json!({}));
    assert!(went.to_string().contains("went"), "{went}");
    server.signal(Signal::TERM);
    server.ends_within(s(30));
}
