//! Errors of `exec`, explained: which file is missing, not executable, or no program.
//!
//! Knows no process: it looks at the files that an errno leaves in doubt.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::job::{Job, StartError};

/// How long the files may be looked at; they may lie on a file system that hangs.
const LOOK_LIMIT: Duration = Duration::from_secs(2);

/// How many looks there may be at the same time. One that hangs keeps its thread.
const MAX_LOOKS: usize = 4;

/// Explains errors by looking at files, off the runtime's threads. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub(super) struct Explainer {
    looks: Arc<Semaphore>,
}

impl Default for Explainer {
    fn default() -> Self {
        let looks = Arc::new(Semaphore::new(MAX_LOOKS));
        Self { looks }
    }
}

impl Explainer {
    /// The error that `errno` of an attempt to execute `job`'s program stands for, with the reason
    /// where the files show one. Takes two seconds at most.
    pub(super) async fn explained(&self, job: Job, errno: i32) -> StartError {
        let refused = io::Error::from_raw_os_error(errno);
        let program = job.program();
        if Errno::from_raw_os_error(errno) == Errno::TOOBIG {
            return StartError::TooLarge;
        }
        if Errno::from_raw_os_error(errno) == Errno::TXTBSY {
            return StartError::Busy { program };
        }
        if is_shortage(&refused) {
            return StartError::System(refused);
        }
        let source = match self.look(job, errno).await {
            Some(text) => io::Error::new(refused.kind(), text),
            None => refused,
        };
        StartError::Program { program, source }
    }

    async fn look(&self, job: Job, errno: i32) -> Option<String> {
        let permit = Arc::clone(&self.looks).try_acquire_owned().ok()?;
        let (found, finding) = oneshot::channel();
        // A thread of its own: one that hangs must not be one of the runtime's.
        let looking = std::thread::Builder::new().spawn(move || {
            let _permit = permit;
            let refused = io::Error::from_raw_os_error(errno);
            let _ = found.send(reason(&job, &refused));
        });
        looking.ok()?;
        timeout(LOOK_LIMIT, finding).await.ok()?.ok()?
    }
}

/// Whether the system was out of descriptors, processes or memory, which passes.
pub fn is_shortage(fault: &io::Error) -> bool {
    let shortages = [
        Errno::AGAIN,
        Errno::NOMEM,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOBUFS,
        Errno::TOOMANYREFS,
    ];
    Errno::from_io_error(fault).is_some_and(|errno| shortages.contains(&errno))
}

/// The error for a program that the system has not executed in time.
pub(super) fn overdue(job: &Job) -> StartError {
    let text = "the system has not executed it in time; does it lie on a file system that hangs?";
    StartError::Program {
        program: job.program(),
        source: io::Error::new(ErrorKind::TimedOut, text),
    }
}

fn reason(job: &Job, refused: &io::Error) -> Option<String> {
    if let Some(directory) = &job.directory
        && !directory.is_dir()
    {
        return Some(format!(
            "its working directory {} is not there",
            directory.display()
        ));
    }
    let name = Path::new(job.argv.first()?);
    let Some(program) = found(job, name) else {
        return Some(if name.components().count() > 1 {
            "no such file".to_owned()
        } else {
            "no such program in PATH".to_owned()
        });
    };
    let metadata = fs::metadata(&program).ok()?;
    if metadata.is_dir() {
        return Some("it is a directory".to_owned());
    }
    if !metadata.is_file() {
        return Some("it is neither a file nor a link to one".to_owned());
    }
    if metadata.permissions().mode() & 0o111 == 0 {
        return Some("it is not executable; chmod +x it".to_owned());
    }
    let head = head_of(&program).unwrap_or_default();
    if let Some(fault) = first_line_fault(&head) {
        return Some(fault);
    }
    match (interpreter(&head), refused.kind()) {
        (None, ErrorKind::NotFound) => {
            Some("the loader that it was linked for is not there".to_owned())
        }
        (None, _) if refused.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
            Some("not a program of this machine; a script begins with a line like #!/usr/bin/env python3".to_owned())
        }
        _ => None,
    }
}

/// The file that the name stands for, executable or not.
fn found(job: &Job, name: &Path) -> Option<PathBuf> {
    if name.components().count() > 1 || name.is_absolute() {
        let path = match &job.directory {
            Some(directory) => directory.join(name),
            None => name.to_owned(),
        };
        return path.exists().then_some(path);
    }
    let (_, path) = job.environment.iter().find(|(name, _)| name == "PATH")?;
    std::env::split_paths(path)
        .map(|directory| directory.join(name))
        .find(|candidate| candidate.exists())
}

/// As much of a file as the system itself reads of a first line.
fn head_of(program: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut file = File::open(program).ok()?.take(256);
    file.read_to_end(&mut head).ok()?;
    Some(head)
}

/// What keeps the interpreter that a script's first line names from running it, by the beginning of the script;
/// `None` where nothing does, or it is no script.
pub fn first_line_fault(script: &[u8]) -> Option<String> {
    let interpreter = interpreter(script)?;
    if first_line(script).ends_with(b"\r\n") {
        return Some("its first line ends as on Windows, and the system takes that for a part of the interpreter's name; save it with Unix line ends".to_owned());
    }
    (!interpreter.exists()).then(|| {
        format!(
            "its first line names the interpreter {}, which is not there",
            interpreter.display()
        )
    })
}

fn interpreter(script: &[u8]) -> Option<PathBuf> {
    let line = String::from_utf8_lossy(first_line(script));
    let named = line.strip_prefix("#!")?.split_whitespace().next()?;
    Some(PathBuf::from(named))
}

fn first_line(text: &[u8]) -> &[u8] {
    text.split_inclusive(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_shortage_passes_and_a_missing_program_does_not() {
        let job = || Job {
            argv: vec!["/nowhere/at/all".into()],
            environment: Vec::new(),
            directory: None,
            stdin: None,
            time_limit: None,
            stdout_limit: 0,
            stderr_tail: 0,
            background: None,
            warm: None,
        };
        for (errno, passes) in [
            (Errno::AGAIN, true),
            (Errno::MFILE, true),
            (Errno::NOMEM, true),
            (Errno::TXTBSY, true),
            (Errno::NOENT, false),
            (Errno::ACCESS, false),
            (Errno::TOOBIG, false),
        ] {
            let explainer = Explainer::default();
            let fault = explainer.explained(job(), errno.raw_os_error()).await;
            assert_eq!(fault.is_passing(), passes, "{fault}");
        }
    }
}
