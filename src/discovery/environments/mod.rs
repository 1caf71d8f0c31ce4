//! Environments of plugins: what a plugin declares that it needs, installed apart from all others.
//!
//! An environment is made once for one declaration and one interpreter, and found again by looking. Where the
//! interpreter has all that is declared, there is none: what worked before there were environments works as it did.

pub mod behind;
mod declared;
mod failures;
mod held;
mod inherited;
mod install;
mod keeping;
pub mod key;
mod making;
mod need;
mod packages;
mod place;
mod preparing;
mod probe;
mod reason;
mod script;
mod underway;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use self::declared::{Reader, Reading};
use self::failures::Failures;
use self::held::Holds;
use self::key::hex;
use self::making::Maker;
pub use self::making::Tell;
pub use self::need::Need;
use self::need::{names_of, note_of, question_of};
use self::packages::lost;
use self::place::Place;
pub use self::probe::Probes;
pub use self::underway::{PATIENCE, Underway};
use super::scan::Found;
use crate::contract::environment::Variable;

/// How many interpreters are remembered that lack nothing. More are only asked more often.
const MAX_REMEMBERED: usize = 4096;

/// A line about a plugin's environment in the log.
pub fn to_log(plugin: &str, line: &str) {
    tracing::info!("{plugin}: {line}");
}

/// How environments are made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory of this program's caches; `None` where there is none to be had.
    pub directory: Option<PathBuf>,
    /// Whether an answer is waited for, as by commands that run once. A server serves the other plugins meanwhile.
    pub waits: bool,
    /// `MCP_ALLOW_WRITABLE_PLUGINS`.
    pub allow_writable: bool,
    /// Whether environments are looked at file by file, as where somebody asks whether anything is missing. Otherwise only
    /// where their directories of packages have changed.
    pub looks_at_all: bool,
    /// Gets what happens.
    pub tell: Tell,
}

/// The environments of all plugins. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Environments(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// `None` where there is no directory.
    place: Option<Place>,
    waits: bool,
    looks_at_all: bool,
    reader: Reader,
    maker: Maker,
    known: Mutex<Known>,
    /// Notified whenever an environment is there that was waited for, or will not be.
    decided: Notify,
}

#[derive(Debug, Default)]
struct Known {
    /// Those that are being made, by key.
    underway: HashMap<String, Underway>,
    failed: Failures,
    held: Holds,
    /// Interpreters that have all that is asked for, by note, each with what the plugin's author should know.
    met: HashMap<String, Option<String>>,
}

/// What runs a plugin, as far as looking tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The interpreter that was chosen, and what its author should know.
    Plain {
        /// Why what it declares cannot be used, or that the interpreter is none of those that it asks for.
        warning: Option<String>,
    },
    /// The interpreter of its environment.
    Own {
        /// Its path.
        python: PathBuf,
        /// That it is none of those that the plugin asks for.
        warning: Option<String>,
    },
    /// Its environment has to be made first, or it has to be asked whether it needs one.
    Needed(Box<Need>),
    /// It depends on what is behind the shim that was chosen, which is not known yet.
    Shim,
}

/// What came of preparing.
#[derive(Debug, Clone)]
pub enum Prepared {
    /// The interpreter has all that is declared.
    Met {
        /// That it is none of those that the plugin asks for.
        warning: Option<String>,
    },
    /// There is what looking finds now.
    Ready,
    /// It is being made; [`Environments::decided`] tells when it is there.
    Underway(Underway),
    /// It cannot be made here or now: the plugin may still work with what the interpreter has.
    Unavailable(String),
    /// What is declared cannot be installed.
    Failed(String),
}

/// The state of a plugin's environment, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It declares nothing, or nothing that can be read.
    None {
        /// Why that cannot be read.
        warning: Option<String>,
    },
    /// It has one.
    Made {
        /// Its interpreter.
        python: PathBuf,
        /// That this is none of those that the plugin asks for.
        warning: Option<String>,
    },
    /// Its interpreter has all that it declares.
    Met {
        /// That it is none of those that the plugin asks for.
        warning: Option<String>,
    },
    /// It has none yet.
    Missing,
}

impl Environments {
    /// Looks at nothing yet. `variables` are what installers inherit.
    pub fn new(settings: Settings, variables: Arc<[Variable]>) -> Self {
        let place = settings.directory;
        let reader = Reader {
            allow_writable: settings.allow_writable,
            variables,
        };
        Self(Arc::new(Shared {
            // Installers run in the plugin's directory, where a relative path leads elsewhere.
            place: place.map(|directory| Place::new(absolute(&directory).join("environments"))),
            waits: settings.waits,
            looks_at_all: settings.looks_at_all,
            maker: Maker::new(reader.clone(), settings.tell),
            reader,
            known: Mutex::default(),
            decided: Notify::new(),
        }))
    }

    /// What runs `plugin` where `chosen` is the interpreter that it would have without an environment, `base` finds the
    /// program behind that, if that is known, and `libraries` a digest of what it imports from. Reads files.
    pub fn standing(
        &self,
        plugin: &Found,
        chosen: &Path,
        base: impl FnOnce(&Path) -> Option<PathBuf>,
        libraries: impl FnOnce(&Path) -> [u8; 32],
    ) -> Standing {
        // Somebody looks after that one.
        if chosen.starts_with(&plugin.directory) {
            return Standing::Plain { warning: None };
        }
        let Reading { declared, warning } = self.0.reader.read(plugin);
        let Some(declared) = declared else {
            return Standing::Plain { warning };
        };
        let Some(base) = base(chosen) else {
            return Standing::Shim;
        };
        let base = absolute(&base);
        let names = names_of(plugin, &base, &declared, &self.0.reader.variables);
        let place = self.0.place.as_ref();
        let mut damaged = None;
        if let Some(place) = place
            && let Some((python, about)) = place.whole(&names.key)
        {
            let environment = python.ancestors().nth(2).unwrap_or(&python);
            let lost = lost(environment, &about.contents, self.0.looks_at_all);
            if lost.is_empty() {
                place.note_user(&names.key, &plugin.directory, &hex(&declared.digest));
                let warning = about.warning;
                return Standing::Own { python, warning };
            }
            damaged = Some((python, lost));
        }
        let note = note_of(&names.key, chosen, plugin, libraries(&base));
        if let Some(warning) = self.met(&note) {
            return Standing::Plain { warning };
        }
        let (earlier, lost) = match damaged {
            Some((python, lost)) => (Some(python), lost),
            None => (
                place.and_then(|place| place.last_of(&names.kin)),
                Vec::new(),
            ),
        };
        Standing::Needed(Box::new(Need {
            question: question_of(&names.key, &base, plugin),
            earlier,
            lost,
            plugin: plugin.clone(),
            base,
            declared,
            names,
            note,
        }))
    }

    /// Whether it is noted that an interpreter has all that is asked for, and what the plugin's author should know.
    fn met(&self, note: &str) -> Option<Option<String>> {
        if let Some(warning) = self.known().met.get(note) {
            return Some(warning.clone());
        }
        self.0.place.as_ref()?.met(note)
    }

    /// Whether answers are waited for, as by commands that run once.
    pub fn waits(&self) -> bool {
        self.0.waits
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Maps are whole at every moment.
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
