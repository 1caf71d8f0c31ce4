//! Who completes what: a plugin completes its own prompts and templates, and nobody else's.

use serde_json::{Value, json};

use super::{Door, add, serving};
use crate::support::plugins::Folder;

fn prompt(name: &str) -> Value {
    json!({"name": name, "arguments": [{"name": "tag"}], "command": "write"})
}

fn completion(reference: Value) -> Value {
    json!({"ref": reference, "command": "complete"})
}

#[test]
fn a_plugin_completes_its_own_prompts_and_templates_alone() {
    let plugins = Folder::new();
    let of_prompt = |name: &str| completion(json!({"type": "ref/prompt", "name": name}));
    let of_template = completion(json!({"type": "ref/resource", "uri": "x://{id}"}));
    // First in the order of names, which is the order in which entries are looked at.
    let stranger = json!({"completions": [of_prompt("greet"), of_prompt("plain"), of_template]});
    add(&plugins, "a_stranger", stranger, "echo from-the-stranger");
    let owner = json!({
        "prompts": [prompt("greet"), prompt("plain")],
        "resource_templates": [{"uriTemplate": "x://{id}", "name": "x", "command": "read"}],
        "completions": [of_prompt("greet"), of_template],
    });
    add(&plugins, "b_owner", owner, "echo from-the-owner");
    // It has a prompt of this name too, which is not the one that is served.
    let second = json!({"prompts": [prompt("plain")], "completions": [of_prompt("plain")]});
    add(&plugins, "c_second", second, "echo from-the-second");
    let server = serving(&plugins);
    for door in Door::both(server.address()) {
        for (reference, argument, expected) in [
            (
                json!({"type": "ref/prompt", "name": "greet"}),
                "tag",
                json!(["from-the-owner"]),
            ),
            (
                json!({"type": "ref/prompt", "name": "plain"}),
                "tag",
                json!([]),
            ),
            (
                json!({"type": "ref/resource", "uri": "x://{id}"}),
                "id",
                json!(["from-the-owner"]),
            ),
        ] {
            let params = json!({"ref": reference, "argument": {"name": argument, "value": ""}});
            let result = door.result("completion/complete", params);
            assert_eq!(result["completion"]["values"], expected, "{reference}");
        }
    }
    for name in [
        "a_stranger greet",
        "a_stranger plain",
        "a_stranger x://{id}",
        "c_second plain",
    ] {
        server.logs(&[name, "completion"]);
    }
}
