//! Reads profiles: the files, and what the settings add. Knows no client.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::profile_error::{Error, Invalid, MAX_FILE, Unreadable};
use super::profiles::{FULL, Hint, Profile, Profiles, Rule, Settings, key};
use crate::text::excerpt;

/// The profile that an admin prefix defines.
const ADMIN: &str = "admin";
/// Most characters of a wrong value that an error shows.
const MAX_SHOWN: usize = 60;

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
}

fn given(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}

/// The file itself, or the directory's `*.json` files by name, so that the order is the same on every machine.
fn files_of(path: &Path) -> Result<Vec<PathBuf>, Error> {
    found_at(path).map_err(|reason| Error::Unreadable {
        path: path.to_owned(),
        reason,
    })
}

fn found_at(path: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    if !std::fs::metadata(path)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let file = entry?.path();
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        // Hidden ones are editors' swap and lock files.
        if name.ends_with(".json") && !name.starts_with('.') {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(Unreadable::Empty);
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
        let merged = read(path).and_then(|document| self.merge(&document, path));
        merged.map_err(|reason| Error::Invalid {
            path: path.to_owned(),
            reason,
        })
    }

    fn merge(&mut self, document: &Value, path: &Path) -> Result<(), Invalid> {
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
                    return Err(Invalid::NoName);
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
        Ok(Profiles::new(self.profiles, start, self.hints))
    }
}

fn read(path: &Path) -> Result<Value, Invalid> {
    let kind = std::fs::metadata(path)?;
    // A pipe would keep the start waiting for its writer.
    if !kind.is_file() {
        return Err(Invalid::NoFile);
    }
    if kind.len() > MAX_FILE {
        return Err(Invalid::TooLarge(kind.len()));
    }
    let text = std::fs::read_to_string(path)?;
    Ok(serde_json::from_str(
        text.strip_prefix('\u{feff}').unwrap_or(&text),
    )?)
}

fn rule_of(rule: &Value, at: &str) -> Result<Rule, Invalid> {
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
            let parsed = glob::Pattern::new(pattern).map_err(|error| Invalid::NoPattern {
                at: format!("{at}.pattern"),
                pattern: pattern.to_owned(),
                error,
            })?;
            Ok(Rule::Glob(parsed))
        }
        "explicit" => {
            let at = format!("{at}.tools");
            let missing = || Invalid::Missing {
                at: at.clone(),
                mode: mode.clone(),
            };
            let tools = member(rule, "tools").ok_or_else(missing)?;
            let tools = array(tools, &at)?.iter().enumerate();
            let tools = tools.map(|(index, tool)| text(tool, &format!("{at}[{index}]")));
            Ok(Rule::Explicit(
                tools
                    .map(|tool| tool.map(str::to_owned))
                    .collect::<Result<_, _>>()?,
            ))
        }
        _ => Err(Invalid::UnknownMode {
            at: format!("{at}.mode"),
            mode,
        }),
    }
}

fn hint_of(hint: &Value, at: &str) -> Result<Hint, Invalid> {
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
) -> Result<&'a str, Invalid> {
    let at = format!("{at}.{name}");
    let mode = mode.to_owned();
    let Some(value) = member(rule, name) else {
        return Err(Invalid::Missing { at, mode });
    };
    match text(value, &at)? {
        "" => Err(Invalid::Empty { at, mode }),
        value => Ok(value),
    }
}

fn object<'a>(value: &'a Value, at: &str) -> Result<&'a Map<String, Value>, Invalid> {
    value
        .as_object()
        .ok_or_else(|| wrong(value, at, "an object"))
}

fn array<'a>(value: &'a Value, at: &str) -> Result<&'a Vec<Value>, Invalid> {
    value.as_array().ok_or_else(|| wrong(value, at, "an array"))
}

fn text<'a>(value: &'a Value, at: &str) -> Result<&'a str, Invalid> {
    value.as_str().ok_or_else(|| wrong(value, at, "a string"))
}

fn wrong(value: &Value, at: &str, expected: &'static str) -> Invalid {
    Invalid::WrongType {
        at: at.to_owned(),
        found: excerpt(value, MAX_SHOWN),
        expected,
    }
}
