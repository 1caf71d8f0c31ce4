//! Profiles: named rules that say which tools are attached. Knows no client.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

pub use super::profile_error::Error;

/// The profile that always exists: everything is attached.
pub const FULL: &str = "full";

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
    /// What it admits.
    pub rule: Rule,
}

/// Which tools a profile admits.
#[derive(Debug)]
pub enum Rule {
    /// All of them.
    All,
    /// Those whose names begin with it.
    Prefix(String),
    /// Those whose names match.
    Glob(glob::Pattern),
    /// Those of these names.
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
    /// The profiles of these names, one of which clients start with.
    pub fn new(
        by_name: BTreeMap<String, Arc<Profile>>,
        start: Arc<Profile>,
        hints: Vec<Hint>,
    ) -> Self {
        Self {
            by_name,
            start,
            hints,
        }
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

/// How names of profiles are compared: without white space around them, in lower case.
pub fn key(name: &str) -> String {
    name.trim().to_lowercase()
}
