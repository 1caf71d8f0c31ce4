//! Programs that are run to their end, within a limit: what could only hang fails instead.

use std::process::{Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// Ends a process that is still there after a limit, unless it is dropped before. Pipes to the process then break,
/// so that a test that waits for it fails.
#[derive(Debug)]
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    /// Watches a child of this process.
    pub fn of(child: u32, limit: Duration) -> Self {
        let (alive, dropped) = channel::<()>();
        let pid = pid(child);
        std::thread::spawn(move || {
            if dropped.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("process {pid} is killed: not over after {limit:?}");
                let _ = kill_process(pid, Signal::KILL);
            }
        });
        Self { _alive: alive }
    }
}

/// Runs a program without input to its end, or kills it and fails.
#[track_caller]
pub fn output_within(limit: Duration, command: &mut Command) -> Output {
    output_with_input_within(limit, command.stdin(Stdio::null()))
}

/// The same for a program whose input is what the command says.
#[track_caller]
pub fn output_with_input_within(limit: Duration, command: &mut Command) -> Output {
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let pid = pid(child.id());
    let (over, ended) = channel();
    std::thread::spawn(move || over.send(child.wait_with_output()));
    match ended.recv_timeout(limit) {
        Ok(output) => output.expect("its output can be read"),
        Err(_) => {
            let _ = kill_process(pid, Signal::KILL);
            panic!("not over after {limit:?}: {command:?}");
        }
    }
}

fn pid(child: u32) -> Pid {
    Pid::from_raw(child.try_into().expect("process numbers are small"))
        .expect("a child has a number above zero")
}

/// Whether Node is there, which runs the example that is written in JavaScript; says so when it is not.
pub fn has_node() -> bool {
    let found = Command::new("node")
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status();
    let is_there = found.is_ok_and(|status| status.success());
    if !is_there {
        eprintln!("in part skipped: node is not installed, so docs/examples/expenses cannot run");
    }
    is_there
}
