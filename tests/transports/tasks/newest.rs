//! Tasks of 2026-07-28, where the server decides and the client says that it knows them. What is answered is read by the
//! types of the official SDK.

use rmcp::model::{CreateTaskResult, GetTaskResult, TaskAckResult, TaskPayload};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::kit::{EXTENSION, Place, began, code, is_gone, let_go, newest};
use crate::support::http::PATIENCE;
use crate::support::server::Server;
use crate::support::session::text_of;
use crate::support::until;

/// A result as the SDK has it.
#[track_caller]
fn read<T: DeserializeOwned>(answer: Value) -> T {
    let result = answer["result"].clone();
    serde_json::from_value(result).unwrap_or_else(|fault| panic!("{fault}: {answer}"))
}

/// An acknowledgement says nothing but that, and who gave it.
#[track_caller]
fn is_acknowledged(answer: Value) {
    let _: TaskAckResult = read(answer);
}

#[track_caller]
fn made(server: &Server, tool: &str, arguments: Value) -> String {
    let answer = newest(
        server,
        true,
        "tools/call",
        json!({"name": tool, "arguments": arguments}),
    );
    read::<CreateTaskResult>(answer).task.task_id
}

#[track_caller]
fn payload(server: &Server, id: &str) -> TaskPayload {
    let answer = newest(server, true, "tasks/get", json!({"taskId": id}));
    read::<GetTaskResult>(answer).task.payload
}

#[track_caller]
fn completed(server: &Server, id: &str) -> Value {
    until("the task is completed", PATIENCE, || {
        match payload(server, id) {
            TaskPayload::Completed { result } => Some(result.into()),
            TaskPayload::Working => None,
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn a_call_of_a_client_that_knows_tasks_is_one_and_has_its_result_in_it() {
    let place = Place::new();
    let server = place.serve();
    let discovered = newest(&server, true, "server/discover", json!({}));
    let extensions = &discovered["result"]["capabilities"]["extensions"];
    assert_eq!(extensions, &json!({EXTENSION: {}}));
    let file = place.file("a");
    let id = made(&server, "jobs__wait", json!({"file": file}));
    began(&file);
    assert_eq!(payload(&server, &id), TaskPayload::Working);
    let_go(&file, "a");
    assert_eq!(text_of(&completed(&server, &id)), "waited for a");
}

#[test]
fn a_cancelled_task_ends_its_processes_and_cancelling_it_again_is_nothing_new() {
    let place = Place::new();
    let server = place.serve();
    let file = place.file("a");
    let id = made(&server, "jobs__wait", json!({"file": file}));
    let process = began(&file);
    for _ in 0..2 {
        is_acknowledged(newest(&server, true, "tasks/cancel", json!({"taskId": id})));
        assert_eq!(payload(&server, &id), TaskPayload::Cancelled);
    }
    is_gone(process);
}

#[test]
fn a_job_that_asks_goes_on_with_the_answer_of_its_owner() {
    let place = Place::new();
    let server = place.serve();
    let id = made(&server, "jobs__ask", json!({}));
    until("the question is there", PATIENCE, || {
        matches!(payload(&server, &id), TaskPayload::InputRequired { .. }).then_some(())
    });
    for bad in [json!(null), json!(5), json!([])] {
        let refused = newest(
            &server,
            true,
            "tasks/update",
            json!({"taskId": id, "inputResponses": bad}),
        );
        assert_eq!(code(&refused), -32602, "{refused}");
    }
    let answers = json!({"other": {}, "who": {"action": "accept", "content": {"name": "Ada"}}});
    is_acknowledged(newest(
        &server,
        true,
        "tasks/update",
        json!({"taskId": id, "inputResponses": answers}),
    ));
    assert!(text_of(&completed(&server, &id)).contains("Ada"));
}

#[test]
fn a_call_becomes_a_task_when_its_program_says_so() {
    let place = Place::new();
    let server = place.serve();
    let file = place.file("a");
    let before = place.file("a.detach");
    let_go(&before, "");
    let id = made(&server, "jobs__later", json!({"file": file}));
    assert_eq!(payload(&server, &id), TaskPayload::Working);
    let_go(&file, "a");
    assert_eq!(text_of(&completed(&server, &id)), "waited for a");
}

#[test]
fn a_client_that_does_not_say_that_it_knows_tasks_gets_results_alone() {
    let place = Place::new();
    let server = place.serve();
    let file = place.file("a");
    let_go(&file, "a");
    let params =
        json!({"name": "jobs__wait", "arguments": {"file": file}, "task": {"ttl": 60_000}});
    let answer = newest(&server, false, "tools/call", params);
    assert_eq!(text_of(&answer["result"]), "waited for a");
    assert!(answer["result"].get("taskId").is_none(), "{answer}");
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let refused = newest(
            &server,
            false,
            method,
            json!({"taskId": "x", "inputResponses": {}}),
        );
        assert_eq!(code(&refused), -32021, "{method}");
    }
    let refused = newest(&server, false, "tools/call", json!({"name": "jobs__only"}));
    assert_eq!(code(&refused), -32021, "{refused}");
    let required = &refused["error"]["data"]["requiredCapabilities"]["extensions"];
    assert_eq!(required, &json!({EXTENSION: {}}));
    for method in ["tasks/list", "tasks/result"] {
        let unknown = newest(&server, true, method, json!({"taskId": "x"}));
        assert_eq!(code(&unknown), -32601, "{method}");
    }
}
