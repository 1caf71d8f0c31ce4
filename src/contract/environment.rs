//! What a plugin finds in its environment.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::Arc;

use super::call::Caller;

/// A variable and its value.
pub type Variable = (OsString, OsString);

/// What all plugins inherit, prepared once.
#[derive(Debug, Clone)]
pub struct Environment {
    inherited: Arc<[Variable]>,
}

/// What is said of one call.
#[derive(Debug)]
pub struct OfCall<'a> {
    /// The plugin's directory.
    pub directory: &'a Path,
    /// The tool's name.
    pub tool: &'a str,
    /// Who calls.
    pub caller: &'a Caller,
    /// The arguments that travel here.
    pub arguments: Vec<(String, String)>,
}

impl Environment {
    /// Takes the server's environment, without what an outer smcp said of one of its own calls.
    pub fn new(environment: &[Variable]) -> Self {
        const SAID_OF_A_CALL: [&str; 7] = [
            "SMCP_CALL_ID",
            "SMCP_TOOL",
            "SMCP_SESSION_ID",
            "SMCP_AGENT_ID",
            "SMCP_CLIENT",
            "SMCP_EVENTS",
            "SMCP_PLUGIN_DIR",
        ];
        let inherited = environment
            .iter()
            .filter(|(name, _)| SAID_OF_A_CALL.iter().all(|own| name != own));
        Self {
            inherited: inherited.cloned().collect(),
        }
    }

    /// What plugins inherit.
    pub fn inherited(&self) -> Arc<[Variable]> {
        Arc::clone(&self.inherited)
    }

    /// For a plugin that is asked what it can do.
    pub fn of_question(&self, directory: &Path) -> Vec<Variable> {
        self.with(always(directory))
    }

    /// For one call.
    pub fn of_call(&self, call: OfCall<'_>) -> Vec<Variable> {
        let mut own = always(call.directory);
        let mut say = |name: &str, value: &str| own.push((name.into(), value.into()));
        say("SMCP_CALL_ID", &call.caller.call_id);
        say("SMCP_TOOL", call.tool);
        say("SMCP_CLIENT", &call.caller.client);
        say("SMCP_EVENTS", "3");
        if !call.caller.session_id.is_empty() {
            say("SMCP_SESSION_ID", &call.caller.session_id);
        }
        if let Some(agent) = &call.caller.agent_id {
            say("SMCP_AGENT_ID", agent);
        }
        own.extend(
            call.arguments
                .into_iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        own.extend(
            call.caller
                .environment
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        self.with(own)
    }

    /// `own`, then what is inherited; the first of two with one name counts.
    fn with(&self, mut own: Vec<Variable>) -> Vec<Variable> {
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

fn always(directory: &Path) -> Vec<Variable> {
    vec![
        ("PYTHONUNBUFFERED".into(), "1".into()),
        ("PYTHONIOENCODING".into(), "utf-8".into()),
        ("SMCP_PLUGIN_DIR".into(), directory.into()),
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
        let caller = Caller {
            call_id: "c1".to_owned(),
            client: "{}".to_owned(),
            environment: vec![
                ("TOKEN".to_owned(), "agent's".to_owned()),
                ("SMCP_TOOL".to_owned(), "forged".to_owned()),
                ("broken".to_owned(), "nul\0".to_owned()),
            ],
            ..Caller::default()
        };
        let variables = Environment::new(&server).of_call(OfCall {
            directory: Path::new("/plugins/one"),
            tool: "one__run",
            caller: &caller,
            arguments: vec![("NOTE".to_owned(), "given".to_owned())],
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
            ("SMCP_EVENTS", Some("3")),
            ("PYTHONUNBUFFERED", Some("1")),
            ("PYTHONIOENCODING", Some("utf-8")),
            ("broken", None),
        ];
        for (name, expected) in expected {
            assert_eq!(value(&variables, name), expected, "{name}");
        }
    }
}
