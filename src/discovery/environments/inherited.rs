//! What an installer finds in its environment: what plugins inherit, without what would lead it elsewhere.

use std::collections::HashSet;
use std::ffi::OsString;

use crate::contract::environment::{Variable, is_of_a_repository};

/// Variables that would make an installer work elsewhere than in the environment, or not at all, or keep it from saying
/// plainly how far it has come.
const LEADING_ELSEWHERE: [&str; 18] = [
    "CLICOLOR_FORCE",
    "CONDA_PREFIX",
    "FORCE_COLOR",
    "PIP_DRY_RUN",
    "PIP_PREFIX",
    "PIP_PYTHON",
    "PIP_QUIET",
    "PIP_REQUIREMENT",
    "PIP_REQUIRE_VIRTUALENV",
    "PIP_ROOT",
    "PIP_TARGET",
    "PYTHONHOME",
    "PYTHONPATH",
    "UV_PROJECT_ENVIRONMENT",
    "UV_PYTHON",
    "UV_SYSTEM_PYTHON",
    "VIRTUAL_ENV",
    "__PYVENV_LAUNCHER__",
];

/// What installers are told besides. An operator's own word about retries counts.
const TOLD: [(&str, &str); 7] = [
    ("GIT_TERMINAL_PROMPT", "0"),
    ("NO_COLOR", "1"),
    ("PIP_DISABLE_PIP_VERSION_CHECK", "1"),
    ("PIP_NO_INPUT", "1"),
    ("PIP_USER", "0"),
    ("PYTHONUNBUFFERED", "1"),
    ("UV_NO_PROGRESS", "1"),
];

/// How often pip tries what it cannot reach, where nobody says otherwise.
const RETRIES: (&str, &str) = ("PIP_RETRIES", "1");

/// What an installer finds in its environment: what plugins inherit, so the server's keys are not among it.
pub(super) fn variables(inherited: &[Variable]) -> Vec<Variable> {
    let told = TOLD.iter();
    let told = told.map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let mut all: Vec<Variable> = told.collect();
    // Without a second try pip does not say that it could not reach anything.
    let own = inherited.iter().find(|(name, _)| name == RETRIES.0);
    if own.is_none_or(|(_, value)| value == "0" || value.is_empty()) {
        all.push((RETRIES.0.into(), RETRIES.1.into()));
    }
    let told: HashSet<OsString> = all.iter().map(|(name, _)| name.clone()).collect();
    let rest = inherited.iter().filter(|(name, _)| {
        LEADING_ELSEWHERE.iter().all(|other| name != other)
            && !is_of_a_repository(name)
            && !told.contains(name)
    });
    all.extend(rest.cloned());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operators_index_reaches_installers_and_what_leads_elsewhere_does_not() {
        let variable = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let inherited = [
            variable("PATH", "/bin"),
            variable("PIP_INDEX_URL", "https://index.example/simple"),
            variable("UV_INDEX_URL", "https://index.example/simple"),
            variable("PIP_USER", "1"),
            variable("PIP_TARGET", "/elsewhere"),
            variable("PYTHONPATH", "/elsewhere"),
            variable("PIP_RETRIES", "9"),
            variable("PIP_DRY_RUN", "1"),
            variable("FORCE_COLOR", "1"),
            variable("GIT_DIR", "/elsewhere/.git"),
        ];
        let variables = variables(&inherited);
        let value = |name: &str| {
            let mut found = variables.iter().filter(|(known, _)| known == name);
            let value = found.next().and_then(|(_, value)| value.to_str());
            assert!(found.next().is_none(), "{name} stands there twice");
            value
        };
        let retries = super::variables(&[variable("PIP_RETRIES", "0")]);
        assert!(
            retries.contains(&variable("PIP_RETRIES", "1")),
            "{retries:?}"
        );
        for (name, expected) in [
            ("PATH", Some("/bin")),
            ("PIP_INDEX_URL", Some("https://index.example/simple")),
            ("UV_INDEX_URL", Some("https://index.example/simple")),
            ("PIP_USER", Some("0")),
            ("PIP_NO_INPUT", Some("1")),
            ("PIP_RETRIES", Some("9")),
            ("PIP_TARGET", None),
            ("PIP_DRY_RUN", None),
            ("FORCE_COLOR", None),
            ("PYTHONPATH", None),
            ("GIT_DIR", None),
        ] {
            assert_eq!(value(name), expected, "{name}");
        }
    }
}
