//! A question that ends its run: nothing of the program runs after it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use crate::client::{
    Asking, SESSION, call_stateless, question, session, stateless_call, stateless_request,
    with_answers,
};
use crate::support::http::{Connection, PATIENCE};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::streamable::Client;
use crate::support::{s, until};

/// Asks, and in the next line says that it went on.
const SHELL: &str = r#"#!/bin/sh
case "$1" in
--describe)
    echo '{"contract_version":"1.1","commands":[{"name":"ask"},{"name":"hand_on"},{"name":"stop"}]}'
    exit ;;
ask)
    echo '{"ask":{"sure":{"elicit":{"mode":"form","message":"Sure?","requestedSchema":{"type":"object","properties":{}}}}}}' >&3
    read -r answer <&3
    : > "$SMCP_PLUGIN_DIR/went-on-$SMCP_CALL_ID" ;;
stop)
    # Is stopped from outside while it waits, as by a debugger.
    (sleep 0.2; kill -STOP $$) &
    echo '{"ask":{"sure":{"elicit":{"mode":"form","message":"Sure?","requestedSchema":{"type":"object","properties":{}}}}}}' >&3
    read -r answer <&3
    : > "$SMCP_PLUGIN_DIR/went-on-$SMCP_CALL_ID" ;;
hand_on)
    # One process reads the answer and another, which acts on it, reads that from a pipe.
    echo '{"ask":{"sure":{"elicit":{"mode":"form","message":"Sure?","requestedSchema":{"type":"object","properties":{}}}}}}' >&3
    { read -r answer <&3; echo "$answer"; } | { read -r handed; : > "$SMCP_PLUGIN_DIR/went-on-$SMCP_CALL_ID"; } ;;
esac
"#;

const PYTHON: &str = r#"#!/usr/bin/env -S python3 -IS
import os, sys
if sys.argv[1] == "--describe":
    print('{"contract_version":"1.1","commands":[{"name":"ask"}]}')
    sys.exit()
os.write(3, b'{"ask":{"sure":{"elicit":{"mode":"form","message":"Sure?","requestedSchema":{"type":"object","properties":{}}}}}}\n')
answer = os.read(3, 65536)
open(os.environ["SMCP_PLUGIN_DIR"] + "/went-on-" + os.environ["SMCP_CALL_ID"], "w")
"#;

const TOOLS: [&str; 4] = ["shell__ask", "python__ask", "shell__hand_on", "shell__stop"];

/// A server of programs that say when they went on after their question.
struct Programs {
    server: Server,
    folder: Folder,
}

impl Programs {
    fn start() -> Self {
        let folder = Folder::new();
        folder.add_executable("shell", SHELL);
        folder.add_executable("python", PYTHON);
        let setup = Setup::new().plugins(folder.path());
        let server = Server::start(&setup.variable("MCP_MAX_CALLS", "32"));
        server.ready();
        Self { server, folder }
    }

    fn at(&self) -> SocketAddr {
        self.server.address()
    }

    /// The files that say that a program went on.
    fn went_on(&self) -> Vec<PathBuf> {
        let of = |directory: &Path| {
            let entries = std::fs::read_dir(directory).expect("a directory of our own");
            let paths = entries.map(|entry| entry.expect("it is readable").path());
            let says = |path: &PathBuf| path.to_string_lossy().contains("went-on");
            paths.filter(says).collect::<Vec<_>>()
        };
        let plugins = ["shell", "python"].map(|name| self.folder.path().join(name));
        plugins.iter().flat_map(|plugin| of(plugin)).collect()
    }

    /// Waits until no program is left, and fails if one went on.
    #[track_caller]
    fn have_ended_with_their_question(&self) {
        until("no program is left", s(60), || {
            let programs = self.server.others().into_iter().filter(|pid| {
                let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                !String::from_utf8_lossy(&command).contains("__supervise")
            });
            (programs.count() == 0).then_some(())
        });
        assert_eq!(self.went_on(), Vec::<PathBuf>::new());
    }
}

fn elicitation() -> Value {
    json!({"elicitation": {}})
}

/// Does `work` for the numbers below `rounds`, several at once.
fn side_by_side(rounds: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds {
                        return;
                    }
                    work(round);
                }
            });
        }
    });
}

#[test]
fn two_hundred_runs_end_with_their_question_and_no_further_line_is_run() {
    let programs = Programs::start();
    side_by_side(200, |round| {
        let tool = TOOLS[round % TOOLS.len()];
        let result = call_stateless(programs.at(), tool, &elicitation(), &json!({}));
        assert_eq!(result["resultType"], "input_required", "{tool}: {result}");
        assert_eq!(
            result["inputRequests"]["sure"]["method"],
            "elicitation/create"
        );
    });
    programs.have_ended_with_their_question();
}

#[test]
fn no_further_line_is_run_when_the_session_of_an_open_question_is_deleted() {
    let programs = Programs::start();
    side_by_side(24, |round| {
        let client = Client::open_as(programs.at(), SESSION, &elicitation());
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                          "params": {"name": TOOLS[round % TOOLS.len()], "arguments": {}}});
        let mut stream = client.stream(&call);
        loop {
            let event = stream.event().expect("a question comes");
            if event
                .data
                .is_some_and(|data| data.contains("elicitation/create"))
            {
                break;
            }
        }
        assert_eq!(client.delete(), 204);
    });
    programs.have_ended_with_their_question();
}

#[test]
fn no_further_line_is_run_when_a_supervisor_is_stopped_while_a_session_ends() {
    let programs = Programs::start();
    let mut clients = Vec::new();
    for tool in ["shell__ask", "python__ask", "shell__hand_on"] {
        let client = Client::open_as(programs.at(), SESSION, &elicitation());
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                          "params": {"name": tool, "arguments": {}}});
        let mut stream = client.stream(&call);
        loop {
            let event = stream.event().expect("a question comes");
            let data = event.data.unwrap_or_default();
            if data.contains("elicitation/create") {
                break;
            }
        }
        clients.push((client, stream));
    }
    for pid in programs.server.others() {
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains("__supervise") {
            // One that has ended meanwhile is none of them.
            let _ = rustix::process::kill_process(pid, Signal::STOP);
        }
    }
    for (client, _stream) in &clients {
        assert_eq!(client.delete(), 204);
    }
    programs.have_ended_with_their_question();
}

#[test]
fn no_further_line_is_run_when_the_client_of_an_open_question_goes() {
    let programs = Programs::start();
    side_by_side(24, |round| {
        let mut session = session(programs.at(), SESSION, &elicitation());
        session.begin(TOOLS[round % TOOLS.len()], json!({}));
        question(&mut session);
    });
    programs.have_ended_with_their_question();
}

#[test]
fn no_further_line_is_run_when_a_server_with_open_questions_is_killed() {
    let mut programs = Programs::start();
    let at = programs.at();
    let mut session = session(at, SESSION, &elicitation());
    for round in 0..24 {
        session.begin(TOOLS[round % TOOLS.len()], json!({}));
    }
    // Three quarters of the permits at most are one session's.
    for _ in 0..24 {
        question(&mut session);
    }
    until("some of the programs are stopped", PATIENCE, || {
        let others = programs.server.others();
        let state = |pid: &Pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.contains(") T ").then_some(())
        };
        (others.iter().filter_map(state).count() >= 24 / TOOLS.len()).then_some(())
    });
    programs.server.signal(Signal::KILL);
    programs.server.ends_within(s(60));
    programs.server.leaves_nothing_within(s(60));
    assert_eq!(programs.went_on(), Vec::<PathBuf>::new());
}

const HANDLES: &str = r#"
def cleans_up():
    touch("begun")
    def end(*_):
        time.sleep(0.3)
        touch("cleaned-up")
        sys.exit(1)
    signal.signal(signal.SIGTERM, end)
    ask(sure=form("Sure?", **YES))
    touch("went-on")
def only_notes():
    signal.signal(signal.SIGTERM, lambda *_: touch("noted"))
    ask(sure=form("Sure?", **YES))
    touch("went-on")
"#;

/// Takes five seconds: the grace of a program whose handler does not end it.
#[test]
fn a_handler_of_sigterm_runs_and_the_answer_it_waited_for_never_comes() {
    let asking = Asking::start(&["cleans_up", "only_notes"], HANDLES);
    side_by_side(2, |round| {
        let tool = ["ask__cleans_up", "ask__only_notes"][round];
        let result = call_stateless(asking.at(), tool, &elicitation(), &json!({}));
        assert_eq!(result["resultType"], "input_required", "{result}");
        let handled = ["cleaned-up", "noted"][round];
        assert!(
            asking.has(handled),
            "{tool}: the handler ran before the answer"
        );
    });
    assert!(!asking.has("went-on"));
}

#[test]
fn a_call_that_is_cancelled_while_it_asks_runs_no_further_line() {
    let programs = Programs::start();
    side_by_side(24, |round| {
        let tool = TOOLS[round % TOOLS.len()];
        if round % 2 == 0 {
            let mut session = session(programs.at(), SESSION, &elicitation());
            let id = session.begin(tool, json!({}));
            question(&mut session);
            session.tell("notifications/cancelled", json!({"requestId": id}));
            // The program ends while its session goes on.
            until("the call ends", PATIENCE, || {
                let others = session.heard_until_now();
                let withdrawn = |message: &Value| message["method"] == "notifications/cancelled";
                assert!(others.iter().all(withdrawn), "{others:?}");
                (!others.is_empty()).then_some(())
            });
        } else {
            // The stream of the request is closed.
            let message = stateless_call(tool, &elicitation(), &json!({}));
            let mut connection = Connection::open(programs.at());
            let request = stateless_request(programs.at(), &message);
            connection.send(&request).expect("an open connection");
            std::thread::sleep(Duration::from_millis(10 * round as u64));
        }
    });
    programs.have_ended_with_their_question();
}

#[test]
fn with_its_answer_the_same_program_goes_on() {
    let programs = Programs::start();
    for tool in &TOOLS[..3] {
        let required = call_stateless(programs.at(), tool, &elicitation(), &json!({}));
        let yes = json!({"sure": {"action": "accept", "content": {}}});
        let further = with_answers(&required, &yes);
        let result = call_stateless(programs.at(), tool, &elicitation(), &further);
        assert_eq!(result["resultType"], "complete", "{tool}: {result}");
    }
    assert_eq!(programs.went_on().len(), 3);
}
