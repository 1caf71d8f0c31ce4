//! What goes on while a question is open, and what ends it.

use std::io::{BufRead, BufReader, Write};

use serde_json::{Value, json};

use crate::client::{Asking, SESSION, answer, question, session};
use crate::support::http::PATIENCE;
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup, piped};
use crate::support::session::{Session, code_of, text_of};
use crate::support::{s, until};

fn forms() -> Value {
    json!({"elicitation": {}})
}

fn yes() -> Value {
    json!({"action": "accept", "content": {"yes": true}})
}

const REPORTS: &str = r#"
def reports():
    tell(ask={"sure": form("Sure?", **YES)})
    for done in range(1, 4):
        tell(progress=done, total=3)
    # More than any buffer on the way holds.
    for number in range(1000):
        tell(log="info", data="%d %s" % (number, "x" * 1000))
    touch("reported")
    print(json.dumps(line()))
"#;

#[test]
fn progress_and_logs_go_out_while_a_question_is_open() {
    let asking = Asking::start(&["reports"], REPORTS);
    let mut session = session(asking.at(), SESSION, &forms());
    let id = session.request(
        "tools/call",
        json!({"name": "ask__reports", "arguments": {}, "_meta": {"progressToken": "t"}}),
    );
    let asked = question(&mut session);
    let came = |session: &mut Session, what: &str, wanted: &dyn Fn(&Value) -> bool| {
        let came = session.take(PATIENCE, wanted);
        came.unwrap_or_else(|silence| panic!("{silence:?} instead of {what}"));
    };
    came(&mut session, "the last step", &|message| {
        message["params"]["progress"] == 3
    });
    came(&mut session, "a log message", &|message| {
        message["method"] == "notifications/message"
    });
    until("the program has written everything", PATIENCE, || {
        asking.has("reported").then_some(())
    });
    answer(&mut session, &asked, &yes());
    // Longer than others wait: a build for tests judges the thousand messages before it slowly.
    let result = session.result(&id, s(90));
    assert!(text_of(&result).contains("\"yes\": true"), "{result}");
}

/// Programs that take no time of their own.
const WAITS: &str = r#"#!/bin/sh
ask() {
    echo '{"ask":{"sure":{"elicit":{"mode":"form","message":"Sure?","requestedSchema":{"type":"object","properties":{}}}}}}' >&3
    read -r answer <&3
}
case "$1" in
--describe) echo '{"contract_version":"1.1","commands":[{"name":"waits","timeout":8},{"name":"loops"}]}' ;;
waits) ask; echo asked ;;
loops) ask; sleep 600 ;;
esac
"#;

/// Takes as long as the calls may take, and once more for the one that goes on after its answer.
#[test]
fn the_time_of_a_call_does_not_run_while_a_question_is_open() {
    let folder = Folder::new();
    folder.add_executable("ask", WAITS);
    let setup = Setup::new().plugins(folder.path());
    let server = Server::start(&setup.variable("MCP_PLUGIN_TIMEOUT", "8"));
    server.ready();
    let at = server.address();
    let mut calls = ["ask__waits", "ask__loops"].map(|tool| {
        let mut session = session(at, SESSION, &forms());
        let id = session.begin(tool, json!({}));
        let asked = question(&mut session);
        (session, id, asked)
    });
    // Their users think for longer than the calls may take.
    std::thread::sleep(s(9));
    for (session, _, asked) in &mut calls {
        answer(session, asked, &json!({"action": "accept", "content": {}}));
    }
    let [(mut waiting, waits, _), (mut looping, loops, _)] = calls;
    assert_eq!(text_of(&waiting.result(&waits, PATIENCE)), "asked");
    let result = looping.result(&loops, s(40));
    assert_eq!(
        code_of(&result),
        "timeout",
        "after the answer it runs: {result}"
    );
}

const GOES_ON: &str = r#"
def goes_on():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell(progress=1, total=9)
    wait_for("cancelled")
    tell(progress=2, total=9)
    tell(log="error", data="more")
    tell(ask={"sure": form("Sure?", **YES)})
    touch("said")
    time.sleep(600)
"#;

#[test]
fn nothing_is_sent_for_a_request_after_its_cancellation() {
    let asking = Asking::start(&["goes_on"], GOES_ON);
    let mut session = session(asking.at(), SESSION, &forms());
    let params = json!({"name": "ask__goes_on", "arguments": {}, "_meta": {"progressToken": "t"}});
    let id = session.request("tools/call", params);
    let step = |message: &Value| message["method"] == "notifications/progress";
    session.take(PATIENCE, step).expect("the first step");
    session.tell("notifications/cancelled", json!({"requestId": id}));
    asking.touch("cancelled");
    until("the program has said more", PATIENCE, || {
        asking.has("said").then_some(())
    });
    assert_eq!(session.heard_until_now(), [Value::Null; 0]);
    until("the program is gone", s(60), || {
        let log = asking.server.others();
        let is_program = |pid: &rustix::process::Pid| {
            let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&command).contains("goes_on")
        };
        (!log.iter().any(is_program)).then_some(())
    });
    assert_eq!(session.heard_until_now(), [Value::Null; 0]);
}

#[test]
fn the_end_of_the_input_ends_an_open_question_over_stdio() {
    let folder = Folder::new();
    folder.add(
        "ask",
        r#"import os, sys
if sys.argv[1] == "--describe":
    print('{"contract_version":"1.1","commands":[{"name":"ask"}]}')
    sys.exit()
os.write(3, b'{"ask":{"sure":{"elicit":{"mode":"form","message":"Sure?","requestedSchema":{"type":"object","properties":{}}}}}}\n')
answer = os.read(3, 65536)
open(os.environ["SMCP_PLUGIN_DIR"] + "/went-on", "w")
"#,
    );
    let setup = Setup::new()
        .argument("stdio")
        .argument("--plugins-dir")
        .argument(folder.path());
    let mut server = piped(&setup);
    let mut input = server.child().stdin.take().expect("stdin is a pipe");
    let output = server.child().stdout.take().expect("stdout is a pipe");
    let hello = json!({"protocolVersion": SESSION, "capabilities": forms(),
                       "clientInfo": {"name": "asked", "version": "1"}});
    let call = json!({"name": "ask__ask", "arguments": {}});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}),
    ] {
        writeln!(input, "{message}").expect("the server reads");
    }
    let mut lines = BufReader::new(output).lines().map_while(Result::ok);
    let asks = |line: &String| line.contains("elicitation/create");
    assert!(lines.any(|line| asks(&line)), "it asks");
    drop(input);
    // Ended with the grace of running calls, it would be cancelled and have no answer.
    let answer = lines
        .find(|line| line.contains("\"id\":2"))
        .expect("an answer");
    assert!(
        answer.contains("it asked the client, which had gone"),
        "{answer}"
    );
    assert_eq!(lines.next(), None, "the output ends");
    let ended = server.child().wait().expect("a child of ours");
    assert!(ended.success(), "{ended}");
    assert!(!folder.path().join("ask/went-on").exists());
}
