//! A panic on record.

use std::path::Path;

use crate::support::alone::{self, test_name};
use smcp::telemetry::{FileSettings, Rotation, Settings, init};

#[test]
fn a_panic_is_one_line_of_the_log_and_logs_are_turned_on_once() {
    // Logs are turned on for a whole process, and with them what a panic says.
    let test = test_name!(a_panic_is_one_line_of_the_log_and_logs_are_turned_on_once);
    if !alone::is_here() {
        let output = alone::command(&[], test).output();
        return alone::must_have_passed(test, &output.expect("this program starts again"));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/down/mcp_server.log");
    let settings = Settings {
        file: Some(FileSettings {
            path: path.clone(),
            rotation: Rotation::None,
        }),
        ..Settings::default()
    };
    let guard = init(&settings).unwrap();

    let panicking = std::thread::Builder::new().name("worker".to_owned());
    let handle = panicking.spawn(|| panic!("no\n2026-01-01T00:00:00Z ERROR forged"));
    assert!(handle.unwrap().join().is_err());
    let again = init(&settings).unwrap_err().to_string();
    assert!(again.starts_with("cannot turn on the logs"), "{again}");
    drop(guard);

    let log = read(&path);
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(
        log.contains("ERROR smcp::panic: panicked: no\\n2026-01-01"),
        "{log}"
    );
    assert!(
        log.contains("location=tests/operation/logging/panics.rs:")
            && log.contains("thread=worker"),
        "{log}"
    );
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
