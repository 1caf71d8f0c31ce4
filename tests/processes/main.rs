//! Claims about processes: how runs end, what is left of them, what a program finds when it starts.
//!
//! The supervisor is the real binary. What belongs to a run is found by a variable in its
//! environment, which `setsid` and double forks do not shake off.

#[path = "../support/alone.rs"]
mod alone;
#[path = "../support/hangups.rs"]
mod hangups;

mod background;
mod endings;
mod leftovers;
mod pipes;
mod refusals;
mod supervisors;
mod surroundings;

use std::ffi::OsString;
use std::future::Future;
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid};
use smcp::process::{Finished, Job, Launcher, SideChannels, StartError};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const MARK: &str = "PROCESSES_TEST_MARK";
/// More than any run may take, its time limit and its grace included.
const LIMIT: Duration = Duration::from_secs(300);

fn launcher() -> Launcher {
    Launcher::with_supervisor(env!("CARGO_BIN_EXE_smcp")).expect("a sub-reaper")
}

/// A job of this test alone: its processes carry `mark`.
fn marked<S: Into<OsString>>(mark: &str, argv: impl IntoIterator<Item = S>) -> Job {
    let path = std::env::var_os("PATH").expect("there is a PATH");
    Job {
        argv: argv.into_iter().map(Into::into).collect(),
        environment: vec![
            ("PATH".into(), path),
            (MARK.into(), format!("{mark}-{}", getpid()).into()),
        ],
        directory: None,
        stdin: None,
        time_limit: Some(Duration::from_secs(60)),
        stdout_limit: 16 << 20,
        stderr_tail: 64 << 10,
        background: None,
        warm: None,
    }
}

fn shell(mark: &str, script: &str) -> Job {
    marked(mark, ["sh", "-c", script])
}

/// Waits, but not for ever: what would hang fails with a word about what it was.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .unwrap_or_else(|_| panic!("not within {LIMIT:?}: {what}"))
}

async fn run(launcher: &Launcher, job: Job) -> Result<Finished, StartError> {
    let run = launcher.run(job, SideChannels::default(), CancellationToken::new());
    within("the run ends", run).await
}

/// Waits until nothing of any run is left.
async fn idle(launcher: &Launcher) {
    within("nothing of the runs is left", launcher.idle()).await;
}

/// The next line that a program wrote; `None` when there will be no more.
async fn next(lines: &mut mpsc::Receiver<String>) -> Option<String> {
    within("a line, or the end of all lines", lines.recv()).await
}

async fn finished(job: Job) -> Finished {
    run(&launcher(), job).await.expect("it starts")
}

/// The processes that carry the mark of a test in the process `of`.
fn left_of(mark: &str, of: Pid) -> Vec<Pid> {
    let variable = format!("{MARK}={mark}-{of}").into_bytes();
    std::fs::read_dir("/proc")
        .expect("tests run on Linux")
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            environment
                .split(|byte| *byte == 0)
                .any(|text| text == variable)
                .then_some(pid)
        })
        .collect()
}

fn left(mark: &str) -> Vec<Pid> {
    left_of(mark, getpid())
}

/// Whether the processes that carry the mark are so many, and each executes `sleep`: nothing is on its way any more that
/// would start another one, or end.
fn all_sleep(mark: &str, count: usize) -> bool {
    let processes = left(mark);
    let sleeps = |pid: &Pid| {
        let name = std::fs::read_to_string(format!("/proc/{pid}/comm"));
        name.is_ok_and(|name| name == "sleep\n")
    };
    processes.len() == count && processes.iter().all(sleeps)
}

async fn until(what: &str, limit: Duration, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {limit:?}: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn parent_of(pid: Pid) -> Pid {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:"))
        .expect("every status names the parent");
    Pid::from_raw(line.trim().parse().expect("a number")).expect("not the kernel")
}

/// Runs `body` in a process of its own.
fn in_a_process_of_its_own<F: Future<Output = ()>>(test: &str, body: impl FnOnce() -> F) {
    alone::run(test, LIMIT, body);
}
