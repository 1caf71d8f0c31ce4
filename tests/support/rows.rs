//! Cases of a table, run side by side and reported together.
//!
//! A claim is a test of its own. A table is for one claim about many inputs that are alike and go to the same server:
//! as tests of their own they would each start one, and the claim would have fifty names. A case has its name in every
//! report, and a case that fails hides no other.

use std::any::Any;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs `run` on every case, `most` at a time. Each runs in a thread that bears the case's name, so that a
/// panic says whose it is; at the end all that failed are named in one panic.
#[track_caller]
pub fn each<C: Sync>(
    cases: &[C],
    most: usize,
    name: impl Fn(&C) -> String + Sync,
    run: impl Fn(&C) + Sync,
) {
    assert!(!cases.is_empty(), "a table without cases proves nothing");
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..most.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ended = std::thread::scope(|inner| {
                        std::thread::Builder::new()
                            .name(name(case))
                            .spawn_scoped(inner, || run(case))
                            .expect("the system has a thread left")
                            .join()
                    });
                    if let Err(panic) = ended {
                        let line = format!("{}: {}", name(case), message(panic.as_ref()));
                        failed.lock().expect("nobody panics here").push(line);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nobody panics here");
    assert!(
        failed.is_empty(),
        "{} of {} cases failed\n{}",
        failed.len(),
        cases.len(),
        failed.join("\n")
    );
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a panic without a text")
}
