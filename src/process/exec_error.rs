//! Why the system refused to execute a program, in words that name what is wrong.
//!
//! Knows no process: it looks at the files that an errno leaves in doubt.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::job::{Job, StartError};

impl StartError {
    /// The kind of fault that `errno` of an attempt to start `job`'s program stands for.
    pub(super) fn of_program(job: &Job, errno: i32) -> Self {
        match Errno::from_raw_os_error(errno) {
            Errno::TOOBIG => Self::TooLarge,
            Errno::AGAIN
            | Errno::NOMEM
            | Errno::MFILE
            | Errno::NFILE
            | Errno::NOBUFS
            | Errno::TOOMANYREFS => Self::System(io::Error::from_raw_os_error(errno)),
            _ => Self::Program {
                program: job.program(),
                source: explain(job, io::Error::from_raw_os_error(errno)),
            },
        }
    }
}

/// The same error with a text that says which of the files is at fault. Reads files: not for the hot path.
fn explain(job: &Job, refused: io::Error) -> io::Error {
    match reason(job, &refused) {
        Some(text) => io::Error::new(refused.kind(), text),
        None => refused,
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
    if metadata.permissions().mode() & 0o111 == 0 {
        return Some("it is not executable; chmod +x it".to_owned());
    }
    if has_windows_line_end(&program) {
        return Some("its first line ends as on Windows, and the system takes that for a part of the interpreter's name; save it with Unix line ends".to_owned());
    }
    match (interpreter(&program), refused.kind()) {
        (Some(interpreter), _) if !interpreter.exists() => Some(format!(
            "its first line names the interpreter {}, which is not there",
            interpreter.display()
        )),
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

fn has_windows_line_end(program: &Path) -> bool {
    first_line(program).is_some_and(|line| line.starts_with("#!") && line.ends_with("\r\n"))
}

fn first_line(program: &Path) -> Option<String> {
    let mut line = String::new();
    // The system itself reads no more of a first line than this.
    let mut head = BufReader::new(File::open(program).ok()?.take(256));
    head.read_line(&mut line).ok()?;
    Some(line)
}

fn interpreter(program: &Path) -> Option<PathBuf> {
    let line = first_line(program)?;
    let named = line.strip_prefix("#!")?.split_whitespace().next()?;
    Some(PathBuf::from(named))
}
