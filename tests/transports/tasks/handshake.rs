//! Tasks of 2025-11-25, which a client asks for with a param of its call.

use serde_json::{Value, json};

use super::kit::{
    KEYS, Place, about, began, code, is_gone, let_go, newest_as, reaches, session, task,
};
use crate::support::http::PATIENCE;
use crate::support::session::text_of;
use crate::support::streamable::{Client, Stream};

#[test]
fn a_task_is_answered_at_once_and_its_result_when_the_job_is_done() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    let file = place.file("a");
    let made = task(
        &mut client,
        "jobs__wait",
        json!({"file": file}),
        json!({"ttl": 120_000}),
    );
    assert_eq!(
        (&made["status"], &made["ttl"]),
        (&json!("working"), &json!(120_000))
    );
    let id = client.request("tasks/result", json!({"taskId": made["taskId"]}));
    began(&file);
    let_go(&file, "a");
    let result = client.result(&id, PATIENCE);
    assert_eq!(text_of(&result), "waited for a");
    let related = &result["_meta"]["io.modelcontextprotocol/related-task"];
    assert_eq!(related["taskId"], made["taskId"]);
    let now = reaches(&mut client, &made, "completed");
    assert_eq!(now["createdAt"], made["createdAt"]);
    let again = about(&mut client, "tasks/result", &made);
    assert_eq!(text_of(&again["result"]), "waited for a");
}

#[test]
fn the_client_hears_of_progress_and_of_each_status_with_the_task_that_it_is_of() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    let file = place.file("a");
    let params = json!({"name": "jobs__wait", "arguments": {"file": file}, "task": {}, "_meta": {"progressToken": "p"}});
    let made = client.ask("tools/call", params)["result"]["task"].clone();
    let progress = client.take(PATIENCE, |message| {
        message["method"] == "notifications/progress"
    });
    let progress = progress.expect("it tells of its progress");
    let related = &progress["params"]["_meta"]["io.modelcontextprotocol/related-task"];
    assert_eq!(related["taskId"], made["taskId"]);
    let_go(&file, "a");
    let told = client.take(PATIENCE, |message| {
        message["method"] == "notifications/tasks/status"
    });
    let told = told.expect("it tells how it is");
    assert_eq!(told["params"]["taskId"], made["taskId"]);
    assert_eq!(told["params"]["status"], "completed");
}

#[test]
fn a_cancelled_task_ends_its_processes_and_has_no_result() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    let file = place.file("a");
    let made = task(&mut client, "jobs__wait", json!({"file": file}), json!({}));
    let process = began(&file);
    let waiting = client.request("tasks/result", json!({"taskId": made["taskId"]}));
    let cancelled = about(&mut client, "tasks/cancel", &made);
    assert_eq!(cancelled["result"]["status"], "cancelled", "{cancelled}");
    is_gone(process);
    assert_eq!(code(&client.response(&waiting, PATIENCE)), -32800);
    assert_eq!(code(&about(&mut client, "tasks/cancel", &made)), -32602);
    assert_eq!(code(&about(&mut client, "tasks/result", &made)), -32800);
    reaches(&mut client, &made, "cancelled");
}

#[test]
fn a_client_that_leaves_while_it_waits_for_a_result_ends_no_task() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    let file = place.file("a");
    let made = task(&mut client, "jobs__wait", json!({"file": file}), json!({}));
    began(&file);
    client.request("tasks/result", json!({"taskId": made["taskId"]}));
    drop(client);
    let mut other = session(&server, "");
    let waiting = [0, 1].map(|_| other.request("tasks/result", json!({"taskId": made["taskId"]})));
    let_go(&file, "a");
    for id in waiting {
        assert_eq!(text_of(&other.result(&id, PATIENCE)), "waited for a");
    }
}

#[test]
fn what_a_job_asks_is_asked_of_whoever_waits_for_its_result() {
    let place = Place::new();
    let server = place.serve();
    let client = Client::open_as(server.address(), "2025-11-25", &json!({"elicitation": {}}));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "jobs__ask", "task": {}}});
    let made = client.post(&call).json();
    let made = &made["result"]["task"];
    let wait = json!({"jsonrpc": "2.0", "id": 2, "method": "tasks/result", "params": {"taskId": made["taskId"]}});
    let mut stream = client.stream(&wait);
    let question = loop {
        let event = stream.event().expect("the question comes");
        if event.data.as_deref().is_some_and(|data| !data.is_empty()) {
            break event.message();
        }
    };
    assert_eq!(question["method"], "elicitation/create");
    let related = &question["params"]["_meta"]["io.modelcontextprotocol/related-task"];
    assert_eq!(related["taskId"], made["taskId"]);
    let look = json!({"jsonrpc": "2.0", "id": 3, "method": "tasks/get", "params": {"taskId": made["taskId"]}});
    assert_eq!(
        client.post(&look).json()["result"]["status"],
        "input_required"
    );
    let answer = json!({"jsonrpc": "2.0", "id": question["id"], "result": {"action": "accept", "content": {"name": "Ada"}}});
    assert_eq!(client.post(&answer).status, 202);
    let last = stream.rest().pop().expect("the result comes").message();
    assert!(text_of(&last["result"]).contains("Ada"), "{last}");
}

/// The message of the first event that is a request of this server.
#[track_caller]
fn question(stream: &mut Stream) -> Value {
    loop {
        let event = stream.event().expect("the question comes");
        if event.data.as_deref().is_some_and(|data| !data.is_empty()) {
            return event.message();
        }
    }
}

#[test]
fn a_question_whose_reader_has_gone_is_asked_of_the_next_one_who_waits() {
    let place = Place::new();
    let server = place.serve();
    let client = Client::open_as(server.address(), "2025-11-25", &json!({"elicitation": {}}));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "jobs__ask", "task": {}}});
    let made = client.post(&call).json()["result"]["task"].clone();
    let wait = |id: u64| json!({"jsonrpc": "2.0", "id": id, "method": "tasks/result", "params": {"taskId": made["taskId"]}});
    let mut first = client.stream(&wait(2));
    assert_eq!(question(&mut first)["method"], "elicitation/create");
    drop(first);
    let mut second = client.stream(&wait(3));
    let asked = question(&mut second);
    assert_eq!(asked["method"], "elicitation/create");
    let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "accept", "content": {"name": "Ada"}}});
    assert_eq!(client.post(&answer).status, 202);
    let last = second.rest().pop().expect("the result comes").message();
    assert!(text_of(&last["result"]).contains("Ada"), "{last}");
}

#[test]
fn another_key_sees_cancels_and_fetches_nothing_and_learns_nothing() {
    let place = Place::new();
    let server = place.serve_with_keys();
    let [mut mine, mut others] = KEYS.map(|key| session(&server, key));
    let file = place.file("a");
    let made = task(&mut mine, "jobs__wait", json!({"file": file}), json!({}));
    began(&file);
    let never = json!({"taskId": "00000000-0000-4000-8000-000000000000"});
    for method in ["tasks/get", "tasks/cancel", "tasks/result"] {
        let refused = about(&mut others, method, &made);
        let unknown = about(&mut others, method, &never);
        let id = |value: &Value| value["taskId"].as_str().unwrap().to_owned();
        assert_eq!(
            refused["error"]
                .to_string()
                .replace(&id(&made), &id(&never)),
            unknown["error"].to_string(),
            "{method}"
        );
    }
    assert_eq!(
        others.ask("tasks/list", json!({}))["result"]["tasks"],
        json!([])
    );
    let listed = others.call("smcp__result", json!({}));
    assert_eq!(text_of(&listed), r#"{"calls":[]}"#);
    let fetched = others.call("smcp__result", json!({"id": made["taskId"]}));
    assert_eq!(fetched["isError"], true);
    let seen = newest_as(
        &server,
        KEYS[1],
        true,
        "tasks/get",
        json!({"taskId": made["taskId"]}),
    );
    assert_eq!(code(&seen), -32602);
    let listed = mine.ask("tasks/list", json!({}));
    assert_eq!(listed["result"]["tasks"][0]["taskId"], made["taskId"]);
    let_go(&file, "a");
    reaches(&mut mine, &made, "completed");
}

#[test]
fn a_tool_says_whether_it_can_be_a_task_and_is_held_to_it() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    let list = client.ask("tools/list", json!({}));
    let support = |name: &str| -> Value {
        let tools = list["result"]["tools"].as_array().expect("a list");
        let tool = tools.iter().find(|tool| tool["name"] == name).expect(name);
        tool["execution"]["taskSupport"].clone()
    };
    assert_eq!(support("jobs__wait"), "optional");
    assert_eq!(support("jobs__only"), "required");
    assert_eq!(support("jobs__attached"), Value::Null);
    let call = |name: &str, task: Value| {
        let params = json!({"name": name, "arguments": {"file": "x"}, "task": task});
        ("tools/call", params)
    };
    let (method, params) = call("jobs__attached", json!({}));
    assert_eq!(code(&client.ask(method, params)), -32601);
    let without = client.ask("tools/call", json!({"name": "jobs__only"}));
    assert_eq!(code(&without), -32601, "{without}");
    let made = task(&mut client, "jobs__only", json!({}), json!({}));
    let done = about(&mut client, "tasks/result", &made);
    assert_eq!(text_of(&done["result"]), "done");
}

#[test]
fn a_ttl_that_is_none_is_refused_and_one_that_is_too_long_or_too_short_is_cut() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    for bad in [
        json!(-1),
        json!(1.5),
        json!("60000"),
        json!([]),
        json!({}),
        json!(true),
    ] {
        let params = json!({"name": "jobs__only", "task": {"ttl": bad}});
        let refused = client.ask("tools/call", params);
        assert_eq!(code(&refused), -32602, "{bad}: {refused}");
    }
    let refused = client.ask("tools/call", json!({"name": "jobs__only", "task": 5}));
    assert_eq!(code(&refused), -32602);
    let day = 24 * 60 * 60 * 1000;
    for (asked, kept) in [
        (json!(0), 60_000),
        (json!(1e18), day),
        (json!(null), day),
        (json!(90_000), 90_000),
    ] {
        let made = task(&mut client, "jobs__only", json!({}), json!({"ttl": asked}));
        assert_eq!(made["ttl"], kept, "{asked}");
    }
}

#[test]
fn an_id_that_is_none_is_no_task() {
    let place = Place::new();
    let server = place.serve();
    let mut client = session(&server, "");
    for id in [
        json!(""),
        json!(5),
        json!(null),
        json!({}),
        json!("x".repeat(1 << 20)),
    ] {
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            let refused = client.ask(method, json!({"taskId": id}));
            assert_eq!(code(&refused), -32602, "{method}");
            assert!(
                refused.to_string().len() < 1_000,
                "it is not repeated whole"
            );
        }
    }
    assert_eq!(code(&client.ask("tasks/get", json!({}))), -32602);
    for cursor in [json!("x"), json!(5), json!(""), json!("LTE")] {
        let page = client.ask("tasks/list", json!({"cursor": cursor}));
        let is_empty = page["result"]["tasks"] == json!([]);
        assert!(is_empty || code(&page) == -32602, "{page}");
    }
}
