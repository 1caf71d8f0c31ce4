//! Where Letta is and whose variables a call gets, as plain data. Reads no environment and no file.

use std::fmt;

use super::variables::Secret;

/// Which variables a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Its agent's; a call without an agent gets those of all agents together.
    Merged,
    /// Its agent's; a call without an agent gets none.
    Agent,
    /// Those of all agents together, whoever calls.
    All,
}

/// What is needed to ask Letta.
#[derive(Clone)]
pub struct Settings {
    /// `LETTA_SERVER_URL`.
    pub url: String,
    /// `LETTA_SERVER_PASSWORD`, else `LETTA_API_KEY`.
    pub token: Secret,
    /// `LETTA_AGENT_ID`: this agent's variables are the only ones. Every call gets them, under
    /// [`Scope::Agent`] only those for this agent.
    pub agent: Option<String>,
    /// `LETTA_ENV_SCOPE`.
    pub scope: Scope,
}

impl fmt::Debug for Settings {
    /// Without the URL: somebody may have put a password into it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("agent", &self.agent)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// The value that a line `export NAME=value` of `~/.letta/.env` gives; the first such line counts.
pub fn exported(dotenv: &str, name: &str) -> Option<String> {
    dotenv
        .lines()
        .filter_map(|line| {
            let (key, value) = line
                .trim_start()
                .strip_prefix("export")?
                .strip_prefix([' ', '\t'])?
                .split_once('=')?;
            (key.trim() == name).then(|| unquoted(value.trim()))
        })
        .find(|value| !value.is_empty())
}

/// As a shell would read it, but for expansions: a password may have a `$` in it.
fn unquoted(value: &str) -> String {
    for quote in ['"', '\''] {
        if let Some((inside, _)) = value
            .strip_prefix(quote)
            .and_then(|rest| rest.split_once(quote))
        {
            return inside.to_owned();
        }
    }
    let end = value.find(" #").unwrap_or(value.len());
    value[..end].trim_end().to_owned()
}
