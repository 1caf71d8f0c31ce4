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
    findings: &'a Findings,
    /// Whether what is wrong with a member keeps nothing from being served.
    is_decoration: bool,
}

impl<'a> Members<'a> {
    /// The object at `address`; a fault when the value is none.
    pub fn of(value: &'a Value, address: String, findings: &'a Findings) -> Option<Self> {
        match value {
            Value::Object(all) => Some(Self {
                address,
                all,
                findings,
                is_decoration: false,
            }),
            other => {
                findings.add(&address, &must_be("an object", other));
                None
            }
        }
    }

    /// The same object, to read members of it that decide about nothing: what is wrong with them is left out and
    /// reported, and the plugin is served.
    pub fn decoration(&self) -> Self {
        Self {
            is_decoration: true,
            ..self.clone()
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
        self.note(&self.at(name), what);
    }

    fn note(&self, address: &str, what: &str) {
        if self.is_decoration {
            let hint = format!("{address} {what}; it is left out");
            self.findings.hints.borrow_mut().add(&hint);
        } else {
            self.findings.add(address, what);
        }
    }

    /// Notes what the author should read of the member `name`.
    pub fn hint(&self, name: &str, what: &str) {
        let hint = format!("{} {what}", self.at(name));
        self.findings.hints.borrow_mut().add(&hint);
    }

    /// Notes what the author should read of the object itself.
    pub fn hint_of_itself(&self, what: &str) {
        let hint = format!("{} {what}", self.address);
        self.findings.hints.borrow_mut().add(&hint);
    }

    /// Whether the description is one of version 1.0.
    pub fn is_version_1_0(&self) -> bool {
        self.findings.is_version_1_0
    }

    /// The member's value.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        #[cfg(test)]
        self.findings.looked_for.borrow_mut().insert(self.at(name));
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

    /// A value of the protocol's as clients get it, without members that are `null`, and without what does not fit.
    pub fn fitting(&self, name: &str, form: &Form) -> Option<Value> {
        let value = self.value(name)?;
        self.fitting_part(form, value, |misfit| misfit.within(name))
    }

    /// `value`, which is this object, as a value of the protocol's, without what does not fit; nothing if that must be
    /// there.
    pub fn fitting_entry(&self, form: &Form, value: &Value) -> Option<Value> {
        self.fitting_part(form, value, |misfit| misfit)
    }

    fn fitting_part(
        &self,
        form: &Form,
        value: &Value,
        within: impl Fn(Misfit) -> Misfit,
    ) -> Option<Value> {
        let (left_out, fitting) = match form.fitting_in_part(&value.to_string()) {
            Ok(fitting) => (fitting.left_out, Some(fitting.json)),
            Err(misfit) => (vec![misfit], None),
        };
        for misfit in left_out {
            self.leave_out(within(misfit));
        }
        fitting.map(|json| serde_json::from_str(&json).expect("what was read is written as JSON"))
    }

    /// Notes that something is left out, and why.
    fn leave_out(&self, misfit: Misfit) {
        let (at, what) = misfit.into_parts();
        let own = self.decoration();
        match at.as_str() {
            "" => own.note(&self.address, &what),
            at => own.fault(at, &what),
        }
    }

    /// An object with its address.
    pub fn inner(&self, name: &str) -> Option<Self> {
        let all = self.object(name)?.as_object()?;
        Some(Self {
            address: self.at(name),
            all,
            ..self.clone()
        })
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
            .filter_map(|(address, item)| match item {
                Value::Object(all) => Some(Self {
                    address,
                    all,
                    ..self.clone()
                }),
                other => {
                    self.note(&address, &must_be("an object", other));
                    None
                }
            })
            .collect()
    }

    /// The texts of an array; a fault for each item that is none.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for (address, item) in self.items(name) {
            match item {
                Value::String(text) if !text.contains('\0') => texts.push(text.clone()),
                other => self.note(&address, &must_be("a string", other)),
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
