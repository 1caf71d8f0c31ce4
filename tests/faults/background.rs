//! Rows 30, 32, 41 and 42, as far as they are about background jobs: what a successful call has detached lives on,
//! is listed, can be ended, and ends with the server.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::served::{GONE, found_soon, gone_within, served};
use crate::support::http::{Answer, PATIENCE, exchange, get};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup, piped, run};
use crate::support::session::{Session, code_of, directly, text_of};
use crate::support::witness::Witness;
use crate::support::{processes, rows, s, until};

/// `start` detaches a program that works until it is told to finish, and the other commands ask for it later.
const JOBS: &str = r#"#!/bin/sh
file=$SMCP_PLUGIN_DIR/$2
detach() { setsid sh -c "$1" "$file" >/dev/null 2>&1 </dev/null & until [ -e "$file.pid" ]; do sleep 0.02; done; }
works='echo $$ >"$0.draft"; mv "$0.draft" "$0.pid"; until [ -e "$0.finish" ]; do sleep 0.05; done; echo 42 >"$0.result"'
case $1 in
--describe) cat "$SMCP_PLUGIN_DIR/description.json" ;;
start | off) detach "$works"; echo started ;;
status) if [ -e "$file.result" ]; then echo done "$(cat "$file.result")"
    elif kill -0 "$(cat "$file.pid")" 2>/dev/null; then echo running
    else echo gone; fi ;;
finish) : >"$file.finish"; echo told ;;
deaf) detach "trap '' TERM; setsid sh -c 'sleep 300; :' $2 & $works"; echo started ;;
all) sh -c 'sleep 300; :' "$file" >/dev/null 2>&1 & echo started ;;
fails) detach "$works"; echo it is broken >&2; exit 3 ;;
broken) detach "$works"; echo this is no JSON ;;
esac
"#;

fn jobs() -> Folder {
    let folder = Folder::new();
    let directory = folder.add_executable("jobs", JOBS);
    let declared = |name: &str, more: Value| {
        let mut command = json!({"name": name, "description": "a command",
            "parameters": [{"name": "mark", "type": "string", "arg_style": "positional"}]});
        let members = command.as_object_mut().expect("an object");
        members.extend(more.as_object().expect("an object").clone());
        command
    };
    let plain = ["start", "status", "finish", "deaf", "fails"];
    let mut commands: Vec<_> = plain.map(|name| declared(name, json!({}))).into();
    commands.push(declared("off", json!({"background": false})));
    commands.push(declared("all", json!({"background": true})));
    commands.push(declared("broken", json!({"output": "json"})));
    let description = json!({"contract_version": "1.1", "commands": commands});
    std::fs::write(directory.join("description.json"), description.to_string())
        .expect("a directory of our own");
    folder
}

fn serve(setup: Setup, folder: &Folder) -> Server {
    let server = Server::start(&setup.plugins(folder.path()));
    server.ready();
    server
}

/// A call of `jobs` without a session, as each comes from some clients.
fn call(server: &Server, command: &str, mark: &str) -> Value {
    let params = json!({"name": format!("jobs__{command}"), "arguments": {"mark": mark}});
    directly(server.address(), "tools/call", params)["result"].clone()
}

fn said(server: &Server, command: &str, mark: &str) -> String {
    text_of(&call(server, command, mark)).to_owned()
}

/// The background jobs, as the tool `health` lists them.
fn listed(server: &Server) -> Vec<Value> {
    let health = directly(server.address(), "tools/call", json!({"name": "health"}));
    let health: Value = serde_json::from_str(text_of(&health["result"])).expect("JSON");
    health["background"].as_array().expect("a list").clone()
}

fn end(server: &Server, id: &Value) -> Answer {
    let at = server.address();
    let request = format!("DELETE /background?id={id} HTTP/1.1\r\nHost: {at}\r\n\r\n");
    exchange(at, request.as_bytes())
}

fn metric(server: &Server, line: &str) -> bool {
    let answer = exchange(server.address(), &get(server.address(), "/metrics", ""));
    answer.text().lines().any(|known| known == line)
}

#[test]
fn a_detached_program_is_started_by_one_call_and_asked_for_by_later_ones() {
    let folder = jobs();
    // One permit: a job that held it would hold up every later call.
    let server = serve(Setup::new().variable("MCP_MAX_CALLS", "1"), &folder);
    let witness = Witness::of(server.address(), "");
    assert_eq!(said(&server, "start", "row-32-poll"), "started");
    for _ in 0..3 {
        assert_eq!(said(&server, "status", "row-32-poll"), "running");
    }
    assert!(metric(&server, r#"smcp_background_jobs{plugin="jobs"} 1"#));
    assert_eq!(said(&server, "finish", "row-32-poll"), "told");
    until("it has a result", PATIENCE, || {
        (said(&server, "status", "row-32-poll") == "done 42").then_some(())
    });
    until("it is no longer listed", PATIENCE, || {
        listed(&server).is_empty().then_some(())
    });
    for line in [
        r#"smcp_background_jobs{plugin="jobs"} 0"#,
        r#"smcp_background_jobs_kept_total{plugin="jobs"} 1"#,
        r#"smcp_background_jobs_ended_total{plugin="jobs",reason="itself"} 1"#,
    ] {
        until(line, PATIENCE, || metric(&server, line).then_some(()));
    }
    witness.must_be_served();
}

#[test]
fn a_job_is_listed_with_its_owner_and_ended_by_its_number() {
    let folder = jobs();
    let server = serve(Setup::new(), &folder);
    let mut session = Session::open_with(server.address(), "/sse", "X-Agent-Id: agent-7\r\n");
    session.initialize(crate::support::wire::NEWEST);
    let result = session.call("jobs__start", json!({"mark": "row-32-listed"}));
    assert_eq!(text_of(&result), "started");
    // Its session may end: it is not the job's owner.
    drop(session);
    let jobs = listed(&server);
    let [job] = &jobs[..] else { panic!("{jobs:?}") };
    assert_eq!(
        (&job["plugin"], &job["tool"]),
        (&json!("jobs"), &json!("jobs__start"))
    );
    assert!(job["age_seconds"].is_u64(), "{job}");
    assert_eq!(job["processes"][0]["command"], "sh", "{job}");
    let running = processes::with_argument("row-32-listed");
    let known = |pid: &Value| {
        running
            .iter()
            .any(|known| json!(known.as_raw_pid()) == *pid)
    };
    assert!(known(&job["processes"][0]["pid"]), "{job}");
    let answer = exchange(server.address(), &get(server.address(), "/background", ""));
    let answer = answer.json();
    assert_eq!(answer["background"][0]["id"], job["id"], "{answer}");
    assert_eq!(answer["background"][0]["agent"], "agent-7", "{answer}");

    assert_eq!(end(&server, &json!(4711)).status, 404);
    assert_eq!(end(&server, &json!("x")).status, 400);
    assert_eq!(end(&server, &job["id"]).status, 202);
    gone_within("row-32-listed", GONE);
    until("it is no longer listed", PATIENCE, || {
        listed(&server).is_empty().then_some(())
    });
    assert_eq!(end(&server, &job["id"]).status, 404, "it is over");
    for words in [
        "background job: the call has ended",
        "background job is over",
    ] {
        server.logs(&[words, "jobs__start", "agent-7"]);
    }
}

#[test]
fn whoever_needs_a_key_needs_it_to_list_and_to_end_jobs() {
    let folder = jobs();
    let setup = Setup::new().variable("MCP_API_KEY", "a-key");
    let server = serve(setup.argument("--require-auth"), &folder);
    let at = server.address();
    for method in ["GET", "DELETE"] {
        let ask = |headers: &str| {
            let request =
                format!("{method} /background?id=9 HTTP/1.1\r\nHost: {at}\r\n{headers}\r\n");
            exchange(at, request.as_bytes()).status
        };
        assert_eq!(ask(""), 401, "{method}");
        assert_eq!(
            ask("X-API-Key: a-key\r\nOrigin: https://evil.test\r\n"),
            403,
            "{method}"
        );
        assert_ne!(ask("X-API-Key: a-key\r\n"), 401, "{method}");
    }
}

#[test]
fn a_daemon_that_shook_off_everything_is_a_job_and_one_that_holds_stdout_too() {
    let server = served();
    let cases = [(30, "leaves-holder"), (32, "leaves-daemon")];
    rows::each(
        &cases,
        cases.len(),
        |(row, command)| format!("row {row}: {command}"),
        |(row, command)| {
            let witness = Witness::of(server.address(), "");
            let mark = format!("row-{row}-{command}");
            let mut session = Session::ready(server.address());
            let tool = format!("lingers__{command}");
            let result = session.call(&tool, json!({"mark": mark}));
            assert_eq!(text_of(&result), format!("here {mark}"));
            let job = until("it is listed", PATIENCE, || {
                listed(&server).into_iter().find(|job| job["tool"] == tool)
            });
            assert!(!processes::with_argument(&mark).is_empty(), "it is gone");
            assert_eq!(end(&server, &job["id"]).status, 202);
            gone_within(&mark, GONE);
            witness.must_be_served();
        },
    );
}

#[test]
fn a_call_that_failed_leaves_nothing_nor_one_whose_command_says_so() {
    let folder = jobs();
    let server = serve(Setup::new(), &folder);
    let cases = [
        ("fails", "plugin_error"),
        ("broken", "plugin_error"),
        ("off", ""),
    ];
    for (command, code) in cases {
        let mark = format!("row-32-{command}");
        let result = call(&server, command, &mark);
        if code.is_empty() {
            assert_eq!(text_of(&result), "started");
        } else {
            assert_eq!(code_of(&result), code, "{result}");
        }
        gone_within(&mark, GONE);
    }
    until("nothing is listed", PATIENCE, || {
        listed(&server).is_empty().then_some(())
    });
    until("the log says of two that they were ended", PATIENCE, || {
        let ended = server
            .log()
            .matches("ending what a program left behind")
            .count();
        (ended == 2).then_some(())
    });
}

#[test]
fn what_stayed_in_the_session_is_kept_for_a_command_that_says_so() {
    let folder = jobs();
    let server = serve(Setup::new(), &folder);
    assert_eq!(said(&server, "all", "row-32-all"), "started");
    until("it is listed", PATIENCE, || {
        (listed(&server).len() == 1).then_some(())
    });
    found_soon("row-32-all");
}

#[test]
fn a_server_without_background_jobs_ends_them_with_their_calls() {
    for (name, value) in [("MCP_BACKGROUND", "off"), ("MCP_MAX_BACKGROUND", "0")] {
        let folder = jobs();
        let server = serve(Setup::new().variable(name, value), &folder);
        for command in ["start", "all"] {
            let mark = format!("row-32-{name}-{command}");
            assert_eq!(said(&server, command, &mark), "started");
            gone_within(&mark, GONE);
        }
        assert_eq!(listed(&server), Vec::<Value>::new());
    }
}

#[test]
fn a_job_beyond_the_limit_is_ended_with_a_line_in_the_log() {
    let folder = jobs();
    let server = serve(Setup::new().variable("MCP_MAX_BACKGROUND", "1"), &folder);
    assert_eq!(said(&server, "start", "row-32-first"), "started");
    assert_eq!(said(&server, "start", "row-32-second"), "started");
    gone_within("row-32-second", GONE);
    assert_eq!(said(&server, "status", "row-32-first"), "running");
    assert_eq!(said(&server, "status", "row-32-second"), "gone");
    assert_eq!(listed(&server).len(), 1);
    server.logs(&["MCP_MAX_BACKGROUND", "jobs__start"]);
}

/// Takes five seconds: those from SIGTERM to SIGKILL.
#[test]
fn jobs_end_with_the_server_politely_and_then_by_force() {
    let folder = jobs();
    let mut server = serve(Setup::new(), &folder);
    for command in ["start", "deaf"] {
        assert_eq!(
            said(&server, command, &format!("row-41-job-{command}")),
            "started"
        );
    }
    assert_eq!(listed(&server).len(), 2);
    server.signal(Signal::TERM);
    let status = server.ends_within(s(40));
    assert!(status.success(), "{status}");
    server.leaves_nothing_within(Duration::ZERO);
}

#[test]
fn jobs_are_gone_when_the_server_is_killed() {
    let folder = jobs();
    let mut server = serve(Setup::new(), &folder);
    for command in ["start", "deaf"] {
        assert_eq!(
            said(&server, command, &format!("row-42-job-{command}")),
            "started"
        );
    }
    // The two jobs, the second with a session more, and their keepers.
    until("all are seen", PATIENCE, || {
        (server.others().len() >= 5).then_some(())
    });
    server.signal(Signal::KILL);
    server.ends_within(GONE);
    server.leaves_nothing_within(GONE);
}

#[test]
fn a_call_on_the_command_line_ends_what_it_left_and_says_so() {
    let folder = jobs();
    let line = |words: &[&str]| {
        let setup = words
            .iter()
            .fold(Setup::new(), |setup, word| setup.argument(*word));
        run(&setup.argument("--plugins-dir").argument(folder.path()))
    };
    let output = line(&["call", "jobs__start", "mark=row-32-once"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"started\n");
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(notes.contains("jobs__start left running"), "{notes}");
    assert_eq!(processes::with_argument("row-32-once"), []);
    let output = line(&["call", "jobs__status", "mark=row-32-once"]);
    assert_eq!(output.stdout, b"gone\n");
    let notes = String::from_utf8_lossy(&output.stderr);
    assert!(!notes.contains("left running"), "{notes}");
}

#[test]
fn over_stdio_a_job_lives_until_the_input_ends() {
    use std::io::{BufRead, BufReader, Write};

    let folder = jobs();
    let setup = Setup::new().argument("stdio").argument("--plugins-dir");
    let mut server = piped(&setup.argument(folder.path()));
    let child = server.child();
    let mut input = child.stdin.take().expect("stdin is a pipe");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout is a pipe")).lines();
    let mut ask = |message: Value| {
        writeln!(input, "{message}").expect("it listens");
        let id = message["id"].clone();
        let answers = lines.by_ref().map(|line| line.expect("it answers"));
        let mut answers = answers.map(|line| serde_json::from_str::<Value>(&line).expect("JSON"));
        answers
            .find(|answer| answer["id"] == id)
            .expect("an answer")
    };
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"}});
    ask(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}));
    for (id, command, text) in [(2, "start", "started"), (3, "status", "running")] {
        let params =
            json!({"name": format!("jobs__{command}"), "arguments": {"mark": "row-47-job"}});
        let answer =
            ask(json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}));
        assert_eq!(text_of(&answer["result"]), text, "{answer}");
    }
    drop(input);
    gone_within("row-47-job", GONE);
    until("the server ends", PATIENCE, || {
        child.try_wait().expect("a child of ours")
    });
}
