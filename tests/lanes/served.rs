//! Warm interpreters of a server: its end at random moments, a hundred times each way, and what it says of them.
//!
//! The moments come from a seed that is printed; `SMCP_TEST_SEED` repeats a run.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::kit::python;
use crate::support::chance::{Chance, play};
use crate::support::http::{PATIENCE, exchange, get};
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, directly, text_of};
use crate::support::until;

const ROUNDS: u64 = 100;

/// How many rounds are played at once.
fn most() -> usize {
    2 * std::thread::available_parallelism().map_or(2, usize::from)
}

/// How long the processes of a server may take to be gone after it.
pub const GONE: Duration = Duration::from_secs(15);

pub fn setup() -> Setup {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lanes/plugins");
    Setup::new()
        .plugins(plugins)
        .variable("MCP_PYTHON", python())
}

pub fn call(server: &Server, command: &str) -> Value {
    let params = json!({"name": format!("lanes__{command}"), "arguments": {}});
    directly(server.address(), "tools/call", params)
}

fn health(server: &Server) -> Value {
    let params = json!({"name": "health", "arguments": {}});
    let answer = directly(server.address(), "tools/call", params);
    serde_json::from_str(text_of(&answer["result"])).expect("health is JSON")
}

pub fn metrics(server: &Server) -> String {
    exchange(server.address(), &get(server.address(), "/metrics", "")).text()
}

/// Calls, and waits until the plugin has its warm interpreter.
pub fn warm_up(server: &Server) {
    server.ready();
    call(server, "short");
    until("the plugin is warm", Duration::from_secs(60), || {
        metrics(server)
            .contains(r#"smcp_warm_state{plugin="lanes",state="warm"} 1"#)
            .then_some(())
    });
}

#[test]
fn health_and_metrics_tell_of_each_interpreter() {
    let server = Server::start(&setup());
    server.ready();
    assert_eq!(health(&server)["warm"], json!([]));
    warm_up(&server);
    for command in ["short", "ask", "short"] {
        let answer = call(&server, command);
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
    assert_eq!(call(&server, "fail")["result"]["isError"], true);
    let warm = &health(&server)["warm"][0];
    assert_eq!(warm["plugin"], "lanes");
    assert_eq!(warm["state"], "warm");
    assert_eq!(warm["calls"], 5);
    assert_eq!(warm["hits"], 4);
    assert_eq!(warm["fallbacks"], 0);
    assert!(warm["resident_mib"].is_u64() && warm["age_seconds"].is_u64());
    let text = metrics(&server);
    for line in [
        r#"smcp_warm_calls_total{plugin="lanes"} 5"#,
        r#"smcp_warm_hits_total{plugin="lanes"} 4"#,
        r#"smcp_warm_fallbacks_total{plugin="lanes"} 0"#,
        r#"smcp_warm_resident_bytes{plugin="lanes"}"#,
        r#"smcp_warm_age_seconds{plugin="lanes"}"#,
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

/// What the log says of an interpreter that does not answer is what is known: nobody can tell a stopped one from a busy one.
#[test]
fn of_an_interpreter_that_is_stopped_the_log_says_that_it_does_not_answer_and_what_becomes_of_the_calls()
 {
    let server = Server::start(&setup());
    warm_up(&server);
    let interpreters = || {
        let is_one = |pid: &Pid| {
            let words = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero()));
            words.is_ok_and(|words| String::from_utf8_lossy(&words).contains("cli.py"))
        };
        server
            .others()
            .into_iter()
            .filter(is_one)
            .collect::<Vec<_>>()
    };
    let interpreter =
        until(
            "nothing but the warm interpreter is left",
            PATIENCE,
            || match interpreters()[..] {
                [only] => Some(only),
                _ => None,
            },
        );
    kill_process(interpreter, Signal::STOP).expect("it lives");
    for _ in 0..3 {
        let answer = call(&server, "short");
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
    for words in ["a call waited", "is given up and ended"] {
        server.logs(&[
            "lanes",
            words,
            "it has not answered within 2s",
            "executed without it",
        ]);
    }
    until("it is ended", GONE, || {
        (!interpreters().contains(&interpreter)).then_some(())
    });
}

#[test]
fn a_command_that_is_reused_runs_in_one_process() {
    let server = Server::start(&setup());
    warm_up(&server);
    let count = || {
        let answer = call(&server, "count");
        let text = text_of(&answer["result"]).to_owned();
        serde_json::from_str::<Value>(&text).expect("it prints JSON")["pid"].clone()
    };
    let first = count();
    // A lane is free again a moment after the answer of its call; until then there is another one.
    until(
        "the process of the first call runs another one",
        PATIENCE,
        || (count() == first).then_some(()),
    );
    assert_eq!(call(&server, "short")["result"]["isError"], false);
}

#[test]
fn nothing_is_warm_where_that_is_turned_off() {
    let server = Server::start(&setup().variable("MCP_WARM", "off"));
    server.ready();
    for _ in 0..3 {
        call(&server, "short");
    }
    assert_eq!(health(&server)["warm"], json!([]));
    assert!(!metrics(&server).contains("smcp_warm"));
}

#[test]
fn a_plugin_that_does_not_describe_itself_is_run_for_calls_alone() {
    let plugins = tempfile::tempdir().expect("there is room");
    let plugin = plugins.path().join("plain");
    std::fs::create_dir(&plugin).expect("there is room");
    let program = "import argparse, os, sys\n\
        with open(os.path.join(os.path.dirname(__file__), 'runs'), 'a') as file:\n\
        \x20   file.write(' '.join(sys.argv[1:]) + '\\n')\n\
        parser = argparse.ArgumentParser()\n\
        parser.add_subparsers(dest='command').add_parser('work')\n\
        print(parser.parse_args())\n";
    std::fs::write(plugin.join("cli.py"), program).expect("there is room");
    let setup = Setup::new()
        .plugins(plugins.path())
        .variable("MCP_PYTHON", python());
    let server = Server::start(&setup);
    server.ready();
    for _ in 0..3 {
        let params = json!({"name": "plain__work", "arguments": {}});
        let answer = directly(server.address(), "tools/call", params);
        assert_eq!(answer["result"]["isError"], false, "{answer}");
    }
    assert_eq!(health(&server)["warm"], json!([]));
    let runs = std::fs::read_to_string(plugin.join("runs")).expect("it was called");
    assert_eq!(runs, "work\nwork\nwork\n");
}

#[test]
fn a_client_that_leaves_ends_its_warm_calls() {
    let server = Server::start(&setup());
    warm_up(&server);
    let idle = server.others().len();
    let mut session = Session::ready(server.address());
    session.begin("lanes__hang", json!({}));
    session.begin("lanes__deaf", json!({}));
    until("both calls have their processes", PATIENCE, || {
        (server.others().len() >= idle + 6).then_some(())
    });
    drop(session);
    until("they end", GONE, || {
        (server.others().len() <= idle + 4).then_some(())
    });
    assert_eq!(call(&server, "short")["result"]["isError"], false);
}

#[test]
fn a_hundred_servers_killed_during_warm_calls_leave_nothing() {
    play("SIGKILL", ROUNDS, most(), |chance| {
        let (mut server, _sessions) = busy(chance, &["hang", "deaf", "short", "job", "count"]);
        chance.wait_a_while();
        server.signal(Signal::KILL);
        server.ends_within(GONE);
        server.leaves_nothing_within(GONE);
    });
}

#[test]
fn a_hundred_servers_asked_to_end_during_warm_calls_leave_nothing() {
    play("SIGTERM", ROUNDS, most(), |chance| {
        let (mut server, _sessions) = busy(chance, &["short", "fail", "ask", "count"]);
        chance.wait_a_while();
        server.signal(Signal::TERM);
        let status = server.ends_within(Duration::from_secs(40));
        assert!(status.success(), "{status}");
        server.leaves_nothing_within(GONE);
    });
}

/// A server with calls under way; one time in four its interpreter is still being made.
fn busy(chance: &mut Chance, commands: &[&str]) -> (Server, Vec<Session>) {
    let server = Server::start(&setup());
    if chance.below(4) > 0 {
        warm_up(&server);
    } else {
        server.ready();
    }
    let mut sessions = Vec::new();
    for _ in 0..=chance.below(3) {
        let mut session = Session::ready(server.address());
        for _ in 0..2 {
            let command = commands[chance.below(commands.len())];
            session.begin(&format!("lanes__{command}"), json!({}));
        }
        sessions.push(session);
    }
    (server, sessions)
}
