//! What a plugin's answer depends on, as far as looking tells, as one digest.
//!
//! Nothing is run and no file of a plugin is opened: names, sizes, times and inode numbers are what counts.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sha2::{Digest, Sha256};

use super::super::environments::behind::{BEHIND, directory_in};
use super::super::interpreter::is_script;
use super::super::question::Asker;
use super::super::regular_file::read_regular;
use super::super::scan::{Found, Program};
use super::files::{Blind, Files, is_text, stat_of};
use crate::contract::environment::Variable;

/// The form of what is kept. Another one makes everything that was kept unknown.
const FORMAT: &str = "smcp description 1";

/// How much is read of the file that names them, in bytes.
const MAX_BEHIND: u64 = 64 << 10;

/// Variables that differ from one start or terminal to the next and say nothing of the work.
const PASSING: [&str; 11] = [
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "MANAGERPID",
    "OLDPWD",
    "SHLVL",
    "SSH_CLIENT",
    "SSH_TTY",
    "SYSTEMD_EXEC_PID",
    "TERM_SESSION_ID",
    "WINDOWID",
    "_",
];

/// The digest of all that an answer depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What was seen of a plugin at one look, to be held against another look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    whole: Result<Whole, Blind>,
    /// The digest of the facts of its program, which are known also where the rest is not.
    program: [u8; 32],
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Whole {
    fingerprint: Fingerprint,
    /// The digest of the facts of the texts of programs.
    texts: [u8; 32],
}

/// A look at a plugin.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// What was seen.
    pub sight: Sight,
    /// The directories that were looked into, those of the packages included that are the plugin's own.
    pub directories: Vec<PathBuf>,
}

/// What is another than at an earlier look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Difference {
    /// Nothing.
    None,
    /// The program, or another text of one: somebody works on the plugin.
    Texts,
    /// Something else that its answer may depend on.
    Else,
    /// It cannot be told yet.
    Unclear,
}

impl Sight {
    /// One that is told apart from others by this number alone.
    #[cfg(test)]
    pub fn numbered(number: u8) -> Self {
        Self {
            whole: Ok(Whole {
                fingerprint: Fingerprint(number.to_string()),
                texts: [number; 32],
            }),
            program: [0; 32],
        }
    }

    /// What the plugin's answer depends on. `None` where looking cannot tell whether it is still the same later: for
    /// a directory that is too large or that cannot be read, and for files that were written a moment ago on a file
    /// system that knows no fractions of a second.
    pub fn fingerprint(&self) -> Option<&Fingerprint> {
        let whole = self.whole.as_ref().ok();
        whole.map(|whole| &whole.fingerprint)
    }

    /// What is another than it was `before`. Of a plugin that cannot be seen whole, the program counts alone.
    pub fn difference(&self, before: &Self) -> Difference {
        if self.program != before.program {
            return Difference::Texts;
        }
        match (&self.whole, &before.whole) {
            (Ok(now), Ok(before)) if now.fingerprint == before.fingerprint => Difference::None,
            (Ok(now), Ok(before)) if now.texts != before.texts => Difference::Texts,
            (Err(Blind::Unsettled), _) => Difference::Unclear,
            (Err(Blind::Unseen), Err(_)) => Difference::None,
            (Ok(_) | Err(Blind::Unseen), _) => Difference::Else,
        }
    }
}

/// What an interpreter imports from.
#[derive(Debug)]
struct Libraries {
    digest: [u8; 32],
    directories: Vec<PathBuf>,
}

/// What the answers of all plugins depend on that are asked at one time. Each of it is looked at once.
#[derive(Debug)]
pub struct Surroundings {
    asker: Asker,
    /// Fed with what is the same for all plugins.
    common: Sha256,
    /// The environment of plugins that do not hold the reserved variables, and of those that do.
    environments: [OnceLock<[u8; 32]>; 2],
    interpreters: Mutex<HashMap<PathBuf, Arc<Libraries>>>,
}

impl Surroundings {
    /// Of plugins that `asker` asks. Looks at this program's file.
    pub fn new(asker: &Asker) -> Self {
        let mut common = Sha256::new();
        feed(&mut common, FORMAT);
        feed(&mut common, env!("CARGO_PKG_VERSION"));
        // Builds of one version differ too, for those who work on it.
        let own = std::env::current_exe().and_then(std::fs::metadata);
        if let Ok(own) = own {
            feed_numbers(&mut common, &[own.size().cast_signed(), own.mtime()]);
        }
        // Programs are asked in the server's working directory.
        feed(&mut common, std::env::current_dir().unwrap_or_default());
        Self {
            asker: asker.clone(),
            common,
            environments: Default::default(),
            interpreters: Mutex::default(),
        }
    }

    /// Looks at `plugin`, which `interpreter` runs.
    pub fn sight(&self, plugin: &Found, interpreter: Option<&Path>) -> Sighting {
        let mut digest = self.common.clone();
        let (Program::Python(program) | Program::Executable(program)) = &plugin.program;
        for text in [plugin.name.as_ref(), plugin.directory.as_os_str()] {
            feed(&mut digest, text);
        }
        feed(&mut digest, program);
        digest.update(self.environment(&plugin.directory));
        let mut directories = Vec::new();
        if let Some(interpreter) = interpreter {
            let libraries = self.interpreter(interpreter);
            digest.update(libraries.digest);
            let own = libraries.directories.iter();
            directories.extend(
                own.filter(|path| path.starts_with(&plugin.directory))
                    .cloned(),
            );
        }
        let mut files = Files::default();
        let looked = files.look(&plugin.directory);
        directories.append(&mut files.directories);
        let whole = looked.map(|()| {
            let mut texts = Sha256::new();
            for (name, stat) in &files.found {
                feed(&mut digest, name);
                feed_numbers(&mut digest, stat);
                if is_text(name) {
                    feed(&mut texts, name);
                    feed_numbers(&mut texts, stat);
                }
            }
            Whole {
                fingerprint: Fingerprint(hex(&digest.finalize())),
                texts: texts.finalize().into(),
            }
        });
        let mut own = Sha256::new();
        feed(&mut own, program);
        if let Ok(metadata) = std::fs::metadata(program) {
            feed_numbers(&mut own, &stat_of(&metadata));
        }
        Sighting {
            sight: Sight {
                whole,
                program: own.finalize().into(),
            },
            directories,
        }
    }

    /// A digest of what `interpreter` imports from, as far as looking tells.
    pub fn libraries_of(&self, interpreter: &Path) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(self.interpreter(interpreter).digest);
        let inherited = self.asker.environment.inherited();
        let steering = inherited.iter();
        let steering = steering.filter(|(name, _)| name.as_bytes().starts_with(b"PYTHON"));
        let mut steering: Vec<Variable> = steering.cloned().collect();
        steering.sort_unstable();
        for (name, value) in &steering {
            feed(&mut digest, name);
            feed(&mut digest, value);
        }
        for directory in library_path(&steering) {
            feed_directory(&mut digest, &directory);
        }
        digest.finalize().into()
    }

    /// Secrets are among the values; nothing but their digest, mixed with all the rest, leaves this file.
    fn environment(&self, directory: &Path) -> &[u8; 32] {
        let environment = &self.asker.environment;
        let place = usize::from(environment.reaches_reserved(directory));
        self.environments[place].get_or_init(|| {
            let mut variables = environment.of_question(directory, &self.asker.variables);
            variables.retain(|(name, _)| counts(name));
            variables.sort_unstable();
            let mut digest = Sha256::new();
            for (name, value) in &variables {
                feed(&mut digest, name);
                feed(&mut digest, value);
            }
            for directory in library_path(&variables) {
                feed_directory(&mut digest, &directory);
            }
            digest.finalize().into()
        })
    }

    fn interpreter(&self, path: &Path) -> Arc<Libraries> {
        let mut known = self
            .interpreters
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let looked = known
            .entry(path.to_owned())
            .or_insert_with(|| Arc::new(self.look_at_interpreter(path)));
        Arc::clone(looked)
    }

    fn look_at_interpreter(&self, path: &Path) -> Libraries {
        let mut digest = Sha256::new();
        let mut directories = Vec::new();
        feed(&mut digest, path);
        if let Ok(metadata) = std::fs::metadata(path) {
            feed_numbers(&mut digest, &stat_of(&metadata));
        }
        // What is behind a shim is not known by looking.
        if !is_script(path) {
            let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
            feed(&mut digest, &real);
            let home = self
                .asker
                .environment
                .inherited()
                .iter()
                .find(|(name, _)| name == "HOME")
                .map(|(_, home)| Path::new(home).join(".local"));
            // A virtual environment's prefix is that of the path, its base that of the real file.
            let prefixes = [path, &real].map(|path| path.ancestors().nth(2).map(Path::to_owned));
            let prefixes: HashSet<PathBuf> = prefixes.into_iter().chain([home]).flatten().collect();
            let mut prefixes: Vec<_> = prefixes.into_iter().collect();
            prefixes.sort_unstable();
            for prefix in prefixes {
                feed_directory(&mut digest, &prefix.join("pyvenv.cfg"));
                for libraries in libraries(&prefix) {
                    feed_directory(&mut digest, &libraries);
                    for behind in behind(&libraries) {
                        feed_directory(&mut digest, &behind);
                    }
                    directories.push(libraries);
                }
            }
        }
        Libraries {
            digest: digest.finalize().into(),
            directories,
        }
    }
}

/// Where installed packages may be below `prefix`, such as `lib/python3.11/site-packages`.
fn libraries(prefix: &Path) -> Vec<PathBuf> {
    let places = ["lib", "lib64", "local/lib"].map(|lib| prefix.join(lib));
    let versions = places.iter().filter_map(|lib| std::fs::read_dir(lib).ok());
    let names = versions.flatten().flatten().filter(|entry| {
        let name = entry.file_name();
        let name = name.as_bytes();
        name.starts_with(b"python") || name.starts_with(b"pypy")
    });
    let mut found: Vec<PathBuf> = names
        .flat_map(|entry| ["site-packages", "dist-packages"].map(|kind| entry.path().join(kind)))
        .collect();
    found.sort_unstable();
    found
}

/// The directories of the packages that stand behind those of an environment, where these are one's.
fn behind(libraries: &Path) -> Vec<PathBuf> {
    let text = read_regular(&libraries.join(BEHIND), MAX_BEHIND).unwrap_or_default();
    let text = String::from_utf8(text).unwrap_or_default();
    text.lines().filter_map(directory_in).collect()
}

/// The directories of `PYTHONPATH`.
fn library_path(variables: &[Variable]) -> Vec<PathBuf> {
    let path = variables.iter().find(|(name, _)| name == "PYTHONPATH");
    let path = path.map(|(_, value)| std::env::split_paths(value));
    path.into_iter().flatten().collect()
}

/// Whether a variable of the question is no matter of this start alone. The plugin's own directory is in the
/// fingerprint anyway.
fn counts(name: &OsString) -> bool {
    name != "SMCP_PLUGIN_DIR" && name != "PWD" && PASSING.iter().all(|passing| name != passing)
}

/// The length stands before each text, so that no two rows of texts are fed alike.
fn feed(digest: &mut Sha256, text: impl AsRef<OsStr>) {
    let bytes = text.as_ref().as_bytes();
    digest.update((bytes.len() as u64).to_le_bytes());
    digest.update(bytes);
}

fn feed_numbers(digest: &mut Sha256, numbers: &[i64]) {
    for number in numbers {
        digest.update(number.to_le_bytes());
    }
}

/// A place and when its entries changed last, if it is there.
fn feed_directory(digest: &mut Sha256, path: &Path) {
    if let Ok(metadata) = std::fs::metadata(path) {
        feed(digest, path);
        let times = [metadata.mtime(), metadata.mtime_nsec()];
        feed_numbers(digest, &times);
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15].map(|half| char::from(DIGITS[usize::from(half)])));
    digits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_texts_are_fed_apart() {
        let of = |texts: &[&str]| {
            let mut digest = Sha256::new();
            texts.iter().for_each(|text| feed(&mut digest, text));
            hex(&digest.finalize())
        };
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
        assert_eq!(of(&[]).len(), 64);
    }
    #[test]
    fn what_differs_is_told_from_what_cannot_be_told() {
        let sight = |program: u8, whole: Result<(&str, u8), Blind>| Sight {
            program: [program; 32],
            whole: whole.map(|(fingerprint, texts)| Whole {
                fingerprint: Fingerprint(fingerprint.to_owned()),
                texts: [texts; 32],
            }),
        };
        let before = sight(0, Ok(("a", 0)));
        let unseen = sight(0, Err(Blind::Unseen));
        let unsettled = sight(0, Err(Blind::Unsettled));
        for (now, before, difference) in [
            (&before, &before, Difference::None),
            (&sight(0, Ok(("b", 0))), &before, Difference::Else),
            (&sight(0, Ok(("b", 1))), &before, Difference::Texts),
            (&sight(1, Ok(("b", 0))), &before, Difference::Texts),
            (&unsettled, &before, Difference::Unclear),
            (&unseen, &before, Difference::Else),
            (&unseen, &unseen, Difference::None),
            (&before, &unseen, Difference::Else),
            (&before, &unsettled, Difference::Else),
            (&sight(1, Err(Blind::Unsettled)), &before, Difference::Texts),
            (&sight(1, Err(Blind::Unseen)), &unseen, Difference::Texts),
        ] {
            assert_eq!(now.difference(before), difference, "{now:?} {before:?}");
        }
    }
}
