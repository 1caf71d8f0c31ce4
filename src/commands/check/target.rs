//! What `smcp check` is to look at: all plugins of a directory, or one.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use crate::commands::setup::misuse;
use crate::discovery::scan::PROGRAMS;

/// A directory of plugins, and the names of those that are meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    /// Where they are; `None` for the embedded demos.
    pub(super) directory: Option<PathBuf>,
    /// All where it is empty.
    pub(super) only: Vec<String>,
}

impl Target {
    /// What was named: a plugin of the plugins directory, a plugin's directory anywhere or its program, or a directory
    /// of plugins.
    ///
    /// # Errors
    /// There is nothing of this name.
    pub(super) fn of(named: Option<&str>, directory: Option<&Path>) -> anyhow::Result<Self> {
        let Some(named) = named else {
            return Ok(Self {
                directory: directory.map(Path::to_owned),
                only: Vec::new(),
            });
        };
        if named.is_empty() {
            return Err(misuse(anyhow!(
                "an empty name is no plugin; name one, or leave it out to look at all of them"
            )));
        }
        let is_name = !named.contains('/') && !matches!(named, "." | "..");
        if let Some(plugins) = directory.filter(|plugins| is_name && plugins.join(named).is_dir()) {
            return Ok(Self {
                directory: Some(plugins.to_owned()),
                only: vec![named.to_owned()],
            });
        }
        let mut path = Path::new(named);
        let is_program = |path: &Path| {
            let name = path.file_name();
            name.is_some_and(|name| PROGRAMS.iter().any(|program| name == *program))
        };
        if path.is_file() && is_program(path) {
            path = path.parent().unwrap_or(path);
        }
        // An empty path is the working directory.
        let whole = std::path::absolute(if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        });
        let whole = whole.with_context(|| format!("'{named}'"))?;
        let whole: PathBuf = whole.canonicalize().unwrap_or(whole);
        if !whole.is_dir() {
            let place = directory.map_or_else(
                || "there is no plugins directory".to_owned(),
                |directory| format!("{} has no plugin of that name", directory.display()),
            );
            bail!(
                "'{named}' is no directory, and {place}; name a plugin, or a directory of plugins"
            );
        }
        let is_plugin = PROGRAMS
            .iter()
            .any(|name| whole.join(name).symlink_metadata().is_ok());
        let (name, above) = (whole.file_name(), whole.parent());
        Ok(match (is_plugin, name, above) {
            (true, Some(name), Some(above)) => Self {
                only: vec![name.to_string_lossy().into_owned()],
                directory: Some(above.to_owned()),
            },
            _ => Self {
                directory: Some(whole),
                only: Vec::new(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_meant_by_its_name_its_directory_or_its_program() {
        let work = tempfile::tempdir().expect("there is room");
        let plugins = work
            .path()
            .canonicalize()
            .expect("it is there")
            .join("plugins");
        std::fs::create_dir_all(plugins.join("greet")).expect("there is room");
        let program = plugins.join("greet/cli.py");
        std::fs::write(&program, "").expect("there is room");
        let one = Target {
            directory: Some(plugins.clone()),
            only: vec!["greet".to_owned()],
        };
        let text = |path: &Path| path.to_str().expect("it is ASCII").to_owned();
        for named in [
            "greet".to_owned(),
            text(&plugins.join("greet")),
            text(&program),
        ] {
            assert_eq!(Target::of(Some(&named), Some(&plugins)).unwrap(), one);
        }
        let all = Target {
            directory: Some(plugins.clone()),
            only: Vec::new(),
        };
        assert_eq!(Target::of(Some(&text(&plugins)), None).unwrap(), all);
        assert_eq!(Target::of(None, Some(&plugins)).unwrap(), all);
        assert_eq!(Target::of(None, None).unwrap(), Target::default());
        let refused = Target::of(Some("nobody"), Some(&plugins)).unwrap_err();
        assert!(
            refused.to_string().contains("no plugin of that name"),
            "{refused}"
        );
        let unnamed = Target::of(Some(""), Some(&plugins)).unwrap_err();
        assert!(unnamed.to_string().contains("empty name"), "{unnamed}");
    }
}
