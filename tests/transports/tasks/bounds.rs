//! What one client can take of what is kept.

use std::time::Duration;

use serde_json::{Value, json};

use super::kit::{KEYS, Place, about, code, reaches, ready, session, task};
use crate::support::http::{Connection, post};
use crate::support::processes;
use crate::support::session::text_of;

#[test]
fn one_key_cannot_take_the_tasks_of_another() {
    let place = Place::new();
    let setup = place
        .setup()
        .variable("MCP_API_KEYS", "first-key,second-key");
    let server = ready(
        &setup
            .argument("--require-auth")
            .variable("MCP_MAX_TASKS", "8"),
    );
    let [mut one, mut other] = KEYS.map(|key| session(&server, key));
    for _ in 0..4 {
        task(&mut one, "jobs__only", json!({}), json!({}));
    }
    let params = json!({"name": "jobs__only", "task": {}});
    let refused = one.ask("tools/call", params);
    assert_eq!(code(&refused), -32603, "{refused}");
    assert!(refused.to_string().contains("MCP_MAX_TASKS"), "{refused}");
    for _ in 0..4 {
        task(&mut other, "jobs__only", json!({}), json!({}));
    }
}

#[test]
fn a_result_that_finds_no_room_is_a_task_that_says_so_and_the_next_one_is_kept() {
    let place = Place::new();
    let server = ready(&place.setup().variable("MCP_MAX_TASK_BYTES", "1048576"));
    let mut client = session(&server, "");
    let made = task(
        &mut client,
        "jobs__large",
        json!({"bytes": 600_000}),
        json!({}),
    );
    let failed = reaches(&mut client, &made, "failed");
    let said = failed["statusMessage"].as_str().expect("a message");
    assert!(said.contains("MCP_MAX_TASK_BYTES"), "{said}");
    let made = task(
        &mut client,
        "jobs__large",
        json!({"bytes": 300_000}),
        json!({}),
    );
    let result = about(&mut client, "tasks/result", &made);
    assert_eq!(text_of(&result["result"]).len(), 300_000);
    let answer = client.call("jobs__large", json!({"bytes": 600_000}));
    assert_eq!(
        text_of(&answer).len(),
        600_000,
        "whoever waits gets it all the same"
    );
}

#[test]
fn a_list_comes_in_pages_without_a_gap_and_without_a_repetition() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    let mut made: Vec<Value> = (0..105)
        .map(|_| task(&mut client, "jobs__only", json!({}), json!({}))["taskId"].clone())
        .collect();
    made.reverse();
    let (mut listed, mut params) = (Vec::new(), json!({}));
    loop {
        let page = client.ask("tasks/list", params.clone())["result"].clone();
        let tasks = page["tasks"].as_array().expect("a list");
        listed.extend(tasks.iter().map(|task| task["taskId"].clone()));
        match page.get("nextCursor") {
            Some(next) => params["cursor"] = next.clone(),
            None => break,
        }
    }
    assert_eq!(listed, made);
}

/// Row 52 of the faults: a result takes three times its size at most, also while it is kept and while it is fetched.
#[test]
fn a_large_result_is_kept_and_fetched_without_copies_that_nobody_needs() {
    const BYTES: u64 = 15_000_000;
    let place = Place::new();
    let server = place.serve();
    let call = |tool: &str, arguments: Value| {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
            "params": {"name": tool, "arguments": arguments}});
        let (at, call) = (server.address(), call.to_string());
        let mut connection = Connection::open(at);
        let request = post(at, "/messages/", "", call.as_bytes());
        connection.send(&request).expect("the server listens");
        // Longer than others wait: a build for tests reads these megabytes slowly.
        let answer = connection.answer(Duration::from_secs(90));
        answer.expect("an answer").json()["result"].clone()
    };
    // What a first call takes once is not the result's.
    call("jobs__large", json!({"bytes": 1_000}));
    call("smcp__result", json!({}));
    let before = processes::resident(server.pid());
    let answer = call("jobs__large", json!({"bytes": BYTES}));
    assert_eq!(text_of(&answer).len() as u64, BYTES);
    let listed = call("smcp__result", json!({}));
    let listed: Value = serde_json::from_str(text_of(&listed)).expect("a list");
    let id = listed["calls"][0]["id"].clone();
    let fetched = call("smcp__result", json!({"id": id, "wait": 50}));
    assert!(fetched == answer, "it is the result of the call");
    let grown = processes::highest(server.pid()).saturating_sub(before);
    let most = 3 * BYTES + (8 << 20);
    assert!(grown <= most, "{} MiB more", grown >> 20);
}

/// A program that says it again and again fills no log and asks no disk each time.
#[test]
fn a_call_that_may_not_be_kept_is_refused_once() {
    let place = Place::new();
    place.plugin("eager", EAGER);
    let server = ready(&place.setup().variable("MCP_MAX_TASKS", "8"));
    let mut client = session(&server, "");
    for _ in 0..4 {
        task(&mut client, "jobs__only", json!({}), json!({}));
    }
    let answer = client.call("eager__say", json!({}));
    assert_eq!(text_of(&answer), "done", "it goes on as every other call");
    // Written at the end of the call: whatever is said of it stands before.
    server.logs(&["method=tools/call", "tool=eager__say"]);
    let said = server.log().matches("a call is not kept").count();
    assert_eq!(said, 1);
}

const EAGER: &str = r#"
import json, os, sys
if sys.argv[1] == "--describe":
    print(json.dumps({"contract_version": "1.1", "commands": [{"name": "say", "detach": "later"}]}))
else:
    for _ in range(50):
        os.write(3, b'{"detach":true}\n')
    print("done")
"#;
