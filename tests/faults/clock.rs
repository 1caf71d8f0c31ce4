//! Row 46: the time of day jumps by a day and back. Nothing that takes a while is measured by it.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::served::found_soon;
use crate::support::http::PATIENCE;
use crate::support::plugins::{Folder, fixtures};
use crate::support::server::{Server, Setup};
use crate::support::session::{Session, text_of};
use crate::support::streamable::Client;
use crate::support::witness::Witness;
use crate::support::{s, until, wire};

/// A library that lets one process have a time of day of its own.
fn library(folder: &Folder) -> PathBuf {
    let library = folder.path().join("clock.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/faults/clock.c");
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .output()
        .expect("whoever links Rust programs has a C compiler");
    assert!(output.status.success(), "{output:?}");
    library
}

/// The day of the last line of the log.
fn day(server: &Server) -> String {
    let log = server.log();
    let stamps = log.lines().filter_map(|line| line.split_once('T'));
    let days = stamps.filter(|(day, _)| day.len() == 10 && day.starts_with("20"));
    days.map(|(day, _)| day)
        .next_back()
        .expect("lines have the time")
        .to_owned()
}

#[test]
fn a_clock_that_jumps_by_a_day_ends_nothing() {
    let folder = Folder::new();
    let jumped = folder.path().join("jumped");
    let setup = Setup::new()
        .plugins(fixtures("plugins"))
        .argument("--plugin-timeout")
        .argument("120")
        .variable("LD_PRELOAD", library(&folder))
        .variable("TEST_CLOCK_JUMPED", &jumped);
    let server = Server::start(&setup);
    server.ready();
    let witness = Witness::of(server.address(), "");
    let mut session = Session::ready(server.address());
    // Ends after an hour without a stream or a call.
    let idle = Client::open(server.address(), wire::NEWEST);
    let before = day(&server);
    let move_clock = |to: &str| match to {
        "ahead" => std::fs::write(&jumped, "").expect("a folder of our own"),
        _ => std::fs::remove_file(&jumped).expect("it was written"),
    };
    for to in ["ahead", "back"] {
        let mark = format!("row-46-{to}");
        let running = session.begin("lingers__sleep", json!({"mark": mark, "seconds": 6}));
        found_soon(&mark);
        move_clock(to);
        until("the server has noticed", PATIENCE, || {
            session.call("health", json!({}));
            let is_ahead = day(&server) != before;
            (is_ahead == (to == "ahead")).then_some(())
        });
        let result = session.result(&running, s(60));
        assert_eq!(result["isError"], false, "row 46: {to}: {result}");
        assert!(text_of(&result).ends_with("done"), "row 46: {to}: {result}");
        let pong = idle.post(&json!({"jsonrpc": "2.0", "id": 5, "method": "ping"}));
        assert_eq!(pong.status, 200, "row 46: {to}: the idle session is over");
    }
    witness.must_be_served();
}
