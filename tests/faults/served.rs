//! A server with the fixture plugins, and the processes of its calls, found by a mark on their command line.

use std::time::Duration;

use crate::support::http::PATIENCE;
use crate::support::plugins::fixtures;
use crate::support::server::{Server, Setup};
use crate::support::{processes, s, until};

/// A process that is no longer wanted is gone five seconds after SIGTERM. Whatever is there after this long stays,
/// however busy the machine.
pub const GONE: Duration = s(15);

/// A server with the fixtures, all of them known.
pub fn served() -> Server {
    let server = Server::start(&Setup::new().plugins(fixtures("plugins")));
    server.ready();
    server
}

/// Waits until a process with the mark runs.
#[track_caller]
pub fn found_soon(mark: &str) {
    until("the call has begun", PATIENCE, || {
        (!processes::with_argument(mark).is_empty()).then_some(())
    });
}

/// Waits until no process with the mark is left.
#[track_caller]
pub fn gone_within(mark: &str, limit: Duration) {
    until(&format!("{mark} is gone"), limit, || {
        processes::with_argument(mark).is_empty().then_some(())
    });
}
