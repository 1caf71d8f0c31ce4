//! Where the log lies, what is in it and in which shape.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{console_with, directory, end, log_with, logging_to, make_it_talk, names, read};
use crate::support::http::PATIENCE;
use crate::support::server::{Server, Setup};
use crate::support::session::directly;
use crate::support::{rows, until};

#[test]
fn by_default_the_log_lies_where_version_3_wrote_it_for_its_owner_alone() {
    let server = Server::start(&Setup::new().with_log_file());
    directly(server.address(), "ping", json!({}));
    let path = server.directory().join("logs/mcp_server.log");
    let log = log_with(&path, "method=ping");
    assert!(
        log.lines()
            .all(|line| line.contains(" INFO ") || line.contains(" WARN ")),
        "{log}"
    );
    let mode = fs::metadata(&path)
        .expect("it was just read")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // The console says the same, and standard output none of it.
    console_with(&server, "method=ping");
    assert!(
        !server.stdout().contains("method=ping"),
        "{}",
        server.stdout()
    );
}

#[test]
fn the_level_decides_what_reaches_the_file_and_the_console() {
    let cases = [
        // level, then whether DEBUG, the audit line at INFO, and the start's WARN are there
        ("TRACE", [true, true, true]),
        ("DEBUG", [true, true, true]),
        ("debug", [true, true, true]),
        ("INFO", [false, true, true]),
        ("", [false, true, true]),
        ("WARNING", [false, false, true]),
        ("warn", [false, false, true]),
        ("ERROR", [false, false, false]),
        ("CRITICAL", [false, false, false]),
        ("OFF", [false, false, false]),
        ("error,smcp::audit=info", [false, true, false]),
        ("info,smcp::http=debug", [true, true, true]),
    ];
    rows::each(
        &cases,
        4,
        |(level, _)| format!("MCP_LOG_LEVEL={level}"),
        |(level, expected)| {
            let directory = directory();
            let server =
                Server::start(&logging_to(directory.path()).variable("MCP_LOG_LEVEL", *level));
            make_it_talk(&server);
            let path = directory.path().join("mcp_server.log");
            if expected.iter().any(|wanted| *wanted) {
                // What is waited for comes last of all that could come.
                log_with(&path, if expected[1] { "method=ping" } else { " WARN " });
            }
            let marks = [
                "DEBUG smcp::http",
                "INFO smcp::audit: method=ping",
                "WARN smcp",
            ];
            let mut console = server.log();
            for (mark, expected) in marks.iter().zip(expected) {
                if *expected {
                    console = console_with(&server, mark);
                }
            }
            end(server);
            let log = read(&path);
            for (mark, expected) in marks.iter().zip(expected) {
                assert_eq!(log.contains(mark), *expected, "{mark} in the file:\n{log}");
                assert_eq!(
                    console.contains(mark),
                    *expected,
                    "{mark} on the console:\n{console}"
                );
            }
        },
    );
}

#[test]
fn json_lines_are_objects_with_time_level_target_and_message() {
    let directory = directory();
    let server = Server::start(&logging_to(directory.path()).variable("MCP_LOG_JSON", "true"));
    directly(server.address(), "ping", json!({}));
    log_with(&directory.path().join("mcp_server.log"), "ping");
    let console = console_with(&server, "ping");
    end(server);
    for log in [read(&directory.path().join("mcp_server.log")), console] {
        let lines: Vec<Value> = log
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
            })
            .collect();
        for line in &lines {
            for member in ["timestamp", "level", "target"] {
                assert!(line[member].is_string(), "no {member}: {line}");
            }
            // An audit line speaks by its fields.
            let what = if line["target"] == "smcp::audit" {
                "outcome"
            } else {
                "message"
            };
            assert!(line[what].is_string(), "no {what}: {line}");
        }
        assert!(
            lines
                .iter()
                .any(|line| line["method"] == "ping" && line["outcome"] == "ok"),
            "{log}"
        );
    }
}

#[test]
fn the_file_lies_where_the_variables_say_and_its_directory_is_made() {
    let base = directory();
    let deep = base.path().join("not/there/yet");
    let absolute = base.path().join("elsewhere.log");
    let cases: [(&[(&str, PathBuf)], PathBuf); 3] = [
        (
            &[("MCP_LOG_DIR", deep.clone())],
            deep.join("mcp_server.log"),
        ),
        (
            &[
                ("MCP_LOG_DIR", deep.clone()),
                ("MCP_LOG_FILE", "tools.log".into()),
            ],
            deep.join("tools.log"),
        ),
        (
            &[
                ("MCP_LOG_DIR", deep.clone()),
                ("MCP_LOG_FILE", absolute.clone()),
            ],
            absolute.clone(),
        ),
    ];
    for (variables, expected) in cases {
        let mut setup = Setup::new().with_log_file();
        for (name, value) in variables {
            setup = setup.variable(name, value);
        }
        let server = Server::start(&setup);
        directly(server.address(), "ping", json!({}));
        log_with(&expected, "method=ping");
        assert!(
            !server.directory().join("mcp_server.log").exists(),
            "a second log in the working directory"
        );
    }
}

#[test]
fn without_a_log_file_none_is_made() {
    for value in ["1", "true", "yes", "on"] {
        let directory = directory();
        let server = Server::start(
            &logging_to(&directory.path().join("logs")).variable("MCP_DISABLE_FILE_LOG", value),
        );
        directly(server.address(), "ping", json!({}));
        until("the console has the line", PATIENCE, || {
            server.log().contains("method=ping").then_some(())
        });
        let home = server.directory();
        end(server);
        assert_eq!(
            names(directory.path()),
            [""; 0],
            "MCP_DISABLE_FILE_LOG={value}"
        );
        assert!(!home.join("mcp_server.log").exists());
    }
}

#[test]
fn every_wrong_setting_is_named_with_its_value_and_has_no_effect() {
    let wrong = [
        ("MCP_LOG_LEVEL", "LOUD!"),
        ("MCP_LOG_JSON", "perhaps"),
        ("MCP_LOG_ROTATION", "sometimes"),
        ("MCP_LOG_MAX_BYTES", "5 floppies"),
        ("MCP_LOG_BACKUP_COUNT", "-1"),
        ("MCP_DISABLE_FILE_LOG", "maybe"),
    ];
    let mut setup = Setup::new().with_log_file();
    for (name, value) in wrong {
        setup = setup.variable(name, value);
    }
    let server = Server::start(&setup);
    let path = server.directory().join("logs/mcp_server.log");
    until("every setting is named in the log file", PATIENCE, || {
        let log = fs::read_to_string(&path).ok()?;
        let is_named = |(name, value): &(&str, &str)| {
            log.lines()
                .any(|line| line.contains(name) && line.contains(value))
        };
        wrong.iter().all(is_named).then_some(())
    });
}
