//! One JSON object of a description and where it stands, so that every fault names its field.
//!
//! `null` counts as absent everywhere: version 3's descriptions are full of it.

use std::cell::RefCell;

use serde_json::{Map, Value};

use super::faults::Faults;
use super::shape::{Form, Misfit};
use crate::text::{cleaned, excerpt, in_quotes};

/// How much of a wrong value a message quotes.
const QUOTED: usize = 60;

/// How many items a list of a description may have: what no author writes by hand is refused before it is read.
pub const MAX_ITEMS: usize = 10_000;

/// What is found in a description that is being read.
#[derive(Debug, Default)]
pub struct Findings {
    faults: RefCell<Faults>,
    /// What its author should read, and what keeps nothing from being served.
    hints: RefCell<Faults>,
    /// Whether it is read as version 1.0 of the contract.
    is_version_1_0: bool,
    /// The addresses of the members that were looked for, there or not.
    #[cfg(test)]
    pub(super) looked_for: RefCell<std::collections::BTreeSet<String>>,
}

impl Findings {
    /// Nothing yet, of a description of version 1.0 or of a later one.
    pub fn of(is_version_1_0: bool) -> Self {
        Self {
            is_version_1_0,
            ..Self::default()
        }
    }

    /// Notes a fault of the field at `address`.
    pub fn add(&self, address: &str, what: &str) {
        let place = if address.is_empty() {
            "the description"
        } else {
            address
        };
        self.faults.borrow_mut().add(&format!("{place} {what}"));
    }

    /// The faults, and the hints.
    pub fn into_parts(self) -> (Faults, Vec<String>) {
        (self.faults.into_inner(), self.hints.into_inner().into_vec())
    }
}

/// An object of the description.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    /// Such as `commands[0].parameters[2]`; empty for the description itself.
    pub address: String,
    /// The members as they stand.
    pub all: &'a Map<String, Value>,
    faults: &'a Findings,
}

impl<'a> Members<'a> {
    /// The object at `address`; a fault when the value is none.
    pub fn of(value: &'a Value, address: String, faults: &'a Findings) -> Option<Self> {
        match value {
            Value::Object(all) => Some(Self {
                address,
                all,
                faults,
            }),
            other => {
                faults.add(&address, &must_be("an object", other));
                None
            }
        }
    }

    /// Where the member `name` stands.
    pub fn at(&self, name: &str) -> String {
        if self.address.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.address)
        }
    }

    /// Notes a fault of the member `name`.
    pub fn fault(&self, name: &str, what: &str) {
        self.faults.add(&self.at(name), what);
    }

    /// Notes what the author should read of the member `name`.
    pub fn hint(&self, name: &str, what: &str) {
        let hint = format!("{} {what}", self.at(name));
        self.faults.hints.borrow_mut().add(&hint);
    }

    /// Whether the description is one of version 1.0.
    pub fn is_version_1_0(&self) -> bool {
        self.faults.is_version_1_0
    }

    /// The member's value.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        #[cfg(test)]
        self.faults.looked_for.borrow_mut().insert(self.at(name));
        self.all.get(name).filter(|value| !value.is_null())
    }

    /// A text, as it stands.
    pub fn text(&self, name: &str) -> Option<String> {
        let value = self.value(name)?;
        let text = value.as_str().map(str::to_owned);
        self.or_fault(name, text, "a string", value)
    }

    /// A text for people, without control characters.
    pub fn prose(&self, name: &str) -> Option<String> {
        self.text(name).map(|text| cleaned(&text).trim().to_owned())
    }

    /// A text that must be there, with at least one character and none that controls a terminal.
    pub fn name(&self, name: &str) -> Option<String> {
        if self.value(name).is_none() {
            self.fault(name, "is missing");
            return None;
        }
        let text = self.text(name)?;
        if text.trim().is_empty() {
            self.fault(name, "must not be empty");
        } else if text.chars().any(char::is_control) {
            self.fault(
                name,
                &format!("{} has control characters", in_quotes(&text)),
            );
        } else {
            return Some(text);
        }
        None
    }

    /// A truth value.
    pub fn flag(&self, name: &str) -> Option<bool> {
        let value = self.value(name)?;
        self.or_fault(name, value.as_bool(), "true or false", value)
    }

    /// A whole number, not negative.
    pub fn count(&self, name: &str) -> Option<u64> {
        let value = self.value(name)?;
        self.or_fault(name, value.as_u64(), "a whole number from 0", value)
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<f64> {
        let value = self.value(name)?;
        self.or_fault(name, value.as_f64(), "a number", value)
    }

    /// An object, passed on as it is.
    pub fn object(&self, name: &str) -> Option<&'a Value> {
        let value = self.value(name)?;
        self.or_fault(name, value.is_object().then_some(value), "an object", value)
    }

    /// A value of the protocol's as clients get it, without members that are `null`.
    pub fn fitting(&self, name: &str, form: &Form) -> Option<Value> {
        let value = self.value(name)?;
        self.held_against(form, value)
            .map_err(|misfit| self.misfit(misfit.within(name)))
            .ok()
    }

    /// `value`, which is of this object, as a value of the protocol's.
    ///
    /// # Errors
    /// Why it is none.
    pub fn held_against(&self, form: &Form, value: &Value) -> Result<Value, Misfit> {
        let fitting = form.fitting(&value.to_string())?;
        Ok(serde_json::from_str(&fitting.json).expect("what was read is written as JSON"))
    }

    /// Notes why a value of the protocol's is none.
    pub fn misfit(&self, misfit: Misfit) {
        let (at, what) = misfit.into_parts();
        if at.is_empty() {
            self.faults.add(&self.address, &what);
        } else {
            self.fault(&at, &what);
        }
    }

    /// The items of an array with their addresses; empty when absent, and a fault when there are too many.
    pub fn items(&self, name: &str) -> Vec<(String, &'a Value)> {
        let Some(value) = self.value(name) else {
            return Vec::new();
        };
        let Some(items) = self.or_fault(name, value.as_array(), "an array", value) else {
            return Vec::new();
        };
        if items.len() > MAX_ITEMS {
            let what = format!("has {} items; at most {MAX_ITEMS} are read", items.len());
            self.fault(name, &what);
            return Vec::new();
        }
        let address = self.at(name);
        items
            .iter()
            .enumerate()
            .map(|(index, item)| (format!("{address}[{index}]"), item))
            .collect()
    }

    /// The objects of an array; a fault for each item that is none.
    pub fn objects(&self, name: &str) -> Vec<Members<'a>> {
        self.items(name)
            .into_iter()
            .filter_map(|(address, item)| Members::of(item, address, self.faults))
            .collect()
    }

    /// The texts of an array; a fault for each item that is none.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for (address, item) in self.items(name) {
            match item {
                Value::String(text) if !text.contains('\0') => texts.push(text.clone()),
                other => self.faults.add(&address, &must_be("a string", other)),
            }
        }
        texts
    }

    /// One of the words that the contract knows, as what it stands for.
    pub fn choice<T: Copy>(&self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.value(name)?;
        let found = choices.iter().find(|(word, _)| value == word);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let what = format!("{} is not one of {}", quoted_value(value), words.join(", "));
            self.fault(name, &what);
        }
        found.map(|(_, meaning)| *meaning)
    }

    fn or_fault<T>(&self, name: &str, read: Option<T>, kind: &str, value: &Value) -> Option<T> {
        if read.is_none() {
            self.fault(name, &must_be(kind, value));
        }
        read
    }
}

/// `must be a string, not 5`.
fn must_be(kind: &str, value: &Value) -> String {
    let found = match value {
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => quoted_value(other),
    };
    format!("must be {kind}, not {found}")
}

fn quoted_value(value: &Value) -> String {
    match value {
        Value::String(text) => in_quotes(text),
        other => excerpt(other, QUOTED),
    }
}
