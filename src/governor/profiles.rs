//! Profiles: named rules that say which tools are attached. Knows no client.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::text::excerpt;

/// The profile that always exists: everything is attached.
pub const FULL: &str = "full";
/// The profile that an admin prefix defines.
const ADMIN: &str = "admin";
/// A profile file is written by hand; anything larger is the wrong file.
const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Most characters of a wrong value that an error shows.
const MAX_SHOWN: usize = 60;

/// What is wrong with the profiles. Any of these stops the start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path is neither a file nor a directory that can be read.
    #[error("profiles at {path}: {reason}; SMCP_PROFILES names a JSON file or a directory of them")]
    Unreadable {
        /// The path that was tried.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A file that is not what a profile file must be.
    #[error("profile file {path}: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Which member, its value, and what is allowed there.
        reason: String,
    },
    /// The start profile is not defined.
    #[error("{setting} names the profile '{name}', which is not defined; there are: {known}")]
    UnknownStart {
        /// The setting that names it.
        setting: String,
        /// The profile it names.
        name: String,
        /// The profiles there are, separated by commas.
        known: String,
    },
}

/// Where profiles come from, as `config` read it.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// `SMCP_PROFILES`: a JSON file, or a directory whose `*.json` files are read in the order of their names.
    pub profiles: Option<PathBuf>,
    /// `SMCP_ATTACH_PROFILE`: the profile that clients start with; it beats the files' `default_profile`.
    pub attach_profile: Option<String>,
    /// `SMCP_ADMIN_PREFIX`: defines a profile `admin` of the tools whose names begin with it.
    pub admin_prefix: Option<String>,
}

/// One profile: its name, and the rule that admits tools by name.
#[derive(Debug)]
pub struct Profile {
    /// Its name, in lower case.
    pub name: String,
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    All,
    Prefix(String),
    Glob(glob::Pattern),
    Explicit(HashSet<String>),
}

impl Profile {
    /// Whether the rule admits a tool of this name, be it there already or not.
    pub fn admits(&self, tool: &str) -> bool {
        match &self.rule {
            Rule::All => true,
            Rule::Prefix(prefix) => tool.starts_with(prefix),
            Rule::Glob(pattern) => pattern.matches(tool),
            Rule::Explicit(tools) => tools.contains(tool),
        }
    }

    /// Whether it admits every tool there is or will be.
    pub fn admits_all(&self) -> bool {
        matches!(self.rule, Rule::All)
    }

    /// What the rule asks for and no tool of these names gives: each a phrase for a person.
    pub fn unmatched(&self, tools: &HashSet<&str>) -> Vec<String> {
        let any = tools.iter().any(|tool| self.admits(tool));
        match &self.rule {
            Rule::Explicit(wanted) => {
                let mut missing: Vec<_> = wanted
                    .iter()
                    .filter(|tool| !tools.contains(tool.as_str()))
                    .map(|tool| format!("the tool '{tool}'"))
                    .collect();
                missing.sort();
                missing
            }
            Rule::Prefix(prefix) if !any => vec![format!("tools that begin with '{prefix}'")],
            Rule::Glob(pattern) if !any => vec![format!("tools that match '{pattern}'")],
            Rule::All | Rule::Prefix(_) | Rule::Glob(_) => Vec::new(),
        }
    }
}

/// All profiles there are, and what the files say besides.
#[derive(Debug, Clone)]
pub struct Profiles {
    by_name: BTreeMap<String, Arc<Profile>>,
    start: Arc<Profile>,
    hints: Vec<Hint>,
}

/// One entry of `intent_hints`.
#[derive(Debug, Clone)]
pub struct Hint {
    /// What somebody may want to do.
    pub intent: String,
    /// The tool that does it.
    pub tool: String,
    /// The whole entry as it was written, for the answer.
    pub entry: Value,
}

impl Default for Profiles {
    /// The profile `full` alone, with which clients start.
    fn default() -> Self {
        let full = Arc::new(Profile {
            name: FULL.to_owned(),
            rule: Rule::All,
        });
        Self {
            by_name: BTreeMap::from([(FULL.to_owned(), Arc::clone(&full))]),
            start: full,
            hints: Vec::new(),
        }
    }
}

impl Profiles {
    /// Reads the profiles and picks the one that clients start with.
    ///
    /// # Errors
    /// Which file or setting is wrong, and how.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let mut draft = Draft::default();
        draft.put(FULL, Rule::All);
        if let Some(prefix) = given(settings.admin_prefix.as_deref()) {
            draft.put(ADMIN, Rule::Prefix(prefix.to_owned()));
        }
        if let Some(path) = &settings.profiles {
            for file in files_of(path)? {
                draft.take_in(&file)?;
            }
        }
        draft.finish(given(settings.attach_profile.as_deref()))
    }

    /// The profile that clients start with.
    pub fn start(&self) -> &Arc<Profile> {
        &self.start
    }

    /// The profile of this name; case and white space around it do not matter.
    pub fn find(&self, name: &str) -> Option<&Arc<Profile>> {
        self.by_name.get(&key(name))
    }

    /// The names in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }

    /// Every profile, in the order of the names.
    pub fn all(&self) -> impl Iterator<Item = &Profile> {
        self.by_name.values().map(|profile| &**profile)
    }

    /// The intent hints in the order of the files.
    pub fn hints(&self) -> &[Hint] {
        &self.hints
    }
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// The file itself, or the directory's `*.json` files by name, so that the order is the same on every machine.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |reason: String| Error::Unreadable {
        path: path.to_owned(),
        reason,
    };
    let kind = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?;
    if !kind.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| unreadable(error.to_string()))? {
        let file = entry.map_err(|error| unreadable(error.to_string()))?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // Hidden ones are editors' swap and lock files.
        if name.ends_with(".json") && !name.starts_with('.') {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(unreadable("the directory has no *.json file".to_owned()));
    }
    files.sort();
    Ok(files)
}

/// What the files have said so far; a later one overrides an earlier one.
#[derive(Default)]
struct Draft {
    profiles: BTreeMap<String, Arc<Profile>>,
    default_profile: Option<(String, PathBuf)>,
    hints: Vec<Hint>,
}

impl Draft {
    fn put(&mut self, name: &str, rule: Rule) {
        let name = key(name);
        let profile = Profile {
            name: name.clone(),
            rule,
        };
        self.profiles.insert(name, Arc::new(profile));
    }

    fn take_in(&mut self, path: &Path) -> Result<(), Error> {
        let document = read(path)?;
        self.merge(&document, path)
            .map_err(|reason| Error::Invalid {
                path: path.to_owned(),
                reason,
            })
    }

    fn merge(&mut self, document: &Value, path: &Path) -> Result<(), String> {
        let document = object(document, "the file")?;
        if let Some(name) = member(document, "default_profile") {
            let name = text(name, "default_profile")?;
            if let Some(name) = given(Some(name)) {
                self.default_profile = Some((key(name), path.to_owned()));
            }
        }
        if let Some(profiles) = member(document, "profiles") {
            for (name, rule) in object(profiles, "profiles")? {
                if key(name).is_empty() {
                    return Err("profiles has an empty name; give the profile one".to_owned());
                }
                self.put(name, rule_of(rule, &format!("profiles.{name}"))?);
            }
        }
        if let Some(hints) = member(document, "intent_hints") {
            for (index, hint) in array(hints, "intent_hints")?.iter().enumerate() {
                self.hints
                    .push(hint_of(hint, &format!("intent_hints[{index}]"))?);
            }
        }
        Ok(())
    }

    fn finish(self, attach_profile: Option<&str>) -> Result<Profiles, Error> {
        let (name, setting) = match (attach_profile, self.default_profile) {
            (Some(name), _) => (key(name), "SMCP_ATTACH_PROFILE".to_owned()),
            (None, Some((name, path))) => (name, format!("default_profile in {}", path.display())),
            (None, None) => (FULL.to_owned(), String::new()),
        };
        let Some(start) = self.profiles.get(&name).cloned() else {
            let known: Vec<_> = self.profiles.into_keys().collect();
            return Err(Error::UnknownStart {
                setting,
                name,
                known: known.join(", "),
            });
        };
        Ok(Profiles {
            by_name: self.profiles,
            start,
            hints: self.hints,
        })
    }
}

fn read(path: &Path) -> Result<Value, Error> {
    let invalid = |reason: String| Error::Invalid {
        path: path.to_owned(),
        reason,
    };
    let kind = std::fs::metadata(path).map_err(|error| invalid(error.to_string()))?;
    // A pipe would keep the start waiting for its writer.
    if !kind.is_file() {
        return Err(invalid("it is not a regular file".to_owned()));
    }
    if kind.len() > MAX_FILE {
        let size = kind.len();
        return Err(invalid(format!(
            "it has {size} bytes; at most {MAX_FILE} are read"
        )));
    }
    let text = std::fs::read_to_string(path).map_err(|error| invalid(error.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    serde_json::from_str(text).map_err(|error| invalid(format!("it is not JSON: {error}")))
}

fn rule_of(rule: &Value, at: &str) -> Result<Rule, String> {
    let rule = object(rule, at)?;
    let mode = match member(rule, "mode") {
        Some(mode) => key(text(mode, &format!("{at}.mode"))?),
        None => "all".to_owned(),
    };
    match mode.as_str() {
        "all" | "" => Ok(Rule::All),
        "prefix" => Ok(Rule::Prefix(needed(rule, "prefix", &mode, at)?.to_owned())),
        "glob" => {
            let pattern = needed(rule, "pattern", &mode, at)?;
            let parsed = glob::Pattern::new(pattern)
                .map_err(|error| format!("{at}.pattern '{pattern}' is no glob pattern: {error}"))?;
            Ok(Rule::Glob(parsed))
        }
        "explicit" => {
            let Some(tools) = member(rule, "tools") else {
                return Err(format!("{at}.tools is missing; mode 'explicit' needs it"));
            };
            let tools = array(tools, &format!("{at}.tools"))?.iter().enumerate();
            let tools = tools.map(|(index, tool)| text(tool, &format!("{at}.tools[{index}]")));
            Ok(Rule::Explicit(
                tools
                    .map(|tool| tool.map(str::to_owned))
                    .collect::<Result<_, _>>()?,
            ))
        }
        _ => Err(format!(
            "{at}.mode '{mode}' is not one of all, explicit, glob, prefix"
        )),
    }
}

fn hint_of(hint: &Value, at: &str) -> Result<Hint, String> {
    let members = object(hint, at)?;
    let read = |name: &str| match member(members, name) {
        Some(value) => text(value, &format!("{at}.{name}")).map(str::to_owned),
        None => Ok(String::new()),
    };
    Ok(Hint {
        intent: read("intent")?,
        tool: read("tool")?,
        entry: hint.clone(),
    })
}

/// A member that says something: `null` counts as absent.
fn member<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn needed<'a>(
    rule: &'a Map<String, Value>,
    name: &str,
    mode: &str,
    at: &str,
) -> Result<&'a str, String> {
    let value = member(rule, name)
        .ok_or_else(|| format!("{at}.{name} is missing; mode '{mode}' needs it"))?;
    let value = text(value, &format!("{at}.{name}"))?;
    if value.is_empty() {
        return Err(format!("{at}.{name} is empty; mode '{mode}' needs it"));
    }
    Ok(value)
}

fn object<'a>(value: &'a Value, at: &str) -> Result<&'a Map<String, Value>, String> {
    value
        .as_object()
        .ok_or_else(|| wrong(value, at, "an object"))
}

fn array<'a>(value: &'a Value, at: &str) -> Result<&'a Vec<Value>, String> {
    value.as_array().ok_or_else(|| wrong(value, at, "an array"))
}

fn text<'a>(value: &'a Value, at: &str) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| wrong(value, at, "a string"))
}

fn wrong(value: &Value, at: &str, expected: &str) -> String {
    format!(
        "{at} is {}, but must be {expected}",
        excerpt(value, MAX_SHOWN)
    )
}
