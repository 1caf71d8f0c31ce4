//! Many clients over all transports, faults among their requests, and a book of what became of each call.
//!
//! Every call that was accepted ends exactly once, with the answer that is its own, or its client or its session was
//! gone. Between two cycles nothing may be left: sessions, running calls, processes, descriptors, memory.
//!
//! `cargo test --test soak` runs a short soak. For a long one:
//!
//!     SMCP_SOAK_CALLS=200000 SMCP_SOAK_PYTHON_CALLS=5000 cargo test --release --test soak -- --nocapture
//!
//! `SMCP_SOAK_SEED` repeats the choices of an earlier run, though not its timing.

mod abandoned;
mod book;
mod levels;
mod plugins;
#[path = "../support/mod.rs"]
mod support;
mod workers;

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use book::Book;
use levels::Levels;
use support::chance::Chance;
use support::server::{Server, Setup};

/// How long what was needed for the last cycle may stay after it.
const SETTLING: Duration = support::s(60);
/// After this many cycles everything that is made once has been made.
const WARM_UP_CYCLES: usize = 2;
/// Cycles in all.
const CYCLES: usize = 5;

/// What the soak found.
struct Report {
    book: Arc<Book>,
    levels: Vec<Levels>,
    seed: u64,
}

/// One soak for all claims: it takes its time.
static REPORT: LazyLock<Report> = LazyLock::new(soak);

fn soak() -> Report {
    let calls = number("SMCP_SOAK_CALLS", 3_000);
    let python_calls = number("SMCP_SOAK_PYTHON_CALLS", 60);
    let seed = number("SMCP_SOAK_SEED", 20_261_121) as u64;
    let folder = plugins::folder();
    let setup = Setup::new()
        .plugins(folder.path())
        .variable("MCP_MAX_SESSIONS", "200");
    let mut server = Server::start(&setup);
    server.ready();
    let book = Arc::new(Book::default());
    let mut levels = Vec::new();
    for cycle in 0..CYCLES {
        run_cycle(
            server.address(),
            &book,
            calls / CYCLES,
            python_calls / CYCLES,
            seed.wrapping_add(cycle as u64),
        );
        let now = Levels::when_quiet(&server);
        println!("cycle {}: {now}; {}", cycle + 1, book.summary());
        levels.push(now);
    }
    // What waited for work and found none ends after some seconds; what is a leak stays.
    let deadline = Instant::now() + SETTLING;
    let last = CYCLES - 1;
    while !levels[last].is_within(&levels[WARM_UP_CYCLES - 1]) && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(500));
        levels[last] = Levels::when_quiet(&server);
    }
    server.signal(rustix::process::Signal::TERM);
    let status = server.ends_within(support::s(20));
    if !status.success() {
        book.fault(format!("after SIGTERM the server ended with {status}"));
    }
    Report { book, levels, seed }
}

/// Side by side: every transport, the stub and Python, each worker with chances of its own.
fn run_cycle(address: SocketAddr, book: &Arc<Book>, calls: usize, python_calls: usize, seed: u64) {
    let workers = workers::ALL;
    let share = calls.div_ceil(workers.len());
    let python_share = python_calls.div_ceil(workers.len());
    std::thread::scope(|scope| {
        for (number, work) in workers.iter().enumerate() {
            let chance = Chance::new(seed.wrapping_mul(1_000).wrapping_add(number as u64));
            let plan = workers::Plan {
                address,
                book: Arc::clone(book),
                calls: share,
                python_calls: python_share,
                first_id: book.reserve(share + python_share),
                chance,
            };
            scope.spawn(move || work(plan));
        }
    });
}

fn number(name: &str, otherwise: usize) -> usize {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
        Err(_) => otherwise,
    }
}

#[test]
fn every_accepted_call_ends_exactly_once_with_its_own_answer() {
    let faults = REPORT.book.faults();
    assert!(
        faults.is_empty(),
        "seed {}: {} faults, the first of them: {}",
        REPORT.seed,
        faults.len(),
        faults[..faults.len().min(10)].join("\n")
    );
}

#[test]
fn faults_were_really_injected_and_calls_really_answered() {
    let (answered, injected) = REPORT.book.counts();
    assert!(
        answered > 1_000 && injected > 50,
        "{}",
        REPORT.book.summary()
    );
}

#[test]
fn descriptors_memory_threads_and_processes_are_the_same_after_every_cycle() {
    // The first cycle after everything was warm, and the last.
    let (first, last) = (
        &REPORT.levels[WARM_UP_CYCLES - 1],
        &REPORT.levels[CYCLES - 1],
    );
    assert!(last.is_within(first), "{}", table());
}

fn table() -> String {
    REPORT
        .levels
        .iter()
        .map(|level| format!("{level}\n"))
        .collect()
}
