//! Without a directory to keep them in there are no tasks, and nobody sees a difference.

use serde_json::{Value, json};

use super::kit::{Place, code, let_go, newest, ready, session};
use crate::support::server::Setup;
use crate::support::session::{Session, text_of};

#[test]
fn without_a_directory_nothing_of_tasks_is_offered() {
    let place = Place::new();
    let server = ready(&Setup::new().plugins(place.plugins()));
    let mut client = Session::open(server.address());
    let hello = client.initialize("2025-11-25");
    assert!(hello["capabilities"].get("tasks").is_none(), "{hello}");
    let tools = client.ask("tools/list", json!({}))["result"]["tools"].to_string();
    assert!(
        !tools.contains("execution") && !tools.contains("smcp__result"),
        "{tools}"
    );
    for method in ["tasks/get", "tasks/list", "tasks/result", "tasks/cancel"] {
        assert_eq!(
            code(&client.ask(method, json!({"taskId": "x"}))),
            -32601,
            "{method}"
        );
    }
    let discovered = newest(&server, true, "server/discover", json!({}));
    assert!(
        discovered["result"]["capabilities"]
            .get("extensions")
            .is_none()
    );
    assert_eq!(
        code(&newest(&server, true, "tasks/get", json!({"taskId": "x"}))),
        -32601
    );
    let file = place.file("a");
    let_go(&file, "a");
    let params = json!({"name": "jobs__wait", "arguments": {"file": file}, "task": {}});
    let answer = client.ask("tools/call", params);
    assert_eq!(text_of(&answer["result"]), "waited for a");
    let health = client.call("health", json!({}));
    assert!(!text_of(&health).contains("\"tasks\""), "{health}");
}

#[test]
fn older_clients_see_the_same_list_but_for_the_tool_for_results() {
    let place = Place::new();
    let [with, without] =
        [place.setup(), Setup::new().plugins(place.plugins())].map(|setup| ready(&setup));
    for revision in ["2024-11-05", "2025-03-26", "2025-06-18"] {
        let [mut seen, plain] = [&with, &without].map(|server| {
            let mut client = Session::open(server.address());
            let hello = client.initialize(revision);
            let list = client.ask("tools/list", json!({}))["result"]["tools"].clone();
            (hello["capabilities"].clone(), list)
        });
        let tools: &mut Vec<Value> = seen.1.as_array_mut().expect("a list");
        let last = tools.pop().expect("a tool");
        assert_eq!(last["name"], "smcp__result");
        assert_eq!(seen, plain, "{revision}");
    }
    let mut client = session(&with, "");
    assert!(client.ask("tasks/list", json!({}))["result"].is_object());
    let mut old = Session::open(with.address());
    old.initialize("2025-06-18");
    assert_eq!(code(&old.ask("tasks/list", json!({}))), -32601);
}
