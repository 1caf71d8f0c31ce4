//! Prompts, resources, completions and subscriptions of plugins that have not answered yet.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Door, begin_listening};
use crate::support::plugins::Folder;
use crate::support::server::{Server, Setup};
use crate::support::session::directly;

/// What takes longer says nothing about the rule: after ten seconds nothing waits for plugins any more.
const IN_TIME: Duration = Duration::from_secs(9);

/// A program that describes itself once there is the file.
fn waiting_for(gate: &Path) -> String {
    let description = json!({
        "contract_version": "1.1", "commands": [],
        "resources": [{"uri": "x://one", "name": "one", "command": "run"}],
        "resource_templates": [{"uriTemplate": "x://of/{id}", "name": "of", "command": "run"}],
        "prompts": [{"name": "write", "arguments": [{"name": "tag"}], "command": "run"}],
        "completions": [{"ref": {"type": "ref/prompt", "name": "write"}, "command": "run"}],
    });
    format!(
        "#!/bin/sh\n[ \"$1\" = run ] && exec echo ran\n\
         while [ ! -e '{}' ]; do sleep 0.05; done\necho '{description}'\n",
        gate.display()
    )
}

/// What each request is answered with, where it is written in the result.
fn requests() -> Vec<(&'static str, Value, &'static str)> {
    let reference = json!({"type": "ref/prompt", "name": "write"});
    let complete = json!({"ref": reference, "argument": {"name": "tag", "value": ""}});
    vec![
        ("prompts/list", json!({}), "\"write\""),
        ("resources/list", json!({}), "x://one"),
        ("resources/templates/list", json!({}), "x://of/{id}"),
        ("prompts/get", json!({"name": "write"}), "ran"),
        ("resources/read", json!({"uri": "x://one"}), "ran"),
        ("resources/read", json!({"uri": "x://of/7"}), "ran"),
        ("completion/complete", complete, "ran"),
    ]
}

/// Runs `test` with a server whose only plugin answers when the file is there that it is given; again where the
/// machine was so busy that the server need not have waited.
fn in_time(test: impl Fn(&Server, &Path)) {
    let _ = (0..5).find(|_| was_in_time(&test));
}

fn was_in_time(test: impl Fn(&Server, &Path)) -> bool {
    let plugins = Folder::new();
    let gate = plugins.path().join("gate");
    plugins.add_executable("waits", &waiting_for(&gate));
    let started = Instant::now();
    let server = Server::start(&Setup::new().plugins(plugins.path()));
    let tested = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&server, &gate)));
    match tested {
        Ok(()) => true,
        Err(panic) if started.elapsed() < IN_TIME => std::panic::resume_unwind(panic),
        Err(_) => false,
    }
}

/// All requests are on their way when the plugin answers, and each is answered as if it had answered before.
fn answered_all(server: &Server, gate: &Path, door: &Door) {
    std::thread::scope(|scope| {
        let mut asked = Vec::new();
        for (method, params, expected) in requests() {
            let asking = scope.spawn(move || (method, expected, door.ask(method, params)));
            asked.push(asking);
        }
        open_when_served(server, gate);
        for asking in asked {
            let (method, expected, response) = asking.join().expect("it was answered");
            let result = response["result"].to_string();
            assert!(result.contains(expected), "{method}: {response}");
        }
    });
}

/// Opens the gate when what was sent is most likely being served: a ping, which waits for nothing, has been answered
/// since. Whatever comes later is answered all the same.
fn open_when_served(server: &Server, gate: &Path) {
    for _ in 0..3 {
        directly(server.address(), "ping", json!({}));
        std::thread::sleep(Duration::from_millis(100));
    }
    std::fs::write(gate, "").expect("a directory of our own");
}

#[test]
fn a_stateless_request_waits_for_a_plugin_that_has_not_answered_yet() {
    in_time(|server, gate| answered_all(server, gate, &Door::Stateless(server.address())));
}

#[test]
fn a_session_waits_for_a_plugin_that_has_not_answered_yet() {
    // Its handshake waits for three seconds, and then says that there are tools and nothing else.
    in_time(|server, gate| answered_all(server, gate, &Door::session(server.address())));
}

#[test]
fn a_subscription_waits_for_a_plugin_that_has_not_answered_yet() {
    in_time(|server, gate| {
        let at = server.address();
        std::thread::scope(|scope| {
            let listening = scope.spawn(move || {
                let wanted = json!({"toolsListChanged": true, "promptsListChanged": true,
                    "resourcesListChanged": true, "resourceSubscriptions": ["x://one"]});
                let mut stream = begin_listening(at, wanted.clone());
                let acknowledged = stream.event().expect("it is acknowledged").message();
                (wanted, acknowledged)
            });
            open_when_served(server, gate);
            let (wanted, acknowledged) = listening.join().expect("it was answered");
            let honoured = &acknowledged["params"]["notifications"];
            assert_eq!(*honoured, wanted, "{acknowledged}");
        });
    });
}
