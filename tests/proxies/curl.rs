//! curl, for what the tests' own client does not speak: TLS that is checked, HTTP/2, compression.

use std::io::Read;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::behind::KEY;
use super::support::commands::Watchdog;
use super::support::s;

const LIMIT: Duration = s(60);

/// One request and its answer. Dropping it ends it.
#[derive(Debug)]
pub struct Curl {
    child: Child,
    output: ChildStdout,
    read: Vec<u8>,
    _watchdog: Watchdog,
}

impl Drop for Curl {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Curl {
    /// Sends a request with the key; what comes back is not held back.
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new("curl")
            .args(["--silent", "--show-error", "--no-buffer", "--noproxy", "*"])
            .args(["--header", &format!("Authorization: Bearer {KEY}")])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl is installed");
        let output = child.stdout.take().expect("stdout is a pipe");
        Self {
            _watchdog: Watchdog::of(child.id(), LIMIT),
            child,
            output,
            read: Vec::new(),
        }
    }

    /// All that has come when `words` have; the rest of a stream stays to be read.
    #[track_caller]
    pub fn until(&mut self, words: &str) -> String {
        let mut block = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if text.contains(words) {
                return text;
            }
            match self.output.read(&mut block) {
                Ok(count @ 1..) => self.read.extend_from_slice(&block[..count]),
                _ => panic!("no {words:?} in all that came: {text}"),
            }
        }
    }
}
