//! Claims about the bundled plugins `devops`, `botfather` and `promptyoself`, whose tests are in Python as they are: each file beside
//! this one is a program of claims, and some of them start this server.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

#[path = "../support/commands.rs"]
#[allow(dead_code, reason = "nothing here needs input or Node")]
mod commands;

/// Ends a test program that hangs, long after each wait in it has failed.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs one file of tests by this interpreter, and fails with what it prints.
fn passes(python: &Path, file: &str) {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugins");
    let output = commands::output_within(
        LIMIT,
        Command::new(python)
            .args(["-B", "-W", "error::ResourceWarning"])
            .arg(tests.join(file))
            .env("SMCP", env!("CARGO_BIN_EXE_smcp")),
    );
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{file}: {}\n{}{printed}",
        output.status,
        String::from_utf8_lossy(&output.stdout)
    );
    let ran = printed
        .lines()
        .find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse().ok());
    assert!(ran > Some(0), "{file} ran no test: {printed}");
}

#[test]
fn apps_are_deployed_through_the_server() {
    passes(Path::new("python3"), "devops_served.py");
}

#[test]
fn apps_are_deployed_as_their_settings_say() {
    passes(Path::new("python3"), "devops_settings.py");
}

#[test]
fn a_deploy_that_is_killed_anywhere_leaves_a_whole_release() {
    passes(Path::new("python3"), "devops_killed.py");
}

#[test]
fn a_bot_is_talked_to() {
    passes(Path::new("python3"), "botfather_claims.py");
}

/// The programs that nobody here wrote, where they are installed, to run a file of tests that needs their libraries.
fn passes_with_libraries(file: &str) {
    let Some(venv) = std::env::var_os("SMCP_TEST_PROGRAMS") else {
        println!("SMCP_TEST_PROGRAMS is not set, so {file} was not run");
        return;
    };
    passes(&PathBuf::from(venv).join("bin/python3"), file);
}

#[test]
fn what_is_used_of_telethon_is_there() {
    passes_with_libraries("botfather_telethon.py");
}

#[test]
fn prompts_are_sent_once_at_their_time() {
    passes_with_libraries("promptyoself_claims.py");
}
