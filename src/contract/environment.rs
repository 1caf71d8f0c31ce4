//! What a plugin finds in its environment.

use std::collections::{BTreeSet, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The call's own id.
pub const CALL_ID: &str = "SMCP_CALL_ID";
/// The tool's name.
pub const TOOL: &str = "SMCP_TOOL";
/// The session's id.
pub const SESSION_ID: &str = "SMCP_SESSION_ID";
/// The agent's id.
pub const AGENT_ID: &str = "SMCP_AGENT_ID";
/// What is known of the client, as JSON.
pub const CLIENT: &str = "SMCP_CLIENT";
/// The descriptor for events.
pub const EVENTS: &str = "SMCP_EVENTS";
/// The name of the service that runs.
pub const SERVICE: &str = "SMCP_SERVICE";
/// The plugin's directory.
const PLUGIN_DIR: &str = "SMCP_PLUGIN_DIR";
/// The variables that a server sets for one call, one question, or one service.
const CALL_VARIABLES: [&str; 8] = [
    CALL_ID, TOOL, SESSION_ID, AGENT_ID, CLIENT, EVENTS, PLUGIN_DIR, SERVICE,
];

/// A variable and its value.
pub type Variable = (OsString, OsString);

/// What all plugins inherit, prepared once.
#[derive(Debug, Clone)]
pub struct Environment {
    inherited: Arc<[Variable]>,
    reserved: Arc<Reserved>,
}

/// Variables that are not for every plugin: credentials of the server's own.
#[derive(Clone, Default)]
pub struct Reserved {
    /// Names that nobody inherits.
    pub names: Vec<OsString>,
    /// What the holders find in their environment.
    pub variables: Vec<Variable>,
    /// The plugins that get them.
    pub holders: Holders,
}

impl fmt::Debug for Reserved {
    /// Without the values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reserved")
            .field("names", &self.names)
            .field("holders", &self.holders)
            .finish_non_exhaustive()
    }
}

/// Which plugins get reserved variables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Holders {
    /// None of them.
    #[default]
    None,
    /// All of them.
    All,
    /// Those of these names.
    Only(BTreeSet<String>),
}

impl Holders {
    /// Whether the plugin in `directory`, whose name is the plugin's, is one of them.
    fn include(&self, directory: &Path) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Only(names) => directory
                .file_name()
                .and_then(OsStr::to_str)
                .is_some_and(|name| names.contains(name)),
        }
    }
}

/// A call, as far as its program learns of it by its environment.
#[derive(Debug)]
pub struct OfCall<'a> {
    /// The plugin's directory.
    pub directory: &'a Path,
    /// What the call says of itself, first the names that nothing may take: the first of two with
    /// one name counts.
    pub variables: Vec<(String, String)>,
}

impl Environment {
    /// Takes the server's environment, without what an outer smcp said of one of its own calls.
    /// `reserved` is kept from plugins that do not hold it.
    pub fn new(environment: &[Variable], reserved: Reserved) -> Self {
        let inherited = environment
            .iter()
            .filter(|(name, _)| CALL_VARIABLES.iter().all(|own| name != own))
            .filter(|(name, _)| !reserved.names.contains(name));
        Self {
            inherited: inherited.cloned().collect(),
            reserved: Arc::new(reserved),
        }
    }

    /// What plugins inherit.
    pub fn inherited(&self) -> Arc<[Variable]> {
        Arc::clone(&self.inherited)
    }

    /// Whether the plugin in `directory` gets the reserved variables.
    pub fn reaches_reserved(&self, directory: &Path) -> bool {
        self.reserved.holders.include(directory)
    }

    /// For a plugin that is asked what it can do. `variables` are those that calls get on top of what is inherited,
    /// whoever makes them.
    pub fn of_question(&self, directory: &Path, variables: &[(String, String)]) -> Vec<Variable> {
        self.of_call(OfCall {
            directory,
            variables: variables.to_vec(),
        })
    }

    /// For what many plugins have in common that are asked what they can do: what each of them finds, and nothing that
    /// is for some of them alone.
    pub fn of_round(&self, variables: &[(String, String)]) -> Vec<Variable> {
        let variables = variables.iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        self.inheriting(for_python().into_iter().chain(variables).collect())
    }

    /// For one call.
    pub fn of_call(&self, call: OfCall<'_>) -> Vec<Variable> {
        let mut own = fixed(call.directory);
        let variables = call.variables.into_iter();
        own.extend(variables.map(|(name, value)| (name.into(), value.into())));
        self.with(call.directory, own)
    }

    /// `own`, then what is inherited; the first of two with one name counts.
    fn with(&self, directory: &Path, mut own: Vec<Variable>) -> Vec<Variable> {
        if self.reserved.holders.include(directory) {
            own.extend(self.reserved.variables.iter().cloned());
        }
        self.inheriting(own)
    }

    fn inheriting(&self, mut own: Vec<Variable>) -> Vec<Variable> {
        let mut names: HashSet<OsString> = HashSet::with_capacity(own.len());
        own.retain(|(name, value)| is_variable(name, value) && names.insert(name.clone()));
        let rest = self
            .inherited
            .iter()
            .filter(|(name, _)| !names.contains(name));
        own.extend(rest.cloned());
        own
    }
}

/// Whether a variable tells Git which repository it works in, as each hook finds it: a Git that works for somebody else
/// would take the files of that repository for its own. They are what `git rev-parse --local-env-vars` names, and the
/// namespace in it.
pub fn is_of_a_repository(name: &OsStr) -> bool {
    const NAMES: [&str; 18] = [
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_INTERNAL_SUPER_PREFIX",
        "GIT_NAMESPACE",
        "GIT_NO_REPLACE_OBJECTS",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    ];
    NAMES.iter().any(|known| name == *known)
}

/// The variables that are the same for every run of the plugin in `directory`.
fn fixed(directory: &Path) -> Vec<Variable> {
    let mut fixed = Vec::from(for_python());
    // The plugins directory may be named relative to the server's, which the program may leave.
    let whole = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    fixed.push((PLUGIN_DIR.into(), whole.into()));
    fixed
}

/// The variables that are the same for every run of every plugin.
fn for_python() -> [Variable; 2] {
    [
        ("PYTHONUNBUFFERED".into(), "1".into()),
        ("PYTHONIOENCODING".into(), "utf-8".into()),
    ]
}

/// What the system can carry; anything else would stop the program from being started at all.
fn is_variable(name: &OsStr, value: &OsStr) -> bool {
    let (name, value) = (name.as_encoded_bytes(), value.as_encoded_bytes());
    !name.is_empty() && !name.contains(&b'=') && !name.contains(&0) && !value.contains(&0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(variables: &'a [Variable], name: &str) -> Option<&'a str> {
        let found: Vec<_> = variables
            .iter()
            .filter(|(known, _)| known == name)
            .collect();
        assert!(found.len() <= 1, "{name} stands there twice");
        found.first().and_then(|(_, value)| value.to_str())
    }

    #[test]
    fn the_plugins_directory_is_whole_wherever_its_program_goes() {
        let environment = Environment::new(&[], Reserved::default());
        let found = environment.of_question(Path::new("plugins/one"), &[]);
        let here = std::env::current_dir().unwrap().join("plugins/one");
        assert_eq!(value(&found, "SMCP_PLUGIN_DIR"), here.to_str());
    }

    #[test]
    fn a_call_finds_what_is_said_of_it_above_what_the_agent_and_the_server_have() {
        let server = [
            ("PATH", "/bin"),
            ("TOKEN", "server's"),
            ("SMCP_AGENT_ID", "outer"),
            ("PYTHONUNBUFFERED", ""),
        ];
        let server: Vec<Variable> = server
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        let own = [
            ("SMCP_CALL_ID", "c1"),
            ("SMCP_TOOL", "one__run"),
            ("NOTE", "given"),
            ("TOKEN", "agent's"),
            ("SMCP_TOOL", "forged"),
            ("broken", "nul\0"),
        ];
        let variables = Environment::new(&server, Reserved::default()).of_call(OfCall {
            directory: Path::new("/plugins/one"),
            variables: own
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        });
        let expected = [
            ("PATH", Some("/bin")),
            ("TOKEN", Some("agent's")),
            ("SMCP_TOOL", Some("one__run")),
            ("SMCP_CALL_ID", Some("c1")),
            ("SMCP_AGENT_ID", None),
            ("SMCP_SESSION_ID", None),
            ("NOTE", Some("given")),
            ("SMCP_PLUGIN_DIR", Some("/plugins/one")),
            ("PYTHONUNBUFFERED", Some("1")),
            ("PYTHONIOENCODING", Some("utf-8")),
            ("broken", None),
        ];
        for (name, expected) in expected {
            assert_eq!(value(&variables, name), expected, "{name}");
        }
    }

    #[test]
    fn reserved_variables_reach_the_plugins_that_hold_them_and_no_other() {
        let server = [
            ("PASSWORD".into(), "canary".into()),
            ("TERM".into(), "x".into()),
        ];
        let only = Holders::Only(BTreeSet::from(["bridge".to_owned()]));
        for (holders, bridge, other) in [
            (Holders::None, None, None),
            (Holders::All, Some("canary"), Some("canary")),
            (only, Some("canary"), None),
        ] {
            let reserved = Reserved {
                names: vec!["PASSWORD".into()],
                variables: vec![("PASSWORD".into(), "canary".into())],
                holders,
            };
            let shown = format!("{reserved:?}");
            assert!(!shown.contains("canary"), "{shown}");
            let environment = Environment::new(&server, reserved);
            assert_eq!(value(&environment.inherited(), "PASSWORD"), None);
            for (plugin, expected) in [("bridge", bridge), ("other", other)] {
                let directory = Path::new("/plugins").join(plugin);
                let asked = environment.of_question(&directory, &[]);
                assert_eq!(value(&asked, "PASSWORD"), expected, "{plugin}");
                let in_common = environment.of_round(&[]);
                assert_eq!(value(&in_common, "PASSWORD"), None, "{plugin}");
                let missing = in_common.iter().find(|variable| !asked.contains(variable));
                assert_eq!(missing, None, "{plugin}");
                let called = environment.of_call(OfCall {
                    directory: &directory,
                    variables: Vec::new(),
                });
                assert_eq!(value(&called, "PASSWORD"), expected, "{plugin}");
            }
        }
    }
}
