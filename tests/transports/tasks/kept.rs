//! Calls of clients that know no tasks and go while their program runs.

use serde_json::{Value, json};

use super::kit::{Place, began, is_gone, let_go, ready, session};
use crate::support::http::{Connection, PATIENCE, post};
use crate::support::server::Server;
use crate::support::session::{Session, text_of};
use crate::support::streamable::Client;
use crate::support::until;

/// The calls that `smcp__result` has for a client, the newest first.
#[track_caller]
pub fn calls(client: &mut Session) -> Vec<Value> {
    let listed = client.call("smcp__result", json!({}));
    let listed: Value = serde_json::from_str(text_of(&listed)).expect("a list");
    listed["calls"].as_array().expect("a list").clone()
}

/// The result of the one call that is kept, fetched by a client of an older revision that has just connected.
#[track_caller]
fn fetched(server: &Server) -> Value {
    let mut client = Session::open(server.address());
    client.initialize("2024-11-05");
    let kept = calls(&mut client);
    assert_eq!(kept.len(), 1, "{kept:?}");
    let id = kept[0]["id"].clone();
    until("the result is there", PATIENCE, || {
        let result = client.call("smcp__result", json!({"id": id, "wait": 5}));
        (!text_of(&result).contains("\"status\":\"working\"")).then_some(result)
    })
}

#[test]
fn a_call_goes_on_when_its_stream_ends_and_the_next_session_has_its_result() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    let file = place.file("a");
    client.begin("jobs__wait", json!({"file": file}));
    began(&file);
    drop(client);
    let_go(&file, "a");
    let result = fetched(&server);
    assert_eq!(text_of(&result), "waited for a");
    assert_eq!(result["isError"], false);
}

#[test]
fn a_call_goes_on_when_its_session_is_deleted() {
    let place = Place::new();
    let server = place.serve();
    let client = Client::open(server.address(), "2025-06-18");
    let file = place.file("a");
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "jobs__wait", "arguments": {"file": file}, "_meta": {"progressToken": 1}}});
    let stream = client.stream(&call);
    began(&file);
    drop(stream);
    assert!(client.delete() < 300);
    let_go(&file, "a");
    assert_eq!(text_of(&fetched(&server)), "waited for a");
}

#[test]
fn a_call_without_a_session_goes_on_when_its_connection_is_closed() {
    let place = Place::new();
    let server = place.serve();
    let file = place.file("a");
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "jobs__wait", "arguments": {"file": file}}});
    let mut connection = Connection::open(server.address());
    let request = post(
        server.address(),
        "/messages/",
        "",
        call.to_string().as_bytes(),
    );
    connection.send(&request).expect("the server listens");
    began(&file);
    connection.reset();
    let_go(&file, "a");
    assert_eq!(text_of(&fetched(&server)), "waited for a");
}

/// Begins a call, and cancels it once its program runs.
#[track_caller]
fn cancel_one(client: &mut Session, place: &Place) {
    let file = place.file("a");
    let id = client.begin("jobs__wait", json!({"file": file}));
    let process = began(&file);
    client.tell("notifications/cancelled", json!({"requestId": id}));
    is_gone(process);
}

#[test]
fn what_is_cancelled_is_not_kept_running() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    cancel_one(&mut client, &place);
    until("it is said to be cancelled", PATIENCE, || {
        (calls(&mut client)[0]["status"] == "cancelled").then_some(())
    });
}

/// Whether its request looks at that before or after it.
#[test]
fn what_is_cancelled_ends_also_where_its_client_leaves_right_after_that() {
    let place = Place::new();
    let server = place.serve();
    for name in ["a", "b", "c", "d"] {
        let client = Client::open(server.address(), "2025-11-25");
        let file = place.file(name);
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
            "name": "jobs__wait", "arguments": {"file": file}, "_meta": {"progressToken": 1}}});
        let stream = client.stream(&call);
        let process = began(&file);
        let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
        assert_eq!(client.post(&cancel).status, 202);
        drop(stream);
        assert!(client.delete() < 300);
        is_gone(process);
    }
}

#[test]
fn a_call_that_nothing_detaches_ends_with_its_client() {
    let place = Place::new();
    let server = place.serve();
    let [attached, later] = ["attached", "later"].map(|name| place.file(name));
    let mut client = session(&server, "");
    client.begin("jobs__attached", json!({"file": attached}));
    let mut process = vec![began(&attached)];
    client.begin("jobs__later", json!({"file": later}));
    process.push(began(&place.file("later.detach")));
    drop(client);
    process.into_iter().for_each(is_gone);
    assert!(calls(&mut session(&server, "")).is_empty());
}

#[test]
fn a_call_is_kept_from_the_moment_in_which_its_program_says_so() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    let file = place.file("a");
    let_go(&place.file("a.detach"), "");
    client.begin("jobs__later", json!({"file": file}));
    began(&file);
    // The program has said so, and the server may not have read it yet: until it has, the call ends with its client.
    let mut other = session(&server, "");
    until("the call is kept", PATIENCE, || {
        (!calls(&mut other).is_empty()).then_some(())
    });
    drop(client);
    let_go(&file, "a");
    assert_eq!(text_of(&fetched(&server)), "waited for a");
}

#[test]
fn a_call_whose_client_stays_is_answered_as_ever() {
    let place = Place::new();
    let server = place.serve();
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = Session::open(server.address());
        client.initialize(revision);
        let file = place.file(revision);
        let_go(&file, revision);
        let result = client.call("jobs__wait", json!({"file": file}));
        assert_eq!(
            result,
            json!({"content": [{"type": "text", "text": format!("waited for {revision}")}], "isError": false})
        );
    }
}

#[test]
fn what_is_asked_of_the_tool_for_results_is_checked() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    for bad in [
        json!({"id": 5}),
        json!({"wait": -1}),
        json!({"wait": 1e9}),
        json!({"other": 1}),
        json!({"wait": "x"}),
    ] {
        let refused = client.call("smcp__result", bad.clone());
        assert_eq!(
            refused["structuredContent"]["error"]["code"], "invalid_arguments",
            "{bad}"
        );
    }
    let unknown = client.call("smcp__result", json!({"id": "x".repeat(1 << 20)}));
    assert_eq!(unknown["isError"], true);
    assert!(text_of(&unknown).len() < 500);
}

#[test]
fn a_plugin_that_has_the_name_of_the_tool_for_results_keeps_it() {
    let place = Place::new();
    place.plugin("smcp", "import json,sys\nprint(json.dumps({'commands':[{'name':'result'}]}) if sys.argv[1]=='--describe' else 'its own')");
    let server = place.serve();
    let mut client = session(&server, "");
    assert_eq!(text_of(&client.call("smcp__result", json!({}))), "its own");
}

#[test]
fn an_agent_has_a_list_of_its_own_and_who_names_none_sees_all() {
    let place = Place::new();
    let server = place.serve();
    let file = place.file("a");
    let_go(&file, "a");
    let mut ada = session(&server, "X-Agent-Id: ada\r\n");
    ada.call("jobs__wait", json!({"file": file}));
    assert_eq!(calls(&mut ada).len(), 1);
    assert!(calls(&mut session(&server, "X-Agent-Id: eve\r\n")).is_empty());
    assert_eq!(calls(&mut session(&server, "")).len(), 1);
}

/// A profile decides which tools are seen, and takes no result away.
#[test]
fn who_has_only_the_tools_of_the_server_attaches_one_goes_and_fetches_its_result() {
    let place = Place::new();
    let profiles = place.file("profiles.json");
    let nothing =
        json!({"default_profile": "none", "profiles": {"none": {"mode": "explicit", "tools": []}}});
    std::fs::write(&profiles, nothing.to_string()).expect("a directory of our own");
    let server = ready(&place.setup().variable("SMCP_PROFILES", &profiles));
    let mut client = session(&server, "");
    let own = ["health", "sanctum__tools", "smcp__result"];
    assert_eq!(names(&mut client), own);
    let file = place.file("a");
    client.call(
        "sanctum__tools",
        json!({"action": "attach", "tool": "jobs__wait"}),
    );
    client.begin("jobs__wait", json!({"file": file}));
    began(&file);
    client.call("sanctum__tools", json!({"action": "attach-profile"}));
    drop(client);
    let_go(&file, "a");
    assert_eq!(text_of(&fetched(&server)), "waited for a");
    assert_eq!(names(&mut session(&server, "")), own);
}

/// The names in the list of tools.
#[track_caller]
fn names(client: &mut Session) -> Vec<String> {
    let tools = client.ask("tools/list", json!({}))["result"]["tools"].clone();
    let tools = tools.as_array().expect("a list").iter();
    tools
        .map(|tool| tool["name"].as_str().expect("a name").to_owned())
        .collect()
}

#[test]
fn every_failure_of_a_tool_of_the_servers_own_has_a_code() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    cancel_one(&mut client, &place);
    let cancelled = until("it is said to be cancelled", PATIENCE, || {
        let first = calls(&mut client).remove(0);
        (first["status"] == "cancelled").then_some(first["id"].clone())
    });
    for (tool, arguments, code) in [
        ("smcp__result", json!({"id": "nobody"}), "call_not_found"),
        ("smcp__result", json!({"id": cancelled}), "cancelled"),
        ("smcp__result", json!({"id": 7}), "invalid_arguments"),
        (
            "sanctum__tools",
            json!({"action": "dance"}),
            "invalid_arguments",
        ),
        (
            "sanctum__tools",
            json!({"action": "attach-profile", "profile": "nobodys"}),
            "invalid_arguments",
        ),
    ] {
        let result = client.call(tool, arguments.clone());
        assert_eq!(result["isError"], true, "{tool} {arguments}");
        let error = &result["structuredContent"]["error"];
        assert_eq!(error["code"], code, "{tool} {arguments}: {result}");
        let message = error["message"].as_str().expect("a message");
        assert!(text_of(&result).contains(message), "{result}");
    }
}
