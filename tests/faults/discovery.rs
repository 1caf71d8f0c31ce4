//! Rows 37 to 40: plugins that hang, lie, or are none.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::http::{PATIENCE, exchange, get};
use crate::support::plugins::{Folder, fixtures, write_program};
use crate::support::server::{Server, Setup, is_root};
use crate::support::session::{Session, text_of};
use crate::support::witness::Witness;
use crate::support::{rows, s, until};

/// A shell program that describes itself with this text and otherwise says its command.
fn describing(description: &str) -> String {
    format!(
        "#!/bin/sh\nif [ \"$1\" = --describe ]; then cat <<'END'\n{description}\nEND\nexit; fi\necho \"ran $1\"\n"
    )
}

fn with_commands(names: &[&str]) -> String {
    let commands: Vec<Value> = names
        .iter()
        .map(|name| json!({"name": name, "description": "a command", "parameters": []}))
        .collect();
    json!({"contract_version": "1.0", "commands": commands}).to_string()
}

fn with_parameter(parameter: Value) -> String {
    json!({"contract_version": "1.0", "commands": [
        {"name": "go", "description": "a command", "parameters": [parameter]}]})
    .to_string()
}

#[track_caller]
fn tools(session: &mut Session) -> Vec<String> {
    let listed = session.ask("tools/list", json!({}));
    let tools = listed["result"]["tools"].as_array().expect("a list");
    tools
        .iter()
        .map(|tool| tool["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// Why a plugin is not served, as `health` says it.
#[track_caller]
fn reason(health: &str, plugin: &str) -> Option<String> {
    let health: Value = serde_json::from_str(health).expect("health is JSON");
    let all = health.to_string();
    let found = all.find(&format!("\"{plugin}\""))?;
    Some(all[found..].chars().take(400).collect())
}

/// Takes ten seconds and more: as long as a plugin may take to describe itself.
#[test]
fn a_plugin_that_describes_itself_badly_is_skipped_with_the_reason() {
    let folder = Folder::new();
    folder.add_executable("aa-good", &describing(&with_commands(&["go"])));
    folder.add_executable("zz-good", &describing(&with_commands(&["go"])));
    folder.add_executable(
        "log-first",
        &describing(&format!(
            "2026-01-01 INFO starting {{not json}}\nwarning: old\n{}",
            with_commands(&["go"])
        )),
    );
    let flood = "#!/bin/sh\n: \"$@\"\nexec head -c 1000000000 /dev/zero | tr '\\0' '{'\n";
    // What is wrong, and the words that the reason must have.
    let bad: Vec<(&str, String, &[&str])> = vec![
        (
            "hangs",
            "#!/bin/sh\n: \"$@\"\nexec sleep 600\n".into(),
            &["10"],
        ),
        ("floods", flood.into(), &["4"]),
        (
            "crashes",
            "#!/bin/sh\n: \"$@\"\necho no >&2\nexit 3\n".into(),
            &[],
        ),
        ("no-json", "#!/bin/sh\n: \"$@\"\necho hello\n".into(), &[]),
        ("a-list", describing("[]"), &[]),
        (
            "no-commands",
            describing(r#"{"contract_version":"1.0"}"#),
            &["commands"],
        ),
        (
            "commands-text",
            describing(r#"{"commands":"go"}"#),
            &["commands"],
        ),
        (
            "major-2",
            describing(r#"{"contract_version":"2.0","commands":[]}"#),
            &["contract_version"],
        ),
        (
            "type-str",
            describing(&with_parameter(json!({"name":"a","type":"str"}))),
            &["commands[0].parameters[0].type", "str"],
        ),
        (
            "type-number",
            describing(&with_parameter(json!({"name":"a","type":5}))),
            &["commands[0].parameters[0].type"],
        ),
        (
            "required-text",
            describing(&with_parameter(
                json!({"name":"a","type":"string","required":"yes"}),
            )),
            &["commands[0].parameters[0].required"],
        ),
        (
            "dash-parameter",
            describing(&with_parameter(json!({"name":"-a","type":"string"}))),
            &["commands[0].parameters[0].name"],
        ),
        (
            "no-parameter-name",
            describing(&with_parameter(json!({"type":"string"}))),
            &["commands[0].parameters[0].name"],
        ),
        (
            "both-spellings",
            describing(
                &json!({"commands":[{"name":"go","description":"a","parameters":[
                {"name":"a-b","type":"string"},{"name":"a_b","type":"string"}]}]})
                .to_string(),
            ),
            &["a_b"],
        ),
    ];
    for (name, program, _) in &bad {
        folder.add_executable(name, program);
    }
    let began = Instant::now();
    let server = Server::start(&Setup::new().plugins(folder.path()));
    let mut session = Session::ready(server.address());
    // The good ones do not wait for the one that hangs: it has not been given up yet when they are there.
    until("row 37: the good plugins are served", PATIENCE, || {
        let tools = tools(&mut session);
        ["aa-good__go", "log-first__go", "zz-good__go"]
            .iter()
            .all(|name| tools.iter().any(|tool| tool == name))
            .then_some(())
    });
    let answer = exchange(server.address(), &get(server.address(), "/readyz", ""));
    // After ten seconds it may have been given up: a machine that took as long for the others shows nothing.
    if began.elapsed() < s(10) {
        assert_eq!(answer.status, 503, "{}", answer.text());
    }
    server.ready();
    assert_eq!(
        tools(&mut session)
            .iter()
            .filter(|name| name.contains("__") && !name.starts_with("sanctum__"))
            .collect::<Vec<_>>(),
        ["aa-good__go", "log-first__go", "zz-good__go"],
        "row 37"
    );
    let health = session.call("health", json!({}));
    let health = text_of(&health).to_owned();
    rows::each(
        &bad,
        1,
        |(name, ..)| format!("row 37: {name}"),
        |(name, _, words)| {
            let told = reason(&health, name).unwrap_or_else(|| panic!("not in health: {health}"));
            let line = logged(&server, name);
            for word in *words {
                assert!(told.contains(word), "{word} is not in {told}");
                assert!(line.contains(word), "{word} is not in {line}");
            }
        },
    );
    logged(&server, "log-first");
    Witness::of(server.address(), "").must_be_served();
}

/// A line of the log that warns of this plugin. The log is written beside everything else, so it may come late.
#[track_caller]
fn logged(server: &Server, plugin: &str) -> String {
    until(&format!("the log warns of {plugin}"), PATIENCE, || {
        let log = server.log();
        let mut lines = log.lines();
        let found = lines.find(|line| {
            line.contains(plugin) && (line.contains("WARN") || line.contains("ERROR"))
        });
        found.map(str::to_owned)
    })
}

/// A program without --describe is asked for its help, and for nothing that could be taken for a call.
#[test]
fn no_command_is_run_before_it_is_called() {
    let started = Folder::new();
    let started = started.path().join("started");
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .variable("STARTED", &started);
    let server = Server::start(&setup);
    server.ready();
    assert!(
        !started.exists(),
        "row 37: {:?}",
        std::fs::read_to_string(&started)
    );
    let mut session = Session::ready(server.address());
    let result = session.call("bare__repeat", json!({"text": "a"}));
    assert_eq!(text_of(&result), r#"["repeat", "--text", "a"]"#);
    assert!(started.exists(), "row 37: this test would see nothing");
}

#[test]
fn what_is_no_regular_program_is_never_run() {
    let folder = Folder::new();
    let template = fixtures("plugins/ends");
    folder.copy(&template, "good");
    let make = |name: &str| {
        let directory = folder.path().join(name);
        std::fs::create_dir(&directory).expect("a new name");
        directory.join("cli.py")
    };
    std::fs::create_dir(make("a-directory")).expect("a new name");
    let fifo = make("a-fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(
        made.is_ok_and(|status| status.success()),
        "mkfifo is everywhere"
    );
    let looping = make("a-loop");
    std::os::unix::fs::symlink("cli.py", &looping).expect("a new name");
    std::os::unix::fs::symlink("/no/such/file", make("dangling")).expect("a new name");
    std::os::unix::fs::symlink("/dev/zero", make("a-device")).expect("a new name");
    let writable = make("writable");
    write_program(
        &writable,
        &std::fs::read_to_string(template.join("cli.py")).expect("a fixture"),
    );
    set_mode(&writable, 0o777);
    let closed = make("closed");
    std::fs::copy(&writable, &closed).expect("a new name");
    set_mode(&closed, 0o000);
    std::fs::write(folder.path().join("a-file"), "no directory").expect("a new name");
    for passed_over in [".hidden", "__pycache__"] {
        folder.copy(&template, passed_over);
    }
    std::fs::create_dir(folder.path().join("empty")).expect("a new name");
    std::os::unix::fs::symlink(folder.path().join("good"), folder.path().join("linked"))
        .expect("a new name");
    let mut setup = Setup::new().plugins(folder.path());
    if is_root() {
        setup = setup.user(65_534);
    }
    let server = Server::start(&setup);
    server.ready();
    let mut session = Session::ready(server.address());
    let mut served: Vec<_> = tools(&mut session)
        .iter()
        .filter_map(|name| Some(name.split_once("__")?.0.to_owned()))
        .filter(|plugin| plugin != "sanctum")
        .collect();
    served.dedup();
    assert_eq!(served, ["good", "linked"], "row 38");
    let health = session.call("health", json!({}));
    for name in [
        "a-directory",
        "a-fifo",
        "a-loop",
        "dangling",
        "a-device",
        "writable",
        "closed",
    ] {
        assert!(
            reason(text_of(&health), name).is_some(),
            "row 38: {name} is not in {health}"
        );
    }
    for name in [".hidden", "__pycache__"] {
        assert!(
            !text_of(&health).contains(name),
            "row 38: {name} is passed over: {health}"
        );
    }
    Witness::of(server.address(), "").must_be_served();
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode))
        .expect("a file of our own");
}

#[test]
fn names_that_cannot_be_are_refused_in_the_same_way_each_time() {
    let folder = Folder::new();
    folder.add_executable("good", &describing(&with_commands(&["go"])));
    folder.add_executable("x", &describing(&with_commands(&["y__z", "own"])));
    folder.add_executable("x__y", &describing(&with_commands(&["z", "own"])));
    folder.add_executable("twice", &describing(&with_commands(&["go", "go"])));
    folder.add_executable(
        "long",
        &describing(&with_commands(&[&"c".repeat(65), "ok"])),
    );
    folder.add_executable("spaced", &describing(&with_commands(&["bad name"])));
    folder.add_executable("umlaut", &describing(&with_commands(&["ünï"])));
    folder.add_executable("dotted", &describing(&with_commands(&[".hidden"])));
    folder.add_executable("dashed", &describing(&with_commands(&["-dash"])));
    folder.add_executable("coloured", &describing(&with_commands(&["\u{1b}[31mred"])));
    folder.add_executable("bad name", &describing(&with_commands(&["go"])));
    folder.add_executable("ünï", &describing(&with_commands(&["go"])));
    folder.add_executable("-dash", &describing(&with_commands(&["go"])));
    folder.add_executable(
        "texts",
        &describing(
            &json!({"commands": [{"name": "go", "description": "red \u{1b}[31mtext\u{7} \u{202e}end", "parameters": [
                {"name": "a", "type": "string", "description": "b\u{1b}]0;title\u{7}c"}]}]})
            .to_string(),
        ),
    );
    let lists: Vec<Vec<String>> = (0..3)
        .map(|_| {
            let server = Server::start(&Setup::new().plugins(folder.path()));
            server.ready();
            let mut session = Session::ready(server.address());
            let listed = session.ask("tools/list", json!({}));
            assert!(!listed.to_string().contains("\\u001b"), "row 39: {listed}");
            assert!(!listed.to_string().contains("\\u0007"), "row 39: {listed}");
            for name in [
                "x", "x__y", "twice", "long", "spaced", "umlaut", "dotted", "dashed", "coloured",
            ] {
                logged(&server, name);
            }
            assert!(
                !server.log().contains('\u{1b}'),
                "row 39: a raw escape in the log"
            );
            Witness::of(server.address(), "").must_be_served();
            tools(&mut session)
        })
        .collect();
    assert!(
        lists.windows(2).all(|two| two[0] == two[1]),
        "row 39: {lists:?}"
    );
    let tools = &lists[0];
    assert!(tools.contains(&"good__go".to_owned()), "row 39: {tools:?}");
    assert!(tools.contains(&"texts__go".to_owned()), "row 39: {tools:?}");
    for tool in tools {
        let plain =
            |character: char| character.is_ascii_alphanumeric() || "_-.".contains(character);
        assert!(
            tool.len() <= 64 && tool.chars().all(plain),
            "row 39: {tool:?}"
        );
        let count = tools.iter().filter(|other| *other == tool).count();
        assert_eq!(count, 1, "row 39: {tool}");
    }
    for absent in ["-dash__go", "dashed__-dash"] {
        assert!(!tools.contains(&absent.to_owned()), "row 39: {absent}");
    }
}

/// Takes as long as the system needs to start five hundred programs.
#[test]
fn five_hundred_plugins_fifty_of_them_hanging_hold_nobody_up() {
    let folder = Folder::new();
    for number in 0..450 {
        folder.add_executable(
            &format!("good-{number:03}"),
            &describing(&with_commands(&["go"])),
        );
    }
    // What the good ones take alone is what this machine takes for them.
    let began = Instant::now();
    let alone = Server::start(&Setup::new().plugins(folder.path()));
    all_good_are_listed(&alone, s(300));
    drop(alone);
    let limit = s(60) + 3 * began.elapsed();
    for number in 0..50 {
        folder.add_executable(
            &format!("hangs-{number:02}"),
            "#!/bin/sh\n: \"$@\"\nexec sleep 600\n",
        );
    }
    let server = Server::start(&Setup::new().plugins(folder.path()));
    let answer = exchange(server.address(), &get(server.address(), "/readyz", ""));
    assert_eq!(
        answer.status, 503,
        "row 40: the port opened with the last plugin"
    );
    let mut session = all_good_are_listed(&server, limit);
    let result = session.call("good-449__go", json!({}));
    assert_eq!(text_of(&result), "ran go", "row 40");
    Witness::of(server.address(), "").must_be_served();
}

/// Waits until all 450 of them are, and gives the session that has seen it.
#[track_caller]
fn all_good_are_listed(server: &Server, limit: Duration) -> Session {
    let mut session = Session::ready(server.address());
    until("row 40: all the good ones are listed", limit, || {
        let count = tools(&mut session)
            .iter()
            .filter(|name| name.starts_with("good-"))
            .count();
        (count == 450).then_some(())
    });
    session
}
