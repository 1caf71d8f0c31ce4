//! What a program may not do while it is asked, and what is said of one that tries.

use std::path::Path;
use std::time::Duration;

use smcp::discovery::introspect::{HANGS, NO_DESCRIBE, REFUSED};

use super::asking::{ask, ask_within, fixture, payload, python3};

#[test]
fn a_program_whose_import_has_side_effects_is_refused_and_has_none() {
    for (name, deed) in [
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
fn a_program_that_hangs_is_ended_before_the_limit_and_says_where() {
    let answer = ask_within(Duration::from_millis(2500), &python3(), &fixture("hangs"));
    assert_eq!(
        (answer.status, answer.reason.as_str()),
        (HANGS, "has not asked its parser after 2 s (cli.py, line 3)")
    );
}

#[test]
fn a_program_that_can_do_without_what_is_refused_is_read() {
    let found = payload(&python3(), &fixture("forgives_refusal"));
    assert_eq!(found["commands"][0]["parameters"][0]["name"], "name");
    assert!(!fixture("forgives_refusal").with_file_name("cache").exists());
}

#[test]
fn the_line_that_is_named_is_the_one_that_was_refused() {
    let plugin = tempfile::tempdir().expect("there is room");
    let packages = plugin
        .path()
        .join(".venv/lib/python3/site-packages/helpful");
    std::fs::create_dir_all(&packages).expect("the directory is ours");
    std::fs::write(
        packages.join("__init__.py"),
        "import subprocess\ntry: subprocess.run(['true'])\nexcept OSError: pass\n\n\
         def fetch(): subprocess.run(['false'])\n",
    )
    .expect("the directory is ours");
    let cli = plugin.path().join("cli.py");
    let imports = "import os, sys\n\
        sys.path.append(os.path.join(os.path.dirname(__file__), '.venv/lib/python3/site-packages'))\nimport helpful\n";
    for (rest, expected) in [
        (
            "helpful.fetch()\n",
            "starts a process (subprocess.Popen false) before it asks its parser \
             (helpful/__init__.py, line 5, from cli.py, line 4)",
        ),
        (
            "\nraise ValueError('of its own')\n",
            "ValueError: of its own (cli.py, line 5), after it was refused that it starts a process \
             (subprocess.Popen true) before it asks its parser (helpful/__init__.py, line 2, from cli.py, line 3)",
        ),
    ] {
        std::fs::write(&cli, format!("{imports}{rest}")).expect("the directory is ours");
        let answer = ask(&python3(), &cli);
        assert_eq!((answer.status, answer.reason.as_str()), (REFUSED, expected));
    }
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
