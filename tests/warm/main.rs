//! Claims about what a program sees of being run warm: nothing but what docs/warm.md lists.
//!
//! `sameness.py` runs the programs beside it cold and warm, by every interpreter of this machine, and compares status,
//! output and files; it plays the server's part itself, so that nothing but the interpreter's side is compared.

use std::path::Path;
use std::process::Command;

/// Runs `sameness.py` with these words, and fails with what it prints.
fn compared(words: &[&str]) {
    succeeds("sameness.py", words);
}

fn succeeds(script: &str, words: &[&str]) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/warm");
    let output = Command::new("python3")
        .arg(directory.join(script))
        .args(words)
        .output()
        .expect("python3 is in PATH");
    assert!(
        output.status.success(),
        "{words:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

macro_rules! programs_are_the_same {
    ($($claim:ident: $($program:literal),+;)*) => {
        $(
            #[test]
            fn $claim() {
                compared(&[$("--program", $program),+]);
            }
        )*
    };
}

programs_are_the_same! {
    every_ending_is_the_same: "endings";
    what_is_left_to_the_end_is_done: "cleanup", "outputs";
    signals_threads_and_frames_are_the_same: "signals", "threads", "frames";
    modules_and_settings_are_the_same: "modules", "settings";
    surroundings_and_stdin_are_the_same: "surroundings", "stdin";
    no_two_calls_draw_the_same: "random";
    processes_started_by_a_call_are_the_same: "children";
    command_lines_and_texts_are_read_the_same: "commandline", "texts";
    variables_set_an_interpreter_the_same: "switches";
    descriptors_files_and_sockets_are_the_same: "descriptors", "files", "network", "terminals";
    clocks_and_limits_are_the_same: "clocks", "limits";
    what_watches_a_program_sees_the_same: "watchers", "sources";
    modules_imported_by_the_way_are_the_same: "imports", "libraries";
    logs_and_event_loops_are_the_same: "logs", "loops";
}

#[test]
fn a_reused_process_gives_what_an_executed_one_gives() {
    let programs = [
        "outputs",
        "stdin",
        "endings",
        "frames",
        "commandline",
        "clocks",
        "descriptors",
        "files",
        "sources",
        "texts",
    ];
    let named: Vec<&str> = programs
        .iter()
        .flat_map(|program| ["--program", program])
        .collect();
    compared(&[&["--reuse"], &named[..]].concat());
}

#[test]
fn a_fork_of_an_interpreter_for_all_programs_gives_what_an_executed_one_gives() {
    let programs = [
        "cleanup",
        "descriptors",
        "endings",
        "frames",
        "modules",
        "settings",
        "surroundings",
    ];
    let named: Vec<&str> = programs
        .iter()
        .flat_map(|program| ["--program", program])
        .collect();
    compared(&[&["--common"], &named[..]].concat());
}

#[test]
fn calls_share_nothing_that_is_one_calls_own() {
    succeeds("unshared.py", &[]);
}

#[test]
fn programs_with_packages_of_the_index_are_the_same() {
    let Some(venv) = std::env::var_os("SMCP_TEST_PROGRAMS") else {
        println!(
            "SMCP_TEST_PROGRAMS is not set, so programs with packages of the index were not compared"
        );
        return;
    };
    let python = Path::new(&venv).join("bin/python3");
    compared(&[
        "--packages",
        "--interpreter",
        python.to_str().expect("the path of the tests is UTF-8"),
    ]);
}
