//! What a plugin says that it needs: in its script, its `requirements.txt` or its `pyproject.toml`. Installs nothing.
//!
//! A plugin of an earlier time may have files of these names that were never meant for the server. What cannot be read
//! therefore declares nothing, and a warning says so.

mod local;
mod requirements;
mod variables;

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use toml_edit::{DocumentMut, Item};

pub use self::variables::Named;
use self::variables::Values;
use super::super::regular_file::read_regular;
use super::super::scan::{Found, Program};
use super::super::writable::WriteGuard;
use super::key::feed;
use super::script::{self, text, texts};
use crate::contract::environment::Variable;

/// How much one file may have, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// How many lines are looked at.
const MAX_LINES: usize = 10_000;

/// The program of a plugin.
const PROGRAM: &str = "cli.py";

/// The file of projects.
const PROJECT: &str = "pyproject.toml";

/// What a plugin needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The file that says it, by its name in the plugin's directory.
    pub file: &'static str,
    /// The file that an installer reads by itself; `None` where it is given the lines.
    pub read_by_installer: Option<PathBuf>,
    /// Each requirement as it was written, for people.
    pub lines: Vec<String>,
    /// The same as installers understand them: with the values of the variables that they name. Secrets may be among
    /// them.
    pub asked: Vec<String>,
    /// The versions of Python that it asks for.
    pub python: Option<Versions>,
    /// Whether it means something else in another directory.
    pub is_relative: bool,
    /// The digest of all of it, other files that it takes in included, without the values of variables.
    pub digest: [u8; 32],
    /// These variables.
    pub named: Named,
}

/// The versions of Python that a plugin asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// The file that says it, by its name in the plugin's directory.
    pub file: &'static str,
    /// What it says, such as `>=3.10`.
    pub specifier: String,
}

/// What a look for a declaration gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// The declaration, if there is one that asks for anything.
    pub declared: Option<Declared>,
    /// Why what is there cannot be used.
    pub warning: Option<String>,
}

/// Reads declarations.
#[derive(Debug, Clone)]
pub struct Reader {
    /// `MCP_ALLOW_WRITABLE_PLUGINS`.
    pub allow_writable: bool,
    /// What installers find in their environment: lines may name it.
    pub variables: Arc<[Variable]>,
}

/// What a project says.
#[derive(Default)]
struct Project {
    requirements: Vec<String>,
    python: Option<String>,
}

impl Reader {
    /// What the plugin declares: its script, or else its `requirements.txt`, or else its `pyproject.toml`; and of the
    /// versions of Python what its script says, or else its `pyproject.toml`. Reads files.
    pub fn read(&self, plugin: &Found) -> Reading {
        let Program::Python(program) = &plugin.program else {
            return Reading::default();
        };
        let script = read_regular(program, MAX_FILE).unwrap_or_default();
        let script = script::read(&script);
        let project = self.project(&plugin.directory);
        let python = versions(
            script.as_ref().ok().and_then(|said| said.python.clone()),
            project.as_ref().ok().and_then(|said| said.python.clone()),
        );
        let read = script
            .map(|said| self.listed(PROGRAM, said.dependencies))
            .transpose()
            .or_else(|| self.of_requirements(&plugin.directory).transpose())
            .or_else(|| {
                let listed = project.map(|said| self.listed(PROJECT, said.requirements));
                listed.transpose()
            });
        match (read, python) {
            (None, None) => Reading::default(),
            (None, Some(python)) => Reading {
                declared: Some(Declared::of_versions(python)),
                warning: None,
            },
            (Some(Ok(declared)), python) => Reading {
                declared: Some(declared.for_versions(python)),
                warning: None,
            },
            (Some(Err(fault)), _) => Reading {
                declared: None,
                warning: Some(format!("{fault}; its dependencies are not looked at")),
            },
        }
    }

    fn project(&self, directory: &Path) -> Result<Project, String> {
        let Some(text_of_it) = self.contents(&directory.join(PROJECT))? else {
            return Ok(Project::default());
        };
        let table = String::from_utf8_lossy(&text_of_it);
        let table = table.trim_start_matches('\u{feff}');
        let table: DocumentMut = table.parse().map_err(|fault: toml_edit::TomlError| {
            format!("its {PROJECT} is no TOML: {}", fault.message().trim())
        })?;
        let project = table.get("project").and_then(Item::as_table_like);
        let member = |name| project.and_then(|project| project.get(name));
        Ok(Project {
            requirements: texts(
                member("dependencies"),
                &format!("project.dependencies of its {PROJECT}"),
            )?,
            python: text(member("requires-python")),
        })
    }

    fn listed(&self, file: &'static str, lines: Vec<String>) -> Option<Declared> {
        // An entry is one requirement and never an option or a second line for the installer.
        let lines: Vec<String> = lines
            .into_iter()
            .map(|line| line.replace(['\n', '\r'], " ").trim().to_owned())
            .filter(|line| !line.is_empty() && !line.starts_with('-'))
            .take(MAX_LINES)
            .collect();
        if lines.is_empty() {
            return None;
        }
        let mut digest = Sha256::new();
        for line in &lines {
            feed(&mut digest, line.as_bytes());
        }
        let mut values = Values::new(&self.variables);
        let asked: Vec<String> = lines.iter().map(|line| values.put_into(line)).collect();
        Some(Declared {
            file,
            read_by_installer: None,
            is_relative: asked.iter().any(|line| local::is_local(line)),
            lines,
            asked,
            python: None,
            digest: digest.finalize().into(),
            named: values.named(),
        })
    }

    /// What is in a file that may be missing.
    fn contents(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let cannot = |fault: std::io::Error| format!("its {name} cannot be read: {fault}");
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(fault) if fault.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(fault) => return Err(cannot(fault)),
        };
        if metadata.is_dir() {
            return Ok(None);
        }
        let mut guard = WriteGuard::new(self.allow_writable);
        guard
            .check(path, &metadata)
            .map_err(|why| why.to_string())?;
        if metadata.size() > MAX_FILE {
            return Err(format!("its {name} has more than {MAX_FILE} bytes"));
        }
        read_regular(path, MAX_FILE).map(Some).map_err(cannot)
    }
}

impl Declared {
    fn of_versions(python: Versions) -> Self {
        let nothing = Self {
            file: python.file,
            read_by_installer: None,
            lines: Vec::new(),
            asked: Vec::new(),
            python: None,
            is_relative: false,
            digest: [0; 32],
            named: Named::default(),
        };
        nothing.for_versions(Some(python))
    }

    fn for_versions(mut self, python: Option<Versions>) -> Self {
        if let Some(python) = &python {
            let mut digest = Sha256::new();
            feed(&mut digest, &self.digest);
            feed(&mut digest, python.specifier.as_bytes());
            self.digest = digest.finalize().into();
        }
        self.python = python;
        self
    }
}

fn versions(of_script: Option<String>, of_project: Option<String>) -> Option<Versions> {
    let said = [(PROGRAM, of_script), (PROJECT, of_project)];
    let mut said = said.into_iter().filter_map(|(file, specifier)| {
        let specifier = specifier.filter(|specifier| !specifier.trim().is_empty())?;
        Some(Versions { file, specifier })
    });
    said.next()
}

#[cfg(test)]
mod tests;
