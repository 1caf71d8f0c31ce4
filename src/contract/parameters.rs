//! The arguments of a command as one list, and which of them a name means.

use std::collections::{HashMap, HashSet};
use std::ops::Deref;

use serde_json::Value;

use super::members::Members;
use super::parameter::{Parameter, fault_of_name, folded};
use super::writing::Style;
use crate::text::{in_quotes, shown};

/// The arguments of a command, in the order in which they are written. No two of them differ in `-` and `_` alone.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters {
    list: Vec<Parameter>,
    /// Where each stands, by its folded name.
    by_name: HashMap<String, usize>,
}

/// Two names that callers cannot tell apart.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("it declares '{0}' and '{1}', which callers cannot tell apart; rename one of them")]
pub struct Twins(String, String);

impl Parameters {
    /// Reads the `parameters` of a command; with an `input_schema`, its properties are the arguments, and
    /// `parameters` says how they are written.
    ///
    /// # Errors
    /// Two that differ in `-` and `_` alone.
    pub fn read(members: &Members<'_>, input_schema: Option<&Value>) -> Result<Self, Twins> {
        let declared = members.objects("parameters");
        let declared = declared.iter().filter_map(Parameter::read).collect();
        Self::new(match input_schema {
            Some(schema) => of_schema(schema, declared),
            None => declared,
        })
    }

    fn new(list: Vec<Parameter>) -> Result<Self, Twins> {
        let mut by_name = HashMap::with_capacity(list.len());
        for (index, parameter) in list.iter().enumerate() {
            if let Some(twin) = by_name.insert(folded(&parameter.name), index) {
                let name = |parameter: &Parameter| shown(&parameter.name, 60);
                return Err(Twins(name(&list[twin]), name(parameter)));
            }
        }
        Ok(Self { list, by_name })
    }

    /// Where the argument stands that `name` means, `-` and `_` being the same.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.by_name.get(&folded(name)).copied()
    }

    /// The argument that `name` means, `-` and `_` being the same.
    pub fn named(&self, name: &str) -> Option<&Parameter> {
        self.position(name).map(|index| &self.list[index])
    }

    /// Notes every argument that stands after more words than `invoke` has.
    pub fn check_levels(&self, members: &Members<'_>, words: usize) {
        for parameter in &self.list {
            if parameter.writing.level.is_some_and(|level| level > words) {
                let what = format!(
                    "says that {} stands after more words than the {words} of invoke",
                    in_quotes(&parameter.name)
                );
                members.fault("parameters", &what);
            }
        }
    }

    /// The names of a whole schema may be anything, unless they become options.
    pub fn check_options(&self, members: &Members<'_>) {
        for parameter in &self.list {
            let writing = &parameter.writing;
            let becomes_option = writing.flag.is_none()
                && writing.env.is_none()
                && !matches!(writing.style, Some(Style::Positional | Style::Rest));
            if let Some(fault) = fault_of_name(&parameter.name).filter(|_| becomes_option) {
                let name = in_quotes(&parameter.name);
                let what = format!("has the property {name}, which {fault}");
                members.fault("input_schema", &what);
            }
        }
    }
}

impl Deref for Parameters {
    type Target = [Parameter];

    fn deref(&self) -> &[Parameter] {
        &self.list
    }
}

/// The properties of a whole schema as parameters, with what `declared` says about writing them.
fn of_schema(schema: &Value, declared: Vec<Parameter>) -> Vec<Parameter> {
    let required = schema["required"].as_array().into_iter().flatten();
    let required: HashSet<&str> = required.filter_map(Value::as_str).collect();
    let mut places: HashMap<String, usize> = HashMap::new();
    for (index, known) in declared.iter().enumerate() {
        places.entry(folded(&known.name)).or_insert(index);
    }
    let mut declared: Vec<Option<Parameter>> = declared.into_iter().map(Some).collect();
    let mut parameters = Vec::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let is_required = required.contains(name.as_str());
        let mut parameter = Parameter::of_property(name, property, is_required);
        let place = places.get(&folded(name));
        if let Some(known) = place.and_then(|place| declared[*place].take()) {
            parameter.kind = parameter.kind.or(known.kind);
            parameter.writing = known.writing;
        }
        parameters.push(parameter);
    }
    parameters.extend(declared.into_iter().flatten());
    parameters
}
