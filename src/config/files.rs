//! Which settings files there are, who may write to them, and which of two counts.
//!
//! docs/decisions/0023-settings-files.md says why.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::file::{self, Content, Entries, Entry};
use super::settings::{SYSTEM, by_variable};
use crate::discovery::regular_file::{irregular, read_regular};
use crate::discovery::writable::has_no_modes;

/// What the file among the plugins is called.
const NAME: &str = "smcp.toml";
/// More than any such file has, in bytes.
const MAX_BYTES: u64 = 256 << 10;
/// Permissions of others that let them change the file …
const WRITE_FOR_ALL: u32 = 0o002;
/// … and those that a file with a secret in it must not give.
const NO_SECRET: u32 = 0o026;

/// Where settings files may be.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// The file that `--config` names. No other one is read then.
    pub named: Option<PathBuf>,
    /// The file of this machine, in [`SYSTEM`].
    pub system: Option<PathBuf>,
    /// The directory of the plugins.
    pub plugins: Option<PathBuf>,
}

impl Places {
    /// Whether there may be a file, now or later.
    pub fn are_any(&self) -> bool {
        self.named.is_some() || self.system.is_some() || self.plugins.is_some()
    }
}

/// What all files say together.
#[derive(Debug, Default)]
pub struct Found {
    /// The settings; of two lines about one setting, the one that counts.
    pub entries: Entries,
    /// The files that were read, the one that counts most at the end.
    pub files: Vec<Arc<Path>>,
    /// What is wrong with them.
    pub faults: Vec<String>,
}

impl Found {
    /// Reads a file that may be there. What it sets counts more than what was found so far.
    fn add(&mut self, path: &Path, role: Role<'_>) {
        match read(path, role) {
            Ok(None) => {}
            Ok(Some((file, content))) => {
                self.files.push(file);
                self.entries.extend(content.entries);
                self.faults.extend(content.faults);
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    /// The file that `--config` names, or that of this machine.
    pub fn of_operator(places: &Places) -> Self {
        let mut found = Self::default();
        match (&places.named, &places.system) {
            (Some(named), _) => found.add(named, Role::Named),
            (None, Some(system)) => found.add(system, Role::System),
            (None, None) => {}
        }
        found
    }

    /// The file among the plugins, where none was named.
    pub fn add_plugins(&mut self, places: &Places) {
        if let (None, Some(directory)) = (&places.named, &places.plugins) {
            self.add(&directory.join(NAME), Role::Plugins(directory));
        }
    }
}

/// What a file is there for.
#[derive(Debug, Clone, Copy)]
enum Role<'a> {
    Named,
    System,
    /// It lies in this directory of plugins.
    Plugins(&'a Path),
}

/// `None` where there is none.
fn read(path: &Path, role: Role<'_>) -> Result<Option<(Arc<Path>, Content)>, String> {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let shown = whole.display();
    let about = match std::fs::metadata(&whole) {
        Ok(about) => about,
        Err(error) => {
            return match (role, error.kind()) {
                (Role::Named, ErrorKind::NotFound) => Err(format!(
                    "--config: '{shown}' is not there; create the file or correct the name"
                )),
                (Role::Named, _) => Err(format!("--config: '{shown}' cannot be read ({error})")),
                // Plugins that cannot be looked at are a fault of their own.
                (Role::Plugins(_), _) | (Role::System, ErrorKind::NotADirectory) => Ok(None),
                (Role::System, ErrorKind::NotFound) if !whole.is_symlink() => Ok(None),
                // What it may say counts: a server must not be open because nobody could read that it is closed.
                (Role::System, _) => Err(format!(
                    "{shown} cannot be looked for ({error}); let the user that smcp runs as into its directory: chmod 755; --config /dev/null reads no file"
                )),
            };
        }
    };
    let file: Arc<Path> = Arc::from(whole.as_path());
    if whole == Path::new("/dev/null") {
        return Ok(Some((file, Content::default())));
    }
    if let Some(what) = irregular(&about) {
        return Err(format!("{shown} is {what}; settings are read from a file"));
    }
    may_be_trusted(&whole, &about, role)?;
    let bytes = read_regular(&whole, MAX_BYTES + 1).map_err(|error| {
        format!("{shown} cannot be read ({error}); let the user that smcp runs as read it")
    })?;
    if bytes.len() as u64 > MAX_BYTES {
        let most = MAX_BYTES >> 10;
        return Err(format!(
            "{shown} is larger than {most} KiB, which no settings are"
        ));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| format!("{shown} is not valid UTF-8, as TOML has to be"))?;
    let content = file::parse(&text, &file, matches!(role, Role::Plugins(_)));
    let mode = about.permissions().mode() & 0o777;
    if file::has_secret(&content.entries) && mode & NO_SECRET != 0 && !has_no_modes(&about) {
        return Err(format!(
            "{shown} has a secret in it, and others can read or change the file (mode {mode:o}); chmod 600, or 640 with a group of its own, or name a file with the secret instead (api_keys_file, letta_server_password_file)"
        ));
    }
    Ok(Some((file, content)))
}

/// Whoever can write a settings file decides how this server runs.
fn may_be_trusted(path: &Path, about: &Metadata, role: Role<'_>) -> Result<(), String> {
    let shown = path.display();
    let is_open = |about: &Metadata| about.permissions().mode() & WRITE_FOR_ALL != 0;
    if is_open(about) && !has_no_modes(about) {
        return Err(format!(
            "{shown} can be changed by every user of this machine; chmod o-w {shown}"
        ));
    }
    let Role::Plugins(directory) = role else {
        return Ok(());
    };
    let home = std::fs::metadata(directory)
        .map_err(|error| format!("{} cannot be read ({error})", directory.display()))?;
    if is_open(&home) && !has_no_modes(&home) {
        return Err(format!(
            "{shown} is not used, for every user of this machine can put another file there; chmod o-w {}, or move it to {SYSTEM}",
            directory.display()
        ));
    }
    let trusted = [0, rustix::process::geteuid().as_raw(), home.uid()];
    if !trusted.contains(&about.uid()) {
        return Err(format!(
            "{shown} belongs to user {}, and neither to root, nor to the user that smcp runs as, nor to the owner of the directory; chown it to one of them, or remove it",
            about.uid()
        ));
    }
    Ok(())
}

/// The settings files as they were at the start, so that they can be read again.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// Where they are.
    pub places: Places,
    /// What they said at the start.
    pub entries: Entries,
    /// The settings that are given otherwise, whatever a file says.
    pub overridden: BTreeSet<&'static str>,
}

impl Watched {
    /// What the files say now.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn read_again(&self) -> Result<Entries, String> {
        let mut found = Found::of_operator(&self.places);
        found.add_plugins(&self.places);
        match found.faults.is_empty() {
            true => Ok(found.entries),
            false => Err(found.faults.join("; ")),
        }
    }

    /// Those settings that have another value `now` and count from the next start on, one line each.
    pub fn waiting_for_a_start(&self, now: &Entries, at_once: &[&str]) -> Vec<String> {
        let names: BTreeSet<_> = self.entries.keys().chain(now.keys()).copied().collect();
        let differs = |name: &&str| {
            let value = |entries: &Entries| entries.get(name).map(|entry| entry.value.clone());
            !at_once.contains(name)
                && !self.overridden.contains(name)
                && value(&self.entries) != value(now)
        };
        let key = |name: &str| by_variable(name).map(|setting| setting.key());
        names
            .into_iter()
            .filter(differs)
            .map(|name| {
                let key = key(name).unwrap_or_default();
                match now.get(name) {
                    Some(Entry { line, .. }) => {
                        format!("{line}: {key} has changed and counts from the next start on")
                    }
                    None => {
                        format!("{key} is in no file any more, which counts from the next start on")
                    }
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
