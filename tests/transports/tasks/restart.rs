//! What is there when a server was killed, when it ended in order, and when a second one comes.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::kept::calls;
use super::kit::{KEYS, Place, about, began, code, is_gone, let_go, reaches, ready, session, task};
use crate::support::http::PATIENCE;
use crate::support::session::text_of;

/// Processes of a killed server are asked to end, and killed five seconds later. What is there after this long stays.
const GONE: Duration = Duration::from_secs(15);

#[test]
fn a_result_is_there_after_the_server_was_killed_and_what_ran_has_failed_and_is_not_run_again() {
    let place = Place::new();
    let mut server = place.serve_with_keys();
    let mut client = session(&server, KEYS[0]);
    let [done, running, waited_for] =
        ["done", "running", "waited-for"].map(|name| place.file(name));
    let first = task(&mut client, "jobs__wait", json!({"file": done}), json!({}));
    let_go(&done, "it");
    reaches(&mut client, &first, "completed");
    let second = task(
        &mut client,
        "jobs__wait",
        json!({"file": running}),
        json!({}),
    );
    began(&running);
    client.begin("jobs__wait", json!({"file": waited_for}));
    began(&waited_for);
    server.signal(Signal::KILL);
    server.ends_within(PATIENCE);
    // Whatever is still there could write its file again.
    server.leaves_nothing_within(GONE);
    let told = ["running.began", "waited-for.began"].map(|name| place.file(name));
    for file in &told {
        std::fs::remove_file(file).expect("it had begun");
    }
    let server = place.serve_with_keys();
    let mut client = session(&server, KEYS[0]);
    let result = about(&mut client, "tasks/result", &first);
    assert_eq!(text_of(&result["result"]), "waited for it");
    let failed = about(&mut client, "tasks/get", &second);
    assert_eq!(failed["result"]["status"], "failed");
    let said = failed["result"]["statusMessage"]
        .as_str()
        .expect("a message");
    assert!(said.contains("restarted while it ran"), "{said}");
    assert_eq!(code(&about(&mut client, "tasks/result", &second)), -32603);
    let lost = calls(&mut client)
        .into_iter()
        .find(|call| call["status"] == "failed");
    let lost = lost.expect("the call of the client that waited");
    let result = client.call("smcp__result", json!({"id": lost["id"]}));
    assert_eq!(result["isError"], true);
    assert_eq!(result["structuredContent"]["error"]["code"], "call_lost");
    assert!(
        text_of(&result).contains("restarted while it ran"),
        "{result}"
    );
    let listed = client.ask("tasks/list", json!({}));
    assert!(listed["result"]["tasks"].as_array().expect("a list").len() >= 2);
    assert!(
        told.iter().all(|file| !file.exists()),
        "nothing was run again"
    );
    assert_eq!(
        code(&about(&mut session(&server, KEYS[1]), "tasks/get", &first)),
        -32602
    );
}

/// What a server writes stands in its journal first. Whoever removes that takes nothing from the results.
#[test]
fn results_are_there_after_their_journal_was_removed_and_the_server_was_killed() {
    let place = Place::new();
    let mut server = place.serve();
    let mut client = session(&server, "");
    let done: Vec<Value> = ["a", "b", "c"]
        .map(|name| {
            let file = place.file(name);
            let_go(&file, name);
            let begun = task(&mut client, "jobs__wait", json!({"file": file}), json!({}));
            reaches(&mut client, &begun, "completed");
            begun
        })
        .into();
    let journal = place.state().join("tasks.sqlite-wal");
    std::fs::remove_file(&journal).expect("the journal of a server that runs");
    // Nobody asks for anything: the server looks by itself.
    server.logs(&[
        "tasks.sqlite-wal",
        "what was kept until then is in tasks.sqlite",
    ]);
    server.signal(Signal::KILL);
    server.ends_within(PATIENCE);
    assert!(!journal.exists());
    let server = place.serve();
    let mut client = session(&server, "");
    for (begun, text) in done.iter().zip(["a", "b", "c"]) {
        let result = about(&mut client, "tasks/result", begun);
        assert_eq!(text_of(&result["result"]), format!("waited for {text}"));
    }
}

#[test]
fn a_server_that_ends_in_order_gives_tasks_the_grace_of_calls_and_notes_what_it_ended() {
    let place = Place::new();
    let mut server = place.serve();
    let mut client = session(&server, "");
    let [quick, stuck] = ["quick", "stuck"].map(|name| place.file(name));
    let first = task(&mut client, "jobs__wait", json!({"file": quick}), json!({}));
    let second = task(&mut client, "jobs__wait", json!({"file": stuck}), json!({}));
    began(&quick);
    let process = began(&stuck);
    server.signal(Signal::TERM);
    server.logs(&["shutting down"]);
    let_go(&quick, "it");
    assert!(server.ends_within(Duration::from_secs(60)).success());
    is_gone(process);
    let server = place.serve();
    let mut client = session(&server, "");
    let result = about(&mut client, "tasks/result", &first);
    assert_eq!(text_of(&result["result"]), "waited for it");
    let ended = about(&mut client, "tasks/get", &second);
    let said = ended["result"]["statusMessage"]
        .as_str()
        .expect("a message");
    assert!(said.contains("shut down while it ran"), "{said}");
}

#[test]
fn a_second_server_with_the_same_directory_serves_tools_and_says_why_it_keeps_nothing() {
    let place = Place::new();
    let _first = place.serve();
    let second = ready(&place.setup());
    second.logs(&["another server uses it"]);
    let mut client = session(&second, "");
    assert_eq!(code(&client.ask("tasks/list", json!({}))), -32601);
    let health = client.call("health", json!({}));
    assert!(
        text_of(&health).contains("another server uses it"),
        "{health}"
    );
    let file = place.file("a");
    let_go(&file, "a");
    let result = client.call("jobs__wait", json!({"file": file}));
    assert_eq!(text_of(&result), "waited for a");
    let refused = client.call("jobs__only", json!({}));
    assert!(text_of(&refused).contains("MCP_STATE_DIR"), "{refused}");
}

#[test]
fn a_damaged_store_costs_the_tasks_and_not_the_tools() {
    let place = Place::new();
    std::fs::create_dir(place.state()).expect("a new directory");
    std::fs::write(
        place.state().join("tasks.sqlite"),
        "no database, and long enough for a header".repeat(50),
    )
    .expect("a directory of our own");
    let server = place.serve();
    server.logs(&["it is damaged"]);
    let mut client = session(&server, "");
    let file = place.file("a");
    let_go(&file, "a");
    let result = client.call("jobs__wait", json!({"file": file}));
    assert_eq!(text_of(&result), "waited for a");
}
