//! What a plugin serves besides tools: resources, resource templates, prompts, completions.

mod completion;
mod offer;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::command::{Command, command_name};
use super::members::Members;
use super::protocol::{PROMPT, RESOURCE, RESOURCE_TEMPLATE};
use super::shape::Form;
use super::uri_template::UriTemplate;
use crate::text::{cleaned, in_quotes};
use offer::PRINTS;
pub use offer::{Offer, OfferKind, Prints, PromptArgument, Reference};

/// The member of a template that says that the plugin checks itself where the values of `{+x}` lead.
const UNCHECKED_PATHS: &str = "unchecked_paths";

/// All the entries, in the order of the description.
pub fn read(description: &Members<'_>) -> Vec<Offer> {
    let mut offers = Vec::new();
    for entry in description.objects("resources") {
        let uri = entry.name("uri");
        let resource = uri.and_then(|uri| listed(&entry, uri, OfferKind::Resource));
        if resource.is_some() && !fits(&entry, "uri", &Form::ExactUri) {
            let what = "has letters outside ASCII, which some clients send percent-encoded";
            entry.hint("uri", what);
        }
        offers.extend(resource);
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
    let known = completion::completable(&offers);
    for entry in description.objects("completions") {
        let completion = completion::read(&entry);
        if let Some(completion) = &completion {
            completion::check_reference(&entry, &completion.kind, &known);
        }
        completions.extend(completion);
    }
    offers.append(&mut completions);
    offers
}

fn template(entry: &Members<'_>) -> Option<Offer> {
    let text = entry.name("uriTemplate")?;
    let is_unchecked = entry.decoration().flag(UNCHECKED_PATHS).unwrap_or(false);
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
    let prints = Prints::read(entry);
    let command = command_name(entry, "command");
    let definition = entry.fitting_entry(&form, &definition(entry.all, &kind));
    let Some(definition) = definition else {
        entry.hint_of_itself("cannot be shown to clients; it is not served");
        return None;
    };
    Some(Offer {
        address: entry.address.clone(),
        mime_type: definition["mimeType"].as_str().map(str::to_owned),
        definition,
        command: command?,
        prints,
        key,
        kind,
    })
}

fn fits(entry: &Members<'_>, member: &str, form: &Form) -> bool {
    let value = entry.value(member);
    value.is_some_and(|value| form.fitting(&value.to_string()).is_ok())
}

/// The entry as it stands, without what is between the plugin and the server.
fn definition(all: &Map<String, Value>, kind: &OfferKind) -> Value {
    let shown = all.iter().filter(|(name, value)| {
        !["command", UNCHECKED_PATHS, PRINTS].contains(&name.as_str()) && !value.is_null()
    });
    let cleaned_texts = shown.map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("description" | "title", Value::String(text)) => cleaned(text).into(),
            ("arguments", Value::Array(all)) if matches!(kind, OfferKind::Prompt(_)) => {
                let mut names = HashSet::new();
                let first = all
                    .iter()
                    .filter(|argument| names.insert(argument["name"].as_str()));
                first.cloned().collect()
            }
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
            let what = format!(
                "{} is the name of two arguments; the first counts",
                in_quotes(&name)
            );
            argument.hint("name", &what);
            continue;
        }
        let required = argument.flag("required").unwrap_or(false);
        read.push(PromptArgument { name, required });
    }
    read
}

/// Notes every argument of a prompt, and every variable of a template, that its declared command does not get, because
/// it has no parameter of this name.
pub fn check_arguments(description: &Members<'_>, offers: &[Offer], commands: &[Command]) {
    let by_name: HashMap<&str, &Command> = commands
        .iter()
        .map(|command| (command.name.as_str(), command))
        .collect();
    for offer in offers {
        let Some(command) = by_name.get(offer.command.as_str()) else {
            continue;
        };
        let names: Vec<&str> = match &offer.kind {
            OfferKind::Prompt(arguments) => arguments.iter().map(|one| one.name.as_str()).collect(),
            OfferKind::Template(template) => {
                template.variables().filter(|name| *name != "uri").collect()
            }
            OfferKind::Resource | OfferKind::Completion { .. } => continue,
        };
        let lost = names
            .into_iter()
            .filter(|name| command.parameter(name).is_none());
        for name in lost {
            let what = format!(
                "has {}, which never reaches the program: its command {} has no parameter of this name",
                in_quotes(name),
                in_quotes(&command.name)
            );
            description.hint(&offer.address, &what);
        }
    }
}
