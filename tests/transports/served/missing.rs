//! Resources that are not there: the client is told so by the code that its revision has for it.

use serde_json::{Value, json};

use super::{Door, add, describe, serving};
use crate::support::plugins::Folder;

/// Reads by the end of the address: what is not there, what fails, what is there.
const READS: &str = r#"
case "$3" in
x://gone) echo '{"error":"it was deleted yesterday","code":"not_found"}'; exit 1 ;;
x://logged) echo 'looking'; echo '{"code":"not_found","error":"nothing of that name"}'; exit 3 ;;
x://wordless) echo '{"code":"not_found"}'; exit 1 ;;
x://broken) echo '{"error":"the disk is full","code":"disk"}'; exit 1 ;;
x://fine) echo '{"code":"not_found"}' ;;
esac"#;

fn described() -> Value {
    json!({
        "commands": [{"name": "fail"}],
        "resources": [{"uri": "x://gone", "name": "gone", "command": "read"}],
        "resource_templates": [{"uriTemplate": "x://{id}", "name": "any", "command": "read"}],
    })
}

#[test]
fn a_program_says_that_its_resource_is_not_there() {
    let plugins = Folder::new();
    add(&plugins, "reads", described(), READS);
    let server = serving(&plugins);
    for door in Door::both(server.address()) {
        for (uri, words) in [
            ("x://gone", "it was deleted yesterday"),
            ("x://logged", "nothing of that name"),
            ("x://wordless", "not found"),
        ] {
            let response = door.ask("resources/read", json!({"uri": uri}));
            let error = &response["error"];
            assert_eq!(error["code"], door.not_found(), "{response}");
            assert_eq!(error["data"]["uri"], uri, "{response}");
            let message = error["message"].as_str().expect("a sentence");
            assert!(message.contains(words), "{response}");
            assert!(message.contains(uri), "{response}");
        }
        assert_eq!(door.read("x://fine"), "{\"code\":\"not_found\"}\n");
    }
}

#[test]
fn a_program_that_fails_says_nothing_about_whether_its_resource_is_there() {
    let plugins = Folder::new();
    add(&plugins, "reads", described(), READS);
    let server = serving(&plugins);
    for door in Door::both(server.address()) {
        let response = door.ask("resources/read", json!({"uri": "x://broken"}));
        assert_eq!(response["error"]["code"], -32603, "{response}");
        assert_eq!(response["error"]["message"], "the disk is full");
    }
}

#[test]
fn a_tool_that_finds_nothing_has_failed_as_before() {
    let plugins = Folder::new();
    let script = r#"echo '{"error":"no such note","code":"not_found"}'; exit 1"#;
    add(&plugins, "reads", described(), script);
    let server = serving(&plugins);
    for door in Door::both(server.address()) {
        let result = door.result("tools/call", json!({"name": "reads__fail"}));
        assert_eq!(result["isError"], true, "{result}");
        assert_eq!(result["content"][0]["text"], "no such note", "{result}");
    }
}

#[test]
fn an_address_that_nobody_serves_is_not_found() {
    let plugins = Folder::new();
    add(&plugins, "reads", described(), READS);
    let server = serving(&plugins);
    for door in Door::both(server.address()) {
        let response = door.ask("resources/read", json!({"uri": "y://gone"}));
        assert_eq!(response["error"]["code"], door.not_found(), "{response}");
        assert_eq!(response["error"]["data"]["uri"], "y://gone", "{response}");
    }
    let session = Door::session(server.address());
    let response = session.ask("resources/subscribe", json!({"uri": "y://gone"}));
    assert_eq!(response["error"]["code"], session.not_found(), "{response}");
}

#[test]
fn a_client_ends_its_subscription_to_what_is_no_longer_there() {
    let plugins = Folder::new();
    let script = r#"echo '{"changed":"resources"}' >&3; echo changed"#;
    let directory = add(&plugins, "reads", described(), script);
    let server = serving(&plugins);
    let session = Door::session(server.address());
    let mut listening = session.listen(&["x://gone", "x://other"]);
    let unsubscribe = |uri: &str| session.ask("resources/unsubscribe", json!({"uri": uri}));
    // Its address is served by nobody from now on; then there are no resources at all.
    let mut reduced = described();
    reduced["resource_templates"] = json!([]);
    for (description, uri) in [
        (reduced, "x://other"),
        (json!({"commands": [{"name": "fail"}]}), "x://gone"),
    ] {
        describe(&directory, description);
        session.call("reads__fail", json!({}));
        listening.heard_until("resources/list_changed");
        assert_eq!(unsubscribe(uri)["result"], json!({}), "{uri}");
        assert_eq!(unsubscribe(uri)["result"], json!({}), "{uri}, again");
    }
    let list = session.result("resources/list", json!({}));
    assert_eq!(list["resources"], json!([]), "the session was offered it");
}
