//! Environments that are there: told of, given to another declaration, and removed.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::scan::{Found, Program};
use super::declared::{Declared, Reader};
use super::key::{hex, is_environment};
use super::need::{Names, names_of};
use super::packages::doubt;
use super::place::About;
use super::{Environments, State, absolute};

impl Environments {
    /// Keeps the environment of this interpreter from being removed, for as long as somebody has what is returned: `None`
    /// where it is none, or cannot be held. Opens a file.
    pub fn hold(&self, python: &Path) -> Option<Arc<File>> {
        self.known().held.hold(python)
    }

    /// Lets the environment of this interpreter be looked at file by file once: its plugin does not answer with it. Removes
    /// a file.
    pub fn doubt(&self, python: &Path) {
        if let Some(environment) = python.ancestors().nth(2).filter(|_| is_environment(python)) {
            doubt(environment);
        }
    }

    /// What there is for a plugin that can be run as it is: by `python`, where `base` is what it would be run by without
    /// an environment. Reads files.
    pub fn state(
        &self,
        python: Option<&Path>,
        plugin: &Found,
        base: &Path,
        warning: Option<String>,
    ) -> State {
        match python {
            Some(python) if python != base => State::Made {
                python: python.to_owned(),
                warning,
            },
            _ if base.starts_with(&plugin.directory) => State::None { warning },
            _ => match self.0.reader.read(plugin).declared {
                Some(_) => State::Met { warning },
                None => State::None { warning },
            },
        }
    }

    /// Lets `change` write what `plugin` declares, which its environment, made with `base` for it alone, has already:
    /// that is its environment from then on. Reads and writes files.
    ///
    /// # Errors
    /// What cannot be written.
    pub fn redeclare(
        &self,
        plugin: &Found,
        base: &Path,
        change: impl FnOnce() -> Result<(), String>,
    ) -> Result<(), String> {
        let before = self.declared_by(plugin, base);
        change()?;
        let after = self.declared_by(plugin, base);
        if let (Some(place), Some((from, _)), Some((to, declared))) = (&self.0.place, before, after)
            && !place.is_shared(&from.key, &plugin.directory)
        {
            let about = About {
                requirements: declared.lines,
                kin: to.kin,
                ..About::default()
            };
            place.hand_over(&from.key, &to.key, about)?;
        }
        Ok(())
    }

    /// Removes the environment of a plugin that is given up, if no other uses it, and what is left of it if it could not
    /// be made. Returns why that was. Removes files.
    pub fn give_up(&self, plugin: &Found, base: &Path) -> Option<String> {
        let (Names { key, .. }, _) = self.declared_by(plugin, base)?;
        if let Some(place) = self.0.place.as_ref().filter(|place| place.is_there())
            && !place.is_shared(&key, &plugin.directory)
        {
            // The next to make it removes what is left.
            let _ = place.remove(&key);
        }
        let known = self.known();
        let failed = known.failed.last(&key);
        failed.map(|failed| failed.failure.reason.clone())
    }

    fn declared_by(&self, plugin: &Found, base: &Path) -> Option<(Names, Declared)> {
        let declared = self.0.reader.read(plugin).declared?;
        let names = names_of(plugin, &absolute(base), &declared, &self.0.reader.variables);
        Some((names, declared))
    }

    /// Removes the environments that none of `kept` is and that no plugin outside `plugins` uses with what it declares
    /// now. Returns how many, and how many of these were left, because somebody makes or holds them. Reads and removes
    /// files.
    ///
    /// # Errors
    /// What could not be removed.
    pub fn prune(&self, kept: &HashSet<PathBuf>, plugins: &Path) -> Result<(usize, usize), String> {
        let Some(place) = &self.0.place else {
            return Ok((0, 0));
        };
        let plugins = absolute(plugins);
        let reader = Reader {
            allow_writable: true,
            ..self.0.reader.clone()
        };
        let (mut removed, mut left) = (0, 0);
        for environment in place.all() {
            let python = place.interpreter(&environment.key);
            let is_kept = python.is_some_and(|python| {
                kept.contains(&python)
                    || environment.users.iter().any(|(user, declaration)| {
                        user.parent() != Some(plugins.as_path())
                            && declares(&reader, user, declaration)
                    })
            });
            if is_kept {
                // One that had lost something may lie beside the one that has taken its place.
                place.sweep(&environment.key)?;
                continue;
            }
            match place.remove(&environment.key)? {
                true => removed += 1,
                false => left += 1,
            }
        }
        Ok((removed, left))
    }
}

/// Whether the plugin at `directory` is there and declares what it declared then.
fn declares(reader: &Reader, directory: &Path, declaration: &str) -> bool {
    let program = directory.join("cli.py");
    if !program.is_file() {
        return false;
    }
    let found = Found {
        name: String::new(),
        directory: directory.to_owned(),
        program: Program::Python(program),
    };
    let declared = reader.read(&found).declared;
    declared.is_some_and(|declared| hex(&declared.digest) == declaration)
}
