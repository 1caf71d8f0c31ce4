//! One environment made: by uv where that is installed, else by the interpreter's own venv and pip.
//!
//! Each program is run below a supervisor as calls are: bounded in time and output, without input, its whole tree
//! ended with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::Instant;

use super::super::question::Asker;
use super::behind::{BEHIND, line_of};
use super::declared::Declared;
use super::inherited::variables;
use super::place::Making;
use super::probe::Probed;
use super::reason::{passes, reason};
use crate::contract::environment::Variable;
use crate::process::{Ending, Job, SideChannels};
use crate::text::{cleaned, shown};

/// How long it may take to make one environment.
pub(super) const LIMIT: Duration = Duration::from_secs(600);

/// How much of the end of what an installer says is kept, in bytes.
const KEPT: usize = 64 << 10;

/// Runs pip. With `-m`, Python would look for modules in the working directory first, which is the plugin's: a plugin may
/// have a `logging.py`. Isolated, it would not find a pip that this user has installed.
const PIP: &str = "import sys\n\
    sys.path = [place for place in sys.path if place]\n\
    import runpy\n\
    runpy.run_module('pip', run_name='__main__', alter_sys=True)\n";

/// Why there is no environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// What was wrong, for people.
    pub(super) reason: String,
    /// Whether it is not the declaration's fault: the same may go well another time, or on another system.
    pub(super) passes: bool,
}

impl Failure {
    /// What this system lacks.
    pub(super) fn of_system(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            passes: true,
        }
    }
}

/// Makes one environment.
pub(super) struct Installer<'a> {
    pub(super) asker: &'a Asker,
    /// The interpreter that it is made with, and what that has.
    pub(super) base: &'a Path,
    pub(super) probed: &'a Probed,
    pub(super) declared: &'a Declared,
    /// The plugin's directory: relative paths begin there.
    pub(super) plugin: &'a Path,
    /// Gets what the installers say, line by line.
    pub(super) lines: mpsc::Sender<String>,
    /// Gets what is decided meanwhile.
    pub(super) tell: &'a (dyn Fn(&str) + Sync),
}

impl Installer<'_> {
    /// Makes it in the directory of `making`, which is not there yet.
    ///
    /// # Errors
    /// Why it could not be made; what there is of it is the caller's to remove.
    pub(super) async fn install(&self, making: &Making) -> Result<(), Failure> {
        self.install_declared(making.directory()).await?;
        self.stand_before_interpreter(making.directory()).await
    }

    async fn install_declared(&self, directory: &Path) -> Result<(), Failure> {
        let until = Instant::now() + LIMIT;
        let inherited = self.asker.environment.inherited();
        if let Some(uv) = in_path("uv", &inherited) {
            match self.begin_with_uv(&uv, directory, until).await {
                Ok(()) => return self.install_with_uv(&uv, directory, until).await,
                Err(failure) if self.is_over(until) || !self.has_venv_and_pip() => {
                    return Err(failure);
                }
                Err(failure) => (self.tell)(&format!(
                    "{} cannot make it, so venv and pip do: {}",
                    uv.display(),
                    failure.reason
                )),
            }
        }
        self.install_with_pip(directory, until).await
    }

    async fn begin_with_uv(
        &self,
        uv: &Path,
        directory: &Path,
        until: Instant,
    ) -> Result<(), Failure> {
        let mut make = vec![uv.into()];
        make.extend(words(&["venv", "--quiet", "--no-project", "--python"]));
        make.extend([self.base.into(), directory.into()]);
        self.begin(make, directory, until).await
    }

    async fn install_with_uv(
        &self,
        uv: &Path,
        directory: &Path,
        until: Instant,
    ) -> Result<(), Failure> {
        let mut install = vec![uv.into()];
        install.extend(words(&["pip", "install", "--compile-bytecode", "--python"]));
        install.extend([python_in(directory).into(), "-r".into()]);
        install.push(self.requirements(directory).await?.into());
        self.run(install, until).await
    }

    async fn install_with_pip(&self, directory: &Path, until: Instant) -> Result<(), Failure> {
        if !self.has_venv_and_pip() {
            return Err(Failure::of_system(format!(
                "{} has no venv, or no pip of version 22.3 or later, and uv is not installed; install uv, or what your system \
                 calls python3-venv and python3-pip",
                self.base.display()
            )));
        }
        let mut make = vec![self.base.into()];
        make.extend(words(&["-I", "-m", "venv", "--clear", "--without-pip"]));
        make.push(directory.into());
        self.begin(make, directory, until).await?;
        let file = self.requirements(directory).await?;
        let python = python_in(directory);
        let mut install: Vec<OsString> = Vec::new();
        if self.probed.has_pip_for_others() {
            // The pip of the interpreter installs there: to install another one takes longer than all the rest.
            install.push(self.base.into());
            install.extend(words(&["-c", PIP, "--python"]));
            install.push(python.into());
        } else {
            let mut bring = vec![python.clone().into()];
            bring.extend(words(&["-I", "-m", "ensurepip", "--default-pip"]));
            let brought = self.run(bring, until).await;
            brought.map_err(|failure| Failure::of_system(failure.reason))?;
            install.push(python.into());
            install.extend(words(&["-I", "-m", "pip"]));
        }
        install.extend(words(&["install", "--no-warn-script-location", "-r"]));
        install.push(file.into());
        self.run(install, until).await
    }

    /// Makes one without packages. What is declared has no part in that, so it is not at fault.
    async fn begin(
        &self,
        argv: Vec<OsString>,
        directory: &Path,
        until: Instant,
    ) -> Result<(), Failure> {
        let made = self.run(argv, until).await;
        made.map_err(|failure| Failure::of_system(failure.reason))?;
        let python = python_in(directory);
        let looked_for = python.clone();
        let looking = spawn_blocking(move || is_executable(&looked_for));
        match looking.await {
            Ok(true) => Ok(()),
            _ => Err(Failure::of_system(format!(
                "it was made with no interpreter at {}",
                python.display()
            ))),
        }
    }

    fn has_venv_and_pip(&self) -> bool {
        self.probed.venv && (self.probed.has_pip_for_others() || self.probed.ensurepip)
    }

    /// Whether there is no time for anything else.
    fn is_over(&self, until: Instant) -> bool {
        self.asker.stop.is_cancelled() || Instant::now() >= until
    }

    /// Lets programs find what the interpreter has, behind what is installed here: there are plugins that import more
    /// than they declare. Comes last, so that installers see nothing of it, and leave nothing out.
    async fn stand_before_interpreter(&self, directory: &Path) -> Result<(), Failure> {
        let lines = self.probed.packages.iter();
        let lines: String = lines.map(|place| line_of(place)).collect();
        let library = directory.join("lib");
        let writing = spawn_blocking(move || {
            // Whether an environment was made at all is looked at for all installers alike.
            let versions = std::fs::read_dir(library).into_iter().flatten();
            for version in versions {
                let packages = version?.path().join("site-packages");
                if packages.is_dir() {
                    std::fs::write(packages.join(BEHIND), &lines)?;
                }
            }
            Ok(())
        });
        let written = writing.await.map_err(std::io::Error::other).flatten();
        written.map_err(|fault| {
            let directory = directory.display();
            Failure::of_system(format!(
                "{BEHIND} cannot be written into {directory}: {fault}"
            ))
        })
    }

    /// The file with what is to be installed.
    async fn requirements(&self, directory: &Path) -> Result<PathBuf, Failure> {
        if let Some(file) = &self.declared.read_by_installer {
            return Ok(std::path::absolute(file).unwrap_or_else(|_| file.clone()));
        }
        let file = directory.join("smcp-requirements.txt");
        let text = self.declared.lines.join("\n") + "\n";
        let written = file.clone();
        let writing = spawn_blocking(move || std::fs::write(written, text));
        let cannot = |fault: std::io::Error| {
            Failure::of_system(format!("{} cannot be written: {fault}", file.display()))
        };
        writing
            .await
            .map_err(std::io::Error::other)
            .flatten()
            .map_err(cannot)?;
        Ok(file)
    }

    async fn run(&self, argv: Vec<OsString>, until: Instant) -> Result<(), Failure> {
        let job = Job {
            argv,
            environment: variables(&self.asker.environment.inherited()),
            directory: Some(
                std::path::absolute(self.plugin).unwrap_or_else(|_| self.plugin.to_owned()),
            ),
            stdin: None,
            time_limit: Some(until.saturating_duration_since(Instant::now())),
            stdout_limit: 0,
            stderr_tail: KEPT,
            background: None,
            warm: None,
        };
        let channels = SideChannels {
            stderr_lines: Some(self.lines.clone()),
            stdout_to_stderr: true,
            ..SideChannels::default()
        };
        let stop = self.asker.stop.clone();
        let running = self.asker.launcher.run(job, channels, stop).await;
        let finished = running.map_err(|fault| Failure {
            passes: fault.is_passing(),
            reason: fault.to_string(),
        })?;
        let said = &finished.stderr_tail;
        let how = match finished.ending {
            Ending::Exited(0) => return Ok(()),
            Ending::Cancelled => return Err(Failure::of_system("the server stops")),
            Ending::TimedOut => {
                let said = cleaned(&String::from_utf8_lossy(said));
                let last = said.lines().rev().find(|line| !line.trim().is_empty());
                let last = last.map(|line| self.declared.named.hidden_in(line.trim()));
                return Err(Failure::of_system(format!(
                    "it took longer than {} minutes; the last that was said: {}",
                    LIMIT.as_secs() / 60,
                    shown(last.as_deref().unwrap_or("nothing"), 200)
                )));
            }
            Ending::Exited(status) => format!("exit status {status}"),
            Ending::Signalled(signal) => format!("signal {signal}"),
            Ending::OutputTooLarge | Ending::SupervisorLost => {
                "it was ended from outside".to_owned()
            }
        };
        let reason = match reason(said) {
            none if none.is_empty() => how,
            reason => self.declared.named.hidden_in(&reason),
        };
        Err(Failure {
            // What somebody has killed says nothing of the packages: the system does so when memory is short.
            passes: passes(said)
                || matches!(
                    finished.ending,
                    Ending::SupervisorLost | Ending::Signalled(_)
                ),
            reason,
        })
    }
}

/// A program in `PATH`.
fn in_path(name: &str, environment: &[Variable]) -> Option<PathBuf> {
    let (_, path) = environment.iter().find(|(known, _)| known == "PATH")?;
    let places = std::env::split_paths(path).filter(|place| place.is_absolute());
    let mut programs = places.map(|place| place.join(name));
    programs.find(|program| is_executable(program))
}

fn is_executable(program: &Path) -> bool {
    program.is_file() && rustix::fs::access(program, rustix::fs::Access::EXEC_OK).is_ok()
}

/// The interpreter of the environment there.
fn python_in(directory: &Path) -> PathBuf {
    directory.join("bin/python")
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}
