//! What an agent brings into a plugin's environment. Knows no Letta; shows no value, ever.

use std::collections::BTreeMap;
use std::fmt;

use crate::contract::steering::steers_programs;

/// `NAME=value` and its NUL: the longest string that Linux passes to a program.
const MAX_VARIABLE: usize = 128 * 1024;
/// All variables of one call: beyond it the system would refuse to start any program.
const MAX_TOTAL: usize = 512 * 1024;

/// A value that no log, error or `Debug` shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a value in.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Variables by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables {
    by_name: BTreeMap<String, Secret>,
    bytes: usize,
}

/// How a variable was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// There was none of this name.
    New,
    /// It has the value that was there.
    Same,
    /// It took the place of another value.
    Replaced,
}

impl Variables {
    /// Puts a variable in, over one of the same name.
    ///
    /// # Errors
    /// The reason why the variable must not be there.
    pub fn put(&mut self, name: &str, value: &Secret) -> Result<Taken, &'static str> {
        if let Some(reason) = refusal(name, value.expose()) {
            return Err(reason);
        }
        let old = self.by_name.get(name);
        if old == Some(value) {
            return Ok(Taken::Same);
        }
        let old_size = old.map(|old| size(name, old.expose()));
        let bytes = self.bytes - old_size.unwrap_or(0) + size(name, value.expose());
        if bytes > MAX_TOTAL {
            return Err("all together are over 512 KiB");
        }
        self.bytes = bytes;
        self.by_name.insert(name.to_owned(), value.clone());
        Ok(old_size.map_or(Taken::New, |_| Taken::Replaced))
    }

    /// Whether a variable of this name is there.
    pub fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    /// The variables in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.by_name
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// The bytes they take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The variables as a program is started with them.
    pub fn exposed(&self) -> Vec<(String, String)> {
        self.iter()
            .map(|(name, value)| (name.to_owned(), value.expose().to_owned()))
            .collect()
    }
}

fn size(name: &str, value: &str) -> usize {
    name.len() + value.len() + 2
}

/// Why a variable must not reach a plugin, if it must not.
fn refusal(name: &str, value: &str) -> Option<&'static str> {
    if name.is_empty() || name.contains(['=', '\0']) || name.contains(char::is_control) {
        return Some("no environment variable can have this name");
    }
    if value.contains('\0') {
        return Some("its value has a NUL");
    }
    if size(name, value) > MAX_VARIABLE {
        return Some("it is over 128 KiB");
    }
    steers_programs(name).then_some("it would change how programs are run")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_change_how_programs_run_are_refused_and_secrets_are_not() {
        let refused = [
            "PATH",
            "path",
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "DYLD_INSERT_LIBRARIES",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "MCP_API_KEY",
            "MCP_API_KEYS",
            "BASH_ENV",
            "ENV",
            "IFS",
            "SHELLOPTS",
            "PERL5LIB",
            "RUBYOPT",
            "NODE_OPTIONS",
            "GIT_SSH_COMMAND",
            "GIT_CONFIG_COUNT",
            "GIT_EXEC_PATH",
            "SMCP_AGENT_ID",
            "NOTIFY_SOCKET",
            "LISTEN_FDS",
            "HOME",
            "BASH_FUNC_ls%%",
            "",
            "A=B",
            "A\0B",
            "A\nB",
        ];
        let taken = [
            "GITHUB_TOKEN",
            "GIT_TOKEN",
            "GIT_AUTHOR_NAME",
            "OPENAI_API_KEY",
            "RUBYGEMS_API_KEY",
            "DATABASE_URL",
            "PATHS",
            "HOMEPAGE",
            "ENVIRONMENT",
            "LDAP_PASSWORD",
            "my.key",
            "MCP_TOKEN",
        ];
        let put = |name: &str| Variables::default().put(name, &Secret::new("v"));
        for name in refused {
            assert!(put(name).is_err(), "{name:?}");
        }
        for name in taken {
            assert_eq!(put(name), Ok(Taken::New), "{name:?}");
        }
    }

    #[test]
    fn what_no_program_could_be_started_with_is_refused() {
        let mut variables = Variables::default();
        let mut put = |name: &str, size: usize| variables.put(name, &Secret::new("x".repeat(size)));
        assert_eq!(put("LONG", 128 * 1024), Err("it is over 128 KiB"));
        for name in ["A", "B", "C", "D"] {
            assert_eq!(put(name, 128 * 1024 - 10), Ok(Taken::New), "{name}");
        }
        assert_eq!(put("E", 1000), Err("all together are over 512 KiB"));
        assert_eq!(put("D", 10), Ok(Taken::Replaced));
        assert_eq!(put("E", 1000), Ok(Taken::New));
        assert_eq!(
            variables.put("NUL", &Secret::new("a\0b")),
            Err("its value has a NUL")
        );
    }

    #[test]
    fn debug_shows_names_and_no_value() {
        let mut variables = Variables::default();
        variables.put("TOKEN", &Secret::new("canary")).unwrap();
        let shown = format!("{variables:?} {variables:#?}");
        assert!(
            shown.contains("TOKEN") && !shown.contains("canary"),
            "{shown}"
        );
    }
}
