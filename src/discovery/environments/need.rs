//! What one plugin needs, and the names under which that is found again.

use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::super::regular_file::read_regular;
use super::super::scan::Found;
use super::declared::Declared;
use super::key::{KEY_LENGTH, feed, hex};
use crate::contract::environment::Variable;
use crate::text::{shown, without_secrets};

/// The form of keys. Another one makes all environments unknown.
const FORMAT: &str = "smcp environment 1";

/// How much is read of what a virtual environment says of itself, in bytes.
const MAX_ABOUT: u64 = 64 << 10;

/// What has to be prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    pub(super) plugin: Found,
    pub(super) base: PathBuf,
    pub(super) declared: Declared,
    pub(super) names: Names,
    /// The name of the note that all is met.
    pub(super) note: String,
    /// The name of the question what the interpreter lacks: what is asked under one name has one answer.
    pub(super) question: String,
    /// The interpreter of the environment that was made before this one was changed, or of the one that is damaged.
    pub(super) earlier: Option<PathBuf>,
    /// What the environment has lost that is there; nothing where there is none.
    pub(super) lost: Vec<String>,
}

/// The names of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// Its own.
    pub(super) key: String,
    /// The name that it has in common with those that were made while another file lay where its interpreter lies.
    pub(super) kin: String,
}

impl Need {
    /// The name of the environment.
    pub fn key(&self) -> &str {
        &self.names.key
    }

    /// The interpreter of an environment that was made for the same declaration before the interpreter was changed: an
    /// upgrade seldom ends what worked. Or of the environment itself that has lost something.
    pub fn earlier(&self) -> Option<&Path> {
        self.earlier.as_deref()
    }

    /// Whether its environment is there, and has lost something.
    pub fn is_damaged(&self) -> bool {
        !self.lost.is_empty()
    }

    /// The interpreter of that, if it has.
    pub(super) fn damaged(&self) -> Option<&Path> {
        self.earlier().filter(|_| self.is_damaged())
    }

    /// Why another environment is needed than the earlier one.
    pub fn why_anew(&self) -> String {
        match self.is_damaged() {
            true => format!("its environment has lost {}", in_short(&self.lost)),
            false => "its environment was made before its interpreter was changed".to_owned(),
        }
    }

    /// What is said where this interpreter of `version` is none of those that the plugin asks for.
    pub(super) fn unfit(&self, version: &str) -> Option<String> {
        let python = self.declared.python.as_ref()?;
        Some(format!(
            "its {} asks for Python {}, and {} is {version}; set MCP_PYTHON to one that fits, or make a .venv with one in \
             the plugin's directory",
            python.file,
            shown(&python.specifier, 60),
            self.base.display()
        ))
    }
}

/// The names of the environment for what `plugin` declares, made with `base` by programs that inherit `variables`. All
/// that is written into it belongs to its name.
pub(super) fn names_of(
    plugin: &Found,
    base: &Path,
    declared: &Declared,
    variables: &[Variable],
) -> Names {
    let mut digest = Sha256::new();
    feed(&mut digest, FORMAT.as_bytes());
    feed(&mut digest, declared.file.as_bytes());
    feed(&mut digest, &declared.digest);
    if let Some(values) = &declared.named.digest {
        feed(&mut digest, values);
    }
    // What a relative path means depends on where it stands.
    if declared.is_relative {
        feed(&mut digest, plugin.directory.as_os_str().as_bytes());
    }
    // Two virtual environments of one Python have packages of their own.
    feed(&mut digest, base.as_os_str().as_bytes());
    let real = base.canonicalize().unwrap_or_else(|_| base.to_owned());
    feed(&mut digest, real.as_os_str().as_bytes());
    let kin = hex(&digest.clone().finalize())[..KEY_LENGTH].to_owned();
    if let Ok(metadata) = std::fs::metadata(&real) {
        for number in [metadata.size().cast_signed(), metadata.mtime()] {
            feed(&mut digest, &number.to_le_bytes());
        }
    }
    for steering in behind(base, variables) {
        feed(&mut digest, &steering);
    }
    Names {
        key: hex(&digest.finalize())[..KEY_LENGTH].to_owned(),
        kin,
    }
}

/// What decides which directories of packages `base` has, besides its path, as far as looking tells: what its virtual
/// environment says of itself, and the packages that the user has installed for all interpreters, where there are any.
fn behind(base: &Path, variables: &[Variable]) -> Vec<Vec<u8>> {
    let variable = |name: &str| {
        let found = variables.iter().find(|(known, _)| known == name);
        found
            .map(|(_, value)| value)
            .filter(|value| !value.is_empty())
    };
    let mut steering = Vec::new();
    if let Some(prefix) = base.ancestors().nth(2)
        && let Ok(text) = read_regular(&prefix.join("pyvenv.cfg"), MAX_ABOUT)
    {
        steering.push(text);
    }
    if variable("PYTHONNOUSERSITE").is_none() {
        let own = variable("PYTHONUSERBASE").map(PathBuf::from);
        let own = own.or_else(|| Some(Path::new(variable("HOME")?).join(".local")));
        let mut installed: Vec<PathBuf> = own
            .and_then(|own| std::fs::read_dir(own.join("lib")).ok())
            .into_iter()
            .flatten()
            .flatten()
            .map(|version| version.path().join("site-packages"))
            .filter(|packages| packages.is_dir())
            .collect();
        installed.sort_unstable();
        let paths = installed.into_iter();
        steering.extend(paths.map(|path| path.into_os_string().into_vec()));
    }
    steering
}

/// The name of the question what `base` lacks of what `key` stands for. Packages beside the program count, so a plugin
/// that has some is asked for alone. Reads a directory.
pub(super) fn question_of(key: &str, base: &Path, plugin: &Found) -> String {
    const PACKAGES: [&str; 3] = [".dist-info", ".egg", ".egg-info"];
    let entries = std::fs::read_dir(&plugin.directory)
        .into_iter()
        .flatten()
        .flatten();
    let mut names = entries.map(|entry| entry.file_name());
    let has_packages = names.any(|name| {
        let name = name.to_string_lossy();
        PACKAGES.iter().any(|ending| name.ends_with(ending))
    });
    let mut digest = Sha256::new();
    digest.update(key.as_bytes());
    digest.update(base.as_os_str().as_bytes());
    if has_packages {
        digest.update([0]);
        digest.update(plugin.directory.as_os_str().as_bytes());
    }
    hex(&digest.finalize())
}

/// The name of the note that `chosen` has what `key` stands for, while it imports from `libraries`.
pub(super) fn note_of(key: &str, chosen: &Path, plugin: &Found, libraries: [u8; 32]) -> String {
    let mut digest = Sha256::new();
    for bytes in [
        key.as_bytes(),
        &[0],
        chosen.as_os_str().as_bytes(),
        &[0],
        plugin.directory.as_os_str().as_bytes(),
        &[0],
        &libraries,
    ] {
        digest.update(bytes);
    }
    hex(&digest.finalize())
}

/// The first few of them.
pub(super) fn in_short(lines: &[String]) -> String {
    const NAMED: usize = 4;
    let first: Vec<String> = lines
        .iter()
        .take(NAMED)
        .map(|line| shown(&without_secrets(line), 60))
        .collect();
    match lines.len() {
        all if all > NAMED => format!("{} and {} more", first.join(", "), all - NAMED),
        _ => first.join(", "),
    }
}
