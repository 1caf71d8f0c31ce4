//! How the server starts, what it says then, and what it refuses.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::{PATIENCE, exchange, get};
use crate::support::plugins::{Folder, fixtures};
use crate::support::server::{Server, Setup, is_root, run};
use crate::support::session::{Session, directly, text_of};
use crate::support::{rows, until};

const DEMO: [&str; 7] = [
    "demo_math__calculate",
    "demo_math__format_bytes",
    "demo_math__coin_flip",
    "demo_text__echo",
    "demo_text__word_count",
    "demo_text__slugify",
    "demo_text__hash_preview",
];

fn with(arguments: &[&str]) -> Setup {
    arguments
        .iter()
        .fold(Setup::new(), |setup, argument| setup.argument(argument))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Fails unless the server refused to start with one line that has all these words.
#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let told = said(output);
    assert_eq!(output.status.code(), Some(code), "{told}");
    assert_eq!(told.trim_end().lines().count(), 1, "not one line: {told}");
    for word in words {
        assert!(told.contains(word), "no {word:?} in {told}");
    }
    assert!(!told.contains("panicked"), "{told}");
}

#[test]
fn the_help_names_every_flag_and_the_version_is_the_crates() {
    let help = run(&with(&["--help"]));
    assert!(help.status.success());
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    for flag in [
        "--host",
        "--port",
        "--plugins-dir",
        "--allow-external",
        "--require-auth",
        "--plugin-timeout",
        "MCP_HOST",
        "MCP_PORT",
    ] {
        assert!(text.contains(flag), "no {flag} in {text}");
    }
    let version = run(&with(&["--version"]));
    assert!(version.status.success());
    let text = String::from_utf8_lossy(&version.stdout).into_owned();
    // The tests' own build names no commit; tests/operation/version.rs is about those that do.
    let number = format!("smcp {}", env!("CARGO_PKG_VERSION"));
    let rest = text.trim().strip_prefix(&number);
    assert!(
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(" (")),
        "{text}"
    );
}

#[test]
fn an_address_that_others_reach_is_refused_without_a_key() {
    let cases: Vec<(&str, Setup)> = vec![
        ("--host 0.0.0.0", with(&["--host", "0.0.0.0"])),
        ("--host ::", with(&["--host", "::"])),
        ("--host [::]", with(&["--host", "[::]"])),
        ("--host ::ffff:0.0.0.0", with(&["--host", "::ffff:0.0.0.0"])),
        ("--host 192.0.2.1", with(&["--host", "192.0.2.1"])),
        ("--allow-external", with(&["--allow-external"])),
        ("MCP_HOST", Setup::new().variable("MCP_HOST", "0.0.0.0")),
        (
            "an empty key",
            with(&["--host", "0.0.0.0"]).variable("MCP_API_KEY", ""),
        ),
        (
            "keys that are commas",
            with(&["--host", "0.0.0.0"]).variable("MCP_API_KEYS", " , ,"),
        ),
    ];
    rows::each(
        &cases,
        4,
        |(what, _)| format!("row 45: {what}"),
        |(_, setup)| refused(&run(setup), 2, &["MCP_API_KEY"]),
    );
}

#[test]
fn every_loopback_address_is_served_without_a_key() {
    let six = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    let mut hosts = vec!["127.0.0.1", "localhost", "127.8.9.10"];
    if six {
        hosts.extend(["::1", "[::1]", "::ffff:127.0.0.1"]);
    }
    rows::each(
        &hosts,
        2,
        |host| format!("row 45: --host {host}"),
        |host| {
            let server = Server::start(&with(&["--host", host]));
            let health = exchange(server.address(), &get(server.address(), "/health", ""));
            assert_eq!(health.status, 200, "{}", health.text());
            let pong = directly(server.address(), "ping", json!({}));
            assert_eq!(pong["result"], json!({}), "{pong}");
        },
    );
}

#[test]
fn a_taken_port_is_told_in_one_line() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = taken.local_addr().expect("it is bound");
    let output = run(&with(&["--port", &address.port().to_string()]));
    let code = output.status.code().unwrap_or(0);
    assert_ne!(code, 0, "row 45");
    refused(&output, code, &[&address.to_string()]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let wrong = [
        ("MCP_PORT", "port-a"),
        ("MCP_MAX_CALLS", "-3"),
        ("MCP_MAX_SESSIONS", "many"),
        ("MCP_MAX_CONNECTIONS", "1.5"),
        ("MCP_PLUGIN_TIMEOUT", "soon"),
        ("MCP_KEEP_ALIVE", "never"),
        ("MCP_LOG_LEVEL", "=loud="),
        ("MCP_LOG_ROTATION", "weekly"),
        ("MCP_LOG_MAX_BYTES", "5MB?"),
        ("MCP_LOG_BACKUP_COUNT", "some"),
        ("MCP_LOG_JSON", "perhaps"),
        ("MCP_AUTH_DISABLED", "maybe"),
        ("MCP_ROOT_PATH", "no path"),
        ("MCP_ALLOWED_ORIGINS", "evil test"),
    ];
    let setup = wrong.iter().fold(Setup::new(), |setup, (name, value)| {
        setup.variable(name, *value)
    });
    let output = run(&setup);
    let told = said(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    for (name, value) in wrong {
        let line = told.lines().find(|line| line.contains(name));
        let line = line.unwrap_or_else(|| panic!("nothing of {name} in {told}"));
        assert!(line.contains(value), "no {value:?} in {line}");
    }
    assert_eq!(told.trim_end().lines().count(), wrong.len(), "{told}");
}

#[test]
fn a_value_that_version_3_let_pass_is_told_and_ends_no_start() {
    let passed = [
        ("MCP_PLUGIN_TIMEOUT", "soon"),
        ("MCP_LOG_LEVEL", "verbose"),
        ("MCP_LOG_ROTATION", "daily"),
        ("MCP_AUTH_DISABLED", "enabled"),
        ("MCP_AUTH_ALLOW_LOOPBACK", "maybe"),
        ("MCP_PLUGINS_DIR", "/no/such/directory"),
        ("SMCP_ATTACH_PROFILE", "nobody-defines-it"),
    ];
    let setup = passed.iter().fold(Setup::new(), |setup, (name, value)| {
        setup.variable(name, *value)
    });
    let server = Server::start_alone(&setup);
    until("every setting is told", PATIENCE, || {
        let log = server.log();
        let is_told = |(name, value): &(&str, &str)| {
            log.lines()
                .any(|line| line.contains(name) && line.contains(value))
        };
        passed.iter().all(is_told).then_some(())
    });
}

#[test]
fn an_abbreviated_flag_of_version_3_means_what_it_meant() {
    let setup = with(&["--require", "--plugin-time=5"]).variable("MCP_API_KEY", "a-key-for-all");
    let server = Server::start(&setup);
    let health = |headers: &str| {
        let request = get(server.address(), "/metrics", headers);
        exchange(server.address(), &request).status
    };
    assert_eq!(health(""), 401, "everybody needs the key");
    assert_eq!(health("X-API-Key: a-key-for-all\r\n"), 200);
}

/// Whether the log has these words, and the start lines too, unless they could not wait for the plugins.
fn is_told(server: &Server, words: &str) -> bool {
    let lines = server.stdout();
    let in_lines = lines.contains(words) || lines.contains("have not answered yet");
    in_lines && server.log().contains(words)
}

#[test]
fn a_directory_without_plugins_is_told_with_the_one_that_may_be_meant() {
    let folder = Folder::new();
    let plugin = folder.add("one", "print()\n");
    let empty = Folder::new();
    for (directory, words) in [
        (
            plugin.as_path(),
            format!(
                "is a plugin itself; the plugins directory is the one above it: --plugins-dir {}",
                folder.path().display()
            ),
        ),
        (
            empty.path(),
            format!("there is no plugin in {}", empty.path().display()),
        ),
    ] {
        let server = Server::start(&Setup::new().plugins(directory));
        until("the start lines and the log tell", PATIENCE, || {
            is_told(&server, &words).then_some(())
        });
        let checked = run(&with(&["check", "--plugins-dir"]).argument(directory));
        let report = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(report.contains(&words), "{report}");
        assert_eq!(checked.status.code(), Some(1), "{report}");
    }
}

#[test]
fn what_anybody_may_write_to_is_served_where_that_is_allowed_and_told_loudly() {
    let folder = Folder::new();
    let program = folder.add(
        "open",
        "import argparse\nargparse.ArgumentParser().parse_args()\n",
    );
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o777)).expect("ours");
    let check = |setup: Setup| {
        let output = run(&setup
            .argument("check")
            .argument("--plugins-dir")
            .argument(folder.path()));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let refused = check(Setup::new());
    for way_out in ["chmod o-w", "MCP_ALLOW_WRITABLE_PLUGINS=1"] {
        assert!(refused.contains(way_out), "{refused}");
    }
    let allowed = Setup::new().variable("MCP_ALLOW_WRITABLE_PLUGINS", "1");
    let served = check(allowed.clone());
    assert!(
        served.contains("DANGER") && !served.contains("not served: anybody"),
        "{served}"
    );
    let server = Server::start(&allowed.plugins(folder.path()));
    until("the start lines and the log tell", PATIENCE, || {
        is_told(&server, "DANGER").then_some(())
    });
}

#[test]
fn single_bad_settings_are_told_in_one_line() {
    let file = Folder::new();
    let file = file.add_executable("plain", "#!/bin/sh\n").join("cli");
    let cases: Vec<(&str, Setup, Vec<&str>)> = vec![
        (
            "--port 65536",
            with(&["--port", "65536"]),
            vec!["--port", "65536"],
        ),
        ("--port -1", with(&["--port", "-1"]), vec!["--port", "-1"]),
        (
            "--plugin-timeout x",
            with(&["--plugin-timeout", "x"]),
            vec!["--plugin-timeout", "x"],
        ),
        (
            "--host no.such.name.invalid",
            with(&["--host", "no.such.name.invalid"]),
            vec!["--host", "no.such.name.invalid"],
        ),
        (
            "--require-auth without a key",
            with(&["--require-auth"]),
            vec!["MCP_API_KEY"],
        ),
        (
            "plugins that are a file",
            with(&["--plugins-dir"]).argument(&file),
            vec!["--plugins-dir"],
        ),
        (
            "a key that is no digest",
            Setup::new().variable("MCP_API_KEY", "sha256:two-words"),
            vec!["MCP_API_KEY"],
        ),
        (
            "a time beyond all bounds",
            with(&["--plugin-timeout", "1e19"]),
            vec!["--plugin-timeout", "1e19"],
        ),
    ];
    rows::each(
        &cases,
        4,
        |(what, ..)| (*what).to_owned(),
        |(_, setup, words)| refused(&run(setup), 2, words),
    );
    let told = said(&run(
        &Setup::new().variable("MCP_API_KEY", "sha256:two-words")
    ));
    assert!(
        !told.contains("words"),
        "a key is a secret, a wrong one too: {told}"
    );
    let unknown = run(&with(&["--no-such-flag"]));
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn a_plugins_directory_that_cannot_be_read_is_refused() {
    let closed = Folder::new();
    std::fs::set_permissions(closed.path(), PermissionsExt::from_mode(0o000)).expect("ours");
    let mut setup = with(&["--plugins-dir"]).argument(closed.path());
    if is_root() {
        setup = setup.user(65_534);
    }
    let output = run(&setup);
    std::fs::set_permissions(closed.path(), PermissionsExt::from_mode(0o755)).expect("ours");
    let code = output.status.code().unwrap_or(0);
    assert_ne!(code, 0, "{}", said(&output));
    refused(&output, code, &["--plugins-dir"]);
}

#[track_caller]
fn names(address: std::net::SocketAddr) -> Vec<String> {
    let listed = directly(address, "tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().expect("a list");
    let name = |tool: &Value| tool["name"].as_str().expect("a name").to_owned();
    tools.iter().map(name).collect()
}

#[test]
fn a_lone_binary_in_an_empty_directory_serves_the_demo() {
    let server = Server::start_alone(&Setup::new());
    server.ready();
    let names = names(server.address());
    assert_eq!(names[..7], DEMO, "in this order");
    assert!(names.contains(&"health".to_owned()), "{names:?}");
    let mut session = Session::ready(server.address());
    let result = session.call(
        "demo_math__calculate",
        json!({"operation": "add", "a": 2, "b": 3}),
    );
    let answer: Value = serde_json::from_str(text_of(&result)).expect("it prints JSON");
    assert_eq!(
        answer,
        json!({"ok": true, "operation": "add", "a": 2.0, "b": 3.0, "result": 5.0})
    );
    let left = std::fs::read_dir(server.directory()).expect("ours").count();
    assert_eq!(left, 0, "the server litters its working directory");
}

#[test]
fn plugins_beside_the_working_directory_come_before_those_beside_the_binary() {
    let folder = Folder::new();
    let own = folder.path().join("plugins/mine");
    std::fs::create_dir_all(&own).expect("a new directory");
    std::fs::copy(fixtures("plugins/ends/cli.py"), own.join("cli.py")).expect("a fixture");
    let server = Server::start_alone(&Setup::new().directory(folder.path()));
    server.ready();
    let names = names(server.address());
    assert!(names.iter().any(|name| name == "mine__silent"), "{names:?}");
    assert!(
        !names.iter().any(|name| name.starts_with("demo_")),
        "{names:?}"
    );
}

#[test]
fn the_first_lines_say_what_is_served_and_how_to_connect() {
    let folder = Folder::new();
    // Shell scripts, since these lines wait for no plugin that takes long to start.
    let describes = r#"echo '{"commands":[{"name":"a"},{"name":"b"}]}'"#;
    folder.add_executable("served", &format!("#!/bin/sh\n: \"$@\"\n{describes}\n"));
    folder.add_executable("broken", "#!/bin/sh\n: \"$@\"\nexit 3\n");
    // A machine that is busy enough does not let these answer in the time that the lines wait for them.
    let lines = until("the start lines of a whole catalogue", 3 * PATIENCE, || {
        let server = Server::start(&Setup::new().plugins(folder.path()));
        let lines = until("the start lines", PATIENCE, || {
            Some(server.stdout()).filter(|lines| lines.contains("curl"))
        });
        Some(lines).filter(|lines| !lines.contains("have not answered yet"))
    });
    for word in ["/sse", "/messages/", "served", "2 tools", "broken"] {
        assert!(lines.contains(word), "{word}: {lines}");
    }
    let broken = lines
        .lines()
        .find(|line| line.contains("broken"))
        .unwrap_or_default();
    assert!(broken.len() > 40, "no reason: {broken}");
}

#[test]
fn flags_beat_the_environment() {
    let setup = Setup::new()
        .variable("MCP_PORT", "1")
        .variable("MCP_HOST", "0.0.0.0")
        .argument("--host")
        .argument("127.0.0.1");
    let server = Server::start(&setup);
    assert!(server.address().ip().is_loopback());
    assert!(server.address().port() > 1);
}

/// A question has a limit of ten seconds, after which the plugin is given up. On a machine that is too busy to get so far
/// in time, nothing is said about those who wait for it.
const IN_TIME: Duration = Duration::from_secs(8);

/// A program that describes itself once there is the file.
fn waiting_for(gate: &Path) -> String {
    format!(
        "#!/bin/sh\n: \"$@\"\nwhile [ ! -e '{}' ]; do sleep 0.05; done\n\
         echo '{{\"commands\":[{{\"name\":\"go\",\"description\":\"a\",\"parameters\":[]}}]}}'\n",
        gate.display()
    )
}

#[test]
fn ready_is_said_when_every_plugin_has_answered() {
    for _ in 0..5 {
        let folder = Folder::new();
        let gate = folder.path().join("gate");
        folder.add_executable("waits", &waiting_for(&gate));
        let started = Instant::now();
        let server = Server::start(&Setup::new().plugins(folder.path()));
        let at = server.address();
        let status = |path: &str| exchange(at, &get(at, path, "")).status;
        let (ready, alive) = (status("/readyz"), status("/healthz"));
        let session = Session::ready(at);
        std::fs::write(&gate, "").expect("ours");
        if started.elapsed() > IN_TIME {
            continue;
        }
        assert_eq!(ready, 503, "a plugin has not answered");
        assert_eq!(alive, 200, "it is alive all the same");
        return is_told_that_it_is_ready(&server, session);
    }
}

fn is_told_that_it_is_ready(server: &Server, mut session: Session) {
    let at = server.address();
    server.ready();
    let told = session.take(PATIENCE, |message| {
        message["method"] == "notifications/tools/list_changed"
    });
    assert!(
        told.is_ok(),
        "the session is told of the new tools: {told:?}"
    );
    assert!(names(at).contains(&"waits__go".to_owned()));
    let health = exchange(at, &get(at, "/health", "")).json();
    assert_eq!(health["status"], "healthy", "{health}");
    assert_eq!(health["plugins"], 1, "{health}");
    assert_eq!(health["version"], env!("CARGO_PKG_VERSION"), "{health}");
    assert!(
        !health.to_string().contains("waits"),
        "health gives away no names: {health}"
    );
}

#[test]
fn a_list_waits_for_a_plugin_that_has_not_answered_yet() {
    for _ in 0..5 {
        let folder = Folder::new();
        let gate = folder.path().join("gate");
        folder.add_executable("waits", &waiting_for(&gate));
        let started = Instant::now();
        let server = Server::start(&Setup::new().plugins(folder.path()));
        let mut session = Session::ready(server.address());
        let list = session.request("tools/list", serde_json::json!({}));
        // The answer to the handshake waits less, and a ping not at all: the list would be here before it.
        let before_it = session.heard_until_now();
        std::fs::write(&gate, "").expect("ours");
        if started.elapsed() > IN_TIME {
            continue;
        }
        assert_eq!(before_it, Vec::<serde_json::Value>::new());
        let answer = session.response(&list, PATIENCE);
        assert!(answer.to_string().contains("\"waits__go\""), "{answer}");
        return;
    }
}

#[test]
fn fifty_plugins_do_not_hold_up_the_port() {
    let folder = Folder::new();
    for number in 0..50 {
        folder.copy(&fixtures("plugins/ends"), &format!("plugin-{number:02}"));
    }
    let gate = folder.path().join("gate");
    folder.add_executable("waits", &waiting_for(&gate));
    let server = Server::start(&Setup::new().plugins(folder.path()));
    let at = server.address();
    let answer = exchange(at, &get(at, "/readyz", ""));
    assert_eq!(answer.status, 503, "the port opened with the last plugin");
    std::fs::write(&gate, "").expect("ours");
    server.ready();
    let served: Vec<_> = names(at)
        .into_iter()
        .filter(|name| name.ends_with("__silent"))
        .collect();
    assert_eq!(served.len(), 50);
    assert!(served.is_sorted(), "by the plugins' names: {served:?}");
}

#[test]
fn the_line_of_the_guides_works_as_it_stands() {
    let server = Server::start_alone(&Setup::new());
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"health","arguments":{}}}"#;
    let request = format!(
        "POST /messages/ HTTP/1.1\r\nHost: localhost:{}\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        server.address().port(),
        body.len()
    );
    let answer = exchange(server.address(), request.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let text = answer.json()["result"]["content"][0]["text"]
        .as_str()
        .map(str::to_owned);
    let health: Value = serde_json::from_str(&text.expect("a text")).expect("health is JSON");
    assert_eq!(health["status"], "healthy", "{health}");
    assert!(health["plugin_names"].is_array(), "{health}");
}
