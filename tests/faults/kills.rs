//! The server's end at random moments, a hundred times each way: whatever runs then, nothing is left.
//!
//! The moments come from a seed that is printed; `SMCP_TEST_SEED` repeats a run.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::served::GONE;
use crate::support::http::{Connection, PATIENCE, post};
use crate::support::plugins::fixtures;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::{rows, s, until};

const ROUNDS: u64 = 100;

#[test]
fn a_hundred_servers_killed_at_random_moments_leave_nothing() {
    let commands = ["sit", "brood", "deaf", "short", "short-brood", "job"];
    play("SIGKILL", |chance| {
        let (mut server, _clients) = busy(chance, |chance| commands[chance.below(6) as usize]);
        wait_a_while(chance);
        server.signal(Signal::KILL);
        server.ends_within(GONE);
        server.leaves_nothing_within(GONE);
    });
}

/// Takes longer than the other hundred: where a call outlasts the grace, its server takes ten seconds to end.
#[test]
fn a_hundred_servers_asked_to_end_at_random_moments_end_well_and_leave_nothing() {
    play("SIGTERM", |chance| {
        // What outlasts the grace is rare here: it takes more than ten seconds each time.
        let stubborn = chance.below(25) == 0;
        let (mut server, _clients) = busy(chance, |chance| match chance.below(3) {
            0 if stubborn => "deaf",
            1 if stubborn => "brood",
            2 if stubborn => "job",
            0 | 1 => "short",
            _ => "short-brood",
        });
        wait_a_while(chance);
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

fn play(what: &str, round: impl Fn(&mut Chance) + Sync) {
    let seed = seed();
    println!("{what}: SMCP_TEST_SEED={seed}");
    let rounds: Vec<u64> = (0..ROUNDS).collect();
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    rows::each(
        &rounds,
        // They wait more than they work.
        4 * cores,
        |number| format!("{what}, round {number} of seed {seed}"),
        |number| round(&mut Chance(seed.wrapping_add(number << 32))),
    );
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

/// Up to 200 ms: calls are then about to start, running, or ending.
fn wait_a_while(chance: &mut Chance) {
    std::thread::sleep(Duration::from_micros(chance.below(200_000)));
}

fn seed() -> u64 {
    if let Ok(given) = std::env::var("SMCP_TEST_SEED") {
        return given.parse().expect("SMCP_TEST_SEED is a whole number");
    }
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is past 1970")
        .as_secs()
}

/// SplitMix64: small, and the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
