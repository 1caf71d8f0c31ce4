//! The units that come with the server, held against systemd's own checks where systemd is there.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::s;

/// What an exposure to attacks is at most: 10 is a service without any restriction.
const MOST_EXPOSED: f64 = 2.5;

fn text_of(unit: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(unit);
    std::fs::read_to_string(path).expect("it comes with the server")
}

/// The answer of `systemd-analyze`, if there is one.
fn analyze(arguments: &[&str], units: &[&Path]) -> Option<Output> {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).args(units);
    match command.output() {
        Ok(output) => Some(output),
        Err(_) => {
            eprintln!("not checked: there is no systemd-analyze here");
            None
        }
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units_and_little_to_attack() {
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let service = directory.path().join("smcp.service");
    let socket = directory.path().join("smcp.socket");
    // The program has to be there.
    let text = text_of("smcp.service");
    let text = text.replace("/usr/local/bin/smcp", env!("CARGO_BIN_EXE_smcp"));
    std::fs::write(&service, text).expect("there is room");
    std::fs::write(&socket, text_of("smcp.socket")).expect("there is room");
    let Some(verified) = analyze(&["verify"], &[&service, &socket]) else {
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr).into_owned();
    assert!(
        verified.status.success() && said.trim().is_empty(),
        "{said}"
    );

    let judged = analyze(&["security", "--offline=yes"], &[&service]).expect("it was there");
    let said = String::from_utf8_lossy(&judged.stdout).into_owned();
    let exposure = said
        .lines()
        .find_map(|line| line.split_once("Overall exposure level for smcp.service: "))
        .and_then(|(_, rest)| rest.split(' ').next()?.parse::<f64>().ok())
        .unwrap_or_else(|| panic!("no exposure: {said}"));
    assert!(exposure <= MOST_EXPOSED, "{exposure}");
}

/// The value of a line `NAME=…`.
fn value_of(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no line {name}")).to_owned()
}

#[test]
fn the_end_that_the_server_needs_fits_into_the_time_that_the_unit_gives() {
    let text = text_of("smcp.service");
    let limit: u64 = value_of(&text, "TimeoutStopSec=").parse().expect("seconds");
    let delay = value_of(&text, "Environment=MCP_DRAIN_DELAY=");
    let delay: u64 = delay.trim_end_matches('s').parse().expect("seconds");
    let needed = smcp::app::END_LIMIT + s(delay);
    assert!(limit > needed.as_secs(), "{limit} s for {needed:?}");
}

#[test]
fn the_longest_end_is_the_one_that_the_pages_name() {
    let longest = smcp::app::MAX_END.as_secs();
    for (page, words) in [
        ("smcp.service", format!("within {longest} s")),
        ("docs/install.md", format!("within {longest} seconds")),
        ("docs/monitoring.md", format!("within {longest} seconds")),
    ] {
        assert!(text_of(page).contains(&words), "{page}: {words}");
    }
}
