//! The plugin directories, found by looking: nothing is run here.

use std::fs::DirEntry;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::regular_file::irregular;
use super::unserved::Unserved;
use super::writable::WriteGuard;
use crate::text::shown;

/// What a plugin's program is called: in Python, or in any language where there is none.
pub const PROGRAMS: [&str; 2] = ["cli.py", "cli"];

/// A directory with a program in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The directory's name: the namespace of its tools.
    pub name: String,
    /// Its path.
    pub directory: PathBuf,
    /// Its program.
    pub program: Program,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A `cli.py`, for an interpreter.
    Python(PathBuf),
    /// An executable `cli`.
    Executable(PathBuf),
}

/// What a look at the plugins directory gave, sorted by name.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Look {
    /// The plugins.
    pub found: Vec<Found>,
    /// What is no plugin, by name, and why.
    pub rejected: Vec<(String, Unserved)>,
    /// What is served although it should not be as it is.
    pub warnings: Vec<String>,
}

/// Looks at every subdirectory of `plugins`. Opens no program: what only looks like one may never answer. With
/// `allow_writable`, what anybody may write to is served with a warning.
///
/// # Errors
/// Why nothing can be said of any plugin.
pub fn look(plugins: &Path, allow_writable: bool) -> Result<Look, Unserved> {
    let mut look = Look::default();
    let mut guard = WriteGuard::new(allow_writable);
    for (name, path) in subdirectories(plugins, &mut guard)? {
        match plugin(&name, path, &mut guard) {
            Ok(Some(found)) => look.found.push(found),
            Ok(None) => {}
            Err(reason) => look.rejected.push((shown(&name, 100), reason)),
        }
    }
    look.warnings.extend(guard.warning());
    Ok(look)
}

fn subdirectories(
    plugins: &Path,
    guard: &mut WriteGuard,
) -> Result<Vec<(String, PathBuf)>, Unserved> {
    let unreadable = |fault| Unserved::of_system("the plugins directory cannot be read", &fault);
    let metadata = std::fs::metadata(plugins).map_err(|fault| match unreadable(fault) {
        Unserved::Plugin(text) | Unserved::Contract(text) => {
            Unserved::Plugin(format!("{text}; set MCP_PLUGINS_DIR to one that can"))
        }
        passing => passing,
    })?;
    if !metadata.is_dir() {
        let text = "the plugins directory is no directory; set MCP_PLUGINS_DIR to one";
        return Err(Unserved::Plugin(text.to_owned()));
    }
    guard.check(plugins, &metadata)?;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(plugins).map_err(unreadable)? {
        names.extend(place(&entry.map_err(unreadable)?));
    }
    names.sort();
    Ok(names)
}

/// The name and the path of what may be a plugin, or become one.
fn place(entry: &DirEntry) -> Option<(String, PathBuf)> {
    let name = entry.file_name().to_string_lossy().into_owned();
    let is_place = !name.starts_with('.') && name != "__pycache__";
    is_place.then(|| (name, entry.path()))
}

/// Everything in `plugins` that may be a plugin or become one, as far as its name tells. Nothing where it cannot be
/// read.
pub fn places(plugins: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(plugins).into_iter().flatten().flatten();
    let places = entries.filter_map(|entry| place(&entry));
    places.map(|(_, path)| path).collect()
}

/// The plugin at `path`; `None` for what does not look like one.
fn plugin(name: &str, path: PathBuf, guard: &mut WriteGuard) -> Result<Option<Found>, Unserved> {
    let metadata = match std::fs::metadata(&path) {
        Ok(metadata) => metadata,
        Err(fault) if path.is_symlink() => {
            return Err(Unserved::of_system("its link leads nowhere", &fault));
        }
        Err(fault) => return Err(Unserved::of_system("it cannot be looked at", &fault)),
    };
    if !metadata.is_dir() {
        return Ok(None);
    }
    let Some(program) = program(&path, guard)? else {
        return Ok(None);
    };
    check_name(name)?;
    guard.check(&path, &metadata)?;
    Ok(Some(Found {
        name: name.to_owned(),
        directory: path,
        program,
    }))
}

fn program(directory: &Path, guard: &mut WriteGuard) -> Result<Option<Program>, Unserved> {
    let [python, executable] = PROGRAMS.map(|name| directory.join(name));
    if exists(&python) {
        check_file(
            &python,
            Access::READ_OK,
            "is not readable; chmod +r it",
            guard,
        )?;
        return Ok(Some(Program::Python(python)));
    }
    if exists(&executable) {
        check_file(
            &executable,
            Access::EXEC_OK,
            "is not executable; chmod +x it",
            guard,
        )?;
        return Ok(Some(Program::Executable(executable)));
    }
    // Without the right to search it, nothing can be said of what is in it.
    match std::fs::metadata(directory.join(".")) {
        Err(fault) if fault.kind() == io::ErrorKind::PermissionDenied => {
            Err(Unserved::of_system("its directory cannot be read", &fault))
        }
        _ => match MISNAMED.iter().find(|name| exists(&directory.join(name))) {
            Some(name) => Err(Unserved::Plugin(format!(
                "it has a {name} and no cli.py, which is the program that smcp runs; rename it, or: ln -s {name} cli.py"
            ))),
            None => Ok(None),
        },
    }
}

/// Names that programs often have elsewhere: a directory with one of them was most likely meant to be a plugin.
const MISNAMED: [&str; 2] = ["main.py", "__main__.py"];

fn exists(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok()
}

fn check_file(
    path: &Path,
    access: Access,
    otherwise: &str,
    guard: &mut WriteGuard,
) -> Result<(), Unserved> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let metadata = std::fs::metadata(path)
        .map_err(|fault| Unserved::of_system(&format!("its {name} cannot be looked at"), &fault))?;
    if let Some(kind) = irregular(&metadata) {
        return Err(Unserved::Plugin(format!("its {name} is {kind}")));
    }
    if rustix::fs::access(path, access).is_err() {
        return Err(Unserved::Plugin(format!("its {name} {otherwise}")));
    }
    guard.check(path, &metadata)
}

fn check_name(name: &str) -> Result<(), Unserved> {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    if !name.chars().all(allowed) {
        let text = "its name has characters other than a-z, A-Z, 0-9, '_', '-' and '.', which tool names cannot have; rename the directory";
        return Err(Unserved::Plugin(text.to_owned()));
    }
    if name.starts_with('-') {
        let text = "its name begins with '-'; rename the directory";
        return Err(Unserved::Plugin(text.to_owned()));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
