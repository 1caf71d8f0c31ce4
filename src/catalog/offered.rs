//! Which of the resources, prompts and completions of one moment an address or a name means.

use std::sync::Arc;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use super::plugin::Offering;
use super::snapshot::Snapshot;
use crate::contract::uri_template::Values;
use crate::contract::{OfferKind, Reference};

/// A resource, and the arguments with which its command reads it.
#[derive(Debug)]
pub struct Readable {
    /// The resource, or the template that the address fits.
    pub offering: Arc<Offering>,
    /// `uri`, and the template's variables.
    pub arguments: Box<RawValue>,
}

impl Readable {
    fn new(offering: &Arc<Offering>, uri: &str, values: Values) -> Self {
        let mut arguments = Map::from_iter([("uri".to_owned(), Value::from(uri))]);
        for (name, value) in values {
            // A variable called uri must not hide the address itself.
            arguments.entry(name).or_insert(Value::from(value));
        }
        Self {
            offering: Arc::clone(offering),
            arguments: to_raw_value(&arguments).expect("a JSON value is JSON"),
        }
    }
}

/// Why a resource cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Nobody serves its address.
    Unknown,
    /// It fits a template, with a value that no program is given, in words that begin with the variable's name.
    Refused(String),
}

impl Snapshot {
    /// What reads the resource `uri`: the resource of exactly this address, else the first template that it fits.
    ///
    /// # Errors
    /// Why nothing does.
    pub fn resource(&self, uri: &str) -> Result<Readable, Unreadable> {
        let exact = self.resources.iter().find(|resource| resource.key == uri);
        if let Some(offering) = exact {
            return Ok(Readable::new(offering, uri, Vec::new()));
        }
        let mut refused = None;
        for offering in &self.templates {
            let OfferKind::Template(template) = &offering.kind else {
                continue;
            };
            match template.matches(uri) {
                Some(Ok(values)) => return Ok(Readable::new(offering, uri, values)),
                Some(Err(fault)) => refused = refused.or(Some(fault)),
                None => {}
            }
        }
        Err(refused.map_or(Unreadable::Unknown, |fault| {
            Unreadable::Refused(fault.to_string())
        }))
    }

    /// The prompt of this name.
    pub fn prompt(&self, name: &str) -> Option<Arc<Offering>> {
        self.prompts
            .iter()
            .find(|prompt| prompt.key == name)
            .map(Arc::clone)
    }

    /// What a completion can be for: the prompt of this name, or the template or resource of this text.
    pub fn referred(&self, reference: &Reference) -> Option<&Arc<Offering>> {
        let (lists, key) = match reference {
            Reference::Prompt(name) => ([self.prompts.as_slice(), &[]], name),
            Reference::Template(uri) => ([self.templates.as_slice(), &self.resources], uri),
        };
        lists.into_iter().flatten().find(|known| known.key == *key)
    }

    /// What completes `argument` of `reference`: what was declared for just that argument, else for all.
    pub fn completion(&self, reference: &Reference, argument: &str) -> Option<Arc<Offering>> {
        let of = |wanted: Option<&str>| {
            self.completions.iter().find(|offering| {
                matches!(&offering.kind, OfferKind::Completion { reference: known, argument }
                    if known == reference && argument.as_deref() == wanted)
            })
        };
        of(Some(argument)).or_else(|| of(None)).map(Arc::clone)
    }
}
