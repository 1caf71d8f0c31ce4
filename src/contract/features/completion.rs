//! Completions: what they are for, and whether the plugin has it.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;

use super::offer::{Offer, OfferKind, Prints, Reference};
use crate::contract::command::command_name;
use crate::contract::members::Members;
use crate::text::in_quotes;

/// How many names of arguments a message lists.
const MAX_LISTED: usize = 20;

/// What can be completed: whether it is a prompt, its key, and the names of its arguments or variables.
pub(super) type Completable<'a> = HashMap<(bool, &'a str), BTreeSet<&'a str>>;

/// What the entries read so far have to be completed.
pub(super) fn completable(offers: &[Offer]) -> Completable<'_> {
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
pub(super) fn check_reference(
    entry: &Members<'_>,
    completion: &OfferKind,
    known: &Completable<'_>,
) {
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

/// Reads an entry of `completions`.
pub(super) fn read(entry: &Members<'_>) -> Option<Offer> {
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
        prints: Prints::read(entry),
        kind: OfferKind::Completion {
            argument: entry.text("argument"),
            reference,
        },
    })
}
