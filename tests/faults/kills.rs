//! The server's end at random moments, a hundred times each way: whatever runs then, nothing is left.
//!
//! The moments come from a seed that is printed; `SMCP_TEST_SEED` repeats a run.

use rustix::process::Signal;
use serde_json::json;

use crate::served::GONE;
use crate::support::chance::{Chance, play};
use crate::support::http::{Connection, PATIENCE, post};
use crate::support::plugins::fixtures;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::{s, until};

const ROUNDS: u64 = 100;

/// How many rounds are played at once: they wait more than they work.
fn most() -> usize {
    4 * std::thread::available_parallelism().map_or(2, usize::from)
}

#[test]
fn a_hundred_servers_killed_at_random_moments_leave_nothing() {
    let commands = ["sit", "brood", "deaf", "short", "short-brood", "job"];
    play("SIGKILL", ROUNDS, most(), |chance| {
        let (mut server, _clients) = busy(chance, |chance| commands[chance.below(6)]);
        chance.wait_a_while();
        server.signal(Signal::KILL);
        server.ends_within(GONE);
        server.leaves_nothing_within(GONE);
    });
}

/// Takes longer than the other hundred: where a call outlasts the grace, its server takes ten seconds to end.
#[test]
fn a_hundred_servers_asked_to_end_at_random_moments_end_well_and_leave_nothing() {
    play("SIGTERM", ROUNDS, most(), |chance| {
        // What outlasts the grace is rare here: it takes more than ten seconds each time.
        let stubborn = chance.below(25) == 0;
        let (mut server, _clients) = busy(chance, |chance| match chance.below(3) {
            0 if stubborn => "deaf",
            1 if stubborn => "brood",
            2 if stubborn => "job",
            0 | 1 => "short",
            _ => "short-brood",
        });
        chance.wait_a_while();
        server.signal(Signal::TERM);
        let status = server.ends_within(s(40));
        assert!(status.success(), "{status}");
        server.leaves_nothing_within(GONE);
    });
}

/// What the other tests do not find must not be there, so they must be able to find it.
#[test]
fn the_processes_of_a_running_call_are_seen() {
    let server = Server::start(&Setup::new().plugins(fixtures("kills")));
    server.ready();
    let mut session = Session::ready(server.address());
    session.begin("brood__brood", json!({}));
    // The shell and its sleep, the shell in its own session and its two, and the supervisor.
    until("all six processes are seen", PATIENCE, || {
        (server.others().len() >= 6).then_some(())
    });
}

/// What clients hold while their calls run.
type Clients = (Vec<Session>, Vec<Connection>);

/// A server with calls under way, or, one time in four, one that is still asking its plugins.
fn busy(
    chance: &mut Chance,
    mut pick: impl FnMut(&mut Chance) -> &'static str,
) -> (Server, Clients) {
    let server = Server::start(&Setup::new().plugins(fixtures("kills")));
    if chance.below(4) > 0 {
        server.ready();
    }
    let (mut sessions, mut connections) = Clients::default();
    for _ in 0..=chance.below(3) {
        let tool = format!("brood__{}", pick(chance));
        if chance.below(2) == 0 {
            let mut session = Session::ready(server.address());
            session.begin(&tool, json!({}));
            session.begin(&format!("brood__{}", pick(chance)), json!({}));
            sessions.push(session);
        } else {
            let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": {"name": tool, "arguments": {}}});
            let mut connection = Connection::open(server.address());
            let request = post(
                server.address(),
                "/messages/",
                "",
                call.to_string().as_bytes(),
            );
            connection.send(&request).expect("the server listens");
            connections.push(connection);
        }
    }
    (server, (sessions, connections))
}
