//! `list_changed`: after the new list stands, once, of what has changed, to those who were offered it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Door, Listening, add, describe, serving};
use crate::support::http::PATIENCE;
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;
use crate::support::until;

/// Says that a list has changed. Describes itself slowly, so that whoever is told too early lists the old.
const CHANGES: &str = r#"echo "{\"changed\":\"$3\"}" >&3; echo said"#;

/// Tools, prompts and resources by these names, beside the tool that says that a list has changed.
fn described(tools: &[&str], prompts: &[&str], resources: &[&str]) -> Value {
    let mut commands =
        vec![json!({"name": "change", "parameters": [{"name": "list", "type": "string"}]})];
    commands.extend(tools.iter().map(|name| json!({"name": name})));
    let prompts: Vec<Value> = prompts
        .iter()
        .map(|name| json!({"name": name, "command": "run"}))
        .collect();
    let resources: Vec<Value> = resources
        .iter()
        .map(|name| json!({"uri": format!("x://{name}"), "name": name, "command": "run"}))
        .collect();
    json!({"commands": commands, "prompts": prompts, "resources": resources})
}

/// Two plugins, the first of which takes long to describe itself.
fn plugins(description: Value) -> (Folder, PathBuf) {
    let plugins = Folder::new();
    let directory = plugins.add_executable(
        "grows",
        &format!(
            "#!/bin/sh\nif [ \"$1\" = --describe ]; then sleep 0.4; exec cat \"$SMCP_PLUGIN_DIR/description.json\"; fi\n{CHANGES}\n"
        ),
    );
    describe(&directory, description);
    add(
        &plugins,
        "stays",
        json!({"commands": [{"name": "run"}]}),
        "echo ran",
    );
    (plugins, directory)
}

/// Changes the description, and lets the plugin say that `list` has changed.
fn change(door: &Door, directory: &Path, list: &str, description: Value) {
    describe(directory, description);
    door.call("grows__change", json!({"list": list}));
}

const TOOLS: &str = "tools/list_changed";
const PROMPTS: &str = "prompts/list_changed";
const RESOURCES: &str = "resources/list_changed";

#[test]
fn a_client_is_told_once_of_the_list_that_has_changed_and_finds_it_changed() {
    let (plugins, directory) = plugins(described(&[], &["p1"], &["r1"]));
    let server = serving(&plugins);
    for (round, door) in Door::both(server.address()).iter().enumerate() {
        let mut listening = door.listen(&[]);
        let mut tools = vec!["t1", "t2"];
        tools.truncate(round + 1);
        let lists = |door: &Door, method: &str, text: &str| {
            let list = door.result(method, json!({})).to_string();
            assert!(
                list.contains(text),
                "{text} is announced and not listed: {list}"
            );
        };
        // What the event calls it is a hint: what has changed is what differs.
        let now = described(&tools, &["p1"], &["r1"]);
        change(door, &directory, "tools", now);
        assert_eq!(listening.heard_until(TOOLS), [TOOLS]);
        lists(door, "tools/list", tools[round]);
        change(
            door,
            &directory,
            "prompts",
            described(&tools, &["p1", "p2"], &["r1"]),
        );
        assert_eq!(listening.heard_until(PROMPTS), [PROMPTS]);
        lists(door, "prompts/list", "\"p2\"");
        let now = described(&tools, &["p1", "p2"], &["r1", "r2"]);
        change(door, &directory, "resources", now);
        assert_eq!(listening.heard_until(RESOURCES), [RESOURCES]);
        lists(door, "resources/list", "x://r2");
        change(
            door,
            &directory,
            "tools",
            described(&tools, &["p1"], &["r1"]),
        );
        let mut heard = [listening.heard_until_any(), listening.heard_until_any()];
        heard.sort();
        assert_eq!(heard, [PROMPTS, RESOURCES], "both have changed");
    }
}

#[test]
fn a_change_that_is_none_is_not_announced() {
    let (plugins, directory) = plugins(described(&[], &["p1"], &[]));
    let server = serving(&plugins);
    for (round, door) in Door::both(server.address()).iter().enumerate() {
        let mut listening = door.listen(&[]);
        let same = if round == 0 {
            vec!["p1"]
        } else {
            vec!["p1", "p2"]
        };
        for list in ["tools", "prompts", "resources", "tools"] {
            change(door, &directory, list, described(&[], &same, &[]));
        }
        let now = if round == 0 {
            vec!["p1", "p2"]
        } else {
            vec!["p1"]
        };
        change(door, &directory, "prompts", described(&[], &now, &[]));
        assert_eq!(listening.heard_until(PROMPTS), [PROMPTS]);
    }
}

/// A plugin that answers later than this after the others is announced by itself, so that nothing is said about the
/// rule.
const IN_TIME: Duration = Duration::from_millis(1_500);

#[test]
fn two_plugins_that_change_at_once_are_one_change() {
    let (plugins, directory) = plugins(described(&[], &["p1"], &[]));
    // A server that notices the first change by itself, before it is told of both, announces it by itself.
    let setup = Setup::new().variable("MCP_WATCH", "off");
    let server = Server::start(&setup.plugins(plugins.path()));
    server.ready();
    let mut prompts = vec!["p1".to_owned()];
    for (era, door) in Door::both(server.address()).iter().enumerate() {
        let mut listening = door.listen(&[]);
        for round in 0..5 {
            let name = format!("fresh{era}{round}");
            let described = |prompts: &[String]| {
                let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
                described(&[&name], &prompts, &[])
            };
            let commands = json!({"commands": [{"name": "run"}, {"name": name}]});
            describe(&plugins.path().join("stays"), commands);
            let started = Instant::now();
            change(door, &directory, "tools", described(&prompts));
            let first = listening.heard_until(TOOLS);
            let list = door.result("tools/list", json!({})).to_string();
            let was_in_time = started.elapsed() < IN_TIME;
            // Whatever else was said of the tools is said before this.
            prompts.push(name.clone());
            change(door, &directory, "prompts", described(&prompts));
            let rest = listening.heard_until(PROMPTS);
            if was_in_time {
                assert_eq!(
                    (first, rest),
                    (vec![TOOLS.to_owned()], vec![PROMPTS.to_owned()])
                );
                assert!(list.contains(&format!("stays__{name}")), "{list}");
                assert!(list.contains(&format!("grows__{name}")), "{list}");
                break;
            }
        }
    }
}

#[test]
fn a_session_hears_only_of_lists_that_it_was_offered() {
    let (plugins, directory) = plugins(described(&[], &[], &[]));
    let server = serving(&plugins);
    let first = Door::session(server.address());
    let mut early = first.listen(&[]);
    change(
        &first,
        &directory,
        "prompts",
        described(&[], &["p1"], &["r1"]),
    );
    let anybody = Door::Stateless(server.address());
    until("the prompt is served", PATIENCE, || {
        let list = anybody.ask("prompts/list", json!({}));
        list["result"]["prompts"][0].is_object().then_some(())
    });
    // Whoever comes when they are there is offered them.
    let second = Door::session(server.address());
    let mut late = second.listen(&[]);
    change(
        &first,
        &directory,
        "prompts",
        described(&[], &["p1", "p2"], &["r1"]),
    );
    assert_eq!(late.heard_until(PROMPTS), [PROMPTS]);
    change(
        &first,
        &directory,
        "tools",
        described(&["t1"], &["p1", "p2"], &["r1"]),
    );
    assert_eq!(late.heard_until(TOOLS), [TOOLS]);
    assert_eq!(
        early.heard_until(TOOLS),
        [TOOLS],
        "it was offered tools alone"
    );
    // That the last of them has gone is news as well.
    change(
        &first,
        &directory,
        "prompts",
        described(&["t1"], &[], &["r1"]),
    );
    assert_eq!(late.heard_until(PROMPTS), [PROMPTS]);
    assert_eq!(
        second.result("prompts/list", json!({}))["prompts"],
        json!([])
    );
}

#[test]
fn a_session_over_sse_is_told_once_of_the_list_that_has_changed() {
    let (plugins, directory) = plugins(described(&[], &["p1"], &[]));
    let server = serving(&plugins);
    let mut session = Session::ready(server.address());
    for (tools, prompts, list) in [
        (&["t1"][..], &["p1"][..], TOOLS),
        (&["t1"], &["p1", "p2"], PROMPTS),
    ] {
        describe(&directory, described(tools, prompts, &[]));
        session.call("grows__change", json!({"list": "tools"}));
        let is_notice = |message: &Value| {
            let method = message["method"].as_str();
            method.is_some_and(|method| method.ends_with("list_changed"))
        };
        let notice = session.take(PATIENCE, is_notice).expect("a notice");
        assert_eq!(notice["method"], format!("notifications/{list}"));
    }
}

impl Listening {
    /// The next list that is said to have changed.
    #[track_caller]
    fn heard_until_any(&mut self) -> String {
        let message = self.next();
        let method = message["method"].as_str().expect("a notification");
        method.trim_start_matches("notifications/").to_owned()
    }
}
