//! Rows 33 to 36: calls that cannot start, find no place, or are cancelled; and names that no tool has.

use std::time::Duration;

use serde_json::json;

use crate::edge::Starved;
use crate::served::{GONE, found_soon, gone_within, served};
use crate::support::http::{Connection, PATIENCE};
use crate::support::plugins::{Folder, fixtures, write_program};
use crate::support::server::{Server, Setup, is_root};
use crate::support::session::{Session, code_of, text_of};
use crate::support::witness::Witness;
use crate::support::{rows, s, until};

#[test]
fn a_plugin_that_was_changed_after_the_start_gives_a_clean_error() {
    let folder = Folder::new();
    let template = fixtures("plugins/ends");
    for name in ["replaced", "removed", "emptied", "closed", "gone"] {
        folder.copy(&template, name);
    }
    folder.add_executable(
        "refused",
        "#!/bin/sh\necho '{\"commands\":[{\"name\":\"silent\",\"description\":\"a\",\"parameters\":[]}]}'\n",
    );
    // A server that notices the changes first may have no such tool any more.
    let mut setup = Setup::new()
        .plugins(folder.path())
        .variable("MCP_WATCH", "off");
    // No file is closed to root, so the server is somebody else then.
    if is_root() {
        setup = setup.user(65_534);
    }
    let server = Server::start(&setup);
    server.ready();
    let at = |name: &str| folder.path().join(name);
    std::fs::remove_file(at("removed/cli.py")).expect("ours");
    std::fs::remove_dir_all(at("gone")).expect("ours");
    std::fs::write(at("emptied/cli.py"), "").expect("ours");
    std::fs::set_permissions(
        at("closed/cli.py"),
        std::os::unix::fs::PermissionsExt::from_mode(0o000),
    )
    .expect("ours");
    write_program(
        &at("replaced/cli.py"),
        "import sys\nsys.exit('not what it was')\n",
    );
    write_program(&at("refused/cli"), "#!/no/such/interpreter\n");
    let cases = [
        ("replaced", Some("plugin_error")),
        ("removed", None),
        ("gone", None),
        ("closed", None),
        ("refused", Some("spawn_failed")),
    ];
    rows::each(
        &cases,
        cases.len(),
        |(name, _)| format!("row 34: {name}"),
        |(name, code)| {
            let witness = Witness::of(server.address(), "");
            let mut session = Session::ready(server.address());
            let result = session.call(&format!("{name}__silent"), json!({}));
            let found = code_of(&result);
            match code {
                Some(code) => assert_eq!(found, *code, "{result}"),
                None => assert!(
                    ["plugin_error", "spawn_failed", "plugin_not_found"].contains(&found),
                    "{result}"
                ),
            }
            assert!(!text_of(&result).is_empty(), "an error without a word");
            witness.must_be_served();
        },
    );
    let mut session = Session::ready(server.address());
    let result = session.call("emptied__silent", json!({}));
    assert_eq!(
        text_of(&result),
        "",
        "row 34: an empty program prints nothing"
    );
}

#[test]
fn calls_go_on_when_the_working_directory_is_removed() {
    let work = Folder::new();
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .directory(work.path());
    let server = Server::start(&setup);
    server.ready();
    let witness = Witness::of(server.address(), "");
    std::fs::remove_dir_all(work.path()).expect("it is empty");
    let mut session = Session::ready(server.address());
    let result = session.call("args__show", json!({"text": "a"}));
    if result["isError"] == true {
        code_of(&result);
        assert!(!text_of(&result).is_empty(), "row 34: {result}");
    }
    witness.must_be_served();
}

#[test]
fn more_calls_than_places_are_refused_and_the_places_come_back() {
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .variable("MCP_MAX_CALLS", "1");
    let server = Server::start(&setup);
    server.ready();
    let witness = Witness::of(server.address(), "");
    let mut crowd = Session::ready(server.address());
    let held = crowd.begin("lingers__sleep", json!({"mark": "row-35"}));
    found_soon("row-35");
    let refused = (0..2000).find_map(|_| {
        crowd.begin("args__show", json!({"text": "a"}));
        crowd
            .take(Duration::from_millis(1), |message| {
                message["result"]["isError"] == true
            })
            .ok()
    });
    let refused = refused.expect("row 35: 2,000 calls and none refused");
    assert_eq!(code_of(&refused["result"]), "overloaded", "row 35");
    crowd.tell("notifications/cancelled", json!({"requestId": held}));
    let last = crowd.take(s(60), |message| message["result"]["isError"] == false);
    assert!(last.is_ok(), "row 35: what waited is not run: {last:?}");
    drop(crowd);
    witness.must_be_served();
}

#[test]
fn a_cancelled_call_is_gone_and_not_answered() {
    let server = served();
    let commands = ["sleep", "deaf", "daemon"];
    rows::each(
        &commands,
        commands.len(),
        |command| format!("row 36: {command} is cancelled"),
        |command| {
            let witness = Witness::of(server.address(), "");
            let mark = format!("row-36-{command}");
            let mut session = Session::ready(server.address());
            let id = session.begin(&format!("lingers__{command}"), json!({"mark": mark}));
            found_soon(&mark);
            let cancel = json!({"requestId": id, "reason": "nobody wants it"});
            session.tell("notifications/cancelled", cancel.clone());
            session.tell("notifications/cancelled", cancel.clone());
            gone_within(&mark, GONE);
            session.tell("notifications/cancelled", cancel);
            let heard = session.heard_until_now();
            assert!(heard.is_empty(), "{heard:?}");
            witness.must_be_served();
        },
    );
}

#[test]
fn cancelling_what_is_over_or_was_never_there_does_nothing() {
    let server = served();
    let witness = Witness::of(server.address(), "");
    let mut session = Session::ready(server.address());
    let mut other = Session::ready(server.address());
    let running = other.begin(
        "lingers__sleep",
        json!({"mark": "row-36-other", "seconds": 1.5}),
    );
    let over = session.request("ping", json!({}));
    session.response(&over, PATIENCE);
    for params in [
        json!({"requestId": over}),
        json!({"requestId": "never"}),
        json!({"requestId": running}),
        json!({"requestId": null}),
        json!({"requestId": {}}),
        json!({}),
    ] {
        session.tell("notifications/cancelled", params);
    }
    let heard = session.heard_until_now();
    assert!(heard.is_empty(), "row 36: {heard:?}");
    let result = other.result(&running, PATIENCE);
    assert_eq!(
        result["isError"], false,
        "row 36: a call of another session: {result}"
    );
    witness.must_be_served();
}

#[test]
fn an_unknown_tool_is_a_result_with_a_code() {
    let server = served();
    let mut session = Session::ready(server.address());
    for (name, code) in [
        ("nonsense", "invalid_tool_name"),
        ("", "invalid_tool_name"),
        ("nobody__nothing", "plugin_not_found"),
        ("args__nothing", "command_not_found"),
        ("args.nothing", "command_not_found"),
    ] {
        let result = session.call(name, json!({}));
        assert_eq!(code_of(&result), code, "{name:?}: {result}");
    }
    for name in ["args.show", "args_show"] {
        let result = session.call(name, json!({"text": "a"}));
        assert_eq!(text_of(&result), r#"{"text": "a"}"#, "{name}");
    }
}

#[test]
fn a_call_that_cannot_start_fails_and_gives_its_place_back() {
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .variable("MCP_MAX_CALLS", "1");
    let server = Server::start(&setup);
    server.ready();
    let at = server.address();
    let mut session = Session::ready(at);
    // One connection for all requests: there will be no descriptor for another.
    let mut posting = Connection::open(at);
    let endpoint = session.endpoint().to_owned();
    let mut call = |session: &mut Session, number: u64| {
        let id = json!(1000 + number);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call",
            "params": {"name": "args__show", "arguments": {"text": "a"}}});
        let body = message.to_string();
        let request = format!(
            "POST {endpoint} HTTP/1.1\r\nHost: {at}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        posting
            .send(request.as_bytes())
            .expect("an open connection");
        assert_eq!(
            posting.answer(PATIENCE).map(|answer| answer.status),
            Ok(202)
        );
        session.expects(&id, "tools/call");
        session.result(&id, PATIENCE)
    };
    assert_eq!(call(&mut session, 0)["isError"], false, "row 33");
    let starved = Starved::new(&server);
    for number in 1..4 {
        let result = call(&mut session, number);
        assert_eq!(code_of(&result), "spawn_failed", "row 33");
    }
    drop(starved);
    let mut number = 4;
    until("row 33: calls start again", PATIENCE, || {
        number += 1;
        (call(&mut session, number)["isError"] == false).then_some(())
    });
    Witness::of(server.address(), "").must_be_served();
}
