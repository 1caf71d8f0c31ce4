//! What the service manager is told.

use std::os::unix::net::UnixDatagram;

use rustix::process::Signal;
use serde_json::json;

use super::{Notices, plugin};
use crate::support::plugins::Folder;
use crate::support::s;
use crate::support::server::{Server, Setup};
use crate::support::session::Session;

#[test]
fn a_server_is_ready_when_its_catalogue_stands_and_asks_for_time_until_then() {
    let folder = Folder::new();
    let answers = folder.path().join("answers");
    let wait = format!(
        "while [ ! -e '{}' ]; do sleep 0.05; done",
        answers.display()
    );
    plugin(&folder, "walker", &wait, "");
    let notices = Notices::new();
    let _server = Server::start(&notices.setup(folder.path()));
    let starting = ["STATUS=starting: 0 plugins", "EXTEND_TIMEOUT_USEC="];
    let (number, _) = notices.message(0, &starting);
    std::fs::write(&answers, "").expect("a directory of our own");
    let (ready, message) = notices.message(0, &["READY=1"]);
    assert!(ready > number, "{:?}", notices.all());
    // Had it been ready before, it would have been so without the plugin. A machine that is busy enough gives it up.
    let served = "STATUS=1 plugin, 0 sessions, 0 calls running";
    let given_up = "STATUS=0 plugins, 0 sessions, 0 calls running; 1 plugin not served";
    let is_either = |line: &str| line == served || line == given_up;
    assert!(message.lines().any(is_either), "{message}");
}

#[test]
fn the_status_counts_plugins_sessions_and_calls_and_the_end_is_said() {
    let folder = Folder::new();
    let over = folder.path().join("over");
    let wait = format!("while [ ! -e '{}' ]; do sleep 0.05; done", over.display());
    plugin(&folder, "walker", "", &wait);
    folder.add("broken", "raise SystemExit(1)\n");
    let notices = Notices::new();
    let mut server = Server::start(&notices.setup(folder.path()));
    let (ready, message) = notices.message(0, &["READY=1"]);
    assert!(message.contains("; 1 plugin not served"), "{message}");
    let mut session = Session::ready(server.address());
    session.begin("walker__go", json!({}));
    let words = ["STATUS=1 plugin, 1 session, 1 call running"];
    let (running, _) = notices.message(ready, &words);
    server.signal(Signal::TERM);
    let words = [
        "STOPPING=1",
        "EXTEND_TIMEOUT_USEC=",
        "STATUS=stopping: 1 plugin, ",
    ];
    notices.message(running, &words);
    std::fs::write(&over, "").expect("a directory of our own");
    assert!(server.ends_within(s(30)).success());
}

#[test]
fn the_watchdog_is_fed_for_as_long_as_the_server_runs() {
    let folder = Folder::new();
    let notices = Notices::new();
    let setup = notices
        .setup(folder.path())
        .variable("WATCHDOG_USEC", "300000");
    let mut server = Server::start(&setup);
    let mut known = notices.message(0, &["READY=1"]).0;
    for _ in 0..5 {
        known = notices.message(known + 1, &["WATCHDOG=1"]).0;
    }
    // The end may take longer than the watchdog waits.
    server.signal(Signal::TERM);
    assert!(server.ends_within(s(30)).success());
}

#[test]
fn an_end_is_said_also_by_a_server_that_was_giving_a_sign_of_life() {
    let folder = Folder::new();
    for _ in 0..20 {
        let notices = Notices::new();
        // So often that hardly any signal comes in between.
        let setup = notices
            .setup(folder.path())
            .variable("WATCHDOG_USEC", "3000");
        let mut server = Server::start(&setup);
        notices.message(0, &["WATCHDOG=1"]);
        server.signal(Signal::TERM);
        assert!(server.ends_within(s(30)).success());
        notices.message(0, &["STOPPING=1"]);
    }
}

#[test]
fn a_service_manager_that_takes_nothing_does_not_hold_up_the_end() {
    let folder = Folder::new();
    let directory = tempfile::tempdir().expect("a directory for temporary files");
    let socket = directory.path().join("notify");
    let _unread = UnixDatagram::bind(&socket).expect("a new name");
    let setup = Setup::new()
        .plugins(folder.path())
        .variable("NOTIFY_SOCKET", &socket)
        .variable("WATCHDOG_USEC", "3000");
    let mut server = Server::start(&setup);
    server.ready();
    // Its queue is soon full.
    std::thread::sleep(std::time::Duration::from_millis(500));
    server.signal(Signal::TERM);
    assert!(server.ends_within(s(30)).success());
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let folder = Folder::new();
    let notices = Notices::new();
    let setup = notices
        .setup(folder.path())
        .variable("WATCHDOG_USEC", "300000")
        .variable("WATCHDOG_PID", "1");
    let mut server = Server::start(&setup);
    notices.message(0, &["READY=1"]);
    server.signal(Signal::TERM);
    notices.message(0, &["STOPPING=1"]);
    server.ends_within(s(30));
    let all = notices.all();
    assert!(all.iter().all(|text| !text.contains("WATCHDOG")), "{all:?}");
}

#[test]
fn no_plugin_can_speak_to_the_service_manager_or_find_the_log_and_the_keys() {
    let folder = Folder::new();
    plugin(&folder, "walker", "", "env");
    let notices = Notices::new();
    let mut setup = notices.setup(folder.path()).variable("KEPT", "yes");
    let hidden = [
        "JOURNAL_STREAM",
        "LOGS_DIRECTORY",
        "MCP_LOG_DIR",
        "CREDENTIALS_DIRECTORY",
        "INVOCATION_ID",
        "SYSTEMD_EXEC_PID",
    ];
    for name in hidden {
        setup = setup.variable(name, "/none");
    }
    let server = Server::start(&setup);
    server.ready();
    let result = Session::ready(server.address()).call("walker__go", json!({}));
    let environment = result.to_string();
    assert!(environment.contains("KEPT=yes"), "{environment}");
    for name in hidden
        .into_iter()
        .chain(["NOTIFY_SOCKET", "LISTEN_", "WATCHDOG_"])
    {
        assert!(!environment.contains(name), "{name}: {environment}");
    }
}
