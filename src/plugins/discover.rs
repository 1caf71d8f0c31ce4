//! Finds plugin directories and asks each for its description. Knows no tool.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::contract::{self, Description};
use super::interpreter::Interpreters;
use super::introspect;
use super::process::{Ending, Finished, Job, Launcher, Taps};

/// The most that a plugin may print about itself, in bytes.
const MAX_DESCRIPTION: usize = 4 << 20;
/// The most of its errors that is shown, in bytes.
const STDERR_TAIL: usize = 4 << 10;

/// A directory that looks like a plugin.
#[derive(Debug, Clone)]
pub struct Found {
    /// The directory's name.
    pub name: String,
    /// The directory.
    pub directory: PathBuf,
    /// What is run.
    pub program: Program,
}

/// What a plugin is run by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A Python program.
    Python(PathBuf),
    /// An executable of any language.
    Executable(PathBuf),
}

impl Program {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Python(path) | Self::Executable(path) => path,
        }
    }
}

/// A plugin that has answered.
#[derive(Debug)]
pub struct Answered {
    /// Where it is.
    pub found: Found,
    /// The words that run it, before the command.
    pub program: Vec<OsString>,
    /// The interpreter, or the executable itself.
    pub interpreter: PathBuf,
    /// `describe`, `introspection` or `help`.
    pub source: &'static str,
    /// Whether its options are not known.
    pub open: bool,
    /// What it said.
    pub description: Description,
}

/// The plugins in `directory` by name, and what looks like one but cannot be, with the reason.
pub fn find(directory: &Path) -> Result<(Vec<Found>, Vec<(String, String)>), String> {
    let cannot = |error: std::io::Error| format!("{}: {error}", directory.display());
    let metadata = fs::metadata(directory).map_err(cannot)?;
    if anybody_may_write(&metadata) {
        return Err(format!(
            "{} may be written to by anybody; chmod o-w it",
            directory.display()
        ));
    }
    let mut found = Vec::new();
    let mut refused = Vec::new();
    for entry in fs::read_dir(directory).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name == "__pycache__" {
            continue;
        }
        match look(&name, &entry.path()) {
            Ok(Some(plugin)) => found.push(plugin),
            Ok(None) => {}
            Err(reason) => refused.push((contract::clean(&name), reason)),
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    refused.sort();
    Ok((found, refused))
}

/// Decides by looking, never by running.
fn look(name: &str, path: &Path) -> Result<Option<Found>, String> {
    let directory = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => path.to_owned(),
        Ok(_) => return Ok(None),
        Err(error) => return Err(format!("cannot be looked at: {error}")),
    };
    let (python, executable) = (directory.join("cli.py"), directory.join("cli"));
    let program = if fs::symlink_metadata(&python).is_ok() {
        Program::Python(python)
    } else if fs::symlink_metadata(&executable).is_ok() {
        Program::Executable(executable)
    } else {
        return Ok(None);
    };
    if !name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        || name.starts_with('-')
    {
        return Err(
            "the directory's name must match ^[a-zA-Z0-9_.-]+$ and not begin with -; rename it"
                .to_owned(),
        );
    }
    let file = program
        .path()
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let metadata =
        fs::metadata(program.path()).map_err(|error| format!("{file} cannot be read: {error}"))?;
    let kind = metadata.file_type();
    if !metadata.is_file() {
        let what = if kind.is_dir() {
            "a directory"
        } else if kind.is_fifo() {
            "a FIFO"
        } else {
            "no regular file"
        };
        return Err(format!("{file} is {what}"));
    }
    if anybody_may_write(&metadata) {
        return Err(format!("{file} may be written to by anybody; chmod o-w it"));
    }
    if fs::metadata(&directory).is_ok_and(|metadata| anybody_may_write(&metadata)) {
        return Err("its directory may be written to by anybody; chmod o-w it".to_owned());
    }
    match &program {
        Program::Python(path) => fs::File::open(path)
            .map(drop)
            .map_err(|error| format!("{file} cannot be read: {error}"))?,
        Program::Executable(_) if metadata.permissions().mode() & 0o111 == 0 => {
            return Err(format!("{file} is not executable; chmod +x it"));
        }
        Program::Executable(_) => {}
    }
    Ok(Some(Found {
        name: name.to_owned(),
        directory,
        program,
    }))
}

fn anybody_may_write(metadata: &fs::Metadata) -> bool {
    // In a sticky directory such as /tmp nobody can replace what is somebody else's.
    metadata.permissions().mode() & 0o002 != 0 && metadata.permissions().mode() & 0o1000 == 0
}

/// How plugins are asked.
#[derive(Debug)]
pub struct Asker {
    /// Starts what is asked.
    pub launcher: Launcher,
    /// Which Python.
    pub interpreters: Interpreters,
    /// What the programs inherit.
    pub environment: Vec<(OsString, OsString)>,
    /// How long each question may take.
    pub limit: Duration,
}

impl Asker {
    /// Asks a plugin what it is: `--describe`, then its parser, then its help text.
    pub async fn ask(&self, found: Found, stop: &CancellationToken) -> Result<Answered, String> {
        let (program, interpreter) = self.program(&found).await?;
        let described = self
            .run(
                &found,
                [&program[..], &["--describe".into()]].concat(),
                stop,
            )
            .await?;
        let text = String::from_utf8_lossy(&described.stdout).into_owned();
        let answered = |source, open, description| Answered {
            program: program.clone(),
            interpreter: interpreter.clone(),
            source,
            open,
            description,
            found: found.clone(),
        };
        if described.ending == Ending::Exited(0) && contract::has_json(&text) {
            return contract::read(&text)
                .map(|description| answered("describe", false, description));
        }
        let why = match described.ending {
            Ending::Exited(0) => "--describe printed no JSON object".to_owned(),
            _ => refusal(&described, self.limit),
        };
        if let Program::Python(path) = &found.program {
            let asked = self
                .run(&found, introspect::argv(&interpreter, path), stop)
                .await?;
            match asked.ending {
                Ending::Exited(0) => {
                    let payload = String::from_utf8_lossy(&asked.stdout);
                    return contract::read(&payload)
                        .map(|description| answered("introspection", false, description));
                }
                // A program that works before it asks its parser would work for --help as well.
                Ending::Exited(introspect::NOT_ASKED) => {}
                _ => {
                    return Err(format!(
                        "{why}; its parser could not be read: {}",
                        refusal(&asked, self.limit)
                    ));
                }
            }
        }
        let help = self
            .run(&found, [&program[..], &["--help".into()]].concat(), stop)
            .await?;
        let payload: Value =
            introspect::parse_help(&found.name, &String::from_utf8_lossy(&help.stdout))
                .map_err(|unread| format!("{why}; {unread}"))?;
        contract::validate(&payload).map(|description| answered("help", true, description))
    }

    async fn program(&self, found: &Found) -> Result<(Vec<OsString>, PathBuf), String> {
        match &found.program {
            Program::Python(path) => {
                let interpreter = self.interpreters.of(&found.directory).await?;
                Ok((vec![interpreter.clone().into(), path.into()], interpreter))
            }
            Program::Executable(path) => Ok((vec![path.into()], path.clone())),
        }
    }

    async fn run(
        &self,
        found: &Found,
        argv: Vec<OsString>,
        stop: &CancellationToken,
    ) -> Result<Finished, String> {
        let mut environment = self.environment.clone();
        environment.extend(standing(&found.directory));
        let job = Job {
            argv,
            environment,
            directory: None,
            stdin: None,
            time_limit: Some(self.limit),
            stdout_limit: MAX_DESCRIPTION,
            stderr_tail: STDERR_TAIL,
        };
        let finished = self
            .launcher
            .run(job, Taps::default(), stop.clone())
            .await
            .map_err(|error| error.to_string())?;
        match finished.ending {
            Ending::TimedOut | Ending::OutputTooLarge | Ending::Cancelled => {
                Err(refusal(&finished, self.limit))
            }
            _ => Ok(finished),
        }
    }
}

/// What every run of a plugin has in its environment.
pub fn standing(directory: &Path) -> [(OsString, OsString); 3] {
    [
        ("PYTHONUNBUFFERED".into(), "1".into()),
        ("PYTHONIOENCODING".into(), "utf-8".into()),
        ("SMCP_PLUGIN_DIR".into(), directory.into()),
    ]
}

fn refusal(finished: &Finished, limit: Duration) -> String {
    let stderr = String::from_utf8_lossy(&finished.stderr_tail);
    let last = contract::clean(stderr.trim().lines().last().unwrap_or_default());
    match finished.ending {
        Ending::TimedOut => format!("it did not answer within {} s", limit.as_secs()),
        Ending::OutputTooLarge => {
            format!("it printed more than {MAX_DESCRIPTION} bytes about itself")
        }
        Ending::Cancelled => "the server stopped before it answered".to_owned(),
        Ending::Exited(status) if last.is_empty() => {
            format!("--describe exits with status {status}")
        }
        Ending::Exited(status) => format!("--describe exits with status {status}: {last}"),
        Ending::Signalled(signal) => format!("it was ended by signal {signal}"),
        Ending::SupervisorLost => "its supervisor was killed".to_owned(),
    }
}
