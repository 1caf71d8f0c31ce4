//! Servers by their settings: those that the cases of a row share, and those of one case. Each has its onlookers.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde::Deserialize;

use crate::case::{Case, file};
use crate::support::http::exchange;
use crate::support::http::get;
use crate::support::plugins::{Folder, fixtures};
use crate::support::server::{Server, Setup};
use crate::support::until;
use crate::template::{Words, fill};
use crate::watch::{Health, Watch};

/// How a server is started.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    #[serde(default)]
    variables: BTreeMap<String, String>,
    #[serde(default)]
    arguments: Vec<String>,
    /// A hard limit of open files.
    descriptors: Option<u32>,
    /// What clients show with every request.
    #[serde(default)]
    headers: String,
    /// Leaves the choice of the plugins to the server.
    #[serde(default)]
    without_plugins_dir: bool,
    /// Does not wait until all plugins have answered.
    #[serde(default)]
    at_once: bool,
}

/// All settings, by name.
pub fn settings() -> BTreeMap<String, Settings> {
    serde_json::from_str(&file("servers.json")).expect("servers.json is a list of settings")
}

/// A running server with its onlookers.
pub struct Site {
    // In this order: onlookers stop before their server does.
    pub watch: Mutex<Watch>,
    pub server: Mutex<Server>,
    pub address: std::net::SocketAddr,
    pub headers: String,
    pub surroundings: Surroundings,
    /// Since when it is looked at.
    pub since: Instant,
}

/// What a server finds around it: gone with it.
pub struct Surroundings {
    /// A directory of the server's own.
    pub directory: tempfile::TempDir,
    /// A port that accepts and never answers.
    silent: TcpListener,
    plugins: Option<Folder>,
}

impl Surroundings {
    /// Writes the case's programs.
    pub fn of(case: Option<&Case>) -> Self {
        let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let directory = tempfile::tempdir().expect("a directory for temporary files");
        let programs = case.map(|case| &case.entry.plugins);
        let plugins = programs
            .filter(|programs| !programs.is_empty())
            .map(|programs| {
                let folder = Folder::new();
                for (name, program) in programs {
                    let place = folder.add_executable(name, &program.cli);
                    for (file, text) in &program.files {
                        std::fs::write(place.join(file), text.bytes(&Words::new()))
                            .expect("a directory of our own");
                    }
                }
                folder
            });
        Self {
            directory,
            silent,
            plugins,
        }
    }

    /// Where the plugins are.
    pub fn plugins(&self) -> PathBuf {
        self.plugins
            .as_ref()
            .map_or_else(|| fixtures("referee"), |folder| folder.path().to_owned())
    }

    pub fn words(&self) -> Words {
        let silent = self.silent.local_addr().expect("it listens");
        vec![
            ("silent", format!("http://{silent}")),
            ("directory", display(self.directory.path())),
        ]
    }
}

fn display(path: &Path) -> String {
    path.to_str()
        .expect("the tests' directories are plain")
        .to_owned()
}

/// The command line and environment, without the plugins.
pub fn setup(settings: &Settings, words: &Words) -> Setup {
    let mut setup = Setup::new();
    for (name, value) in &settings.variables {
        setup = setup.variable(name, fill(value, words));
    }
    for argument in &settings.arguments {
        setup = setup.argument(fill(argument, words));
    }
    if let Some(most) = settings.descriptors {
        setup = setup.descriptors(most);
    }
    setup
}

impl Site {
    /// Starts a server with these settings, and with the case's programs where it has some.
    #[track_caller]
    pub fn start(settings: &Settings, case: Option<&Case>) -> Self {
        let surroundings = Surroundings::of(case);
        let setup = setup(settings, &surroundings.words());
        let server = if settings.without_plugins_dir {
            Server::start_alone(&setup)
        } else {
            Server::start(&setup.plugins(surroundings.plugins()))
        };
        let address = server.address();
        let headers = settings.headers.clone();
        if !settings.at_once {
            until("/readyz turns 200", crate::support::s(60), || {
                let answer = exchange(address, &get(address, "/readyz", ""));
                (answer.status == 200).then_some(())
            });
        }
        Self {
            watch: Mutex::new(Watch::of(address, server.pid(), &headers)),
            server: Mutex::new(server),
            address,
            headers,
            surroundings,
            since: Instant::now(),
        }
    }

    /// The onlookers leave, because the server is about to end.
    pub fn unwatched(&self) {
        self.watch.lock().expect("nobody panics here").stop();
    }
}

/// The servers that the cases of a row share: each is there from the first of them to the last.
pub struct Sites {
    settings: BTreeMap<String, Settings>,
    shared: BTreeMap<(String, u32), Mutex<Shared>>,
    /// Has nothing to do: what takes long there, takes long because of the machine.
    pub idle: Health,
    _idle: Server,
}

#[derive(Default)]
struct Shared {
    site: Option<Arc<Site>>,
    /// How many cases have not been played yet.
    left: usize,
}

impl Sites {
    /// Notes who shares what; the servers start with their first case.
    #[track_caller]
    pub fn for_cases(cases: &[Case]) -> Self {
        let mut shared = BTreeMap::<_, Mutex<Shared>>::new();
        for case in cases.iter().filter(|case| is_shared(case)) {
            let one = shared.entry(key(case)).or_default();
            one.get_mut().expect("nobody panics here").left += 1;
        }
        let idle = Server::start(&Setup::new());
        Self {
            settings: settings(),
            shared,
            idle: Health::of(idle.address(), idle.pid()),
            _idle: idle,
        }
    }

    pub fn settings(&self, case: &Case) -> &Settings {
        let name = &case.entry.server;
        let found = self.settings.get(name);
        found.unwrap_or_else(|| panic!("no settings {name}"))
    }

    /// The case's server: one of its own, or that of its row.
    #[track_caller]
    pub fn site(&self, case: &Case) -> Arc<Site> {
        if !is_shared(case) {
            return Arc::new(Site::start(self.settings(case), Some(case)));
        }
        let mut shared = self.of_row(case);
        let start = || Arc::new(Site::start(self.settings(case), None));
        Arc::clone(shared.site.get_or_insert_with(start))
    }

    /// A case is over. After the last one of its row its server is given back, to be ended.
    pub fn leave(&self, case: &Case) -> Option<Arc<Site>> {
        if !is_shared(case) {
            return None;
        }
        let mut shared = self.of_row(case);
        shared.left -= 1;
        if shared.left == 0 {
            shared.site.take()
        } else {
            None
        }
    }

    fn of_row(&self, case: &Case) -> std::sync::MutexGuard<'_, Shared> {
        let row = self.shared.get(&key(case)).expect("it was counted");
        // A server that did not start failed the case that wanted it.
        row.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a case has the server of its row.
pub fn is_shared(case: &Case) -> bool {
    use crate::case::Transport::{Process, Stdio};
    !case.has_own_server() && !matches!(case.transport, Stdio | Process)
}

fn key(case: &Case) -> (String, u32) {
    (case.entry.server.clone(), case.entry.row)
}
