//! Where Letta is and how its variables are shared out. Reads no environment and no file itself.

use std::fmt;

use super::variables::Secret;

/// Where Letta is when only its password is known.
const DEFAULT_URL: &str = "http://127.0.0.1:8284";

/// Which variables a call gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Its agent's; a call without an agent gets those of all agents together.
    Merged,
    /// Its agent's; a call without an agent gets none.
    Agent,
}

/// What is needed to ask Letta.
#[derive(Clone)]
pub struct Settings {
    /// `LETTA_SERVER_URL`.
    pub url: String,
    /// `LETTA_SERVER_PASSWORD`, else `LETTA_API_KEY`.
    pub token: Secret,
    /// `LETTA_AGENT_ID`: load this agent at the start, and no other.
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

impl Settings {
    /// The settings from `variable`, which looks up the environment, and from `dotenv`, the text of
    /// `~/.letta/.env` where there is such a file. `None`: there is no Letta to ask.
    pub fn read(
        variable: impl Fn(&str) -> Option<String>,
        dotenv: Option<&str>,
    ) -> Result<Option<Self>, String> {
        let variable = |name: &str| {
            let value = variable(name).map(|value| value.trim().to_owned());
            value.filter(|value| !value.is_empty())
        };
        let scope = match variable("LETTA_ENV_SCOPE") {
            None => Scope::Merged,
            Some(text) => scope(&text)?,
        };
        let url = variable("LETTA_SERVER_URL");
        let tokens = ["LETTA_SERVER_PASSWORD", "LETTA_API_KEY"];
        let named = tokens.iter().any(|name| variable(name).is_some());
        // The file completes the environment; where nothing is missing, it has no say.
        let file = dotenv.filter(|_| url.is_none() || !named);
        let look_up =
            |name: &str| variable(name).or_else(|| file.and_then(|text| exported(text, name)));
        let token = tokens.iter().find_map(|name| look_up(name));
        let url = look_up("LETTA_SERVER_URL").or_else(|| file.map(|_| DEFAULT_URL.to_owned()));
        Ok(url.zip(token).map(|(url, token)| Self {
            url: url.trim_end_matches('/').to_owned(),
            token: Secret::new(token),
            agent: variable("LETTA_AGENT_ID"),
            scope,
        }))
    }
}

fn scope(text: &str) -> Result<Scope, String> {
    match text.to_lowercase().as_str() {
        "agent" => Ok(Scope::Agent),
        "merged" => Ok(Scope::Merged),
        _ => Err(format!(
            "LETTA_ENV_SCOPE is '{text}', but must be agent or merged"
        )),
    }
}

/// The value that a line `export NAME=value` gives; the first such line counts.
fn exported(dotenv: &str, name: &str) -> Option<String> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        environment: &[(&str, &str)],
        dotenv: Option<&str>,
    ) -> Result<Option<Settings>, String> {
        let find = |name: &str| {
            let found = environment.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Settings::read(find, dotenv)
    }

    #[test]
    fn environment_and_file_together_say_where_letta_is() {
        const URL: (&str, &str) = ("LETTA_SERVER_URL", "http://letta:8283/");
        const PASSWORD: (&str, &str) = ("LETTA_SERVER_PASSWORD", "pw");
        const KEY: (&str, &str) = ("LETTA_API_KEY", "key");
        let file = "# a comment\nPLAIN=1\nexport LETTA_SERVER_PASSWORD=\"file$pw # x\" # y\n";
        let with_url =
            "export LETTA_API_KEY='k'\n\texport\tLETTA_SERVER_URL = http://f:1 # where\n";
        type Case<'a> = (
            &'a [(&'a str, &'a str)],
            Option<&'a str>,
            Option<(&'a str, &'a str)>,
        );
        let cases: [Case<'_>; 13] = [
            (&[], None, None),
            (&[URL], None, None),
            (&[PASSWORD], None, None),
            (&[URL, PASSWORD], None, Some(("http://letta:8283", "pw"))),
            (&[URL, KEY], None, Some(("http://letta:8283", "key"))),
            (
                &[KEY, PASSWORD, URL],
                None,
                Some(("http://letta:8283", "pw")),
            ),
            (&[("LETTA_SERVER_URL", " "), PASSWORD], None, None),
            (
                &[],
                Some(file),
                Some(("http://127.0.0.1:8284", "file$pw # x")),
            ),
            (
                &[URL],
                Some(file),
                Some(("http://letta:8283", "file$pw # x")),
            ),
            (
                &[PASSWORD],
                Some(file),
                Some(("http://127.0.0.1:8284", "pw")),
            ),
            (&[URL, KEY], Some(file), Some(("http://letta:8283", "key"))),
            (&[], Some(with_url), Some(("http://f:1", "k"))),
            (
                &[],
                Some("LETTA_API_KEY=plain\nexported X=1\nexport\n"),
                None,
            ),
        ];
        for (environment, dotenv, expected) in cases {
            let settings = read(environment, dotenv).unwrap();
            let got = settings
                .as_ref()
                .map(|s| (s.url.as_str(), s.token.expose()));
            assert_eq!(got, expected, "{environment:?} {dotenv:?}");
        }
    }

    #[test]
    fn the_scope_is_one_of_two_words() {
        let with = |scope: &str| {
            let environment = [
                ("LETTA_SERVER_URL", "http://l"),
                ("LETTA_API_KEY", "k"),
                ("LETTA_ENV_SCOPE", scope),
            ];
            read(&environment, None).map(|settings| settings.unwrap().scope)
        };
        assert_eq!(with("Agent"), Ok(Scope::Agent));
        assert_eq!(with("merged"), Ok(Scope::Merged));
        assert_eq!(with(""), Ok(Scope::Merged));
        let error = "LETTA_ENV_SCOPE is 'all', but must be agent or merged";
        assert_eq!(with("all"), Err(error.to_owned()));
    }
}
