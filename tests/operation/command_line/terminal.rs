//! A command that a person starts at a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use super::smcp;
use crate::support::commands::Watchdog;
use crate::support::http::PATIENCE;
use crate::support::until;

const LIMIT: Duration = Duration::from_secs(180);

/// A command whose input and standard error are a terminal.
pub struct AtTerminal {
    child: Child,
    terminal: File,
    shown: Arc<Mutex<Vec<u8>>>,
    reading: Option<JoinHandle<()>>,
    _watchdog: Watchdog,
}

impl AtTerminal {
    /// Starts it with these variables; its standard output is a pipe.
    #[track_caller]
    pub fn start(words: &[&str], home: &Path, variables: &[(&str, &str)]) -> Self {
        Self::spawn(words, home, variables, false)
    }

    /// The same, with the terminal as standard output too.
    #[track_caller]
    pub fn whole(words: &[&str], home: &Path, variables: &[(&str, &str)]) -> Self {
        Self::spawn(words, home, variables, true)
    }

    #[track_caller]
    fn spawn(words: &[&str], home: &Path, variables: &[(&str, &str)], is_whole: bool) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let terminal = openpt(flags).expect("there are terminals");
        grantpt(&terminal).expect("it is ours");
        unlockpt(&terminal).expect("it is ours");
        let name = ptsname(&terminal, Vec::new()).expect("it has a name");
        let open = || {
            let mut options = File::options();
            options.read(true).write(true);
            options.custom_flags(OFlags::NOCTTY.bits() as i32);
            let end = options.open(name.to_str().expect("it is ASCII"));
            Stdio::from(OwnedFd::from(end.expect("it is ours")))
        };
        let child = smcp(words)
            .env("HOME", home)
            .env("TERM", "xterm")
            .envs(variables.iter().copied())
            .stdin(open())
            .stderr(open())
            .stdout(if is_whole { open() } else { Stdio::piped() })
            .spawn()
            .expect("it starts");
        let shown = Arc::new(Mutex::new(Vec::new()));
        let terminal = File::from(terminal);
        let (mut reader, seen) = (terminal.try_clone().expect("room"), Arc::clone(&shown));
        // It ends when nobody has the other end any more.
        let reading = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                seen.lock().expect("no panic").extend(&buffer[..read]);
            }
        });
        Self {
            _watchdog: Watchdog::of(child.id(), LIMIT),
            child,
            terminal,
            shown,
            reading: Some(reading),
        }
    }

    /// What the terminal has shown so far.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().expect("no panic")).into_owned()
    }

    /// Waits for a prompt, and answers it.
    #[track_caller]
    pub fn answer(&mut self, prompt: &str, line: &str) {
        until(prompt, PATIENCE, || {
            self.shown().contains(prompt).then_some(())
        });
        let written = self.terminal.write_all(line.as_bytes());
        written.expect("it is open");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("it is small"));
        kill_process(pid.expect("it is not zero"), signal).expect("nobody has waited for it");
    }

    /// What was printed to a pipe, and whether that was a success. Everything that was shown is there afterwards.
    pub fn end(&mut self) -> (String, bool) {
        let mut printed = String::new();
        if let Some(out) = &mut self.child.stdout {
            out.read_to_string(&mut printed).expect("text");
        }
        let succeeded = self.child.wait().expect("it ends").success();
        if let Some(reading) = self.reading.take() {
            reading.join().expect("it only reads");
        }
        (printed, succeeded)
    }
}
