//! What a program may not do while it is asked, and what is said of one that tries.

use std::path::Path;
use std::time::Duration;

use smcp::discovery::introspect::{NO_DESCRIBE, REFUSED};

use super::asking::{ask, ask_within, fixture, payload, python3};
use super::serving::served;
use crate::catalog::live;

#[test]
fn a_program_whose_import_has_side_effects_is_refused_and_has_none() {
    for (name, deed) in [
        (
            "opens_a_file",
            "for writing before it asks its parser (cli.py, line 1)",
        ),
        (
            "starts_a_process",
            "starts a process (subprocess.Popen touch) before it asks its parser (cli.py, line 2)",
        ),
        ("uses_the_network", "uses the network (socket."),
        (
            "reads_stdin",
            "reads standard input before it asks its parser (cli.py, line 2)",
        ),
    ] {
        let answer = ask(&python3(), &fixture(name));
        assert_eq!(
            (answer.status, &answer.payload),
            (REFUSED, &None),
            "{name}: {}",
            answer.reason
        );
        assert!(answer.reason.contains(deed), "{name}: {}", answer.reason);
        let written = format!("{}.written", fixture(name).display());
        assert!(!Path::new(&written).exists(), "{name} did its work");
    }
}

#[test]
fn the_catalogue_skips_a_program_that_works_at_import_and_does_not_run_it() {
    live(async {
        let plugins = tempfile::tempdir().expect("there is room for a small file");
        for name in ["opens_a_file", "branches"] {
            let cli = fixture(name);
            std::fs::create_dir(plugins.path().join(name)).expect("the directory is new");
            std::fs::copy(cli, plugins.path().join(name).join("cli.py"))
                .expect("the directory is ours");
        }
        let running = served(plugins.path(), python3()).await;
        assert!(
            running.snapshot().resolve("branches__add").is_ok(),
            "its neighbour is served"
        );
        let reason = running.skipped("opens_a_file");
        assert!(
            reason.contains("for writing before it asks its parser (cli.py, line 1)"),
            "{reason}"
        );
        assert!(
            !plugins.path().join("opens_a_file/cli.py.written").exists(),
            "it was run"
        );
    });
}

#[test]
fn a_program_that_hangs_is_ended_before_the_limit_and_says_where() {
    let answer = ask_within(Duration::from_millis(2500), &python3(), &fixture("hangs"));
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (
            REFUSED,
            "has not asked its parser after 2 s (cli.py, line 3)"
        )
    );
}

#[test]
fn a_program_that_can_do_without_what_is_refused_is_read() {
    let found = payload(&python3(), &fixture("forgives_refusal"));
    assert_eq!(found["commands"][0]["parameters"][0]["name"], "name");
    assert!(!fixture("forgives_refusal").with_file_name("cache").exists());
}

#[test]
fn a_program_that_cannot_be_loaded_is_reported_with_its_own_error() {
    let answer = ask(&python3(), &fixture("crashes"));
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (
            1,
            "ModuleNotFoundError: No module named 'a_module_that_nobody_has' (cli.py, line 1)"
        )
    );
}

#[test]
fn a_program_without_a_parser_is_told_apart_from_one_that_works() {
    let answer = ask(&python3(), &fixture("no_parser"));
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (
            NO_DESCRIBE,
            "ended without asking an argparse, click or typer parser"
        )
    );
}
