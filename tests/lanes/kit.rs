//! A plugin, a launcher, and what is seen of their processes.

use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, getpid, test_kill_process};
use smcp::process::{Ending, Finished, Job, Launcher, SideChannels, WarmSettings, Warmable};
use smcp::telemetry::{WarmInterpreter, WarmState};
use tokio_util::sync::CancellationToken;

use crate::support::alone;

const MARK: &str = "LANES_TEST_MARK";

/// More than anything here may take, on a busy machine too.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A time limit that every program outlives with its first words, and with whatever is looked at then, on a busy machine
/// too.
pub const BEGINS_WITHIN: Duration = Duration::from_secs(5);

/// A launcher without warm interpreters.
pub fn cold_launcher() -> Launcher {
    Launcher::with_supervisor(env!("CARGO_BIN_EXE_smcp")).expect("a sub-reaper")
}

/// A launcher with warm interpreters.
pub fn launcher() -> Launcher {
    cold_launcher().with_warm(WarmSettings { max_bytes: 1 << 30 })
}

/// A plugin in a directory of its own.
pub struct Plugin {
    directory: tempfile::TempDir,
    mark: String,
    reuse: bool,
}

impl Plugin {
    /// The program with all kinds of commands.
    pub fn new(mark: &str) -> Self {
        Self::with(mark, include_str!("program/cli.py"))
    }

    /// A program of this text.
    pub fn with(mark: &str, program: &str) -> Self {
        let directory = tempfile::tempdir().expect("there is room");
        std::fs::write(directory.path().join("cli.py"), program).expect("there is room");
        Self {
            directory,
            mark: format!("{mark}-{}", getpid()),
            reuse: false,
        }
    }

    /// The same plugin, whose calls run one after the other in one process.
    pub fn reused(mut self) -> Self {
        self.reuse = true;
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// A file that no other call of this plugin is given.
    pub fn note(&self) -> PathBuf {
        static NOTES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NOTES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        self.path(&format!("note-{number}"))
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let path = std::env::var_os("PATH").expect("there is a PATH");
        vec![
            ("PATH".into(), path),
            (MARK.into(), self.mark.clone().into()),
        ]
    }

    /// A call with these words.
    pub fn job<W: Into<OsString>>(&self, words: impl IntoIterator<Item = W>) -> Job {
        let start = [python().into(), self.path("cli.py").into()];
        let environment = self.environment();
        Job {
            argv: start
                .into_iter()
                .chain(words.into_iter().map(Into::into))
                .collect(),
            environment: environment.clone(),
            directory: None,
            stdin: None,
            time_limit: Some(LIMIT),
            stdout_limit: 16 << 20,
            stderr_tail: 64 << 10,
            background: None,
            warm: Some(Warmable {
                plugin: "plugin".to_owned(),
                directory: self.directory.path().to_owned(),
                question: vec!["--help".into()],
                environment: Arc::new(move || environment.clone()),
                reuse: self.reuse,
            }),
        }
    }

    /// Calls until the plugin has its warm interpreter.
    pub async fn warm_up(&self, launcher: &Launcher) {
        let deadline = Instant::now() + LIMIT;
        loop {
            run(launcher, self.job(["fill", "1"])).await;
            let state = warm(launcher);
            if state.state == WarmState::Warm {
                return;
            }
            assert!(state.reason.is_none(), "{state:?}");
            assert!(Instant::now() < deadline, "{state:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The processes that have what the plugin finds in its environment.
    pub fn processes(&self) -> Vec<Pid> {
        let variable = format!("{MARK}={}", self.mark).into_bytes();
        let all = std::fs::read_dir("/proc").expect("tests run on Linux");
        let found = all.filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let environment = std::fs::read(entry.path().join("environ")).ok()?;
            let mut texts = environment.split(|byte| *byte == 0);
            texts.any(|text| text == variable).then_some(pid)
        });
        found.collect()
    }
}

/// The interpreter itself, not what finds it.
pub fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let chosen = std::env::var_os("SMCP_TEST_PYTHON").unwrap_or_else(|| "python3".into());
        let asked = Command::new(chosen)
            .args(["-c", "import sys; print(sys.executable)"])
            .output();
        let text = asked.expect("these tests need a Python").stdout;
        String::from_utf8(text)
            .expect("its path is text")
            .trim()
            .into()
    })
}

/// What is known of the one plugin of this launcher.
pub fn warm(launcher: &Launcher) -> WarmInterpreter {
    let parents = launcher.warm_parents();
    parents.into_iter().next().expect("there was a call")
}

pub async fn run(launcher: &Launcher, job: Job) -> Finished {
    let run = launcher.run(job, SideChannels::default(), CancellationToken::new());
    within("the run ends", run).await.expect("it starts")
}

/// Waits, but not for ever: what would hang fails with a word about what it was.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future)
        .await
        .unwrap_or_else(|_| panic!("not within {LIMIT:?}: {what}"))
}

pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < deadline, "not within {LIMIT:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The process that a program has named in the file.
pub async fn noted(path: &Path) -> Pid {
    until("the program runs", || path.exists()).await;
    let text = std::fs::read_to_string(path).expect("it is there");
    Pid::from_raw(text.parse().expect("a number")).expect("not zero")
}

pub fn parent_of(pid: Pid) -> Pid {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("PPid:"));
    let parent = line.expect("every status names the parent").trim();
    Pid::from_raw(parent.parse().expect("a number")).expect("not the kernel")
}

pub fn lives(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().unwrap_or_default();
    test_kill_process(pid).is_ok() && !state.starts_with('Z')
}

/// Everything ends, and nothing of the plugin is left.
pub async fn nothing_is_left(launcher: &Launcher, plugin: &Plugin) {
    within("no run has a process", launcher.idle()).await;
    within("the warm interpreters end", launcher.end_warm()).await;
    assert_eq!(plugin.processes(), []);
}

/// What can be compared of two runs.
pub fn told(finished: &Finished) -> (Ending, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        finished.ending,
        text(&finished.stdout),
        text(&finished.stderr_tail),
    )
}

/// Runs `body` in a process of its own.
pub fn in_a_process_of_its_own<F: Future<Output = ()>>(test: &str, body: impl FnOnce() -> F) {
    alone::run(test, 4 * LIMIT, body);
}
