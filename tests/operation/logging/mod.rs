//! The logging variables, each by its effect on real files, and what no log may ever hold.
//!
//! How lines look in detail is tested beside the code; here is the program with its environment.

mod files;
mod panics;
mod rotation;
mod secrets;

use std::fs;
use std::path::Path;

use crate::support::http::{Connection, PATIENCE};
use crate::support::server::{Server, Setup};
use crate::support::session::directly;
use crate::support::until;
use serde_json::json;

/// A server whose log lies in `directory`, with a key, so that its start has a warning to tell.
pub fn logging_to(directory: &Path) -> Setup {
    Setup::new()
        .with_log_file()
        .variable("MCP_API_KEY", "canary-of-the-key")
        .variable("MCP_LOG_DIR", directory)
}

/// A directory that is gone with its test.
pub fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("the system has a directory for temporary files")
}

/// A file as far as it can be read.
pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Waits until the file has a line with this text, and returns the lines of it that are whole: somebody may be writing
/// the next one.
#[track_caller]
pub fn log_with(path: &Path, text: &str) -> String {
    until(&format!("{text} in {}", path.display()), PATIENCE, || {
        let mut log = read(path);
        log.truncate(log.rfind('\n').map_or(0, |end| end + 1));
        log.contains(text).then_some(log)
    })
}

/// Waits until the console has a line with this text, and returns what is there by then.
#[track_caller]
pub fn console_with(server: &Server, text: &str) -> String {
    until(&format!("{text} on the console"), PATIENCE, || {
        let console = server.log();
        console.contains(text).then_some(console)
    })
}

/// The names in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("the directory is there");
    let mut names: Vec<_> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

/// Makes the server tell something at DEBUG, at INFO and, at its start, at WARN.
pub fn make_it_talk(server: &Server) {
    let mut connection = Connection::open(server.address());
    let _ = connection.send(b"no HTTP at all\r\n\r\n");
    let _ = connection.head(PATIENCE);
    directly(server.address(), "ping", json!({}));
}

/// Ends the server in order, so that all it had to say is in the file.
pub fn end(mut server: Server) {
    server.signal(rustix::process::Signal::TERM);
    assert!(server.ends_within(PATIENCE).success());
}
