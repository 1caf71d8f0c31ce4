//! What is found: where, how grave, and how to mend it.

use serde::Serialize;

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Something is not served, or does not do what it says.
    Error,
    /// It is served, and some client or somebody will stumble over it.
    Warning,
}

/// What was looked at, by the word that programs know it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Rule {
    /// A plugin, or a command of one, is not served.
    NotServed,
    /// The description has something that the contract does not allow, or that has no effect.
    Contract,
    /// A tool's name is too long for a client.
    NameLength,
    /// Letta refuses the tool for its schema.
    LettaSchema,
    /// A tool or an argument has no description.
    NoDescription,
    /// The description names a command that the program does not have.
    UnknownCommand,
    /// The program takes long to start.
    SlowStart,
    /// The program writes when it is only asked.
    Writes,
    /// A command gives something else than it declares, or fails.
    Output,
    /// A setting asks for what no plugin gives, or is dangerous.
    Setting,
}

/// One thing that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// Whose it is; `None` where it is no plugin's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plugin: Option<String>,
    /// How grave it is.
    pub(super) severity: Severity,
    /// What was looked at.
    pub(super) rule: Rule,
    /// Where: the address of a field in the description, a tool, or a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) place: Option<String>,
    /// What is wrong.
    pub(super) message: String,
    /// What to do.
    pub(super) mend: String,
    /// The sentence that it was taken from, for people.
    #[serde(skip)]
    pub(super) said: Option<String>,
}

impl Finding {
    /// A finding in a sentence of the server's, which has its address at the beginning, and what to do behind a
    /// semicolon, where it has any of them.
    pub(super) fn of_sentence(plugin: &str, severity: Severity, rule: Rule, text: &str) -> Self {
        let first = text.split(' ').next().unwrap_or_default();
        let place = first.contains('[');
        let message = match place {
            true => text[first.len()..].trim_start(),
            false => text,
        };
        let (message, mend) = match message.rsplit_once("; ") {
            Some((message, mend)) => (message.to_owned(), mend.to_owned()),
            None => (message.to_owned(), rule.mend().to_owned()),
        };
        Self {
            plugin: Some(plugin.to_owned()),
            severity,
            rule,
            place: place.then(|| first.to_owned()),
            message,
            mend,
            said: Some(text.to_owned()),
        }
    }

    /// The finding as one line of text, without its plugin.
    pub(super) fn line(&self) -> String {
        if let Some(said) = &self.said {
            return said.clone();
        }
        let place = self.place.as_ref().map(|place| format!("{place} "));
        format!(
            "{}{}; {}",
            place.unwrap_or_default(),
            self.message,
            self.mend
        )
    }
}

impl Rule {
    /// What to do where nothing more exact is known.
    fn mend(self) -> &'static str {
        match self {
            Self::Contract => "docs/plugin-contract says what may stand there",
            Self::Setting => "correct the setting, or the plugins",
            _ => "mend it, then run smcp check again",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_taken_apart_into_its_place_its_fault_and_its_remedy() {
        for (text, place, message, mend) in [
            (
                "commands[0].timeout must be above 0, not -1",
                Some("commands[0].timeout"),
                "must be above 0, not -1",
                "docs/plugin-contract says what may stand there",
            ),
            (
                "its cli is not executable; chmod +x it",
                None,
                "its cli is not executable",
                "chmod +x it",
            ),
        ] {
            let finding = Finding::of_sentence("p", Severity::Warning, Rule::Contract, text);
            assert_eq!(finding.place.as_deref(), place);
            assert_eq!(
                (finding.message.as_str(), finding.mend.as_str()),
                (message, mend)
            );
        }
    }
}
