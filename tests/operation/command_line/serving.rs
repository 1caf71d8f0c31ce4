//! What a start says, on the console and in the log, and what its settings mean.

use std::net::{Ipv4Addr, Ipv6Addr, TcpListener};
use std::process::Command;

use serde_json::{Value, json};

use super::{folder, line, stderr};
use crate::support::http::{PATIENCE, exchange, get, post};
use crate::support::server::{Server, Setup, run};
use crate::support::until;

#[test]
fn a_start_logs_version_address_and_plugins_into_the_file_too() {
    let folder = folder("echo gone");
    let server = Server::start(&Setup::new().plugins(folder.path()).with_log_file());
    server.ready();
    let version = format!("version={}", env!("CARGO_PKG_VERSION"));
    let place = format!("plugins={}", folder.path().display());
    let address = format!("listening address={}", server.address());
    let plugin = "serving plugin=walker tools=1 source=describe";
    until("the four facts are in the log file", PATIENCE, || {
        let log = std::fs::read_to_string(server.directory().join("logs/mcp_server.log")).ok()?;
        let facts = [version.as_str(), &place, &address, plugin];
        facts.iter().all(|fact| log.contains(fact)).then_some(())
    });
}

#[test]
fn a_log_file_that_cannot_be_written_is_told_at_the_start() {
    let setup = Setup::new()
        .with_log_file()
        .variable("MCP_LOG_LEVEL", "ERROR")
        .variable("MCP_LOG_DIR", "/proc/no-such");
    let server = Server::start(&setup);
    until("the warning", PATIENCE, || {
        let log = server.log();
        log.contains("/proc/no-such/mcp_server.log cannot be written")
            .then_some(())
    });
}

#[test]
fn the_cause_of_an_error_is_said_once() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = taken.local_addr().expect("it is bound").port();
    let output = run(&line(&format!("--port {port}")));
    let said = stderr(&output);
    let last = said.lines().last().unwrap_or_default();
    assert_eq!(last.matches("in use").count(), 1, "{last}");
}

/// The command of the line `try: …`, once the server has printed it.
fn example(server: &Server) -> String {
    until("the example", PATIENCE, || {
        let printed = server.stdout();
        let line = printed.lines().find_map(|line| line.strip_prefix("try: "));
        line.filter(|_| printed.ends_with('\n')).map(str::to_owned)
    })
}

#[test]
fn the_printed_example_works_as_it_stands() {
    let key = "a key, with all there is: 'x' $HOME";
    let mut setups = vec![
        ("plain", Setup::new()),
        ("keyed", line("--require-auth").variable("MCP_API_KEY", key)),
        (
            "all interfaces",
            line("--host 0.0.0.0").variable("MCP_API_KEY", key),
        ),
    ];
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        setups.push(("IPv6", line("--host ::1")));
    }
    for (what, setup) in setups {
        let server = Server::start(&setup);
        let output = Command::new("sh")
            .args(["-c", &example(&server)])
            .env("MCP_API_KEY", key)
            .output()
            .expect("there is a shell");
        let answer = String::from_utf8_lossy(&output.stdout);
        assert!(answer.contains("healthy"), "{what}: {answer}");
    }
}

#[test]
fn with_a_digest_the_example_asks_for_the_key_itself() {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let setup = line("--require-auth").variable("MCP_API_KEY", digest);
    let server = Server::start(&setup);
    let example = example(&server);
    assert!(
        example.contains("Bearer KEY") && !example.contains("$MCP_API_KEY"),
        "{example}"
    );
    assert!(server.stdout().contains("put the key itself for KEY"));
}

#[test]
fn a_key_with_a_comma_and_a_space_is_one_key() {
    let setup = line("--require-auth").variable("MCP_API_KEY", "abc,def ghi");
    let server = Server::start(&setup);
    let status = |header: &str| {
        let request = get(server.address(), "/health", header);
        exchange(server.address(), &request).status
    };
    assert_eq!(status("X-API-Key: abc,def ghi\r\n"), 200);
    assert_eq!(status("Authorization: Bearer abc,def ghi\r\n"), 200);
    assert_eq!(status("Authorization: Bearer abc\r\n"), 401);
    assert_eq!(status("Authorization: Bearer def ghi\r\n"), 401);
}

#[test]
fn what_an_agent_attached_with_one_key_is_not_attached_with_another() {
    let folder = folder("echo gone");
    let setup = Setup::new()
        .plugins(folder.path())
        .argument("--require-auth")
        .variable("MCP_API_KEYS", "first-key,second-key");
    let server = Server::start(&setup);
    server.ready();
    let ask = |key: &str, method: &str, params: Value| {
        let headers = format!("Authorization: Bearer {key}\r\nX-Agent-Id: agent-1\r\n");
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = post(
            server.address(),
            "/messages/",
            &headers,
            message.to_string().as_bytes(),
        );
        exchange(server.address(), &request).json()["result"].take()
    };
    let sees = |key: &str| {
        ask(key, "tools/list", json!({}))
            .to_string()
            .contains("walker__go")
    };
    let detach =
        json!({"name": "sanctum__tools", "arguments": {"action": "detach", "tool": "walker__go"}});
    assert!(sees("first-key") && sees("second-key"));
    ask("first-key", "tools/call", detach);
    assert!(
        !sees("first-key"),
        "the same key and agent, over another connection"
    );
    assert!(sees("second-key"), "another key that names the same agent");
}

#[test]
fn the_demo_plugins_leave_no_directory_behind() {
    let temporary = tempfile::tempdir().expect("there is room");
    let left = || {
        let entries = std::fs::read_dir(temporary.path()).expect("it is ours");
        entries.count()
    };
    let with_temporary = |setup: Setup| setup.variable("TMPDIR", temporary.path());
    for command in [
        "tools",
        "check",
        "call demo_text__echo message=hi",
        "call nowhere__to",
    ] {
        run(&with_temporary(line(command)));
        assert_eq!(left(), 0, "{command}");
    }
    for signals in 1..=2 {
        let mut server = Server::start_alone(&with_temporary(Setup::new()));
        server.ready();
        assert_eq!(left(), 1);
        for _ in 0..signals {
            server.signal(rustix::process::Signal::TERM);
        }
        server.ends_within(PATIENCE);
        assert_eq!(left(), 0, "after {signals} signals");
    }
}
