//! What one entry of `resources`, `resource_templates`, `prompts` or `completions` declares.

use serde_json::Value;

use crate::contract::members::Members;
use crate::contract::uri_template::UriTemplate;

/// The member of an entry that says what its command prints.
pub(super) const PRINTS: &str = "output";

/// What an entry is.
#[derive(Debug, Clone, PartialEq)]
pub enum OfferKind {
    /// A resource with a fixed address.
    Resource,
    /// A family of resources.
    Template(UriTemplate),
    /// A prompt, with the arguments it takes.
    Prompt(Vec<PromptArgument>),
    /// Suggestions for the arguments of a prompt or the variables of a template.
    Completion {
        /// What is filled in.
        reference: Reference,
        /// The one argument that it completes; every one when `None`.
        argument: Option<String>,
    },
}

/// One argument of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptArgument {
    /// Its name.
    pub name: String,
    /// Whether it must be given.
    pub required: bool,
}

/// What a completion is asked for, as clients refer to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// `ref/prompt`, by the prompt's name.
    Prompt(String),
    /// `ref/resource`, by the template's text.
    Template(String),
}

/// What the command of an entry prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prints {
    /// Text, whatever it looks like.
    Text,
    /// The protocol's own result object.
    Result,
}

/// One entry of `resources`, `resource_templates`, `prompts` or `completions`.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    /// Where it stands in the description, for messages.
    pub address: String,
    /// The address, the template, or the prompt's name; of a completion, what it refers to.
    pub key: String,
    /// What it is.
    pub kind: OfferKind,
    /// What clients are shown.
    pub definition: Value,
    /// The media type that it declares.
    pub mime_type: Option<String>,
    /// What its command prints, where it says so.
    pub prints: Option<Prints>,
    /// The command that serves it.
    pub command: String,
}

impl Prints {
    /// What an entry says of what its command prints.
    pub(super) fn read(entry: &Members<'_>) -> Option<Self> {
        let words = [("text", Self::Text), ("result", Self::Result)];
        entry.decoration().choice(PRINTS, &words)
    }
}
