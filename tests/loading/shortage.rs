//! The system is out of descriptors while plugins are looked for and asked.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::kit::{Plugins, live, until};

/// Says that this process has one test alone: the limit counts for a whole process.
const ALONE: &str = "SMCP_TEST_ALONE";

/// Runs `test`, the body of the test `name`, in a process of its own.
fn alone(name: &str, test: impl Future<Output = ()>) {
    if std::env::var_os(ALONE).is_some() {
        return live(test);
    }
    let this_program = std::env::current_exe().expect("it has a path");
    let output = std::process::Command::new(this_program)
        .args(["--exact", name, "--nocapture"])
        .env(ALONE, "1")
        .output()
        .expect("there is room");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
}

/// Leaves the process so many descriptors more than it has.
fn leave(descriptors: u64) -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    let open = std::fs::read_dir("/proc/self/fd").expect("it is there");
    let numbers = open
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u64>().ok());
    let last = numbers.max().expect("some are open");
    // Numbers below the last one may be free; the callers fill them.
    let current = Some(last + descriptors);
    setrlimit(Resource::Nofile, Rlimit { current, ..before }).expect("it is lower");
    before
}

#[test]
fn plugins_that_could_not_be_looked_for_are_looked_for_again() {
    alone(
        "shortage::plugins_that_could_not_be_looked_for_are_looked_for_again",
        async {
            let plugins = Plugins::new();
            plugins.serving("one", "run", "fine");
            let limit = leave(0);
            let _filling: Vec<_> =
                std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
            let running = plugins.start().complete().await;
            assert!(
                running.snapshot().is_starved(),
                "{:?}",
                running.snapshot().skipped
            );
            setrlimit(Resource::Nofile, limit).expect("it is as before");
            until("the plugin is served", || running.names() == ["one__run"]).await;
            assert!(!running.snapshot().is_starved());
            assert_eq!(running.snapshot().skipped, []);
            assert_eq!(running.call("one__run", "{}").await.as_deref(), Ok("fine"));
        },
    );
}

#[test]
fn plugins_that_could_not_be_asked_are_asked_again_and_served_as_before_meanwhile() {
    alone(
        "shortage::plugins_that_could_not_be_asked_are_asked_again_and_served_as_before_meanwhile",
        async {
            let plugins = Plugins::new();
            plugins.serving("one", "run", "fine");
            let running = plugins.start().complete().await;
            plugins.serving("one", "fresh", "fine");
            plugins.serving("two", "run", "fine");
            let limit = leave(3);
            let mut filling: Vec<_> =
                std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
            // One is enough to look, and not to ask.
            filling.truncate(filling.len() - 1);
            running.reload().await;
            assert_eq!(running.names(), ["one__run"], "{}", running.warnings());
            assert!(
                running.warnings().contains("out of descriptors"),
                "{}",
                running.warnings()
            );
            assert_eq!(running.snapshot().skipped[0].name, "two");
            assert!(!running.snapshot().is_starved());
            drop(filling);
            setrlimit(Resource::Nofile, limit).expect("it is as before");
            until("both are served", || {
                running.names() == ["one__fresh", "two__run"]
            })
            .await;
            assert_eq!(running.warnings(), "");
        },
    );
}
