//! Rows 28 to 32: what a program may do between a call and its answer.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::served::{GONE, gone_within, served};
use crate::support::plugins::{Folder, fixtures};
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, code_of, text_of};
use crate::support::witness::Witness;
use crate::support::{processes, rows, s};

/// Takes as long as the system needs to carry two gigabytes through pipes.
#[test]
fn a_flood_is_cut_and_memory_stays() {
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .variable("MCP_LOG_LEVEL", "WARNING");
    let server = Server::start(&setup);
    server.ready();
    let witness = Witness::of(server.address(), "");
    let mut session = Session::ready(server.address());
    // What a first call takes once is not the flood's.
    session.call("floods__stdout", json!({"bytes": 1_000_000}));
    let before = processes::resident(server.pid());
    let mut highest = 0;
    for (stream, bytes) in [("stdout", 1_u64 << 30), ("stderr", 1 << 30)] {
        let id = session.begin(&format!("floods__{stream}"), json!({"bytes": bytes}));
        let result = watched(&mut session, &id, || {
            highest = highest.max(processes::resident(server.pid()));
        });
        if stream == "stdout" {
            assert_eq!(code_of(&result), "output_too_large", "row 28");
        } else {
            assert_eq!(code_of(&result), "plugin_error", "row 28");
            let text = text_of(&result);
            assert!(
                text.ends_with("the last words"),
                "row 28: {}",
                &text[text.len() - 80..]
            );
            assert!(
                text.len() <= (64 << 10) + 1024,
                "row 28: {} bytes of stderr",
                text.len()
            );
        }
    }
    let grown = highest.saturating_sub(before);
    assert!(grown <= 32 << 20, "row 28: {} MiB more", grown >> 20);
    witness.must_be_served();
}

/// Waits for a result and looks at something meanwhile.
fn watched(session: &mut Session, id: &Value, mut look: impl FnMut()) -> Value {
    let deadline = Instant::now() + s(300);
    loop {
        look();
        match session.take(Duration::from_millis(20), |message| {
            message.get("id") == Some(id)
        }) {
            Ok(message) => return message["result"].clone(),
            Err(silence) => assert!(Instant::now() < deadline, "{silence:?} instead of a result"),
        }
    }
}

/// How a result must look.
enum Ends {
    Well(&'static str),
    Badly(&'static str, &'static [&'static str]),
}

#[test]
fn every_end_of_a_program_is_told() {
    let server = served();
    let cases = [
        (
            29,
            "not-utf8",
            Ends::Well("caf\u{fffd} \u{fffd}\u{fffd} end"),
        ),
        (29, "nul", Ends::Well("a\0b")),
        (
            29,
            "fails-with-object",
            Ends::Badly("plugin_error", &["no such thing", "\"number\"", "7"]),
        ),
        (31, "silent", Ends::Well("")),
        (31, "half", Ends::Well("{\"result\": [1, 2,")),
        (31, "dies", Ends::Badly("plugin_error", &["last words"])),
        (
            31,
            "fails-with-text",
            Ends::Badly("plugin_error", &["it did not work"]),
        ),
        (
            31,
            "fails-on-stderr",
            Ends::Badly("plugin_error", &["the reason is on stderr"]),
        ),
        (31, "fails-silently", Ends::Badly("plugin_error", &["7"])),
    ];
    rows::each(
        &cases,
        4,
        |(row, command, _)| format!("row {row}: {command}"),
        |(_, command, ends)| {
            let witness = Witness::of(server.address(), "");
            let mut session = Session::ready(server.address());
            let result = session.call(&format!("ends__{command}"), json!({}));
            match ends {
                Ends::Well(text) => {
                    assert_eq!(result["isError"], false, "{result}");
                    assert_eq!(text_of(&result), *text);
                }
                Ends::Badly(code, parts) => {
                    assert_eq!(code_of(&result), *code);
                    for part in *parts {
                        assert!(text_of(&result).contains(part), "no {part:?} in {result}");
                    }
                }
            }
            witness.must_be_served();
        },
    );
}

#[test]
fn a_death_by_signal_without_words_names_the_signal() {
    let folder = Folder::new();
    let description = r#"{"commands":[{"name":"die","description":"dies","parameters":[]}]}"#;
    folder.add_executable(
        "quiet",
        &format!(
            "#!/bin/sh\n[ \"$1\" = --describe ] && echo '{description}' && exit\nkill -SEGV $$\n"
        ),
    );
    let server = Server::start(&Setup::new().plugins(folder.path()));
    server.ready();
    let witness = Witness::of(server.address(), "");
    let mut session = Session::ready(server.address());
    let result = session.call("quiet__die", json!({}));
    assert_eq!(code_of(&result), "plugin_error", "row 31");
    let text = text_of(&result);
    assert!(
        text.contains("SIGSEGV") || text.contains("11"),
        "row 31: {text}"
    );
    witness.must_be_served();
}

/// Takes eight seconds: the time limit of three that the commands declare, and the five of grace for the deaf one.
#[test]
fn what_hangs_or_stays_behind_is_ended() {
    let server = served();
    let cases = [
        (30, "leaves-child", ""),
        (31, "short-limit", "timeout"),
        (31, "deaf-short-limit", "timeout"),
    ];
    rows::each(
        &cases,
        cases.len(),
        |(row, command, ..)| format!("row {row}: {command}"),
        |(row, command, code)| {
            let witness = Witness::of(server.address(), "");
            let mark = format!("row-{row}-{command}");
            let mut session = Session::ready(server.address());
            let result = session.call(&format!("lingers__{command}"), json!({"mark": mark}));
            if code.is_empty() {
                assert_eq!(result["isError"], false, "{result}");
            } else {
                assert_eq!(code_of(&result), *code);
            }
            let said = format!("here {mark}");
            assert!(
                text_of(&result).contains(&said),
                "what was printed is lost: {result}"
            );
            gone_within(&mark, GONE);
            witness.must_be_served();
        },
    );
}

#[test]
fn the_limit_of_what_a_program_prints_is_a_setting() {
    for (limit, fits, too_much) in [("2000", 2_000, 2_001), ("33554432", 20_000_000, 34_000_000)] {
        let setup = Setup::new()
            .plugins(fixtures("plugins"))
            .variable("MCP_MAX_OUTPUT_BYTES", limit);
        let server = Server::start(&setup);
        server.ready();
        let mut session = Session::ready(server.address());
        let mut call = |bytes: usize| {
            let id = session.begin("floods__stdout", json!({"bytes": bytes}));
            session.result(&id, s(300))
        };
        let result = call(fits);
        assert_eq!(text_of(&result).len(), fits, "row 28");
        let result = call(too_much);
        assert_eq!(code_of(&result), "output_too_large", "row 28");
        let told = text_of(&result);
        assert!(
            told.contains(limit) && told.contains("MCP_MAX_OUTPUT_BYTES"),
            "row 28: {told}"
        );
    }
}

#[test]
fn a_time_limit_of_the_server_ends_a_call() {
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .argument("--plugin-timeout")
        .argument("0.5");
    let server = Server::start(&setup);
    server.ready();
    let witness = Witness::of(server.address(), "");
    let mut session = Session::ready(server.address());
    let result = session.call("lingers__sleep", json!({"mark": "row-31-server"}));
    assert_eq!(code_of(&result), "timeout", "row 31");
    gone_within("row-31-server", GONE);
    witness.must_be_served();
}
