//! What the name of a tool may mean, and why there is none of that name.

use crate::call::types::CallError;
use crate::catalog::{BUILT_IN, Class, Skipped, Snapshot};
use crate::governor::tool_index::like;
use crate::text::shown;

/// How much of a server's names is told, in characters.
const MAX_NAMES: usize = 1_000;

/// The names that a plugin can have whose tool is called `name`.
pub(super) fn plugins_in(name: &str) -> Vec<String> {
    let joints = name.match_indices(['_', '.']).map(|(at, _)| at);
    joints
        .filter(|at| *at > 0)
        .map(|at| name[..at].to_owned())
        .collect()
}

/// Why there is no such tool: the plugin is not served, or the name is only like one that there is.
pub(super) fn explained(error: &CallError, name: &str, snapshot: &Snapshot) -> String {
    let meant = plugins_in(name);
    let skipped = snapshot
        .skipped
        .iter()
        .find(|skipped| skipped.name == name || meant.contains(&skipped.name));
    if let Some(skipped) = skipped {
        let reason = match skipped.class {
            Some(Class::Dependencies) => with_what_to_do(skipped),
            _ => skipped.reason.clone(),
        };
        return format!("{} is not served: {reason}", skipped.name);
    }
    let why = no_such_tool(error, name, snapshot);
    let mut meant = meant.iter();
    match meant.find_map(|plugin| uninstalled(plugin, snapshot)) {
        // It may be one of those that the plugin has only with what it lacks.
        Some(lacks) => format!("{why}; {lacks}"),
        None => why,
    }
}

/// Why a plugin that is served has not what it declares, where that could not be installed, and what to do.
pub(super) fn uninstalled(plugin: &str, snapshot: &Snapshot) -> Option<String> {
    let lacks = |skipped: &&Skipped| skipped.class == Some(Class::Dependencies);
    let mut lacking = snapshot.outdated.iter().filter(lacks);
    let skipped = lacking.find(|skipped| skipped.name == plugin)?;
    Some(format!("{plugin}: {}", with_what_to_do(skipped)))
}

/// A reason of the class of what could not be installed. Nobody tries it again for whoever calls once.
fn with_what_to_do(skipped: &Skipped) -> String {
    const SYNC: &str = "smcp plugins sync";
    let reason = &skipped.reason;
    match reason.contains(SYNC) || reason.contains("declare all that it imports") {
        true => reason.clone(),
        false => format!("{reason}; as soon as that can be had: {SYNC}"),
    }
}

fn no_such_tool(error: &CallError, name: &str, snapshot: &Snapshot) -> String {
    if name.contains('/') {
        return format!(
            "'{name}' is no tool; for a method of the protocol a client is needed; to see the tools: smcp tools"
        );
    }
    let known = snapshot.tools.iter().map(|tool| tool.name.as_str());
    let alike = like(name, known.chain(BUILT_IN));
    if !alike.is_empty() {
        return format!("no tool '{name}'; did you mean {}?", alike.join(" or "));
    }
    match error {
        // What they say is for clients, who have no shell.
        CallError::InvalidToolName(_) | CallError::PluginNotFound(_) => {
            format!("no tool '{name}'; to see the tools: smcp tools")
        }
        error => error.to_string(),
    }
}

/// The same for a server that only says which tools it has. Their names are its own, and may be anything.
pub(super) fn unknown(name: &str, known: &[&str]) -> String {
    let alike = like(name, known.iter().copied());
    if !alike.is_empty() {
        return format!(
            "the server has no tool '{name}'; did you mean {}?",
            shown(&alike.join(" or "), MAX_NAMES)
        );
    }
    match known {
        [] => format!("the server has no tool '{name}': it has none at all"),
        known => format!(
            "the server has no tool '{name}'; it has {}",
            shown(&known.join(", "), MAX_NAMES)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugins_that_a_name_can_mean_are_all_its_beginnings() {
        assert_eq!(plugins_in("health"), Vec::<String>::new());
        assert_eq!(plugins_in("a_b__c.d"), ["a", "a_b", "a_b_", "a_b__c"]);
        assert_eq!(plugins_in("__x"), ["_"]);
    }
}
