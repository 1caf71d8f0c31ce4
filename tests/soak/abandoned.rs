//! Clients that come in thousands and leave in every way. The memory that they took goes back to the system.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::levels::Levels;
use crate::support::http::{Connection, PATIENCE, post};
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::streamable::{self, BOTH, Client};
use crate::support::{processes, s, until};

/// Clients that are there at once.
const AT_ONCE: usize = 15;
/// Sessions before the first look, so that everything that is made once has been made.
const WARM_UP: usize = 150;
/// The allocator gives back within seconds what is not used again.
const SETTLING: Duration = s(15);

#[test]
#[cfg_attr(not(feature = "jemalloc"), ignore = "the allocator of glibc keeps it")]
fn memory_of_sessions_that_were_abandoned_goes_back_to_the_system() {
    let sessions = crate::number("SMCP_SOAK_SESSIONS", 2_000);
    let folder = crate::plugins::folder();
    let setup = Setup::new()
        .plugins(folder.path())
        .variable("MCP_MAX_SESSIONS", "64");
    let server = Server::start(&setup);
    server.ready();
    abandon(server.address(), WARM_UP);
    let start = settled(&server);
    abandon(server.address(), sessions);
    let after = Levels::when_quiet(&server).resident;
    let limit = start + start / 5;
    until("the memory is back within a fifth", s(120), || {
        (processes::resident(server.pid()) <= limit).then_some(())
    });
    println!(
        "{sessions} sessions: {} KiB, {} KiB when the last had left, {} KiB soon after",
        start >> 10,
        after >> 10,
        processes::resident(server.pid()) >> 10
    );
}

/// The lowest memory in use once nothing is asked any more.
fn settled(server: &Server) -> u64 {
    let mut lowest = Levels::when_quiet(server).resident;
    let began = Instant::now();
    while began.elapsed() < SETTLING {
        lowest = lowest.min(processes::resident(server.pid()));
        std::thread::sleep(Duration::from_millis(200));
    }
    lowest
}

fn abandon(at: SocketAddr, sessions: usize) {
    std::thread::scope(|scope| {
        for worker in 0..AT_ONCE {
            scope.spawn(move || {
                let own = (worker..sessions).step_by(AT_ONCE);
                let forgotten: Vec<Client> =
                    own.filter_map(|number| come_and_go(at, number)).collect();
                // At the cap the server has made room for others; the rest would stay for an hour.
                for client in forgotten {
                    client.delete();
                }
            });
        }
    });
}

/// One session, used and left in the way of its number. Returned where nobody tells the server that it is over.
fn come_and_go(at: SocketAddr, number: usize) -> Option<Client> {
    match number % 8 {
        0 => {
            let mut session = Session::ready(at);
            session.call("stub__echo", json!({"token": "x"}));
        }
        1 => {
            let mut session = Session::ready(at);
            session.begin("stub__large", json!({"token": "x"}));
        }
        2 => {
            let client = used(at);
            assert_eq!(client.delete(), 204);
        }
        3 => return Some(used(at)),
        4 => {
            let client = used(at);
            let stream = client.listen(None).expect("a stream");
            client.delete();
            drop(stream);
        }
        5 => {
            let client = Client::open(at, "2025-11-25");
            let call = call("stub__large");
            let head = format!("{}{BOTH}", client.headers());
            let mut connection = Connection::open(at);
            connection
                .send(&streamable::post(at, &head, &call))
                .expect("the server listens");
            let _ = connection.head(PATIENCE);
            connection.reset();
            client.delete();
        }
        6 => {
            let mut connection = Connection::open(at);
            let body = call("stub__large").to_string();
            let _ = connection.send(&post(at, "/messages/", "", body.as_bytes()));
            connection.reset();
        }
        _ => {
            // Half a message, and nobody to send the rest.
            let mut connection = Connection::open(at);
            let whole = post(
                at,
                "/messages/",
                "",
                call("stub__echo").to_string().as_bytes(),
            );
            let _ = connection.send(&whole[..whole.len() - 9]);
        }
    }
    None
}

fn used(at: SocketAddr) -> Client {
    let client = Client::open(at, "2025-11-25");
    let answer = client.post(&call("stub__talk"));
    assert!(answer.text().contains("token x"), "{}", answer.text());
    client
}

fn call(tool: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": tool, "arguments": {"token": "x"}, "_meta": {"progressToken": 1}}})
}
