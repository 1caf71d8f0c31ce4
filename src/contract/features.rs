//! What a plugin serves besides tools: resources, resource templates, prompts, completions.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use super::command::command_name;
use super::members::Members;
use super::protocol::{PROMPT, RESOURCE, RESOURCE_TEMPLATE};
use crate::contract::uri_template::UriTemplate;
use crate::text::{cleaned, in_quotes};

/// The member of an entry that says what its command prints.
const PRINTS: &str = "output";

/// The member of a template that says that the plugin checks itself where the values of `{+x}` lead.
const UNCHECKED_PATHS: &str = "unchecked_paths";

/// How many names of arguments a message lists.
const MAX_LISTED: usize = 20;

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

/// All the entries, in the order of the description.
pub fn read(description: &Members<'_>) -> Vec<Offer> {
    let mut offers = Vec::new();
    for entry in description.objects("resources") {
        let uri = entry.name("uri");
        offers.extend(uri.and_then(|uri| listed(&entry, uri, OfferKind::Resource)));
    }
    for entry in description.objects("resource_templates") {
        offers.extend(template(&entry));
    }
    for entry in description.objects("prompts") {
        let kind = OfferKind::Prompt(arguments(&entry));
        let name = entry.name("name");
        offers.extend(name.and_then(|name| listed(&entry, name, kind)));
    }
    let mut completions = Vec::new();
    let known = completable(&offers);
    for entry in description.objects("completions") {
        let completion = completion(&entry);
        if let Some(completion) = &completion {
            check_reference(&entry, &completion.kind, &known);
        }
        completions.extend(completion);
    }
    offers.append(&mut completions);
    offers
}

/// What can be completed: whether it is a prompt, its key, and the names of its arguments or variables.
type Completable<'a> = HashMap<(bool, &'a str), BTreeSet<&'a str>>;

fn completable(offers: &[Offer]) -> Completable<'_> {
    let of = |offer: &Offer| match &offer.kind {
        OfferKind::Prompt(_) => Some(true),
        OfferKind::Template(_) | OfferKind::Resource => Some(false),
        OfferKind::Completion { .. } => None,
    };
    let mut known = Completable::new();
    for offer in offers {
        let Some(is_prompt) = of(offer) else {
            continue;
        };
        let names = known.entry((is_prompt, offer.key.as_str())).or_default();
        match &offer.kind {
            OfferKind::Prompt(arguments) => {
                names.extend(arguments.iter().map(|argument| argument.name.as_str()));
            }
            OfferKind::Template(template) => names.extend(template.variables()),
            OfferKind::Resource | OfferKind::Completion { .. } => {}
        }
    }
    known
}

/// Notes that something is completed which the plugin does not have.
fn check_reference(entry: &Members<'_>, completion: &OfferKind, known: &Completable<'_>) {
    let OfferKind::Completion {
        reference,
        argument,
    } = completion
    else {
        return;
    };
    let (is_prompt, key) = match reference {
        Reference::Prompt(name) => (true, name),
        Reference::Template(uri) => (false, uri),
    };
    let Some(names) = known.get(&(is_prompt, key.as_str())) else {
        let what = format!("names {}, which this plugin does not have", in_quotes(key));
        return entry.hint("ref", &what);
    };
    let unknown = argument
        .as_ref()
        .filter(|argument| !names.contains(argument.as_str()));
    if let Some(argument) = unknown {
        let listed: Vec<&str> = names.iter().take(MAX_LISTED).copied().collect();
        let there = match names.len().saturating_sub(MAX_LISTED) {
            0 if listed.is_empty() => "none".to_owned(),
            0 => listed.join(", "),
            more => format!("{} and {more} more", listed.join(", ")),
        };
        let what = format!(
            "{} is none of {}, which has {there}",
            in_quotes(argument),
            in_quotes(key)
        );
        entry.hint("argument", &what);
    }
}

fn template(entry: &Members<'_>) -> Option<Offer> {
    let text = entry.name("uriTemplate")?;
    let is_unchecked = entry.flag(UNCHECKED_PATHS).unwrap_or(false);
    let mut template = match UriTemplate::parse(&text) {
        Ok(template) => template,
        Err(fault) => {
            entry.fault("uriTemplate", &fault.to_string());
            return None;
        }
    };
    if template.variables().any(|name| name == "uri") {
        let what = "has the variable uri, which no program gets: the whole address has this name";
        entry.hint("uriTemplate", what);
    }
    if is_unchecked && !template.has_paths() {
        let what = "has no effect: no variable of uriTemplate is written {+name}";
        entry.hint(UNCHECKED_PATHS, what);
    }
    if is_unchecked {
        template = template.with_unchecked_paths();
    }
    listed(entry, text, OfferKind::Template(template))
}

fn listed(entry: &Members<'_>, key: String, kind: OfferKind) -> Option<Offer> {
    entry.name("name")?;
    let form = match kind {
        OfferKind::Template(_) => RESOURCE_TEMPLATE,
        OfferKind::Prompt(_) => PROMPT,
        OfferKind::Resource | OfferKind::Completion { .. } => RESOURCE,
    };
    let prints = prints(entry);
    let command = command_name(entry, "command");
    let mut definition = definition(entry.all);
    if let Some(members) = definition.as_object_mut() {
        members.remove(PRINTS);
    }
    let definition = entry.held_against(&form, &definition);
    Some(Offer {
        address: entry.address.clone(),
        definition: definition.map_err(|misfit| entry.misfit(misfit)).ok()?,
        mime_type: entry.text("mimeType"),
        command: command?,
        prints,
        key,
        kind,
    })
}

fn prints(entry: &Members<'_>) -> Option<Prints> {
    entry.choice(
        PRINTS,
        &[("text", Prints::Text), ("result", Prints::Result)],
    )
}

/// The entry as it stands, without what is between the plugin and the server.
fn definition(all: &Map<String, Value>) -> Value {
    let shown = all.iter().filter(|(name, value)| {
        !["command", UNCHECKED_PATHS].contains(&name.as_str()) && !value.is_null()
    });
    let cleaned_texts = shown.map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("description" | "title", Value::String(text)) => cleaned(text).into(),
            (_, value) => value.clone(),
        };
        (name.clone(), value)
    });
    Value::Object(cleaned_texts.collect())
}

fn arguments(entry: &Members<'_>) -> Vec<PromptArgument> {
    let mut read = Vec::new();
    let mut names = HashSet::new();
    for argument in entry.objects("arguments") {
        let Some(name) = argument.name("name") else {
            continue;
        };
        if name.starts_with('-') {
            let what = format!("{} must not begin with '-'", in_quotes(&name));
            argument.fault("name", &what);
        } else if !names.insert(name.clone()) {
            let what = format!("{} is the name of two arguments", in_quotes(&name));
            argument.hint("name", &what);
        }
        let required = argument.flag("required").unwrap_or(false);
        read.push(PromptArgument { name, required });
    }
    read
}

fn completion(entry: &Members<'_>) -> Option<Offer> {
    let Some(reference) = entry.object("ref") else {
        entry.fault("ref", "is missing");
        return None;
    };
    let word = |member: &str| reference[member].as_str().map(str::to_owned);
    let named = match reference["type"].as_str() {
        Some("ref/prompt") => word("name").map(Reference::Prompt),
        Some("ref/resource") => word("uri").map(Reference::Template),
        _ => None,
    };
    let Some(reference) = named else {
        entry.fault(
            "ref",
            "must be {\"type\":\"ref/prompt\",\"name\":…} or {\"type\":\"ref/resource\",\"uri\":…}",
        );
        return None;
    };
    let (Reference::Prompt(key) | Reference::Template(key)) = &reference;
    Some(Offer {
        address: entry.address.clone(),
        key: key.clone(),
        command: command_name(entry, "command")?,
        definition: Value::Null,
        mime_type: None,
        prints: prints(entry),
        kind: OfferKind::Completion {
            argument: entry.text("argument"),
            reference,
        },
    })
}
