//! A reload: SIGHUP, as `systemctl reload` sends it.

use std::path::Path;

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

use super::{Notices, plugin};
use crate::support::http::{PATIENCE, exchange, get};
use crate::support::plugins::Folder;
use crate::support::server::{Server, run};
use crate::support::session::Session;
use crate::support::{hangups, s, until};

fn microseconds() -> i64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec * 1_000_000 + now.tv_nsec / 1_000
}

#[test]
fn a_reload_says_when_it_began_and_is_over_when_the_new_plugins_are_served() {
    if hangups::are_ignored() {
        return;
    }
    let folder = Folder::new();
    plugin(&folder, "walker", "", "");
    let notices = Notices::new();
    let server = Server::start(&notices.setup(folder.path()));
    let (mut known, _) = notices.message(0, &["READY=1", "STATUS=1 plugin,"]);
    for plugins in 2..4 {
        plugin(&folder, &format!("walker{plugins}"), "", "");
        let before = microseconds();
        server.signal(Signal::HUP);
        let (reloading, message) = notices.message(known + 1, &["RELOADING=1"]);
        let began = message
            .lines()
            .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        let began: i64 = began.expect("when").parse().expect("a number");
        assert!(before <= began && began <= microseconds(), "{message}");
        let (ready, message) = notices.message(reloading + 1, &["READY=1"]);
        let status = format!("STATUS={plugins} plugins,");
        assert!(message.contains(&status), "{message}");
        known = ready;
    }
}

#[test]
fn the_status_says_reloading_for_as_long_as_it_lasts() {
    if hangups::are_ignored() {
        return;
    }
    let folder = Folder::new();
    plugin(&folder, "walker", "", "");
    let notices = Notices::new();
    let setup = notices
        .setup(folder.path())
        .variable("WATCHDOG_USEC", "300000");
    let server = Server::start(&setup);
    let (ready, _) = notices.message(0, &["READY=1", "STATUS=1 plugin,"]);
    let answers = folder.path().join("answers");
    let wait = format!(
        "while [ ! -e '{}' ]; do sleep 0.05; done",
        answers.display()
    );
    plugin(&folder, "waiter", &wait, "");
    server.signal(Signal::HUP);
    let (reloading, _) = notices.message(ready + 1, &["RELOADING=1"]);
    let mut known = reloading;
    for _ in 0..4 {
        known = notices.message(known + 1, &["WATCHDOG=1"]).0;
    }
    std::fs::write(&answers, "").expect("a directory of our own");
    let (over, _) = notices.message(reloading + 1, &["READY=1"]);
    for message in &notices.all()[reloading..over] {
        let mut lines = message.lines();
        let status = lines.find_map(|line| line.strip_prefix("STATUS="));
        let says_so = status.is_none_or(|status| status.starts_with("reloading: "));
        assert!(says_so, "{message}");
    }
}

#[test]
fn a_reload_during_the_start_makes_no_second_start() {
    if hangups::are_ignored() {
        return;
    }
    let folder = Folder::new();
    let answers = folder.path().join("answers");
    let wait = format!(
        "while [ ! -e '{}' ]; do sleep 0.05; done",
        answers.display()
    );
    plugin(&folder, "walker", &wait, "");
    let notices = Notices::new();
    let setup = notices
        .setup(folder.path())
        .variable("WATCHDOG_USEC", "300000");
    let mut server = Server::start(&setup);
    server.signal(Signal::HUP);
    server.logs(&["SIGHUP: reloading"]);
    std::fs::write(&answers, "").expect("a directory of our own");
    let (ready, _) = notices.message(0, &["READY=1"]);
    server.logs(&["reloaded", "plugin"]);
    let mut known = ready.max(notices.all().len());
    for _ in 0..2 {
        known = notices.message(known, &["WATCHDOG=1"]).0 + 1;
    }
    server.signal(Signal::TERM);
    notices.message(ready, &["STOPPING=1"]);
    server.ends_within(s(30));
    let all = notices.all();
    let ready = all.iter().filter(|message| message.contains("READY=1"));
    assert_eq!(ready.count(), 1, "{all:?}");
}

#[test]
fn a_reload_that_comes_too_late_says_so() {
    if hangups::are_ignored() {
        return;
    }
    let folder = Folder::new();
    plugin(&folder, "walker", "", "");
    let notices = Notices::new();
    let setup = notices
        .setup(folder.path())
        .variable("MCP_DRAIN_DELAY", "10m");
    let mut server = Server::start(&setup);
    server.ready();
    server.signal(Signal::TERM);
    notices.message(0, &["STOPPING=1"]);
    server.signal(Signal::HUP);
    server.logs(&["SIGHUP: nothing is reloaded", "shutting down"]);
    server.signal(Signal::TERM);
    server.ends_within(s(30));
}

fn write_key(path: &Path, key: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new();
    let file = file.write(true).create(true).truncate(true).mode(0o600);
    let mut file = file.open(path).expect("a directory of our own");
    file.write_all(key.as_bytes()).expect("there is room");
}

#[test]
fn keys_in_files_are_read_again_and_who_has_lost_the_key_has_lost_its_session() {
    if hangups::are_ignored() {
        return;
    }
    let folder = Folder::new();
    let keys = folder.path().join("keys");
    write_key(&keys, "the first key of two");
    let setup = crate::support::server::Setup::new()
        .plugins(folder.path())
        .argument("--require-auth")
        .variable("MCP_API_KEYS_FILE", &keys);
    let server = Server::start(&setup);
    let at = server.address();
    let status = |key: &str| {
        let header = format!("X-API-Key: {key}\r\n");
        exchange(at, &get(at, "/metrics", &header)).status
    };
    let header = "X-API-Key: the first key of two\r\n";
    let mut session = Session::open_with(at, "/sse", header);
    assert_eq!(
        (status("the first key of two"), status("the second key")),
        (200, 401)
    );

    write_key(&keys, "");
    server.signal(Signal::HUP);
    let file = keys.display().to_string();
    server.logs(&["the keys stay as they were", &file, "no key in it"]);
    server.logs(&["reloaded the plugins, and not the keys"]);
    assert_eq!(
        status("the first key of two"),
        200,
        "no keys are no reason to be open"
    );
    assert_eq!(exchange(at, &get(at, "/metrics", "")).status, 401);

    write_key(&keys, "the second key");
    server.signal(Signal::HUP);
    until("the second key counts", PATIENCE, || {
        (status("the second key") == 200).then_some(())
    });
    assert_eq!(status("the first key of two"), 401);
    assert!(session.ends_within(s(20)), "its stream is open");
}

#[test]
fn keys_in_a_settings_file_are_read_again_and_what_waits_for_a_start_is_named() {
    if hangups::are_ignored() {
        return;
    }
    let folder = Folder::new();
    let file = folder.path().join("settings");
    write_key(&file, "api_key = 'the first key of two'\nmax_calls = 7\n");
    let setup = crate::support::server::Setup::new()
        .plugins(folder.path())
        .argument("--require-auth")
        .argument("--config")
        .argument(&file);
    let server = Server::start(&setup);
    let at = server.address();
    let status = |key: &str| {
        let header = format!("X-API-Key: {key}\r\n");
        exchange(at, &get(at, "/metrics", &header)).status
    };
    assert_eq!(
        (status("the first key of two"), status("the second key")),
        (200, 401)
    );

    for (text, why) in [
        ("max_calls = 7\n", "no key is left"),
        ("max_cals = 7\n", "write max_calls"),
        ("api_key = 'unfinished", "this is no TOML"),
        ("api_key = 'sha256:12'\n", "no digest"),
    ] {
        write_key(&file, text);
        server.signal(Signal::HUP);
        server.logs(&["the keys stay as they were", why]);
        assert_eq!(status("the first key of two"), 200, "{text}");
        assert_eq!(exchange(at, &get(at, "/metrics", "")).status, 401);
    }

    write_key(&file, "api_key = 'the second key'\nmax_calls = 8\n");
    server.signal(Signal::HUP);
    until("the second key counts", PATIENCE, || {
        (status("the second key") == 200).then_some(())
    });
    assert_eq!(status("the first key of two"), 401);
    server.logs(&["settings:2: max_calls has changed"]);
    assert!(!server.log().contains("first key"), "{}", server.log());
}

#[test]
fn a_key_file_without_a_key_never_opens_a_server() {
    for text in ["", ",\n", "# no key yet\n"] {
        let folder = Folder::new();
        let keys = folder.path().join("keys");
        write_key(&keys, text);
        let setup = crate::support::server::Setup::new()
            .plugins(folder.path())
            .variable("MCP_API_KEYS_FILE", &keys);
        let output = run(&setup);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let file = keys.display().to_string();
        assert!(
            said.contains(&file) && said.contains("no key in it"),
            "{said}"
        );
    }
}

#[test]
fn a_reload_of_settings_files_takes_nothing_that_a_start_would_not() {
    if hangups::are_ignored() {
        return;
    }
    let folder = Folder::new();
    let file = folder.path().join("settings");
    let other = folder.path().join("other");
    write_key(&other, "the key of the other file");
    write_key(&file, "max_calls = 7\n");
    let setup = crate::support::server::Setup::new()
        .plugins(folder.path())
        .argument("--config")
        .argument(&file);
    let server = Server::start(&setup);
    let at = server.address();
    let status = |key: &str| {
        let headers = format!("X-API-Key: {key}\r\nX-Forwarded-For: 192.0.2.1\r\n");
        exchange(at, &get(at, "/metrics", &headers)).status
    };
    // Open at first, and closed by a reload: a key that is taken away leaves nobody in, and opens nothing.
    write_key(&file, "api_keys = ['the first key of two']\n");
    server.signal(Signal::HUP);
    until("the key counts", PATIENCE, || {
        (status("a wrong one") == 401).then_some(())
    });
    assert_eq!(status("the first key of two"), 200);
    for (text, why) in [
        ("max_calls = 7\n", "no key is left"),
        ("api_keys = []\n", "it is empty"),
        ("api_keys = ['', '']\n", "it is empty"),
        ("api_keys = ','\n", "has no key in it"),
        ("api_key_file = 'other'\n", "MCP_API_KEY_FILE has changed"),
        (
            "api_key = 'another key'\napi_key_file = 'other'\n",
            "MCP_API_KEY_FILE has changed",
        ),
    ] {
        write_key(&file, text);
        server.signal(Signal::HUP);
        server.logs(&["the keys stay as they were", why]);
        assert_eq!(status("the first key of two"), 200, "{text}");
        for key in ["another key", "the key of the other file", "a wrong one"] {
            assert_eq!(status(key), 401, "{text}");
        }
    }
}
