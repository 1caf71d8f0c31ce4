//! Settings of Letta: where it is, whose variables a call gets, and who gets Letta's own credentials.

use std::collections::BTreeSet;
use std::ffi::OsString;

use super::given::Origin;
use super::reader::Reader;
use super::secrets::{self, Names};
use crate::catalog::{Holders, Reserved};
use crate::letta::settings::{Scope, Settings, exported};
use crate::letta::variables::Secret;

/// Where Letta is when only its password is known.
const DEFAULT_URL: &str = "http://127.0.0.1:8284";
const URL: &str = "LETTA_SERVER_URL";
/// What Letta asks for; the first one that is set counts.
const TOKENS: [Names; 2] = [
    Names {
        variable: "LETTA_SERVER_PASSWORD",
        file: "LETTA_SERVER_PASSWORD_FILE",
    },
    Names {
        variable: "LETTA_API_KEY",
        file: "LETTA_API_KEY_FILE",
    },
];

/// Where Letta is, if there is one to ask, and its credentials with the plugins that get them.
pub(super) fn read(reader: &mut Reader) -> (Option<Settings>, Reserved) {
    let scope = reader.variable("LETTA_ENV_SCOPE");
    reader.note_default("LETTA_ENV_SCOPE", "merged");
    let scope = reader.parsed(
        scope,
        Scope::Merged,
        "merged, agent or all",
        |text| match text.to_ascii_lowercase().as_str() {
            "merged" => Some(Scope::Merged),
            "agent" => Some(Scope::Agent),
            "all" => Some(Scope::All),
            _ => None,
        },
    );
    let agent = reader.text("LETTA_AGENT_ID");
    let url = reader.text(URL);
    let tokens = TOKENS.map(|names| secrets::find(reader, names).map(|found| found.text));
    // The file completes the environment; where nothing is missing, it is not looked at.
    let complete = url.is_some() && tokens.iter().any(Option::is_some);
    let path = reader
        .path("HOME")
        .filter(|_| !complete)
        .map(|home| home.join(".letta/.env"));
    let file = path
        .as_ref()
        .and_then(|path| std::fs::read_to_string(path).ok());
    let mut in_file = |name: &'static str| {
        let (path, text) = (path.as_ref()?, file.as_deref()?);
        let value = exported(text, name)?;
        reader.decide(name, &value, Origin::Elsewhere(path.display().to_string()));
        Some(value)
    };
    let tokens: Vec<(&str, String)> = TOKENS
        .into_iter()
        .zip(tokens)
        .filter_map(|(Names { variable, .. }, value)| {
            Some((variable, value.or_else(|| in_file(variable))?))
        })
        .collect();
    let given = url.or_else(|| in_file(URL));
    let url = given
        .clone()
        .or_else(|| file.is_some().then(|| DEFAULT_URL.to_owned()));
    let token = tokens.first().map(|(_, token)| token.clone());
    if file.is_some() && token.is_some() {
        reader.note_default(URL, DEFAULT_URL);
    }
    let settings = url.clone().zip(token).map(|(url, token)| Settings {
        url: url.trim_end_matches('/').to_owned(),
        token: Secret::new(token),
        agent,
        scope,
    });
    // Without a password the default URL is only a guess; one that was given may be that of a Letta without any.
    let url = given.or_else(|| url.filter(|_| settings.is_some()));
    let variables = url.map(|url| (URL, url)).into_iter().chain(tokens);
    let reserved = Reserved {
        names: [URL]
            .into_iter()
            .chain(TOKENS.map(|names| names.variable))
            .map(OsString::from)
            .collect(),
        variables: variables
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        holders: holders(reader, scope),
    };
    (settings, reserved)
}

/// Where each agent's secrets are its own, a password that opens all of them is nobody's unless it is given by name.
fn holders(reader: &mut Reader, scope: Scope) -> Holders {
    let (word, unnamed) = match scope {
        Scope::Agent => ("none", Holders::None),
        Scope::Merged | Scope::All => ("all", Holders::All),
    };
    reader.note_default("SMCP_LETTA_CREDENTIALS", word);
    match reader.text("SMCP_LETTA_CREDENTIALS").as_deref() {
        Some("all") => Holders::All,
        Some("none") => Holders::None,
        Some(names) => {
            let names: BTreeSet<String> = names
                .split(',')
                .map(|name| name.trim().to_owned())
                .filter(|name| !name.is_empty())
                .collect();
            Holders::Only(names)
        }
        None => unnamed,
    }
}

#[cfg(test)]
mod tests;
