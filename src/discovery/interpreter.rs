//! Which Python runs a plugin: chosen by looking, and found behind a shim by asking it once.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::Access;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use super::regular_file::read_regular;
use super::unserved::Unserved;
use crate::process::{Ending, Job, Launcher, SideChannels};

/// Where interpreters are looked for.
#[derive(Debug, Clone)]
pub struct Candidates {
    /// `MCP_PYTHON`: a path, or a name to look up in `PATH`.
    pub configured: Option<PathBuf>,
    /// The directory of all plugins.
    pub plugins: PathBuf,
    /// What plugins inherit: its `VIRTUAL_ENV` and `PATH` count.
    pub environment: Arc<[(OsString, OsString)]>,
}

impl Candidates {
    /// The interpreter of the plugin in `directory`.
    ///
    /// # Errors
    /// What is missing, and how to name another.
    pub fn choose(&self, directory: &Path) -> Result<PathBuf, Unserved> {
        if let Some(configured) = &self.configured {
            return self.configured(configured);
        }
        let beside = self
            .plugins
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        let own = [directory, beside.unwrap_or(Path::new("."))];
        let environments = own
            .iter()
            .flat_map(|place| [place.join(".venv"), place.join("venv")]);
        let active = self.variable("VIRTUAL_ENV").map(PathBuf::from);
        let mut pythons = environments
            .chain(active)
            .map(|place| place.join("bin/python"));
        pythons
            .find(|python| is_executable(python))
            .or_else(|| self.in_path("python3"))
            .or_else(|| self.in_path("python"))
            .ok_or_else(|| {
                let text = "there is no python3 in PATH; install Python, or set MCP_PYTHON to an interpreter";
                Unserved::Plugin(text.to_owned())
            })
    }

    fn configured(&self, given: &Path) -> Result<PathBuf, Unserved> {
        let found = if given.components().count() > 1 || given.is_absolute() {
            Some(given.to_owned()).filter(|path| is_executable(path))
        } else {
            given.to_str().and_then(|name| self.in_path(name))
        };
        found.ok_or_else(|| {
            Unserved::Plugin(format!(
                "MCP_PYTHON is '{}', which is no program that can be executed; set it to a Python interpreter such as \
                 python3, or unset it",
                given.display()
            ))
        })
    }

    fn in_path(&self, name: &str) -> Option<PathBuf> {
        let path = self.variable("PATH")?;
        let places = path
            .as_bytes()
            .split(|byte| *byte == b':')
            .filter(|place| place.starts_with(b"/"));
        let mut programs =
            places.map(|place| Path::new(std::ffi::OsStr::from_bytes(place)).join(name));
        programs.find(|program| is_executable(program))
    }

    fn variable(&self, name: &str) -> Option<&OsString> {
        self.environment
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

fn is_executable(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok()
}

/// The programs behind shims, each asked once, and again when it is gone.
#[derive(Debug, Default)]
pub struct Resolved(Mutex<HashMap<PathBuf, Arc<OnceCell<PathBuf>>>>);

impl Resolved {
    /// The program that `chosen` ends in. A shim costs 45 ms of every start, and is a script: anything
    /// else is taken as it is, for a virtual environment's interpreter must keep its path.
    pub async fn real(
        &self,
        chosen: PathBuf,
        launcher: &Launcher,
        environment: &[(OsString, OsString)],
        stop: &CancellationToken,
    ) -> PathBuf {
        let known = self.known(&chosen);
        let looked_at = chosen.clone();
        // Files may lie where looking at them takes its time.
        let looking = tokio::task::spawn_blocking(move || {
            let is_there = known.is_none_or(|real| is_executable(&real));
            (is_script(&looked_at), is_there)
        });
        let (is_script, is_there) = looking.await.unwrap_or((false, true));
        if !is_script {
            return chosen;
        }
        if !is_there {
            self.cells().remove(&chosen);
        }
        let cell = Arc::clone(self.cells().entry(chosen.clone()).or_default());
        let real = cell.get_or_init(|| async {
            match ask(&chosen, launcher, environment.to_vec(), stop.clone()).await {
                Some(real) => real,
                None => chosen.clone(),
            }
        });
        real.await.clone()
    }

    /// The program that `chosen` ends in, as far as that is known by now; else `chosen` itself, which starts it too.
    pub fn at_once(&self, chosen: &Path) -> PathBuf {
        self.known(chosen).unwrap_or_else(|| chosen.to_owned())
    }

    /// The program that `chosen` ends in; `None` where it is a shim that was not asked yet. Reads a file.
    pub fn settled(&self, chosen: &Path) -> Option<PathBuf> {
        let known = self.known(chosen);
        known.or_else(|| (!is_script(chosen)).then(|| chosen.to_owned()))
    }

    fn known(&self, chosen: &Path) -> Option<PathBuf> {
        self.cells().get(chosen)?.get().cloned()
    }

    fn cells(&self) -> MutexGuard<'_, HashMap<PathBuf, Arc<OnceCell<PathBuf>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a program is a script, as shims of interpreters are.
pub(super) fn is_script(path: &Path) -> bool {
    read_regular(path, 2).is_ok_and(|beginning| beginning == b"#!")
}

async fn ask(
    shim: &Path,
    launcher: &Launcher,
    environment: Vec<(OsString, OsString)>,
    stop: CancellationToken,
) -> Option<PathBuf> {
    let job = Job {
        argv: vec![
            shim.into(),
            "-I".into(),
            "-c".into(),
            "import sys; sys.stdout.write(sys.executable)".into(),
        ],
        environment,
        directory: None,
        stdin: None,
        time_limit: Some(Duration::from_secs(5)),
        stdout_limit: 64 << 10,
        stderr_tail: 1 << 10,
        background: None,
        warm: None,
    };
    let finished = launcher
        .run(job, SideChannels::default(), stop)
        .await
        .ok()?;
    let path = PathBuf::from(std::ffi::OsStr::from_bytes(&finished.stdout));
    let good = finished.ending == Ending::Exited(0) && path.is_absolute() && is_executable(&path);
    good.then_some(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(path: &Path) {
        std::fs::create_dir_all(path.parent().expect("it has one")).expect("there is room");
        std::fs::write(path, "").expect("there is room");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    #[test]
    fn the_nearest_interpreter_wins_and_each_place_counts_when_the_nearer_ones_are_empty() {
        let root = tempfile::tempdir().expect("there is room");
        let at = |path: &str| root.path().join(path);
        let plugin = at("plugins/one");
        std::fs::create_dir_all(&plugin).expect("there is room");
        let mut candidates = Candidates {
            configured: None,
            plugins: at("plugins"),
            environment: Arc::from([
                (
                    "PATH".into(),
                    format!("relative:{}", at("path").display()).into(),
                ),
                ("VIRTUAL_ENV".into(), at("active").into()),
            ]),
        };
        assert!(candidates.choose(&plugin).is_err());
        let farthest_first = [
            "path/python",
            "path/python3",
            "active/bin/python",
            "venv/bin/python",
            ".venv/bin/python",
            "plugins/one/venv/bin/python",
            "plugins/one/.venv/bin/python",
        ];
        for path in farthest_first {
            program(&at(path));
            assert_eq!(candidates.choose(&plugin), Ok(at(path)));
        }
        program(&at("path/python3.11"));
        candidates.configured = Some("python3.11".into());
        assert_eq!(candidates.choose(&plugin), Ok(at("path/python3.11")));
        candidates.configured = Some(at("nowhere"));
        assert!(
            candidates
                .choose(&plugin)
                .expect_err("nothing is there")
                .to_string()
                .contains("MCP_PYTHON")
        );
    }
}
