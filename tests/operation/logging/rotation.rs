//! When a log file is moved aside, and how many are kept.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::json;

use super::{directory, end, log_with, logging_to, names, read};
use crate::support::rows;
use crate::support::server::Server;
use crate::support::session::{Session, directly};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Variables, and the files that there are in the end.
type Case = (
    &'static [(&'static str, &'static str)],
    &'static [&'static str],
);

#[test]
fn size_and_backup_count_shape_the_files() {
    const LIMIT: u64 = 4096;
    let cases: [Case; 5] = [
        (
            &[("MCP_LOG_BACKUP_COUNT", "2")],
            &["mcp_server.log", "mcp_server.log.1", "mcp_server.log.2"],
        ),
        (
            &[("MCP_LOG_BACKUP_COUNT", "1"), ("MCP_LOG_ROTATION", "size")],
            &["mcp_server.log", "mcp_server.log.1"],
        ),
        (&[("MCP_LOG_BACKUP_COUNT", "0")], &["mcp_server.log"]),
        (&[("MCP_LOG_ROTATION", "none")], &["mcp_server.log"]),
        (&[("MCP_LOG_MAX_BYTES", "0")], &["mcp_server.log"]),
    ];
    rows::each(
        &cases,
        4,
        |(variables, _)| format!("{variables:?}"),
        |(variables, expected)| {
            let directory = directory();
            let mut setup =
                logging_to(directory.path()).variable("MCP_LOG_MAX_BYTES", LIMIT.to_string());
            for (name, value) in *variables {
                setup = setup.variable(name, *value);
            }
            let server = Server::start(&setup);
            let mut session = Session::ready(server.address());
            for _ in 0..150 {
                session.ask("ping", json!({}));
            }
            drop(session);
            end(server);
            assert_eq!(names(directory.path()), *expected);
            let mut newest_first = Vec::new();
            for name in *expected {
                let log = read(&directory.path().join(name));
                assert!(log.ends_with('\n'), "{name} ends within a line");
                if expected.len() > 1 {
                    assert!(log.len() as u64 <= LIMIT, "{name} has {} bytes", log.len());
                } else {
                    assert!(
                        log.matches("method=ping").count() >= 150,
                        "{name} lost lines"
                    );
                }
                // Of what several threads log at the same moment, either may come first. Each of these was answered
                // before the next was asked.
                let times: Vec<String> = log
                    .lines()
                    .filter(|line| line.contains("method=ping"))
                    .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
                    .collect();
                assert!(times.is_sorted(), "{name} is not in the order of time");
                newest_first.push(times);
            }
            for pair in newest_first.windows(2) {
                assert!(
                    pair[0].first() >= pair[1].last(),
                    "the files are not in the order of time"
                );
            }
        },
    );
}

#[test]
fn a_daily_log_that_is_of_an_earlier_day_is_moved_aside_at_the_first_line() {
    // By size it is just appended to.
    for (rotation, backups, expected) in [
        (
            "time",
            "5",
            vec![
                ("mcp_server.log.1", "of yesterday\n"),
                ("mcp_server.log.2", "of the day before\n"),
            ],
        ),
        ("time", "1", vec![("mcp_server.log.1", "of yesterday\n")]),
        (
            "size",
            "5",
            vec![("mcp_server.log.1", "of the day before\n")],
        ),
    ] {
        let directory = directory();
        let path = directory.path().join("mcp_server.log");
        fs::write(&path, "of yesterday\n").expect("a directory of our own");
        fs::write(
            directory.path().join("mcp_server.log.1"),
            "of the day before\n",
        )
        .expect("a directory of our own");
        let file = fs::File::options()
            .append(true)
            .open(&path)
            .expect("it was just written");
        file.set_modified(SystemTime::now() - DAY)
            .expect("a file of our own");
        let setup = logging_to(directory.path())
            .variable("MCP_LOG_ROTATION", rotation)
            .variable("MCP_LOG_BACKUP_COUNT", backups);
        let server = Server::start(&setup);
        directly(server.address(), "ping", json!({}));
        let log = log_with(&path, "method=ping");
        assert_eq!(log.contains("of yesterday"), rotation == "size", "{log}");
        let moved: Vec<String> = names(directory.path())
            .into_iter()
            .filter(|name| name != "mcp_server.log")
            .collect();
        assert_eq!(
            moved,
            expected.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            "{rotation} {backups}"
        );
        for (name, text) in expected {
            assert_eq!(
                read(&directory.path().join(name)),
                text,
                "{rotation} {backups}: {name}"
            );
        }
    }
}
