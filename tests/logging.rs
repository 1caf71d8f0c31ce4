//! The logging variables, each by its effect on real files, and what no log may ever hold.
//!
//! How lines look in detail is tested beside the code; here is the program with its environment.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use support::http::{Connection, PATIENCE, exchange, get, post};
use support::plugins::Folder;
use support::server::{Server, Setup, run};
use support::session::{Session, directly, text_of};
use support::until;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A server whose log lies in `directory`, with a key, so that its start has a warning to tell.
fn logging_to(directory: &Path) -> Setup {
    Setup::new()
        .with_log_file()
        .variable("MCP_API_KEY", "canary-of-the-key")
        .variable("MCP_LOG_DIR", directory)
}

/// A directory that is gone with its test.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("the system has a directory for temporary files")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Waits until the file has a line with this text, and returns all of it.
#[track_caller]
fn log_with(path: &Path, text: &str) -> String {
    until(&format!("{text} in {}", path.display()), PATIENCE, || {
        let log = read(path);
        log.contains(text).then_some(log)
    })
}

/// Waits until the console has a line with this text, and returns all of it.
#[track_caller]
fn console_with(server: &Server, text: &str) -> String {
    until(&format!("{text} on the console"), PATIENCE, || {
        let console = server.log();
        console.contains(text).then_some(console)
    })
}

/// The names in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// Makes the server tell something at DEBUG, at INFO and, at its start, at WARN.
fn make_it_talk(server: &Server) {
    let mut connection = Connection::open(server.address());
    let _ = connection.send(b"no HTTP at all\r\n\r\n");
    let _ = connection.head(PATIENCE);
    directly(server.address(), "ping", json!({}));
}

/// Ends the server in order, so that all it had to say is in the file.
fn end(mut server: Server) {
    server.signal(rustix::process::Signal::TERM);
    assert!(server.ends_within(Duration::from_secs(20)).success());
}

#[test]
fn by_default_the_log_is_mcp_log_in_the_working_directory_for_its_owner_alone() {
    let server = Server::start(&Setup::new().with_log_file());
    directly(server.address(), "ping", json!({}));
    let path = server.directory().join("mcp.log");
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
    assert!(server.log().contains("method=ping"), "{}", server.log());
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
    support::rows::each(
        &cases,
        4,
        |(level, _)| format!("MCP_LOG_LEVEL={level}"),
        |(level, expected)| {
            let directory = directory();
            let server =
                Server::start(&logging_to(directory.path()).variable("MCP_LOG_LEVEL", *level));
            make_it_talk(&server);
            let path = directory.path().join("mcp.log");
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
    log_with(&directory.path().join("mcp.log"), "ping");
    let console = console_with(&server, "ping");
    end(server);
    for log in [read(&directory.path().join("mcp.log")), console] {
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
        (&[("MCP_LOG_DIR", deep.clone())], deep.join("mcp.log")),
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
            !server.directory().join("mcp.log").exists(),
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
        assert!(!home.join("mcp.log").exists());
    }
}

#[test]
fn size_and_backup_count_shape_the_files() {
    const LIMIT: u64 = 4096;
    type Variables = &'static [(&'static str, &'static str)];
    let cases: [(Variables, &[&str]); 5] = [
        (
            &[("MCP_LOG_BACKUP_COUNT", "2")],
            &["mcp.log", "mcp.log.1", "mcp.log.2"],
        ),
        (
            &[("MCP_LOG_BACKUP_COUNT", "1"), ("MCP_LOG_ROTATION", "size")],
            &["mcp.log", "mcp.log.1"],
        ),
        (&[("MCP_LOG_BACKUP_COUNT", "0")], &["mcp.log"]),
        (&[("MCP_LOG_ROTATION", "none")], &["mcp.log"]),
        (&[("MCP_LOG_MAX_BYTES", "0")], &["mcp.log"]),
    ];
    support::rows::each(
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
                let times: Vec<String> = log
                    .lines()
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
                ("mcp.log.1", "of yesterday\n"),
                ("mcp.log.2", "of the day before\n"),
            ],
        ),
        ("time", "1", vec![("mcp.log.1", "of yesterday\n")]),
        ("size", "5", vec![("mcp.log.1", "of the day before\n")]),
    ] {
        let directory = directory();
        let path = directory.path().join("mcp.log");
        fs::write(&path, "of yesterday\n").expect("a directory of our own");
        fs::write(directory.path().join("mcp.log.1"), "of the day before\n")
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
            .filter(|name| name != "mcp.log")
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

#[test]
fn every_wrong_setting_is_named_with_its_value_and_nothing_starts() {
    let wrong = [
        ("MCP_LOG_LEVEL", "LOUD!"),
        ("MCP_LOG_JSON", "perhaps"),
        ("MCP_LOG_ROTATION", "sometimes"),
        ("MCP_LOG_MAX_BYTES", "5 floppies"),
        ("MCP_LOG_BACKUP_COUNT", "-1"),
        ("MCP_DISABLE_FILE_LOG", "maybe"),
    ];
    let mut setup = Setup::new();
    for (name, value) in wrong {
        setup = setup.variable(name, value);
    }
    let output = run(&setup);
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    for (name, value) in wrong {
        assert!(
            said.lines()
                .any(|line| line.contains(name) && line.contains(value)),
            "no word of {name}={value}:\n{said}"
        );
    }
}

#[test]
fn what_a_client_or_a_plugin_says_forges_no_line() {
    const FORGED: &str = "x\n1999-01-01T00:00:00.000000Z  INFO smcp::audit: method=forged\r\u{1b}[2K\u{202e}\u{2028}y";
    let plugins = Folder::new();
    plugins.add_executable("loud", "#!/bin/sh\nif [ \"$1\" = --describe ]; then\nprintf '1999-01-01T00:00:00Z ERROR forged\\n\\033[2J\\n{\"commands\":[{\"name\":\"say\",\"description\":\"d\"}]}'\nelse printf '\\n1999-01-01T00:00:00Z ERROR forged\\n\\033[2J' >&2; exit 1; fi\n");
    for json_lines in ["0", "1"] {
        let directory = directory();
        let setup = logging_to(directory.path())
            .plugins(plugins.path())
            .variable("MCP_LOG_LEVEL", "TRACE")
            .variable("MCP_LOG_JSON", json_lines);
        let server = Server::start(&setup);
        server.ready();
        let at = server.address();
        directly(
            at,
            "tools/call",
            json!({"name": FORGED, "arguments": {FORGED: FORGED}}),
        );
        directly(
            at,
            "tools/call",
            json!({"name": "loud__say", "arguments": {}}),
        );
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": FORGED, "params": {}});
        exchange(
            at,
            &post(
                at,
                "/messages/",
                "X-Agent-Id: a\tb=c \"d\r\n",
                message.to_string().as_bytes(),
            ),
        );
        exchange(
            at,
            &get(
                at,
                "/%0a1999-01-01T00:00:00Z%20forged",
                "X-API-Key: wrong\r\n",
            ),
        );
        directly(at, "ping", json!({}));
        log_with(&directory.path().join("mcp.log"), "ping");
        let console = console_with(&server, "ping");
        end(server);
        for log in [read(&directory.path().join("mcp.log")), console] {
            assert!(
                log.contains("forged"),
                "the attempts are not on record:\n{log}"
            );
            for line in log.lines() {
                let beginning = if json_lines == "1" {
                    "{\"timestamp\":\"20"
                } else {
                    "20"
                };
                assert!(line.starts_with(beginning), "a forged line: {line:?}");
                let hostile =
                    |letter: char| letter.is_control() || matches!(letter, '\u{202e}' | '\u{2028}');
                assert!(!line.contains(hostile), "a control character in {line:?}");
            }
        }
    }
}

/// Everything that must stay out of the logs begins with this.
const CANARY: &str = "canary";

#[test]
fn at_the_loudest_level_no_log_holds_a_key_a_value_a_result_or_a_whole_session_id() {
    let plugins = Folder::new();
    plugins.add_executable(
        "keeper",
        r#"#!/bin/sh
if [ "$1" = --describe ]; then
    echo '{"commands":[{"name":"keep","description":"d","parameters":[
        {"name":"plain","type":"string"},{"name":"secret","type":"string","env":"KEEPER_SECRET"},
        {"name":"count","type":"integer"}]}]}'
else
    echo "canary-in-stdout $KEEPER_SECRET $*"; echo "noise-on-stderr" >&2
    [ "$3" != fail ]
fi
"#,
    );
    let directory = directory();
    let setup = logging_to(directory.path())
        .plugins(plugins.path())
        .variable("MCP_LOG_LEVEL", "TRACE")
        .variable("OTHER_SERVICE_TOKEN", "canary-in-the-environment");
    let server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let key = "X-API-Key: canary-of-the-key\r\n";
    let mut session = Session::open_with(at, "/sse", key);
    session.initialize(support::wire::NEWEST);
    let good = session.call(
        "keeper__keep",
        json!({"plain": "canary-plain", "secret": "canary-secret"}),
    );
    assert!(
        text_of(&good).contains("canary-secret"),
        "the value did not arrive: {good}"
    );
    // A failure, a refusal by the schema, and a tool that is not there: each has a message that could tell too much.
    session.call(
        "keeper__keep",
        json!({"plain": "fail", "secret": "canary-secret"}),
    );
    session.call(
        "keeper__keep",
        json!({"count": "canary-no-number", "canary-undeclared": "canary-value"}),
    );
    session.call("keeper__nothing", json!({"plain": "canary-plain"}));
    for wrong in [
        "X-API-Key: canary-wrong-key\r\n",
        "Authorization: Bearer canary-of-the-key canary-more\r\n",
    ] {
        let answer = exchange(at, &get(at, "/metrics?token=canary-in-a-query", wrong));
        assert_eq!(answer.status, 401);
        assert!(
            !answer.head.contains(CANARY) && !answer.text().contains(CANARY),
            "{}{}",
            answer.head,
            answer.text()
        );
    }
    let metrics = exchange(at, &get(at, "/metrics", key));
    assert_eq!(metrics.status, 200);
    assert!(!metrics.text().contains(CANARY), "{}", metrics.text());
    let id = session.id().to_owned();
    drop(session);
    let console = console_with(&server, "/metrics");
    end(server);
    let log = read(&directory.path().join("mcp.log"));
    assert!(
        log.contains("tool=keeper__keep") && log.contains("arguments=plain,secret"),
        "{log}"
    );
    for log in [log, console] {
        // The name of an argument is told, its value is not.
        let log = log.replace("canary-undeclared", "");
        let found: Vec<_> = log
            .lines()
            .filter(|line| line.contains(CANARY) || line.contains(&id))
            .collect();
        assert!(
            found.is_empty(),
            "secrets in the log:\n{}",
            found.join("\n")
        );
    }
}
