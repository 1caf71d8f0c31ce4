//! One warm interpreter: started below a supervisor of its own, asked over a socket, and ended when nobody holds it.
//!
//! Knows no plugin: it is given a command line, and modules to import.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Signal;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::super::engine::{Engine, Under};
use super::super::job::{Ending, Finished, Held, Job, SideChannels, StartError};
use super::super::sweeps::{Sweep, Sweeps};
use super::fault::Fault;
use super::hook;
use super::idle::Lanes;
use super::packets::{MAX_PACKET, Packets};

/// How long an interpreter may take to start.
const START_LIMIT: Duration = Duration::from_secs(10);

/// How long it may take to answer one request. Large packages take seconds to import, and are imported three times.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);

/// How much of what it prints is kept, in bytes. It prints nothing unless something is wrong.
const OUTPUT_LIMIT: usize = 64 << 10;

/// The most that is read of what a probe reports, in bytes.
const MAX_REPORT: u64 = 8 << 20;

/// A warm interpreter that runs. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Parent {
    packets: tokio::sync::Mutex<Packets>,
    /// Its process number, as it says itself.
    pub(super) pid: i32,
    /// The directories that its modules come from.
    pub(super) paths: Vec<PathBuf>,
    /// Asks for the end of what came from lanes that are gone.
    pub(super) sweeps: mpsc::Sender<Sweep>,
    /// Cancelled when no process of it is left.
    pub(super) over: CancellationToken,
    lanes: Mutex<Lanes>,
    /// How many calls it was given.
    pub(super) served: AtomicU64,
    /// The signal that ended a program as only a fault of the interpreter does.
    pub(super) crash: Mutex<Option<i32>>,
    /// How many calls in a row it was given and did not run.
    pub(super) refused: AtomicU32,
    /// How many calls in a row have waited for a new lane in vain.
    pub(super) late: AtomicU32,
    /// Bytes of memory that are its own, as they were last looked at.
    pub(super) memory: AtomicU64,
    /// No lane is taken back any more.
    pub(super) is_retired: AtomicBool,
    /// What its lanes execute, and the limit of open files that they set.
    program: OwnedFd,
    descriptor_limit: String,
    /// The link that stands for the scripts, where its forks run any.
    _hook: Option<tempfile::TempDir>,
    /// Ends it in any case, also when it does not see the end of its socket: stopped, or busy for ever.
    _end: DropGuard,
}

/// How a warm interpreter is started.
#[derive(Debug)]
pub(super) struct Recipe {
    pub(super) interpreter: OsString,
    /// The script; `None` where its forks run any script.
    pub(super) script: Option<OsString>,
    /// What it finds in its environment, but for the directory of its `sitecustomize`.
    pub(super) environment: Vec<(OsString, OsString)>,
}

/// What an interpreter says when it is ready to be asked.
#[derive(Debug, Deserialize)]
struct Ready {
    ready: i32,
    #[serde(default)]
    paths: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Learnt {
    status: i32,
}

/// How many modules were imported in advance.
#[derive(Debug, Deserialize)]
struct Shared {
    shared: usize,
}

/// What has become of a request to import modules.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Loading {
    /// A module did something that would show in every call. This interpreter is of no use any more.
    Spoiled {
        /// The module.
        spoiled: String,
        /// What it did.
        #[serde(default)]
        why: String,
    },
    /// All others are there.
    Loaded {
        /// How many.
        loaded: usize,
    },
}

impl Parent {
    /// Starts an interpreter, and waits until it can be asked.
    ///
    /// # Errors
    /// It does not start, or does not find what makes it one.
    pub(super) async fn start(
        engine: &Engine,
        tracker: &TaskTracker,
        end: &CancellationToken,
        recipe: Recipe,
    ) -> Result<Arc<Self>, Fault> {
        let hook = hook::directory()?;
        hook::is_program(&recipe.interpreter).await?;
        let script = match &recipe.script {
            Some(script) => script.clone(),
            None => hook::link_to_any_script(&hook)?.into_os_string(),
        };
        let (packets, theirs) = Packets::pair()?;
        let (program, limit) = engine.supervisors.program();
        let program: OwnedFd = File::open(program)?.into();
        let descriptor_limit = limit.to_owned();
        let job = Job {
            argv: vec![recipe.interpreter, script],
            environment: hook::found_first(recipe.environment, hook.path().as_os_str().to_owned()),
            directory: None,
            stdin: None,
            time_limit: None,
            stdout_limit: OUTPUT_LIMIT,
            stderr_tail: OUTPUT_LIMIT,
            background: None,
            warm: None,
        };
        let channels = SideChannels {
            events: Some(theirs),
            ..SideChannels::default()
        };
        let (sweeps, asked) = Sweeps::open();
        let over = CancellationToken::new();
        let (caller, answer) = oneshot::channel();
        let (engine, ended, cancel) = (engine.clone(), over.clone(), end.child_token());
        let cancelled = cancel.clone();
        let (tell, told) = oneshot::channel();
        tracker.spawn(async move {
            let held = Held::<(), ()>::default();
            let run = engine.carry_out(job, channels, cancelled, caller, held, Under::Nest(asked));
            let ((), finished) = tokio::join!(run, answer);
            ended.cancel();
            if let Ok(finished) = finished {
                // Nobody listens once it has started.
                let _ = tell.send(finished);
            }
        });
        let end = cancel.drop_guard();
        let ready = match timeout(START_LIMIT, packets.receive()).await {
            Ok(Ok(packet)) => read(&packet).map(Some),
            // How it ended says why.
            Ok(Err(_)) => Ok(None),
            Err(_) => Err(Fault::passing(format!(
                "it has not started within {START_LIMIT:?}"
            ))),
        };
        let ready: Ready = match ready {
            Ok(Some(ready)) => ready,
            Ok(None) => {
                drop((end, packets));
                return Err(how_it_ended(told.await.ok()));
            }
            Err(fault) => return Err(fault),
        };
        Ok(Arc::new(Self {
            packets: tokio::sync::Mutex::new(packets),
            pid: ready.ready,
            paths: ready.paths,
            sweeps,
            over,
            lanes: Mutex::default(),
            served: AtomicU64::new(0),
            crash: Mutex::default(),
            refused: AtomicU32::new(0),
            late: AtomicU32::new(0),
            memory: AtomicU64::new(0),
            is_retired: AtomicBool::new(false),
            program,
            descriptor_limit,
            _hook: recipe.script.is_none().then_some(hook),
            _end: end,
        }))
    }

    /// Has a fork run the program with these arguments; the modules that it imports and that may be there before.
    ///
    /// # Errors
    /// It ends in another way than `status`, or reports nothing.
    pub(super) async fn learn(
        &self,
        arguments: &[OsString],
        environment: &[(OsString, OsString)],
        status: i32,
    ) -> Result<Value, Fault> {
        let null: OwnedFd = File::options()
            .read(true)
            .write(true)
            .open("/dev/null")?
            .into();
        let report = memory_file(b"")?;
        let environment: serde_json::Map<String, Value> = environment
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?.to_owned(), value.to_str()?.into())))
            .collect();
        let arguments: Vec<_> = arguments
            .iter()
            .map(|word| word.to_string_lossy())
            .collect();
        let request = json!({"do": "learn", "argv": arguments, "environment": environment});
        let descriptors = [null.as_fd(), null.as_fd(), report.as_fd()];
        let learnt: Learnt = self.ask(&request, &descriptors).await?;
        // A wait status with an exit code has it in its second byte.
        if learnt.status != status << 8 {
            let reason = format!(
                "asked in a fork, it ended otherwise (wait status {})",
                learnt.status
            );
            let was_killed = learnt.status & 0x7f == Signal::KILL.as_raw();
            return Err(Fault::new(reason, was_killed));
        }
        let mut file = File::from(report);
        let mut text = String::new();
        file.rewind()?;
        file.take(MAX_REPORT).read_to_string(&mut text)?;
        let modules: Value = serde_json::from_str(&text)
            .map_err(|_| Fault::lasting("it ended before it could report what it imports"))?;
        Ok(modules)
    }

    /// Has it import modules.
    ///
    /// # Errors
    /// It cannot be asked any more.
    pub(super) async fn load(&self, modules: &Value) -> Result<Loading, Fault> {
        let list = memory_file(modules.to_string().as_bytes())?;
        self.ask(&json!({"do": "load"}), &[list.as_fd()]).await
    }

    /// Has its forks run any script of its interpreter.
    ///
    /// # Errors
    /// Something here may differ from one script to the next.
    pub(super) async fn share(&self) -> Result<(), Fault> {
        let shared: Shared = self.ask(&json!({"do": "share"}), &[]).await?;
        tracing::debug!(modules = shared.shared, "programs are asked in forks");
        Ok(())
    }

    /// Has it start the supervisor of a lane, which takes `socket`.
    pub(super) async fn open_lane(&self, socket: BorrowedFd<'_>) -> io::Result<()> {
        let request = json!({"do": "lane", "limit": self.descriptor_limit});
        let packets = self.packets.lock().await;
        // Why a lane could not be started earlier: nobody reads that, and it must not fill the socket.
        packets.discard();
        let packet = request.to_string();
        packets
            .send(packet.as_bytes(), &[socket, self.program.as_fd()])
            .await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        request: &Value,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<T, Fault> {
        let request = request.to_string();
        if request.len() > MAX_PACKET {
            return Err(Fault::lasting(format!(
                "the question and its environment take more than {MAX_PACKET} bytes"
            )));
        }
        let packets = self.packets.lock().await;
        let asking = async {
            packets.send(request.as_bytes(), descriptors).await?;
            packets.receive().await
        };
        match timeout(ANSWER_LIMIT, asking).await {
            Ok(Ok(packet)) => read(&packet),
            Ok(Err(fault)) => Err(Fault::passing(format!(
                "its warm interpreter ended, or cannot be asked: {fault}"
            ))),
            Err(_) => Err(Fault::lasting(format!(
                "its warm interpreter has not answered within {ANSWER_LIMIT:?}"
            ))),
        }
    }

    /// Takes no lane back from now on and ends those that are idle. Those in use go on to their end, and keep it.
    pub(super) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        let idle = self.lanes().take_all();
        drop(idle);
    }

    /// The lanes that nobody uses.
    pub(super) fn lanes(&self) -> MutexGuard<'_, Lanes> {
        // A list is whole at every moment.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The signal of a program that crashed, if one has.
    pub(super) fn crash(&self) -> Option<i32> {
        *self.crash.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks how much memory is its own. Reads `/proc`.
    pub(super) fn look_at_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid));
        let status = status.unwrap_or_default();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kibibytes = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
        let bytes = kibibytes.unwrap_or(0u64) << 10;
        self.memory.store(bytes, Ordering::Relaxed);
        bytes
    }
}

/// An answer, or what went wrong in the words of the interpreter.
fn read<T: DeserializeOwned>(packet: &[u8]) -> Result<T, Fault> {
    let answer: Value = serde_json::from_slice(packet)
        .map_err(|_| Fault::lasting("its warm interpreter answers nothing that can be read"))?;
    if let Some(error) = answer["error"].as_str() {
        return Err(Fault::said(error));
    }
    serde_json::from_value(answer)
        .map_err(|_| Fault::lasting("its warm interpreter answers something else"))
}

/// A file in memory with these bytes, to be read from its beginning.
fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create("smcp-warm", MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// Why an interpreter that was to become a warm one has ended.
fn how_it_ended(finished: Option<Result<Finished, StartError>>) -> Fault {
    match finished {
        Some(Ok(finished)) => {
            let (mut said, passes) = match finished.ending {
                Ending::Exited(status) => (
                    format!("its interpreter does not stop at its sitecustomize (status {status})"),
                    false,
                ),
                other => (
                    format!("its interpreter ended at its start ({other:?})"),
                    true,
                ),
            };
            let stderr = String::from_utf8_lossy(&finished.stderr_tail);
            if let Some(line) = stderr.lines().rfind(|line| !line.trim().is_empty()) {
                let _ = write!(said, ": {}", crate::text::shown(line, 200));
            }
            Fault::new(said, passes)
        }
        Some(Err(fault)) => Fault::passing(fault.to_string()),
        None => Fault::passing("its interpreter ended at its start"),
    }
}
