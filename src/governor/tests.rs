//! The governor over tools and profile files made here; no plugin runs.

mod attachments;
mod generated;
mod profile_files;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;

const TOOLS: [(&str, &str); 5] = [
    ("demo_math__calculate", "Evaluate an arithmetic expression"),
    ("demo_math__coin_flip", "Flip a coin"),
    ("tasks__create-task", "Put a task on a list"),
    ("tasks__list-users", "Name the users"),
    ("tasks__get-document", "Read one document"),
];

const PROFILES: &str = r#"{
    "default_profile": "Chatter",
    "profiles": {
        "chatter": {"mode": "explicit", "tools": ["tasks__create-task", "tasks__later"]},
        "tasks": {"mode": "prefix", "prefix": "tasks__"},
        "maths": {"mode": "glob", "pattern": "demo_math__[!x]*"},
        "open": {}
    },
    "intent_hints": [
        {"intent": "create task", "tool": "tasks__create-task", "needs": "list-id"},
        {"intent": "read document", "tool": "tasks__get-document"}
    ]
}"#;

/// A directory of profile files, gone with the value.
struct Files(tempfile::TempDir);

impl Files {
    fn of(files: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(directory.path().join(name), text).unwrap();
        }
        Self(directory)
    }

    fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    fn settings(&self) -> Settings {
        Settings {
            profiles: Some(self.path()),
            ..Settings::default()
        }
    }
}

fn governor_of(text: &str) -> Governor {
    Governor::new(Profiles::load(&Files::of(&[("profiles.json", text)]).settings()).unwrap())
}

fn plain() -> Governor {
    Governor::new(Profiles::default())
}

/// Definitions that outlive the index made of them.
struct Stock(Vec<(String, Box<RawValue>)>);

impl Stock {
    fn of(tools: &[(&str, &str)]) -> Self {
        let entry = |(name, description): &(&str, &str)| {
            let definition = json!({"name": name, "description": description});
            let definition = serde_json::value::to_raw_value(&definition).unwrap();
            ((*name).to_owned(), definition)
        };
        Self(tools.iter().map(entry).collect())
    }

    fn tool_index(&self) -> ToolIndex<'_> {
        ToolIndex::of(
            self.0
                .iter()
                .map(|(name, definition)| IndexedTool { name, definition }),
        )
    }
}

fn ask_on(governor: &Governor, stock: &Stock, who: &Client, arguments: &str) -> (Value, Reply) {
    let tool_index = stock.tool_index();
    let view = View {
        tool_index: &tool_index,
        loading: false,
        profiles: &governor.profiles,
    };
    let arguments = RawValue::from_string(arguments.to_owned()).unwrap();
    let reply = governor.answer(who, &view, Some(&arguments));
    (serde_json::from_str(&reply.json).unwrap(), reply)
}

fn ask(governor: &Governor, who: &Client, arguments: &str) -> (Value, Reply) {
    ask_on(governor, &Stock::of(&TOOLS), who, arguments)
}

fn attached(governor: &Governor, who: &Client) -> Vec<String> {
    let (answer, _) = ask(governor, who, r#"{"action":"list-attached"}"#);
    serde_json::from_value(answer["tools"].clone()).unwrap()
}

fn agent(name: &str) -> Client {
    Client::of(Some(name), None, None, None)
}

#[test]
fn without_profiles_everything_is_attached() {
    let governor = plain();
    let mut names: Vec<_> = TOOLS.iter().map(|(name, _)| *name).chain([NAME]).collect();
    names.sort_unstable();
    assert_eq!(attached(&governor, &agent("a")), names);
    assert!(governor.admit(&agent("a"), "whatever__comes").is_ok());
}

#[test]
fn each_mode_admits_what_it_says_now_and_after_a_reload() {
    let governor = governor_of(PROFILES);
    let later = [
        ("tasks__later", ""),
        ("demo_math__xor", ""),
        ("other__x", ""),
    ];
    let all: Vec<_> = TOOLS.iter().chain(&later).copied().collect();
    let after_reload = Stock::of(&all);
    let cases: [(&str, &[&str]); 5] = [
        ("chatter", &["tasks__create-task", "tasks__later"]),
        (
            "tasks",
            &[
                "tasks__create-task",
                "tasks__list-users",
                "tasks__get-document",
                "tasks__later",
            ],
        ),
        ("maths", &["demo_math__calculate", "demo_math__coin_flip"]),
        ("open", &all.iter().map(|(n, _)| *n).collect::<Vec<_>>()),
        ("FULL ", &all.iter().map(|(n, _)| *n).collect::<Vec<_>>()),
    ];
    for (profile, expected) in cases {
        let who = agent(profile);
        let arguments = json!({"action": "attach-profile", "profile": profile}).to_string();
        ask(&governor, &who, &arguments);
        let (answer, _) = ask_on(
            &governor,
            &after_reload,
            &who,
            r#"{"action":"list-attached"}"#,
        );
        let mut expected: Vec<_> = expected.iter().copied().chain([NAME]).collect();
        expected.sort_unstable();
        assert_eq!(answer["tools"], json!(expected), "{profile}");
    }
}

#[test]
fn a_tool_that_was_detached_stays_detached_when_its_plugin_comes_back() {
    let governor = plain();
    let who = agent("a");
    ask(
        &governor,
        &who,
        r#"{"action":"detach","tool":"tasks__list-users"}"#,
    );
    let without = Stock::of(&TOOLS[..2]);
    ask_on(&governor, &without, &who, r#"{"action":"list-attached"}"#);
    assert!(governor.admit(&who, "tasks__list-users").is_err());
    assert!(!attached(&governor, &who).contains(&"tasks__list-users".to_owned()));
}

#[test]
fn answers_to_actions() {
    let governor = governor_of(PROFILES);
    let cases = [
        (
            r#"{"action":"attach","tool":"demo_math__coin_flip"}"#,
            json!({"attached": ["demo_math__coin_flip"],
                "attached_set": ["demo_math__coin_flip", NAME, "tasks__create-task"]}),
            false,
        ),
        (
            r#"{"action":"attach","tools":["tasks__list_users","Demo_Math.Calculate",NAME,"nope"]}"#,
            json!({"attached": ["tasks__list-users", "demo_math__calculate", NAME],
                "refused": [{"tool": "nope", "reason": "no tool 'nope'; list-available names those there are",
                    "did_you_mean": []}],
                "attached_set": ["demo_math__calculate", NAME, "tasks__create-task", "tasks__list-users"]}),
            false,
        ),
        (
            r#"{"action":"attach","tools":{"item":"coinflip"}}"#,
            json!({"attached": [],
                "refused": [{"tool": "coinflip", "reason": "no tool 'coinflip'",
                    "did_you_mean": ["demo_math__coin_flip"]}],
                "attached_set": [NAME, "tasks__create-task"]}),
            false,
        ),
        (
            r#"{"action":"DETACH","tool":"tasks__create-task","tools":null}"#,
            json!({"detached": ["tasks__create-task"], "attached_set": [NAME]}),
            false,
        ),
        (
            r#"{"action":"detach","tool":"tasks__list-users"}"#,
            json!({"detached": [], "attached_set": [NAME, "tasks__create-task"],
                "not_attached": ["tasks__list-users"]}),
            false,
        ),
        (
            r#"{"action":"attach"}"#,
            json!({"attached": [], "attached_set": [NAME, "tasks__create-task"]}),
            false,
        ),
        (
            r#"{"action":"detach","tools":["", " "]}"#,
            json!({"detached": [], "attached_set": [NAME, "tasks__create-task"]}),
            false,
        ),
        (
            r#"{"action":"detach","tool":NAME}"#,
            json!({"detached": [],
                "refused": [{"tool": NAME, "reason": "sanctum__tools cannot be detached: it is the way back"}],
                "attached_set": [NAME, "tasks__create-task"]}),
            false,
        ),
        (
            r#"{"action":"attach_profile","profile":" Maths"}"#,
            json!({"profile": "maths",
                "attached": ["demo_math__calculate", "demo_math__coin_flip", NAME]}),
            false,
        ),
        (
            r#"{"action":"attach-profile"}"#,
            json!({"profile": "chatter", "attached": [NAME, "tasks__create-task"]}),
            false,
        ),
        (
            r#"{"action":"attach-profile","profile":"chater"}"#,
            json!({"error": "unknown profile: chater; there are: chatter, full, maths, open, tasks",
                "did_you_mean": ["chatter"],
                "profiles": ["chatter", "full", "maths", "open", "tasks"]}),
            true,
        ),
        (
            r#"{"action":"list_available"}"#,
            json!({"tools": ["demo_math__calculate", "demo_math__coin_flip", "tasks__create-task",
                    "tasks__get-document", "tasks__list-users"],
                "detached": ["demo_math__calculate", "demo_math__coin_flip", "tasks__get-document",
                    "tasks__list-users"]}),
            false,
        ),
    ];
    for (index, (arguments, expected, is_error)) in cases.into_iter().enumerate() {
        let arguments = arguments.replace("NAME", &format!("{NAME:?}"));
        let (answer, reply) = ask(&governor, &agent(&index.to_string()), &arguments);
        assert_eq!(answer, expected, "{arguments}");
        assert_eq!(reply.is_error, is_error, "{arguments}");
    }
}

#[test]
fn what_cannot_be_understood_names_what_is_expected_and_changes_nothing() {
    let governor = governor_of(PROFILES);
    let who = agent("a");
    let before = attached(&governor, &who);
    let cases = [
        ("{}", "action is missing; say one of help, list-available"),
        (r#"{"action":"nonsense"}"#, "unknown action: nonsense; say"),
        (r#"{"action":5}"#, "do not fit its schema"),
        (
            r#"{"action":"attach","tool":{"a":1}}"#,
            "tool and tools take a name or an array of names",
        ),
        ("[]", "do not fit"),
    ];
    for (arguments, expected) in cases {
        let (answer, reply) = ask(&governor, &who, arguments);
        let error = answer["error"].as_str().unwrap_or_default();
        assert!(error.contains(expected), "{arguments}: {answer}");
        assert!(reply.is_error && !reply.changed, "{arguments}");
    }
    assert_eq!(attached(&governor, &who), before);
}

#[test]
fn megabytes_in_a_name_or_an_intent_are_not_compared_with_every_tool() {
    let governor = plain();
    let long = "x ".repeat(1_000_000);
    for (action, member) in [("attach", "tool"), ("attach-profile", "profile")] {
        let arguments = json!({"action": action, member: long}).to_string();
        let (answer, reply) = ask(&governor, &agent("a"), &arguments);
        assert!(reply.is_error && reply.json.len() < 2_000, "{answer}");
    }
    let arguments = json!({"action": "list-available", "intent": long}).to_string();
    assert!(!ask(&governor, &agent("a"), &arguments).1.is_error);
}

#[test]
fn changed_is_said_only_when_the_visible_list_is_another_one() {
    let governor = governor_of(PROFILES);
    let who = agent("a");
    let cases = [
        (r#"{"action":"help"}"#, false),
        (r#"{"action":"attach","tool":"tasks__create-task"}"#, false),
        (r#"{"action":"attach","tool":"tasks__list-users"}"#, true),
        (r#"{"action":"attach","tool":"tasks__list-users"}"#, false),
        (r#"{"action":"attach","tool":"nope"}"#, false),
        (r#"{"action":"attach-profile","profile":"tasks"}"#, true),
        (r#"{"action":"detach","tool":"tasks__list-users"}"#, true),
        (r#"{"action":"attach-profile","profile":"tasks"}"#, true),
        (r#"{"action":"attach-profile","profile":"tasks"}"#, false),
    ];
    for (arguments, changed) in cases {
        assert_eq!(
            ask(&governor, &who, arguments).1.changed,
            changed,
            "{arguments}"
        );
    }
}

#[test]
fn intents_bring_up_hinted_tools_first_and_described() {
    let governor = governor_of(PROFILES);
    let (answer, _) = ask(
        &governor,
        &agent("a"),
        r#"{"action":"list-available","intent":"I want to read a document on a list"}"#,
    );
    assert_eq!(answer["matches"][0]["tool"], "tasks__get-document");
    assert_eq!(answer["matches"][0]["attached"], false);
    assert_eq!(answer["matches"][0]["description"], "Read one document");
    assert_eq!(answer["matches"][0]["hint"]["intent"], "read document");
    assert_eq!(
        answer["tools"],
        json!([
            "tasks__get-document",
            "tasks__create-task",
            "tasks__list-users"
        ])
    );
}

#[test]
fn help_gives_the_hints_whole_and_only_those_that_fit() {
    let governor = governor_of(PROFILES);
    let all = ask(&governor, &agent("a"), r#"{"action":"help"}"#).0;
    assert_eq!(all["matches"].as_array().unwrap().len(), 2);
    let cases = [
        ("document", vec!["tasks__get-document"]),
        ("please create a new task", vec!["tasks__create-task"]),
        ("GET-doc", vec!["tasks__get-document"]),
        ("coin", vec![]),
    ];
    for (intent, tools) in cases {
        let arguments = json!({"action": "help", "intent": intent}).to_string();
        let answer = ask(&governor, &agent("a"), &arguments).0;
        let matches = answer["matches"].as_array().unwrap();
        let found: Vec<_> = matches.iter().map(|hint| hint["tool"].clone()).collect();
        assert_eq!(found, tools, "{intent}");
    }
    assert_eq!(all["matches"][0]["needs"], "list-id");
}

#[test]
fn a_refused_call_says_how_to_attach() {
    let governor = governor_of(PROFILES);
    let refused = governor
        .admit(&agent("a"), "tasks__list-users")
        .unwrap_err();
    assert_eq!(refused.code(), "tool_not_attached");
    let text = refused.to_string();
    assert!(
        text.contains(r#"{"action":"attach","tool":"tasks__list-users"}"#),
        "{text}"
    );
}

#[test]
fn the_definition_says_nothing_that_letta_refuses() {
    let governor = governor_of(PROFILES);
    let definition: Value = serde_json::from_str(governor.definition().get()).unwrap();
    let schema = &definition["inputSchema"];
    assert_eq!(definition["name"], NAME);
    assert!(NAME.len() <= 48);
    assert_eq!(schema["type"], "object");
    assert_eq!(schema["additionalProperties"], false);
    for (name, property) in schema["properties"].as_object().unwrap() {
        let kind = property["type"].as_str();
        assert!(kind.is_some_and(|kind| kind != "object"), "{name}");
        assert_eq!(
            kind == Some("array"),
            property.get("items").is_some(),
            "{name}"
        );
        assert!(property["description"].is_string(), "{name}");
    }
    assert_eq!(
        schema["properties"]["profile"]["enum"],
        json!(["chatter", "full", "maths", "open", "tasks"])
    );
}

#[test]
fn plugins_that_still_load_are_named_as_a_reason() {
    let governor = plain();
    let stock = Stock::of(&TOOLS);
    let tool_index = stock.tool_index();
    let view = View {
        tool_index: &tool_index,
        loading: true,
        profiles: &governor.profiles,
    };
    let arguments = r#"{"action":"attach","tool":"slow__tool"}"#.to_owned();
    let arguments = RawValue::from_string(arguments).unwrap();
    let reply = governor.answer(&agent("a"), &view, Some(&arguments));
    assert!(reply.json.contains("still loading"), "{}", reply.json);
}
