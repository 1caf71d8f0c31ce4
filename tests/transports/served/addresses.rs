//! Addresses of resources and the variables in them: what differs stays different, and what a program gets is exact.

use serde_json::{Value, json};

use super::{Door, INVALID_PARAMS, add, serving};
use crate::support::plugins::Folder;

/// Prints its words without the address, each in brackets.
const PRINTS: &str = r#"shift 3; [ $# = 0 ] || printf '[%s]' "$@""#;

fn template(uri: &str, command: &str) -> Value {
    json!({"uriTemplate": uri, "name": uri, "command": command})
}

fn described() -> Value {
    let mut open = template("open://{+path}", "read");
    open["unchecked_paths"] = json!(true);
    let mut half_open = template("half://{id}/{+path}", "read");
    half_open["unchecked_paths"] = json!(true);
    json!({
        "resources": [{"uri": "note://a%2Fb", "name": "one", "command": "read"}],
        "resource_templates": [
            template("note://{id}", "read"),
            template("file://{+path}", "read"),
            template("find://all{?word,page}", "read"),
            open,
            half_open,
        ],
    })
}

#[test]
fn a_variable_reaches_its_program_exactly_as_it_was_meant() {
    let plugins = Folder::new();
    add(&plugins, "reads", described(), PRINTS);
    let server = serving(&plugins);
    for door in Door::both(server.address()) {
        for (uri, expected) in [
            // A resource by exactly this address is not the template's.
            ("note://a%2Fb", ""),
            ("note://a%2fb", "[--id][a/b]"),
            ("note://a%252Fb", "[--id][a%2Fb]"),
            ("note://%C3%BC%20%3F", "[--id][ü ?]"),
            ("note://a+b", "[--id][a+b]"),
            ("note://..a", "[--id][..a]"),
            ("note://-v", "[--id=-v]"),
            ("file://a/b%20(1)", "[--path][a/b (1)]"),
            ("file://a/b%20%281%29", "[--path][a/b (1)]"),
            ("file://a/...", "[--path][a/...]"),
            ("find://all?word=a%26b&page=2", "[--word][a&b][--page][2]"),
            ("open://../a", "[--path][../a]"),
            ("open:///etc/motd", "[--path][/etc/motd]"),
            ("open://a%5Cb", "[--path][a\\b]"),
            ("half://a/..", "[--id][a][--path][..]"),
        ] {
            assert_eq!(door.read(uri), expected, "{uri}");
        }
    }
}

#[test]
fn an_address_whose_variables_cannot_be_passed_on_exactly_is_refused() {
    let plugins = Folder::new();
    add(&plugins, "reads", described(), PRINTS);
    let server = serving(&plugins);
    for door in Door::both(server.address()) {
        for (uri, variable, why) in [
            ("note://%ff", "id", "UTF-8"),
            ("note://%FE", "id", "UTF-8"),
            ("note://a%2", "id", "'%'"),
            ("note://100%", "id", "'%'"),
            ("note://a%00b", "id", "NUL"),
            ("open://a%00b", "path", "NUL"),
            ("file://a%2Fb", "path", "%2F"),
            ("open://a%2fb", "path", "%2F"),
            ("find://all?word=a&word=b", "word", "two values"),
        ] {
            refused(&door, uri, variable, why);
        }
    }
}

#[test]
fn a_variable_that_leads_out_of_its_directory_is_refused_unless_the_plugin_checks_it() {
    let plugins = Folder::new();
    add(&plugins, "reads", described(), PRINTS);
    let server = serving(&plugins);
    for door in Door::both(server.address()) {
        for (uri, variable, why) in [
            ("note://..", "id", ".."),
            ("note://%2e%2E", "id", ".."),
            ("note://a%2F..%2Fb", "id", ".."),
            ("note://%2Fetc%2Fmotd", "id", "begins with"),
            ("note://..%5Ca", "id", "backslash"),
            ("note://a%5cb", "id", "backslash"),
            ("file:///etc/motd", "path", "begins with"),
            ("file://a/../b", "path", ".."),
            ("file://a/%2e%2e/b", "path", ".."),
            ("file://../b", "path", ".."),
            ("file://b/..", "path", ".."),
            ("find://all?word=../a", "word", ".."),
            ("find://all?page=/", "page", "begins with"),
            // What the plugin checks itself is what `{+…}` gives, and no other variable.
            ("half://../a", "id", ".."),
        ] {
            refused(&door, uri, variable, why);
        }
    }
    let session = Door::session(server.address());
    let response = session.ask("resources/subscribe", json!({"uri": "file://../b"}));
    assert_eq!(response["error"]["code"], INVALID_PARAMS, "{response}");
}

#[track_caller]
fn refused(door: &Door, uri: &str, variable: &str, why: &str) {
    let response = door.ask("resources/read", json!({"uri": uri}));
    let error = &response["error"];
    assert_eq!(error["code"], INVALID_PARAMS, "{uri}: {response}");
    let message = error["message"].as_str().expect("a sentence");
    assert!(
        message.contains(&format!("'{variable}'")),
        "{uri}: {message}"
    );
    assert!(message.contains(why), "{uri}: {message}");
}

#[test]
fn what_a_plugin_checks_itself_is_no_business_of_clients() {
    let plugins = Folder::new();
    add(&plugins, "reads", described(), PRINTS);
    let server = serving(&plugins);
    for door in Door::both(server.address()) {
        let list = door.result("resources/templates/list", json!({}));
        assert!(list.to_string().contains("open://"), "{list}");
        assert!(!list.to_string().contains("unchecked_paths"), "{list}");
    }
}

/// Says that the resources with these addresses have changed.
const UPDATES: &str =
    r#"shift; for uri in "$@"; do echo "{\"updated\":\"$uri\"}" >&3; done; echo said"#;

#[test]
fn a_client_hears_of_the_address_that_it_named_and_of_none_that_is_spelt_otherwise() {
    let plugins = Folder::new();
    let mut description = described();
    description["commands"] = json!([{"name": "update", "parameters": [
        {"name": "uris", "type": "array", "arg_style": "positional"}]}]);
    add(&plugins, "reads", description, UPDATES);
    let server = serving(&plugins);
    let updated = [
        "note://a/b",
        "note://a%2fb",
        "note://A%2Fb",
        "note://a%252Fb",
        "note://a%2Fb",
    ];
    for door in Door::both(server.address()) {
        let mut listening = door.listen(&["note://a%2Fb"]);
        door.call("reads__update", json!({"uris": updated}));
        let last = "resources/updated note://a%2Fb";
        assert_eq!(listening.heard_until(last), [last]);
    }
}
