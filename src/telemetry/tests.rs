//! The logs as their readers find them: real files, a console that remembers, events as the server makes them.

mod audit;
mod losses;

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tracing::{debug, error, info, info_span, warn};

use super::*;

/// Turns on the logs of `settings` for `work`, ends them, and returns what the console got.
fn console_of(settings: &Settings, terminal: bool, work: impl FnOnce()) -> (String, Losses) {
    let memory = Memory::default();
    let output = console::Output {
        writer: Box::new(memory.clone()),
        terminal,
    };
    let (subscriber, guard) = build_with(settings, output);
    let losses = guard.losses();
    tracing::subscriber::with_default(subscriber, work);
    drop(guard);
    let bytes = memory.0.lock().unwrap().clone();
    (String::from_utf8(bytes).unwrap(), losses)
}

/// The same, with a log file; returns what the file got.
fn file_of(mut settings: Settings, work: impl FnOnce()) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mcp.log");
    settings.file = Some(FileSettings {
        path: path.clone(),
        rotation: Rotation::None,
    });
    console_of(&settings, false, work);
    // The file comes with its first line.
    fs::read_to_string(path).unwrap_or_default()
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn json_settings() -> Settings {
    Settings {
        json: true,
        ..Settings::default()
    }
}

/// What stands behind the timestamp of a text line.
fn after_time(line: &str) -> &str {
    line.split_once("Z ")
        .expect("a text line begins with a UTC time")
        .1
}

#[test]
fn a_text_line_has_time_level_target_message_and_fields() {
    let text = file_of(Settings::default(), || {
        info!(target: "smcp::app", port = 8000, host = "127.0.0.1", note = "two words", "listening");
    });
    assert_eq!(
        after_time(&text),
        " INFO smcp::app: listening port=8000 host=127.0.0.1 note=\"two words\"\n"
    );
}

#[test]
fn a_json_line_is_one_object_with_the_fields_in_it() {
    let text = file_of(json_settings(), || {
        info!(target: "smcp::app", port = 8000, ok = true, ratio = 0.5, host = "a\"b", level = "mine", "listening");
    });
    let mut line: Value = serde_json::from_str(&text).unwrap();
    let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
    assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
    assert_eq!(
        line,
        json!({"level": "INFO", "target": "smcp::app", "message": "listening", "port": 8000, "ok": true,
               "ratio": 0.5, "host": "a\"b", "level_": "mine"})
    );
}

#[test]
fn the_level_decides_what_is_logged() {
    let lines_at = |level: &str| {
        let settings = Settings {
            level: parse_level(level).unwrap(),
            ..Settings::default()
        };
        let work = || {
            debug!(target: "smcp::x", "debug");
            debug!(target: "hyper", "noise");
            info!(target: "smcp::audit", "info");
            warn!(target: "smcp::x", "warn");
            error!(target: "smcp::x", "error");
        };
        let (console, _) = console_of(&settings, false, work);
        assert_eq!(
            console.lines().count(),
            file_of(settings, work).lines().count()
        );
        console
            .lines()
            .map(|line| line.rsplit(' ').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(lines_at("DEBUG"), ["debug", "info", "warn", "error"]);
    assert_eq!(lines_at("INFO"), ["info", "warn", "error"]);
    assert_eq!(lines_at("WARNING"), ["warn", "error"]);
    assert_eq!(lines_at("CRITICAL"), ["error"]);
    assert_eq!(lines_at("warn,smcp::audit=info"), ["info", "warn", "error"]);
    assert_eq!(lines_at("off"), Vec::<String>::new());
}

#[test]
fn without_a_file_nothing_is_created() {
    let directory = tempfile::tempdir().unwrap();
    let (console, _) = console_of(&Settings::default(), false, || info!("only here"));
    assert_eq!(console.lines().count(), 1);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn colours_are_for_terminals_and_only_when_wanted() {
    let coloured = |colour, terminal| {
        let settings = Settings {
            console: Console {
                colour,
                journal: false,
            },
            ..Settings::default()
        };
        console_of(&settings, terminal, || info!("hello"))
            .0
            .contains('\x1b')
    };
    assert!(coloured(true, true));
    assert!(!coloured(true, false));
    assert!(!coloured(false, true));
}

#[test]
fn json_goes_to_a_console_that_programs_read_but_not_to_a_terminal() {
    let (piped, _) = console_of(&json_settings(), false, || info!("hello"));
    assert!(serde_json::from_str::<Value>(&piped).is_ok(), "{piped}");
    let (terminal, _) = console_of(&json_settings(), true, || info!("hello"));
    assert!(after_time(&terminal).ends_with("hello\n"), "{terminal}");
}

#[test]
fn journald_gets_priorities_and_no_second_time() {
    let settings = Settings {
        console: Console {
            colour: true,
            journal: true,
        },
        ..Settings::default()
    };
    let (console, _) = console_of(&settings, false, || {
        warn!(target: "smcp::x", "careful");
        error!(target: "smcp::x", "broken");
    });
    assert_eq!(
        console,
        "<4> WARN smcp::x: careful\n<3>ERROR smcp::x: broken\n"
    );
}

const EVIL: &str =
    "x\n2026-01-01T00:00:00Z  INFO smcp::audit: forged\r\x1b[2J\u{9b}31m\u{202e}\" outcome=ok";

#[test]
fn no_text_from_outside_forges_a_line_or_moves_the_cursor() {
    let attack = || {
        info!(agent = EVIL, tool = %EVIL, debug = ?EVIL, "message {EVIL}");
        let _span = info_span!("call", tool = EVIL).entered();
        warn!("inside");
    };
    for settings in [Settings::default(), json_settings()] {
        for log in [
            file_of(settings.clone(), attack),
            console_of(&settings, false, attack).0,
        ] {
            assert_eq!(log.lines().count(), 2, "{log}");
            assert!(
                !log.replace('\n', "").chars().any(escape::is_unsafe),
                "{log:?}"
            );
        }
    }
    let json = file_of(json_settings(), attack);
    let first: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!(first["agent"], EVIL);
    assert_eq!(first["tool"], EVIL);
    assert_eq!(first["message"], format!("message {EVIL}"));
}

#[test]
fn a_value_cannot_pass_for_another_field() {
    let text = file_of(Settings::default(), || {
        info!(agent = "me outcome=ok", empty = "", "call")
    });
    assert!(
        text.ends_with("call agent=\"me outcome=ok\" empty=\"\"\n"),
        "{text}"
    );
}

#[test]
fn a_huge_message_does_not_fill_the_log() {
    let text = file_of(json_settings(), || {
        info!(value = "v".repeat(1 << 20), "{}", "m".repeat(1 << 20))
    });
    assert!(text.len() < 20 * 1024, "{}", text.len());
    let line: Value = serde_json::from_str(&text).unwrap();
    assert!(line["message"].as_str().unwrap().ends_with("…[cut]"));
}

#[test]
fn spans_around_an_event_are_named_in_its_line() {
    let work = || {
        let _outer = info_span!("request", session = "01234567").entered();
        let _inner = info_span!("call").entered();
        info!(target: "smcp::x", "started");
    };
    let text = file_of(Settings::default(), work);
    assert_eq!(
        after_time(&text),
        " INFO smcp::x: started in=request{session=01234567}>call\n"
    );
    let line: Value = serde_json::from_str(&file_of(json_settings(), work)).unwrap();
    assert_eq!(line["in"], "request{session=01234567}>call");
}

#[test]
fn records_of_the_log_crate_keep_their_own_target() {
    let work = || {
        tracing::event!(
            target: "log",
            tracing::Level::WARN,
            log.target = "rustls::conn",
            log.line = 7,
            "peer went away"
        );
    };
    let text = file_of(Settings::default(), work);
    assert_eq!(after_time(&text), " WARN rustls::conn: peer went away\n");
}

#[test]
fn only_the_stream_that_the_variable_names_is_the_journal() {
    let stat = rustix::fs::fstat(io::stderr()).unwrap();
    assert!(stderr_is_journal(&format!(
        "{}:{}",
        stat.st_dev, stat.st_ino
    )));
    assert!(!stderr_is_journal(&format!(
        "{}:{}",
        stat.st_dev,
        stat.st_ino + 1
    )));
    assert!(!stderr_is_journal("") && !stderr_is_journal("8:x"));
}
