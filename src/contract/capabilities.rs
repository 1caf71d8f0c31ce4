//! What a client can be asked, as a command requires it and a client declares it.
//!
//! <https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation#capabilities>
//! <https://modelcontextprotocol.io/specification/2025-11-25/client/sampling#capabilities>

use serde_json::{Map, Value};

use super::members::Members;
use crate::text::in_quotes;

/// In `requires`: the client must hold a task for each call. It is nothing that a client can be asked.
pub const TASKS: &str = "tasks";

/// One thing that a client can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capability {
    /// Something of its user, in a form or at an address.
    Elicitation,
    /// To show its user a form.
    ElicitationForm,
    /// To send its user to an address.
    ElicitationUrl,
    /// A text of its model.
    Sampling,
    /// A text of its model, which may use tools for it.
    SamplingTools,
    /// A text of its model, which gets context of servers for it.
    SamplingContext,
    /// The directories of its workspace.
    Roots,
}

impl Capability {
    /// All of them, each after what it is a part of.
    pub const ALL: [Self; 7] = [
        Self::Elicitation,
        Self::ElicitationForm,
        Self::ElicitationUrl,
        Self::Sampling,
        Self::SamplingTools,
        Self::SamplingContext,
        Self::Roots,
    ];

    /// Its name in `requires` and in messages: the members of the protocol's `capabilities`, joined by a dot.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation",
            Self::ElicitationForm => "elicitation.form",
            Self::ElicitationUrl => "elicitation.url",
            Self::Sampling => "sampling",
            Self::SamplingTools => "sampling.tools",
            Self::SamplingContext => "sampling.context",
            Self::Roots => "roots",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// What of a client can be asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientCapabilities(u8);

impl ClientCapabilities {
    /// What the object `capabilities` of a client declares. An `elicitation` that names no mode means forms. Before
    /// there was a `sampling.context` to declare, every client that samples could be asked for context:
    /// `sampling_has_parts` is false then.
    pub fn declared(capabilities: &Map<String, Value>, sampling_has_parts: bool) -> Self {
        let is_object = |name: &str, part: Option<&str>| {
            let capability = capabilities.get(name);
            let declared = match part {
                None => capability,
                Some(part) => capability.and_then(|capability| capability.get(part)),
            };
            declared.is_some_and(Value::is_object)
        };
        let has = |capability: Capability| match capability.name().split_once('.') {
            Some((name, part)) => is_object(name, Some(part)),
            None => is_object(capability.name(), None),
        };
        let mut declared = Self::default();
        for capability in Capability::ALL {
            let implied = match capability {
                Capability::ElicitationForm => {
                    has(Capability::Elicitation) && !has(Capability::ElicitationUrl)
                }
                Capability::SamplingContext => has(Capability::Sampling) && !sampling_has_parts,
                _ => false,
            };
            if implied || has(capability) {
                declared.insert(capability);
            }
        }
        declared
    }

    /// What a command requires.
    pub(super) fn required(members: &Members<'_>) -> Self {
        let mut needed = Self::default();
        for (index, word) in members.texts("requires").iter().enumerate() {
            if word == TASKS {
                continue;
            }
            match Capability::ALL.iter().find(|known| known.name() == word) {
                Some(capability) => needed.insert(*capability),
                None => members.fault(
                    &format!("requires[{index}]"),
                    &format!(
                        "{} is not one of {}, {TASKS}",
                        in_quotes(word),
                        Capability::ALL.map(Capability::name).join(", ")
                    ),
                ),
            }
        }
        needed
    }

    /// Adds one.
    pub fn insert(&mut self, capability: Capability) {
        self.0 |= capability.bit();
    }

    /// Whether it is among them.
    pub fn has(self, capability: Capability) -> bool {
        self.0 & capability.bit() != 0
    }

    /// The names of those of `needed` that are not among them.
    pub fn missing(self, needed: Self) -> Vec<&'static str> {
        let missing = Capability::ALL.into_iter();
        let missing =
            missing.filter(|capability| needed.has(*capability) && !self.has(*capability));
        missing.map(Capability::name).collect()
    }
}

impl FromIterator<Capability> for ClientCapabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        let mut all = Self::default();
        capabilities.into_iter().for_each(|one| all.insert(one));
        all
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn declared(capabilities: Value, sampling_has_parts: bool) -> Vec<&'static str> {
        let Value::Object(capabilities) = capabilities else {
            panic!("capabilities are an object")
        };
        let declared = ClientCapabilities::declared(&capabilities, sampling_has_parts);
        let all = Capability::ALL.into_iter();
        all.filter(|capability| declared.has(*capability))
            .map(Capability::name)
            .collect()
    }

    #[test]
    fn a_client_has_what_it_declares_and_nothing_else() {
        let cases = [
            (json!({}), vec![]),
            (json!({"elicitation": true, "roots": null}), vec![]),
            (
                json!({"elicitation": {}}),
                vec!["elicitation", "elicitation.form"],
            ),
            (
                json!({"elicitation": {"form": {}}}),
                vec!["elicitation", "elicitation.form"],
            ),
            (
                json!({"elicitation": {"url": {}}}),
                vec!["elicitation", "elicitation.url"],
            ),
            (
                json!({"elicitation": {"form": {}, "url": {}}}),
                vec!["elicitation", "elicitation.form", "elicitation.url"],
            ),
            (json!({"sampling": {}}), vec!["sampling"]),
            (
                json!({"sampling": {"tools": {}, "context": {}}, "roots": {"listChanged": true}}),
                vec!["sampling", "sampling.tools", "sampling.context", "roots"],
            ),
        ];
        for (capabilities, expected) in cases {
            assert_eq!(
                declared(capabilities.clone(), true),
                expected,
                "{capabilities}"
            );
        }
        assert_eq!(
            declared(json!({"sampling": {}}), false),
            ["sampling", "sampling.context"]
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let needed = [Capability::Roots, Capability::ElicitationUrl]
            .into_iter()
            .collect();
        let has =
            ClientCapabilities::from_iter([Capability::Elicitation, Capability::ElicitationForm]);
        assert_eq!(has.missing(needed), ["elicitation.url", "roots"]);
        assert_eq!(has.missing(has), [""; 0]);
    }
}
