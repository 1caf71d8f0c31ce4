//! A test in a process of its own: this test program again, with that one test. For what a process has once.

#![allow(
    unused_macros,
    unused_imports,
    dead_code,
    reason = "each test program uses its own part"
)]

use std::process::{Command, Output};
use std::time::Duration;

const VARIABLE: &str = "SMCP_TEST_ALONE";

/// The name of a test of the calling module, as the test runner knows it.
macro_rules! test_name {
    ($test:ident) => {
        concat!(module_path!(), "::", stringify!($test))
            .split_once("::")
            .expect("a module path begins with the crate")
            .1
    };
}
pub(crate) use test_name;

/// Whether this process was started for one test alone.
pub fn is_here() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// The command that runs the test alone; `wrapper` is a program, with its arguments, that executes it.
pub fn command(wrapper: &[&str], test: &str) -> Command {
    let program = std::env::current_exe().expect("it has a path");
    let mut command = match wrapper {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(program);
            command
        }
    };
    command
        .args(["--exact", test, "--nocapture", "--include-ignored"])
        .env(VARIABLE, "1");
    command
}

/// Fails unless exactly that test was run and has passed.
#[track_caller]
pub fn must_have_passed(test: &str, output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    // A name that no test has would end well, too.
    assert!(text.contains("1 passed"), "{test} was not run: {text}");
}

/// Runs `body` in a process of its own, which may take `limit`: this test program again, with this test alone. Whoever
/// ends supervisors there ends no other test's.
#[track_caller]
pub fn run<F: Future<Output = ()>>(test: &str, limit: Duration, body: impl FnOnce() -> F) {
    if is_here() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let ended = runtime.block_on(async { tokio::time::timeout(limit, body()).await });
        return ended.unwrap_or_else(|_| {
            panic!("not within {limit:?}: the end of the test in a process of its own")
        });
    }
    let output = command(&[], test).output();
    must_have_passed(test, &output.expect("this program starts again"));
}
