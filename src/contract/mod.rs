//! What a plugin may say of itself: contract v1 and v1.1, validated with field addresses.
//!
//! Knows no process and no catalogue: a text goes in, a [`Description`] or its faults come out.

mod capabilities;
pub mod client_requests;
pub mod client_schema;
mod command;
pub mod environment;
pub mod faults;
mod features;
mod keywords;
mod kind;
mod members;
mod parameter;
mod parameters;
mod patterns;
mod payload;
pub mod portable;
pub mod protocol;
pub mod schema;
mod service;
pub mod shape;
pub mod steering;
#[cfg(test)]
mod tests;
pub mod uri_template;
mod version_1_0;
mod writing;

use std::collections::HashSet;

use serde_json::Value;

use crate::text::{cleaned, in_quotes};

pub use capabilities::{Capability, ClientCapabilities};
pub use command::{Command, Detach, Input, OneOf, Output, ToolName, says_false};
use command::{Entry, at_least_one};
pub use faults::{Fault, Faults};
pub use features::{Offer, OfferKind, Prints, PromptArgument, Reference};
pub use kind::ValueType;
use members::{Findings, Members};
pub use parameter::{Parameter, folded};
pub use parameters::Parameters;
pub use payload::{Payload, find_payload};
pub use service::Service;
pub use writing::{Dashes, Style, Writing};

/// What a plugin says of itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Description {
    /// What it is for.
    pub about: String,
    /// Its own version.
    pub version: Option<String>,
    /// Its commands, in its order.
    pub commands: Vec<Command>,
    /// Resources, templates, prompts and completions, in its order.
    pub offers: Vec<Offer>,
    /// Commands that cannot be served, each with its reason.
    pub refused: Vec<(String, String)>,
    /// What its author should read.
    pub warnings: Vec<String>,
    /// How many calls of all its commands run at once.
    pub max_concurrency: Option<usize>,
    /// Whether an interpreter prepared beforehand may run it.
    pub warm: bool,
    /// What runs for as long as the plugin is served, in its order.
    pub services: Vec<Service>,
}

/// Reads a description.
///
/// # Errors
/// What is wrong with it, each fault with the address of its field.
pub fn read(payload: &Value) -> Result<Description, Faults> {
    if !version_1_0::is_version_1_0(payload) {
        return read_as(payload, false);
    }
    let (reduced, hints) = version_1_0::as_version_1_0(payload);
    let mut description = read_as(&reduced, true)?;
    description.warnings.extend(hints);
    Ok(description)
}

fn read_as(payload: &Value, is_version_1_0: bool) -> Result<Description, Faults> {
    let findings = Findings::of(is_version_1_0);
    let description =
        Members::of(payload, String::new(), &findings).map(|members| described(&members));
    let (faults, hints) = findings.into_parts();
    match description {
        Some(mut description) if faults.is_empty() => {
            description.warnings.extend(hints);
            Ok(description)
        }
        _ => Err(faults),
    }
}

fn described(members: &Members<'_>) -> Description {
    check_version(members);
    if members.value("commands").is_none() {
        members.fault("commands", "is missing");
    }
    let mut description = Description {
        offers: features::read(members),
        warnings: members
            .decoration()
            .texts("warnings")
            .iter()
            .map(|text| cleaned(text))
            .collect(),
        max_concurrency: at_least_one(members, "max_concurrency"),
        warm: members.flag("warm").unwrap_or(true),
        services: service::read(members),
        ..Description::default()
    };
    if let Some(plugin) = members.decoration().inner("plugin") {
        plugin.prose("name");
        description.about = plugin.prose("description").unwrap_or_default();
        description.version = plugin.prose("version");
    }
    let mut names = HashSet::new();
    for entry in members.objects("commands") {
        match Command::read(&entry) {
            Entry::Command(command) if !names.insert(command.name.clone()) => {
                let what = format!(
                    "{} is there already; the first is served",
                    in_quotes(&command.name)
                );
                entry.hint("name", &what);
            }
            Entry::Command(command) => description.commands.push(*command),
            Entry::Refused { name, reason } => description.refused.push((name, reason)),
            Entry::Nothing => {}
        }
    }
    features::check_arguments(members, &description.offers, &description.commands);
    description
}

fn check_version(members: &Members<'_>) {
    let version = match members.value("contract_version") {
        None => return,
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => {
            members.hint("contract_version", "should be a string such as \"1.1\"");
            number.to_string()
        }
        Some(_) => {
            members.fault("contract_version", "must be a string such as \"1.1\"");
            return;
        }
    };
    if version.split('.').next() != Some("1") {
        let what = format!(
            "{} is not a version of contract 1, such as 1.0 or 1.1",
            in_quotes(&version)
        );
        members.fault("contract_version", &what);
    } else if !version
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
        || version.split('.').any(str::is_empty)
    {
        let what = format!(
            "{} should be a version such as 1.0 or 1.1",
            in_quotes(&version)
        );
        members.hint("contract_version", &what);
    }
}
