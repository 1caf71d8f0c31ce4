//! The referee: bad input and faults as data, over every transport, against the real binary.
//!
//! `cases/*.json` says what is sent and what must come back, `servers.json` how the servers are started. Every case
//! also claims that a second session is served meanwhile and afterwards, that `/healthz` answers all the time, and,
//! where it ends its server, that nothing is left of it. What only a program can do stands in `scenes`.

#[path = "../support/mod.rs"]
mod support;

mod case;
mod client;
mod judge;
mod lines;
mod play;
mod raw;
mod report;
mod scenes;
mod sites;
mod template;
mod watch;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use case::Case;
use play::Note;
use report::Verdict;
use sites::Sites;

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
                        judged(case, sites, verdicts);
                    }
                });
            }
        }
    });
    let mut verdicts = verdicts.into_inner().expect("nobody panics here");
    verdicts.sort_by_key(|verdict: &Verdict| (verdict.case.entry.row, verdict.case.name()));
    if std::env::var_os("SMCP_WRITE_REPORT").is_some() {
        report::write(&verdicts);
    }
    let wrong: Vec<String> = verdicts.iter().filter_map(complaint).collect();
    assert!(
        wrong.is_empty(),
        "{} of {} cases failed\n{}",
        wrong.len(),
        verdicts.len(),
        wrong.join("\n")
    );
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
        report::listed(&cases) == report::committed(),
        "docs/faults-report.md lists other cases: SMCP_WRITE_REPORT=1 cargo test --test referee"
    );
}

/// Runs a case in a thread of its name, so that a panic says whose it is and ends nothing else.
fn judged(case: &Case, sites: &Sites, verdicts: &Mutex<Vec<Verdict>>) {
    let mut note = Note::default();
    let began = Instant::now();
    let ended = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name(case.name())
            .spawn_scoped(scope, || play::play(case, sites, &mut note))
            .expect("the system has a thread left")
            .join()
    });
    let fault = ended.err().map(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        text.unwrap_or("a panic without a text").to_owned()
    });
    println!("{:>6} ms  {}", began.elapsed().as_millis(), case.name());
    let case = case.clone();
    let verdict = Verdict { case, fault, note };
    verdicts.lock().expect("nobody panics here").push(verdict);
}

/// What is to be said about a verdict, if it is not what was known before.
fn complaint(verdict: &Verdict) -> Option<String> {
    let name = verdict.case.name();
    match (&verdict.fault, verdict.case.known()) {
        (Some(fault), None) => Some(format!("{name}: {fault}")),
        (None, Some(_)) => Some(format!(
            "{name}: it holds now, so it is no longer a known fault"
        )),
        _ => None,
    }
}
