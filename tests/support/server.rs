//! The real binary on a port of its own, in a guard whose end is the server's end and a proof that nothing is left.

use std::ffi::OsString;
use std::io::Read;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::commands::{Watchdog, output_with_input_within};
use super::http::{PATIENCE, exchange, get};
use super::plugins::copy_program;
use super::{processes, until};

/// A variable by which everything that a server starts can be found.
const MARK: &str = "SMCP_TEST_SERVER";

/// What an ended server leaves is gone at once; what is there after this long stays, however busy the machine.
const LEFT_FOR: Duration = Duration::from_secs(30);
/// A command that is still there then is not going to end, however many programs it has to start on a busy machine.
const LONGEST_RUN: Duration = Duration::from_secs(120);
/// A server that is to end at once needs a moment for it, or many where others compute.
const LONGEST_END: Duration = Duration::from_secs(60);
/// What a server that has ended wrote is read at once, unless a process that it has left goes on writing.
const LAST_LINES: Duration = Duration::from_secs(10);
/// Reading from a pipe and writing to one have no limit of their own, so the server has one.
const LONGEST_PIPED: Duration = Duration::from_secs(400);

/// How a server is to be started. Its environment is its own: nothing of the tests' environment but `PATH`.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    plugins: Option<PathBuf>,
    directory: Option<PathBuf>,
    user: Option<u32>,
    descriptors: Option<u32>,
    keeps_log_file: bool,
    sockets: Vec<Arc<OwnedFd>>,
}

impl Setup {
    /// A server on `--port 0` with an empty folder of plugins.
    pub fn new() -> Self {
        Self::default()
    }

    /// Serves these plugins.
    pub fn plugins(mut self, directory: impl Into<PathBuf>) -> Self {
        self.plugins = Some(directory.into());
        self
    }

    /// One more argument.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// One more variable.
    pub fn variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts in this directory instead of an empty one.
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }

    /// Runs as this user.
    pub fn user(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// Runs with a hard limit of open files.
    pub fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// Passes a socket as a service manager does; two at most.
    pub fn socket(mut self, socket: Arc<OwnedFd>) -> Self {
        self.sockets.push(socket);
        self
    }

    /// Leaves the log file on: `logs/mcp_server.log` in the working directory.
    pub fn with_log_file(mut self) -> Self {
        self.keeps_log_file = true;
        self
    }
}

/// A place to start servers from: a program of its own, by which its processes are known, and a working directory.
#[derive(Debug)]
struct Home {
    directory: tempfile::TempDir,
    mark: String,
}

impl Home {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let mark = format!(
            "{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let directory = tempfile::Builder::new()
            .prefix("server-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
            .expect("cargo provides the directory");
        let original = Path::new(env!("CARGO_BIN_EXE_smcp"));
        let program = directory.path().join("smcp");
        if std::fs::hard_link(original, &program).is_err() {
            copy_program(original, &program);
        }
        for name in ["work", "no-plugins"] {
            std::fs::create_dir(directory.path().join(name)).expect("a new directory");
        }
        Self { directory, mark }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn command(&self, setup: &Setup) -> Command {
        let mut command = match setup.descriptors {
            None if !setup.sockets.is_empty() => self.activated(setup.sockets.len()),
            None => Command::new(self.path("smcp")),
            Some(most) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\"")]);
                shell.arg(self.path("smcp"));
                shell
            }
        };
        let work = setup.directory.clone().unwrap_or_else(|| self.path("work"));
        command
            .args(&setup.arguments)
            .env_clear()
            .envs(super::COVERAGE)
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &work)
            .env(MARK, &self.mark)
            .current_dir(work)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !setup.keeps_log_file {
            command.env("MCP_DISABLE_FILE_LOG", "1");
        }
        command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
        if let Some(user) = setup.user {
            command.uid(user).gid(user);
        }
        let passed = setup.sockets.iter().map(|socket| {
            let copy = socket.try_clone().expect("there are descriptors");
            Stdio::from(copy)
        });
        let mut passed = passed.collect::<Vec<_>>().into_iter();
        if let Some(first) = passed.next() {
            command.stdin(first);
        }
        if let Some(second) = passed.next() {
            command.stderr(second);
        }
        command
    }

    /// The server behind a shell that puts its standard input, and with two sockets its standard error too, where a
    /// service manager puts sockets. No other process of the tests inherits them that way.
    fn activated(&self, sockets: usize) -> Command {
        let places = match sockets {
            1 => "3<&0",
            _ => "3<&0 4<&2 2>/dev/null",
        };
        let script = format!(
            "exec {places} </dev/null; export LISTEN_PID=$$ LISTEN_FDS={sockets} \
             LISTEN_FDNAMES=first:second; exec \"$0\" \"$@\""
        );
        let mut shell = Command::new("bash");
        shell.args(["-c", &script]).arg(self.path("smcp"));
        shell
    }

    /// Every process of a server that was started here, the server included.
    fn processes(&self) -> Vec<Pid> {
        let mut found = processes::with_variable(MARK, &self.mark);
        found.extend(processes::executing(&self.path("smcp")));
        found.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
        found.dedup();
        found
    }
}

/// Runs the binary with nothing added to `setup` until it ends by itself.
#[track_caller]
pub fn run(setup: &Setup) -> Output {
    let home = Home::new();
    output_with_input_within(LONGEST_RUN, &mut home.command(setup))
}

/// How long it takes at most until a plugin has been asked twice, after it was found to be late: a pause and ten seconds.
const ASKED_ONCE_MORE: Duration = Duration::from_secs(15);

/// A server that speaks over its pipes. Dropping it ends it.
#[derive(Debug)]
pub struct Piped {
    home: Home,
    child: Child,
    _watchdog: Watchdog,
}

impl Piped {
    /// The server's process; what its pipes say is the test's business.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if !std::thread::panicking() {
            leave_nothing(&self.home, LEFT_FOR);
        }
    }
}

/// Starts the binary with its input and output as pipes; what it logs is thrown away.
pub fn piped(setup: &Setup) -> Piped {
    let home = Home::new();
    let mut command = home.command(setup);
    command.stdin(Stdio::piped()).stderr(Stdio::null());
    let child = command.spawn().expect("the binary can be executed");
    Piped {
        home,
        _watchdog: Watchdog::of(child.id(), LONGEST_PIPED),
        child,
    }
}

/// Waits until nothing that was started from there is left; what is left then is ended and named.
#[track_caller]
fn leave_nothing(home: &Home, limit: Duration) {
    let deadline = Instant::now() + limit;
    loop {
        let left = home.processes();
        if left.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            let named: Vec<_> = left.iter().map(|pid| processes::describe(*pid)).collect();
            kill_all(home);
            panic!("left after {limit:?}: {}", named.join(", "));
        }
        std::thread::sleep(super::PACE);
    }
}

fn kill_all(home: &Home) {
    for pid in home.processes() {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// A server that listens. Dropping it ends it, and fails the test when a process of it is left.
#[derive(Debug)]
pub struct Server {
    home: Home,
    child: Child,
    address: SocketAddr,
    stdout: Printed,
    stderr: Printed,
    is_over: bool,
}

impl Server {
    /// Starts a server and returns when its port is open.
    #[track_caller]
    pub fn start(setup: &Setup) -> Self {
        let home = Home::new();
        let mut command = home.command(setup);
        command.args(["--port", "0"]);
        let plugins = setup.plugins.clone();
        command
            .arg("--plugins-dir")
            .arg(plugins.unwrap_or_else(|| home.path("no-plugins")));
        Self::listening(home, command)
    }

    /// Starts a server that chooses its plugins itself.
    #[track_caller]
    pub fn start_alone(setup: &Setup) -> Self {
        let home = Home::new();
        let mut command = home.command(setup);
        command.args(["--port", "0"]);
        Self::listening(home, command)
    }

    /// Starts a server with nothing added to `setup`, or returns the status with which it ended instead.
    #[track_caller]
    pub fn attempt(setup: &Setup) -> Result<Self, ExitStatus> {
        let home = Home::new();
        let command = home.command(setup);
        Self::try_listening(home, command).map_err(|(status, _)| status)
    }

    #[track_caller]
    fn listening(home: Home, command: Command) -> Self {
        Self::try_listening(home, command)
            .unwrap_or_else(|(status, said)| panic!("no server, {status}: {said}"))
    }

    /// A server whose port is open, or how it ended and what it said.
    #[track_caller]
    fn try_listening(home: Home, mut command: Command) -> Result<Self, (ExitStatus, String)> {
        let mut child = command.spawn().expect("the binary can be executed");
        let stdout = Printed::by(child.stdout.take());
        let stderr = Printed::by(child.stderr.take());
        let deadline = Instant::now() + PATIENCE;
        let address = loop {
            if let Some(address) = address_in(&stdout.so_far()) {
                break address;
            }
            if let Some(status) = child.try_wait().expect("a child of ours") {
                return Err((status, stderr.in_the_end()));
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                panic!("no server: {}", stderr.so_far());
            }
            std::thread::sleep(super::PACE);
        };
        Ok(Self {
            home,
            child,
            address,
            stdout,
            stderr,
            is_over: false,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's process.
    pub fn pid(&self) -> Pid {
        pid_of(&self.child)
    }

    /// The program that was started: a link of this server's own.
    pub fn program(&self) -> PathBuf {
        self.home.path("smcp")
    }

    /// The directory it was started in, unless the setup names another.
    pub fn directory(&self) -> PathBuf {
        self.home.path("work")
    }

    /// The lines that it wrote on standard output so far; all of them once it has ended.
    pub fn stdout(&self) -> String {
        self.printed(&self.stdout)
    }

    /// The lines that it logged so far; all of them once it has ended.
    pub fn log(&self) -> String {
        self.printed(&self.stderr)
    }

    fn printed(&self, printed: &Printed) -> String {
        match self.is_over {
            true => printed.in_the_end(),
            false => printed.so_far(),
        }
    }

    /// Waits for a line of the log with all these words: the log is written beside everything else.
    #[track_caller]
    pub fn logs(&self, words: &[&str]) {
        until(
            &format!("a line of the log with {words:?}"),
            PATIENCE,
            || {
                let log = self.log();
                let has_all = |line: &str| words.iter().all(|word| line.contains(word));
                log.lines().any(has_all).then_some(())
            },
        );
    }

    /// Its processes other than itself.
    pub fn others(&self) -> Vec<Pid> {
        let itself = self.pid();
        self.home
            .processes()
            .into_iter()
            .filter(|pid| *pid != itself)
            .collect()
    }

    /// Waits until all plugins have answered or been given up.
    #[track_caller]
    pub fn ready(&self) {
        until("/readyz turns 200", 2 * PATIENCE, || {
            let answer = exchange(self.address, &get(self.address, "/readyz", ""));
            (answer.status == 200).then_some(())
        });
        // On a busy machine a plugin may have been late that answers when it is asked once more.
        let deadline = Instant::now() + ASKED_ONCE_MORE;
        while is_any_late(&self.log()) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a signal to the server's process alone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the server is ours");
    }

    /// Waits for the server to end.
    #[track_caller]
    pub fn ends_within(&mut self, limit: Duration) -> ExitStatus {
        let status = until("the server ends", limit, || {
            self.child.try_wait().expect("a child of ours")
        });
        self.is_over = true;
        status
    }

    /// Waits until nothing of the server is left.
    #[track_caller]
    pub fn leaves_nothing_within(&self, limit: Duration) {
        leave_nothing(&self.home, limit);
    }
}

/// Whether a plugin has not answered in time, and has not been served since, by what was logged.
fn is_any_late(log: &str) -> bool {
    let lines = log.lines().enumerate();
    let mut late = lines.filter_map(|(at, line)| {
        let (before, _) = line
            .split_once(" had no answer within ")?
            .0
            .split_once(" is not served: ")?;
        Some((at, before.rsplit(' ').next()?))
    });
    late.any(|(at, name)| {
        let served = format!("serving plugin={name} ");
        !log.lines().skip(at).any(|line| line.contains(&served))
    })
}

impl Drop for Server {
    fn drop(&mut self) {
        let over = self.child.try_wait().is_ok_and(|over| over.is_some());
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(20)..];
            eprintln!("the server's last lines:\n{}", last.join("\n"));
            let _ = self.child.kill();
            let _ = self.child.wait();
            kill_all(&self.home);
            return;
        }
        if !over {
            // The second one says that nobody wants to wait for the calls. Several that come before the server has taken
            // the first are one.
            until("the server ends", LONGEST_END, || {
                self.signal(Signal::TERM);
                self.child.try_wait().expect("a child of ours")
            });
        }
        self.leaves_nothing_within(LEFT_FOR);
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().expect("process numbers are small"))
        .expect("a child has a number above zero")
}

/// What comes through a pipe, which is read to its end beside everything else.
#[derive(Debug)]
struct Printed {
    bytes: Arc<Mutex<Vec<u8>>>,
    reading: Option<JoinHandle<()>>,
}

impl Printed {
    fn by(pipe: Option<impl Read + Send + 'static>) -> Self {
        let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
        let shared = Arc::clone(&bytes);
        let reading = pipe.map(|mut pipe| {
            std::thread::spawn(move || {
                let mut block = [0; 8192];
                while let Ok(count @ 1..) = pipe.read(&mut block) {
                    shared
                        .lock()
                        .expect("nobody panics here")
                        .extend_from_slice(&block[..count]);
                }
            })
        });
        Self { bytes, reading }
    }

    /// The lines that came whole: what a pipe gives at once may end within one.
    fn so_far(&self) -> String {
        let bytes = self.bytes.lock().expect("nobody panics here");
        let end = bytes.iter().rposition(|byte| *byte == b'\n');
        let whole = &bytes[..end.map_or(0, |end| end + 1)];
        String::from_utf8_lossy(whole).into_owned()
    }

    /// All that came, when nobody who writes is left.
    fn in_the_end(&self) -> String {
        let deadline = Instant::now() + LAST_LINES;
        let is_over = || self.reading.as_ref().is_none_or(JoinHandle::is_finished);
        while !is_over() && Instant::now() < deadline {
            std::thread::sleep(super::PACE);
        }
        let bytes = self.bytes.lock().expect("nobody panics here");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The address in the first line, once there is one.
fn address_in(lines: &str) -> Option<SocketAddr> {
    let line = lines.lines().next()?;
    let (_, rest) = line
        .split_once("http://")
        .unwrap_or_else(|| panic!("the first line names no address: {line}"));
    let address = rest.split(['/', ' ']).next().unwrap_or_default();
    Some(
        address
            .parse()
            .unwrap_or_else(|_| panic!("no address: {line}")),
    )
}

/// Whether this test runs as the user that no file is closed to.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
