//! The referee: bad input and faults as data, over every transport, against the real binary.
//!
//! `cases/*.json` says what is sent and what must come back, `servers.json` how the servers are started. Every case
//! also claims that a second session is served meanwhile and afterwards, that `/healthz` answers all the time, and,
//! where it ends its server, that nothing is left of it. What only a program can do stands in `scenes`.

#[path = "../support/mod.rs"]
mod support;

mod case;
mod client;
mod envelope;
mod held;
mod judge;
mod lines;
mod memory;
mod play;
mod processor;
mod raw;
mod report;
mod scenes;
mod sites;
mod template;
mod watch;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use case::Case;
use play::Note;
use report::Verdict;
use sites::Sites;
use support::server::{Server, Setup};
use support::{s, until};
use watch::Health;

/// Cases that work at the same time.
const WORKING: usize = 6;
/// Cases that mostly wait, beside them.
const WAITING: usize = 40;

#[test]
fn every_fault_is_answered_as_promised_and_harms_nobody_else() {
    let mut cases = case::all();
    if let Ok(wanted) = std::env::var("SMCP_CASES") {
        cases.retain(|case| case.name().contains(&wanted));
        assert!(!cases.is_empty(), "no case's name contains {wanted:?}");
    }
    // Below `nohup` no program dies by the signal.
    cases.retain(|case| !support::hangups::are_ignored() || !case.name().contains("SIGHUP"));
    let mut verdicts = played(cases);
    // Something else on the machine may have held up the one server and not the other. It does not do so twice.
    let late = late(&verdicts);
    let again = if late.is_empty() {
        Vec::new()
    } else {
        println!("{} cases are played again:", late.len());
        let reasons = verdicts.iter().filter_map(held_up);
        reasons.for_each(|reason| println!("    {reason}"));
        played(late)
    };
    verdicts.sort_by_key(|verdict: &Verdict| (verdict.case.entry.row, verdict.case.name()));
    if std::env::var_os("SMCP_WRITE_REPORT").is_some() {
        report::write(&verdicts);
    }
    let twice_late = again
        .iter()
        .filter_map(held_up)
        .map(|reason| format!("twice: {reason}"));
    let wrong: Vec<String> = verdicts
        .iter()
        .filter_map(complaint)
        .chain(twice_late)
        .collect();
    assert!(
        wrong.is_empty(),
        "{} of {} cases failed\n{}",
        wrong.len(),
        verdicts.len(),
        wrong.join("\n")
    );
}

/// Plays cases side by side, each row on servers of its own.
fn played(cases: Vec<Case>) -> Vec<Verdict> {
    let sites = Sites::for_cases(&cases);
    let (mut slow, quick): (Vec<Case>, Vec<Case>) =
        cases.into_iter().partition(|case| case.entry.slow);
    slow.sort_by_key(|case| std::cmp::Reverse(case.entry.within_ms));
    let verdicts = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (cases, most) in [(&slow, WAITING), (&quick, WORKING)] {
            let next = Arc::new(AtomicUsize::new(0));
            for _ in 0..most {
                let (next, sites, verdicts) = (Arc::clone(&next), &sites, &verdicts);
                scope.spawn(move || {
                    while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let verdict = judged(case, sites);
                        verdicts.lock().expect("nobody panics here").push(verdict);
                    }
                });
            }
        }
    });
    verdicts.into_inner().expect("nobody panics here")
}

#[test]
fn there_are_hundreds_of_cases_and_the_report_lists_them_all() {
    let cases = case::all();
    assert!(cases.len() >= 300, "{} cases are too few", cases.len());
    let mut names: Vec<String> = cases.iter().map(Case::name).collect();
    names.sort_unstable();
    for two in names.windows(2) {
        assert_ne!(two[0], two[1], "two cases of one name");
    }
    assert!(
        report::listed(&cases, &held::all()) == report::committed(),
        "docs/faults-report.md lists other cases: SMCP_WRITE_REPORT=1 cargo test --test referee"
    );
}

#[test]
fn a_server_that_is_held_up_is_noticed() {
    let (busy, idle) = (Server::start(&Setup::new()), Server::start(&Setup::new()));
    let began = Instant::now();
    let health = Health::of(busy.address(), busy.pid());
    let at_rest = Health::of(idle.address(), idle.pid());
    // A machine that is held up itself may hide it once.
    until("the delay is noticed", s(60), || {
        busy.signal(Signal::STOP);
        std::thread::sleep(Duration::from_millis(500));
        busy.signal(Signal::CONT);
        std::thread::sleep(Duration::from_millis(200));
        health.late_since(began, &at_rest).map(drop)
    });
}

/// The rows of the list of faults.
fn rows() -> Vec<String> {
    let mut rows: Vec<String> = (1..=80).map(|row| row.to_string()).collect();
    rows.insert(42, "42a".to_owned());
    rows
}

#[test]
fn every_row_has_cases_or_tests_that_are_there() {
    let held = held::all();
    let faults: Vec<String> = held
        .iter()
        .flat_map(|held| &held.tests)
        .filter_map(|test| held::fault_of(test))
        .collect();
    assert_eq!(faults, [] as [String; 0]);
    let mut found: Vec<String> = held.into_iter().map(|held| held.row).collect();
    found.extend(case::all().iter().map(|case| case.entry.row.to_string()));
    let rows = rows();
    let lacking: Vec<&String> = rows.iter().filter(|row| !found.contains(row)).collect();
    assert!(lacking.is_empty(), "rows that nothing holds: {lacking:?}");
    found.retain(|row| !rows.contains(row));
    assert!(found.is_empty(), "rows that there are not: {found:?}");
}

#[test]
fn a_test_that_is_not_there_or_not_run_is_found() {
    let there = "tests/faults/process.rs::an_idle_server_ends_without_the_grace_of_running_calls";
    assert_eq!(held::fault_of(there), None);
    for (test, fault) in [
        ("tests/faults/process.rs", "no file::function"),
        ("tests/faults/no_such.rs::a", "no such file"),
        (
            "tests/faults/process.rs::an_idle_server",
            "no such function",
        ),
        ("tests/faults/served.rs::served", "not run as a test"),
        ("tests/fixtures/rust/orphan.rs::a_test", "no program"),
    ] {
        let found = held::fault_of(test).unwrap_or_else(|| panic!("{test} passes"));
        assert!(found.contains(fault), "{found}");
    }
}

/// Runs a case in a thread of its name, so that a panic says whose it is and ends nothing else. The last case of a
/// row ends the row's server as well.
fn judged(case: &Case, sites: &Sites) -> Verdict {
    let mut note = Note::default();
    let began = Instant::now();
    let fault = panic_of(&case.name(), || play::play(case, sites, &mut note));
    let (mut late_in_row, mut end_fault) = (None, None);
    if let Some(site) = sites.leave(case) {
        let name = format!("a server of row {}", case.entry.row);
        end_fault = panic_of(&name, || {
            let watch = site.watch.lock().expect("nobody panics here");
            late_in_row = watch.health.late_since(site.since, &sites.idle);
            drop(watch);
            play::terminate(&site);
        });
        end_fault = end_fault.map(|fault| format!("{name}: {fault}"));
    }
    println!("{:>6} ms  {}", began.elapsed().as_millis(), case.name());
    Verdict {
        case: case.clone(),
        fault,
        end_fault,
        late_in_row,
        note,
    }
}

/// What a function panics with, if it does.
fn panic_of(name: &str, run: impl FnOnce() + Send) -> Option<String> {
    let ended = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn_scoped(scope, run)
            .expect("the system has a thread left")
            .join()
    });
    let panic = ended.err()?;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    Some(text.unwrap_or("a panic without a text").to_owned())
}

/// The cases that a server was held up by, as far as that is known: where it was between two cases of a row, it may
/// have been any of them.
fn late(verdicts: &[Verdict]) -> Vec<Case> {
    let rows: Vec<u32> = verdicts
        .iter()
        .filter(|verdict| verdict.late_in_row.is_some())
        .map(|verdict| verdict.case.entry.row)
        .filter(|row| {
            !verdicts
                .iter()
                .any(|verdict| verdict.case.entry.row == *row && verdict.note.late.is_some())
        })
        .collect();
    verdicts
        .iter()
        .filter(|verdict| verdict.note.late.is_some() || rows.contains(&verdict.case.entry.row))
        .map(|verdict| verdict.case.clone())
        .collect()
}

/// What is to be said about a server that was held up.
fn held_up(verdict: &Verdict) -> Option<String> {
    let late = verdict.note.late.or(verdict.late_in_row)?;
    Some(format!(
        "{}: a health check took {:?}, {:?} of that for want of a processor, while an idle server took {:?}",
        verdict.case.name(),
        late.took,
        late.waited,
        late.idle
    ))
}

/// What is to be said about a case that does not hold.
fn complaint(verdict: &Verdict) -> Option<String> {
    let name = verdict.case.name();
    if verdict.end_fault.is_some() {
        return verdict.end_fault.clone();
    }
    verdict
        .fault
        .as_ref()
        .map(|fault| format!("{name}: {fault}"))
}
