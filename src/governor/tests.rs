//! The governor over tools and profile files made here; no plugin runs.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;

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
fn attachments_belong_to_the_agent_else_the_key_else_the_program_else_the_session_else_the_process()
{
    let key = Some([7; 32]);
    let address = IpAddr::from([192, 0, 2, 1]);
    let program = Some(("bridge", address));
    let long = "x".repeat(5000);
    let cases = [
        (
            Client::of(Some("a"), key, program, Some("s")),
            Client::Agent {
                id: "a".into(),
                key,
            },
        ),
        (
            Client::of(None, key, program, Some("s")),
            Client::Key([7; 32]),
        ),
        (
            Client::of(Some(""), None, program, Some("s")),
            Client::Program {
                name: "bridge".into(),
                address,
            },
        ),
        (
            Client::of(Some(&long), None, Some((&long, address)), Some("s")),
            Client::Session("s".into()),
        ),
        (
            Client::of(None, None, Some(("", address)), Some("s")),
            Client::Session("s".into()),
        ),
        (Client::of(None, None, None, Some("")), Client::Process),
        (Client::by_authorization(key), Client::Key([7; 32])),
        (Client::by_authorization(None), Client::Nobody),
    ];
    for (got, expected) in cases {
        assert_eq!(got, expected);
    }
}

#[test]
fn another_key_that_names_the_same_agent_is_another_client() {
    let governor = governor_of(PROFILES);
    let own = Client::of(Some("a"), Some([1; 32]), None, Some("s"));
    let attach = r#"{"action":"attach","tool":"tasks__list-users"}"#;
    ask(&governor, &own, attach);
    assert!(governor.admit(&own, "tasks__list-users").is_ok());
    let elsewhere = Client::of(Some("a"), Some([1; 32]), None, Some("another session"));
    assert!(governor.admit(&elsewhere, "tasks__list-users").is_ok());
    for other in [Some([2; 32]), None] {
        let other = Client::of(Some("a"), other, None, Some("s"));
        assert!(
            governor.admit(&other, "tasks__list-users").is_err(),
            "{other:?}"
        );
    }
    let shown = format!("{own:?}");
    assert_eq!(shown, "agent \"a\" of key 01010101");
}

#[test]
fn agents_and_programs_keep_their_tools_over_connections_and_a_closed_session_loses_them() {
    let governor = governor_of(PROFILES);
    let session = Client::of(None, None, None, Some("s1"));
    let bridge = |last| Some(("bridge", IpAddr::from([192, 0, 2, last])));
    let program = Client::of(None, None, bridge(1), Some("s1"));
    for who in [&agent("a"), &program, &session] {
        ask(
            &governor,
            who,
            r#"{"action":"attach","tool":"tasks__list-users"}"#,
        );
        assert!(governor.admit(who, "tasks__list-users").is_ok());
    }
    governor.forget_session("s1");
    assert!(governor.admit(&session, "tasks__list-users").is_err());
    assert!(governor.admit(&agent("a"), "tasks__list-users").is_ok());
    let again = Client::of(None, None, bridge(1), Some("s2"));
    assert!(governor.admit(&again, "tasks__list-users").is_ok());
    let elsewhere = Client::of(None, None, bridge(2), Some("s2"));
    assert!(governor.admit(&elsewhere, "tasks__list-users").is_err());
}

#[test]
fn a_request_that_nothing_identifies_sees_the_start_profile_and_changes_nothing() {
    let governor = governor_of(PROFILES);
    for arguments in [
        r#"{"action":"attach","tool":"tasks__list-users"}"#,
        r#"{"action":"detach","tool":"tasks__create-task"}"#,
        r#"{"action":"attach-profile","profile":"full"}"#,
    ] {
        let (answer, reply) = ask(&governor, &Client::Nobody, arguments);
        assert!(reply.is_error && !reply.changed, "{answer}");
    }
    assert_eq!(
        attached(&governor, &Client::Nobody),
        [NAME, "tasks__create-task"]
    );
    let refused = governor
        .admit(&Client::Nobody, "tasks__list-users")
        .unwrap_err();
    assert!(refused.to_string().contains("send an API key"), "{refused}");
}

fn add(attached: &mut Attached) -> Result<(), ()> {
    attached.add("x__y");
    Ok(())
}

#[test]
fn an_agent_is_forgotten_a_day_after_its_last_request() {
    let governor = governor_of(PROFILES);
    let attachments = &governor.attachments;
    let start = Instant::now();
    let hour = Duration::from_secs(3600);
    attachments.change(&agent("a"), start, add).unwrap();
    assert!(attachments.of(&agent("a"), start + 23 * hour).holds("x__y"));
    // The look an hour ago counts as a request.
    assert!(attachments.of(&agent("a"), start + 46 * hour).holds("x__y"));
    assert!(!attachments.of(&agent("a"), start + 70 * hour).holds("x__y"));
    // A clock that stands still or a request out of order forgets nothing.
    attachments.change(&agent("b"), start + hour, add).unwrap();
    assert!(attachments.of(&agent("b"), start).holds("x__y"));
}

#[test]
fn the_agent_unheard_of_for_longest_makes_room_for_the_ten_thousand_and_first() {
    let governor = governor_of(PROFILES);
    let attachments = &governor.attachments;
    let start = Instant::now();
    let at = |n: u64| start + Duration::from_millis(n);
    for n in 0..10_000 {
        attachments
            .change(&agent(&n.to_string()), at(n), add)
            .unwrap();
    }
    assert!(attachments.of(&agent("0"), at(10_000)).holds("x__y"));
    attachments.change(&agent("new"), at(10_001), add).unwrap();
    for (id, kept) in [("0", true), ("1", false), ("2", true), ("new", true)] {
        assert_eq!(
            attachments.of(&agent(id), at(10_002)).holds("x__y"),
            kept,
            "{id}"
        );
    }
}

#[test]
fn made_up_names_of_programs_drive_out_no_agent() {
    let governor = governor_of(PROFILES);
    let attachments = &governor.attachments;
    let start = Instant::now();
    let at = |n: u64| start + Duration::from_millis(n);
    let program = |n: u64| Client::Program {
        name: n.to_string(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
    };
    attachments.change(&agent("a"), at(0), add).unwrap();
    for n in 0..11_000 {
        attachments.change(&program(n), at(n), add).unwrap();
    }
    assert!(attachments.of(&agent("a"), at(11_000)).holds("x__y"));
    assert!(attachments.of(&program(10_999), at(11_000)).holds("x__y"));
    assert!(!attachments.of(&program(0), at(11_000)).holds("x__y"));
}

#[test]
fn exceptions_from_a_profile_are_bounded() {
    let governor = plain();
    let names: Vec<String> = (0..1_200).map(|n| format!("many__t{n}")).collect();
    let tools: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let stock = Stock::of(&tools);
    let who = agent("a");
    let detach = |names: &[String]| {
        let arguments = json!({"action": "detach", "tools": names}).to_string();
        ask_on(&governor, &stock, &who, &arguments).1
    };
    assert!(
        detach(&names).is_error,
        "one request with more than the bound"
    );
    assert!(!detach(&names[..900]).is_error);
    assert!(detach(&names[900..]).is_error);
    assert!(governor.admit(&who, "many__t1100").is_ok());
    assert!(governor.admit(&who, "many__t5").is_err());
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

#[test]
fn settings_pick_the_start_profile() {
    let files = Files::of(&[("a.json", PROFILES)]);
    let with = |attach: Option<&str>, prefix: Option<&str>| Settings {
        attach_profile: attach.map(str::to_owned),
        admin_prefix: prefix.map(str::to_owned),
        ..files.settings()
    };
    let cases = [
        (with(None, None), "chatter"),
        (with(Some(" TASKS "), None), "tasks"),
        (with(Some("  "), None), "chatter"),
        (with(Some("admin"), Some("demo_math__")), "admin"),
        (Settings::default(), "full"),
    ];
    for (settings, expected) in cases {
        let profiles = Profiles::load(&settings).unwrap();
        assert_eq!(profiles.start().name, expected);
    }
    let admin = Profiles::load(&with(Some("admin"), Some("demo_math__"))).unwrap();
    assert!(admin.start().admits("demo_math__x") && !admin.start().admits("tasks__x"));
}

#[test]
fn later_files_override_earlier_ones() {
    let files = Files::of(&[
        (
            "20.json",
            r#"{"default_profile":"two","profiles":{"one":{"mode":"prefix","prefix":"b"}}}"#,
        ),
        (
            "10.json",
            r#"{"default_profile":"one","profiles":{"ONE":{"mode":"prefix","prefix":"a"},"two":{"mode":"all"}}}"#,
        ),
        (".hidden.json", "not JSON"),
        ("notes.txt", "not JSON"),
    ]);
    let profiles = Profiles::load(&files.settings()).unwrap();
    assert_eq!(profiles.start().name, "two");
    assert!(profiles.find("One").unwrap().admits("b__x"));
    assert!(!profiles.find("one").unwrap().admits("a__x"));
}

#[test]
fn a_broken_file_is_named_with_the_member_that_is_wrong() {
    let cases = [
        (
            "{not json",
            "it is not JSON: key must be a string at line 1",
        ),
        ("[]", "the file is [], but must be an object"),
        (
            r#"{"default_profile":5}"#,
            "default_profile is 5, but must be a string",
        ),
        (
            r#"{"profiles":[1]}"#,
            "profiles is [1], but must be an object",
        ),
        (
            r#"{"profiles":{"a":"b"}}"#,
            r#"profiles.a is "b", but must be an object"#,
        ),
        (r#"{"profiles":{" ":{}}}"#, "profiles has an empty name"),
        (
            r#"{"profiles":{"a":{"mode":"some"}}}"#,
            "profiles.a.mode 'some' is not one of all, explicit, glob, prefix",
        ),
        (
            r#"{"profiles":{"a":{"mode":"prefix"}}}"#,
            "profiles.a.prefix is missing; mode 'prefix' needs it",
        ),
        (
            r#"{"profiles":{"a":{"mode":"prefix","prefix":""}}}"#,
            "profiles.a.prefix is empty",
        ),
        (
            r#"{"profiles":{"a":{"mode":"glob","pattern":"x["}}}"#,
            "profiles.a.pattern 'x[' is no glob pattern",
        ),
        (
            r#"{"profiles":{"a":{"mode":"explicit"}}}"#,
            "profiles.a.tools is missing",
        ),
        (
            r#"{"profiles":{"a":{"mode":"explicit","tools":["x",{}]}}}"#,
            "profiles.a.tools[1] is {}, but must be a string",
        ),
        (
            r#"{"intent_hints":[{"intent":"x"},7]}"#,
            "intent_hints[1] is 7, but must be an object",
        ),
        (
            r#"{"intent_hints":[{"intent":7}]}"#,
            "intent_hints[0].intent is 7, but must be a string",
        ),
    ];
    for (text, expected) in cases {
        let files = Files::of(&[("bad.json", text)]);
        let error = Profiles::load(&files.settings()).unwrap_err().to_string();
        let path = files.path().join("bad.json").display().to_string();
        assert!(
            error.contains(&path) && error.contains(expected),
            "{text}: {error}"
        );
    }
}

#[test]
fn a_start_profile_that_is_not_defined_names_the_setting_and_the_profiles() {
    let files = Files::of(&[(
        "a.json",
        r#"{"default_profile":"gone","profiles":{"x":{}}}"#,
    )]);
    let error = Profiles::load(&files.settings()).unwrap_err().to_string();
    assert!(error.contains("a.json names the profile 'gone'"), "{error}");
    assert!(error.ends_with("there are: full, x"), "{error}");
    let settings = Settings {
        attach_profile: Some("nope".into()),
        ..Settings::default()
    };
    let error = Profiles::load(&settings).unwrap_err().to_string();
    assert!(
        error.starts_with("SMCP_ATTACH_PROFILE names the profile 'nope'"),
        "{error}"
    );
}

#[test]
fn paths_that_hold_no_profiles_are_refused_without_being_read() {
    let empty = Files::of(&[]);
    let cases = [
        (empty.path(), "has no *.json file"),
        (empty.path().join("gone"), "No such file"),
        (PathBuf::from("/dev/null"), "not a regular file"),
    ];
    for (path, expected) in cases {
        let settings = Settings {
            profiles: Some(path.clone()),
            ..Settings::default()
        };
        let error = Profiles::load(&settings).unwrap_err().to_string();
        let path: &Path = &path;
        assert!(
            error.contains(expected) && error.contains(&*path.to_string_lossy()),
            "{error}"
        );
    }
}

#[test]
fn profiles_that_ask_for_what_is_not_there_are_pointed_out() {
    let governor = governor_of(PROFILES);
    let said = governor.unmatched(&Snapshot::default());
    assert_eq!(
        said,
        [
            "the profile 'chatter' asks for the tool 'tasks__create-task', which no plugin gives",
            "the profile 'chatter' asks for the tool 'tasks__later', which no plugin gives",
            "the profile 'maths' asks for tools that match 'demo_math__[!x]*', which no plugin gives",
            "the profile 'tasks' asks for tools that begin with 'tasks__', which no plugin gives",
        ]
    );
}

#[test]
fn a_key_is_never_shown_whole() {
    let shown = format!("{:?}", Client::Key([0xab; 32]));
    assert_eq!(shown, "key abababab");
}

#[derive(Debug, Clone)]
enum Step {
    Attach(usize),
    Detach(usize),
    Profile(&'static str),
    Close,
}

fn step() -> impl Strategy<Value = Step> {
    let profile = proptest::sample::select(vec!["chatter", "tasks", "maths", "open", "full"]);
    prop_oneof![
        (0..TOOLS.len()).prop_map(Step::Attach),
        (0..TOOLS.len()).prop_map(Step::Detach),
        profile.prop_map(Step::Profile),
        Just(Step::Close),
    ]
}

fn clients() -> Vec<Client> {
    vec![
        agent("a"),
        agent("b"),
        Client::Key([1; 32]),
        Client::Program {
            name: "a".into(),
            address: IpAddr::from([192, 0, 2, 1]),
        },
        Client::Session("a".into()),
        Client::Session("s".into()),
        Client::Process,
        Client::Nobody,
    ]
}

fn take(governor: &Governor, who: &Client, step: &Step) {
    let arguments = match step {
        Step::Attach(tool) => json!({"action": "attach", "tool": TOOLS[*tool].0}),
        Step::Detach(tool) => json!({"action": "detach", "tool": TOOLS[*tool].0}),
        Step::Profile(name) => json!({"action": "attach-profile", "profile": name}),
        Step::Close => {
            if let Client::Session(id) = who {
                governor.forget_session(id);
            }
            return;
        }
    };
    ask(governor, who, &arguments.to_string());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What a client sees is what it would see if nobody else were there.
    #[test]
    fn no_client_sees_another_ones_changes(
        steps in proptest::collection::vec((0..8_usize, step()), 0..40)
    ) {
        let clients = clients();
        let together = governor_of(PROFILES);
        for (who, step) in &steps {
            take(&together, &clients[*who], step);
        }
        for (index, who) in clients.iter().enumerate() {
            let alone = governor_of(PROFILES);
            for (_, step) in steps.iter().filter(|(who, _)| *who == index) {
                take(&alone, who, step);
            }
            prop_assert_eq!(attached(&together, who), attached(&alone, who), "{:?}", who);
        }
    }

    /// The gate lets through exactly what the list shows.
    #[test]
    fn what_is_listed_can_be_called_and_nothing_else(
        steps in proptest::collection::vec(step(), 0..20)
    ) {
        let governor = governor_of(PROFILES);
        let who = agent("a");
        for step in &steps {
            take(&governor, &who, step);
        }
        let listed = attached(&governor, &who);
        for (tool, _) in TOOLS {
            let admitted = governor.admit(&who, tool).is_ok();
            prop_assert_eq!(admitted, listed.iter().any(|name| name == tool), "{}", tool);
        }
    }
}
