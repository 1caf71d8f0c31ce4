//! Arguments that no program can be given: refused by their names, and never a fault of the server.

use serde_json::{Map, Value, json};

use super::{Door, INVALID_PARAMS, add, one, serving};
use crate::support::plugins::Folder;

/// More than one word of a command line may have.
const TOO_LONG: usize = 140_000;

/// Names of arguments, all of which together are more than a command line may have, and each of which is not.
fn names() -> Vec<String> {
    (0..30).map(|number| format!("part{number}")).collect()
}

fn described() -> Value {
    let arguments: Vec<Value> = names().iter().map(|name| json!({"name": name})).collect();
    json!({
        "resource_templates": [{"uriTemplate": "x://{id}", "name": "any", "command": "run"}],
        "prompts": [{"name": "write", "arguments": arguments, "command": "run"}],
        "completions": [{"ref": {"type": "ref/prompt", "name": "write"}, "command": "run"}],
    })
}

#[test]
fn an_argument_that_is_too_large_is_refused_by_its_name() {
    let plugins = Folder::new();
    add(&plugins, "runs", described(), "echo ran");
    let server = serving(&plugins);
    let long = "x".repeat(TOO_LONG);
    let prompt = |arguments: Value| json!({"name": "write", "arguments": arguments});
    let complete = |value: &str, context: Value| {
        json!({"ref": {"type": "ref/prompt", "name": "write"},
            "argument": {"name": "part1", "value": value}, "context": context})
    };
    let mut all = Map::new();
    for name in names() {
        let length = if name == "part7" { 120_000 } else { 110_000 };
        all.insert(name, "y".repeat(length).into());
    }
    let context = json!({"arguments": one("part2", long.clone())});
    // Nothing may be in the way of what goes through.
    let fitting = complete("x", json!({"arguments": {}}));
    for door in Door::both(server.address()) {
        for (method, params, name) in [
            ("prompts/get", prompt(one("part3", long.clone())), "part3"),
            ("prompts/get", prompt(all.clone().into()), "part7"),
            ("completion/complete", complete(&long, json!({})), "value"),
            (
                "completion/complete",
                complete("x", context.clone()),
                "context",
            ),
        ] {
            let response = door.ask(method, params);
            let error = &response["error"];
            assert_eq!(error["code"], INVALID_PARAMS, "{method} {name}: {error}");
            let message = error["message"].as_str().expect("a sentence");
            assert!(message.contains(&format!("'{name}'")), "{method} {message}");
            assert!(message.len() < 1_000, "{method} {name}: repeated whole");
        }
        let values = door.result("completion/complete", fitting.clone());
        assert_eq!(values["completion"]["values"], json!(["ran"]), "{values}");
    }
}

#[test]
fn an_address_that_is_too_long_is_refused_as_an_argument() {
    let plugins = Folder::new();
    add(&plugins, "runs", described(), "echo ran");
    let server = serving(&plugins);
    let uri = format!("x://{}", "a".repeat(5_000));
    let ask = |door: &Door, method: &str| {
        let response = door.ask(method, json!({"uri": uri}));
        assert_eq!(response["error"]["code"], INVALID_PARAMS, "{method}");
        let message = response["error"]["message"].as_str().expect("a sentence");
        assert!(message.contains("'uri'"), "{method}: {message}");
        assert!(
            response.to_string().len() < 1_000,
            "{method}: repeated whole"
        );
    };
    for door in Door::both(server.address()) {
        ask(&door, "resources/read");
    }
    ask(&Door::session(server.address()), "resources/subscribe");
}
