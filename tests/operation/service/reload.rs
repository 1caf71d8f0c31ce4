//! A reload: SIGHUP, as `systemctl reload` sends it.

use std::path::Path;

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};

use super::{Notices, plugin};
use crate::support::http::{PATIENCE, exchange, get};
use crate::support::plugins::Folder;
use crate::support::server::Server;
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
    server.logs(&["the keys stay as they were", "no key in it"]);
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
