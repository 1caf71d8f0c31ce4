//! A server with the fixture plugins, and the processes of its calls, found by a mark on their command line.

use std::collections::BTreeMap;
use std::panic::Location;
use std::sync::{Mutex, PoisonError};
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
    is_of_one_file(mark);
    until("the call has begun", PATIENCE, || {
        (!processes::with_argument(mark).is_empty()).then_some(())
    });
}

/// Waits until no process with the mark is left.
#[track_caller]
pub fn gone_within(mark: &str, limit: Duration) {
    is_of_one_file(mark);
    until(&format!("{mark} is gone"), limit, || {
        processes::with_argument(mark).is_empty().then_some(())
    });
}

/// Fails where a test of another file has a mark that is found with this one: tests run side by side, and each would
/// take the other's processes for its own.
#[track_caller]
fn is_of_one_file(mark: &str) {
    static MARKS: Mutex<BTreeMap<String, &str>> = Mutex::new(BTreeMap::new());
    let file = Location::caller().file();
    let mut marks = MARKS.lock().unwrap_or_else(PoisonError::into_inner);
    let other = marks
        .iter()
        .find(|(other, of)| **of != file && (other.contains(mark) || mark.contains(&***other)));
    assert!(other.is_none(), "{mark} of {file} is found with {other:?}");
    marks.insert(mark.to_owned(), file);
}
