//! The forms that JSON objects of the protocol have, and texts held against them.
//!
//! Reads a text and writes it again, for a result may have 16 MiB: no tree of values is built, and what a form does
//! not know goes through as it was written. Knows no type of the protocol.

mod entries;
mod form;
mod misfit;
mod scalar;
mod texts;

use std::collections::HashSet;

use serde_json::value::RawValue;

pub use entries::MAX_MEMBERS;
use entries::{Entries, Items};
pub use form::{BlockKind, Form, Member, Need, Shape};
pub use misfit::Misfit;
use misfit::{must_be, unreadable};
use scalar::{is_whole, text, whole};

use crate::text::in_quotes;

/// A text that fits its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitting {
    /// The text without members that are `null` and may be absent.
    pub json: String,
    /// The youngest type of content block in it.
    pub youngest: BlockKind,
    /// What was left out because it did not fit, in the order in which it stood.
    pub left_out: Vec<Misfit>,
}

impl Form {
    /// Holds a JSON text against the form.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn fitting(&self, json: &str) -> Result<Fitting, Misfit> {
        self.held_against(json, false)
    }

    /// The same, but what can be left out is left out where it does not fit: members that are not required, and items.
    ///
    /// # Errors
    /// The first thing that must be there and does not fit.
    pub fn fitting_in_part(&self, json: &str) -> Result<Fitting, Misfit> {
        self.held_against(json, true)
    }

    fn held_against(&self, json: &str, in_part: bool) -> Result<Fitting, Misfit> {
        let mut rewriter = Rewriter {
            out: String::with_capacity(json.len()),
            youngest: BlockKind::default(),
            in_part,
            left_out: Vec::new(),
        };
        rewriter.value(self, json.trim())?;
        Ok(Fitting {
            json: rewriter.out,
            youngest: rewriter.youngest,
            left_out: rewriter.left_out,
        })
    }
}

/// Reads a text and writes what of it fits.
struct Rewriter {
    out: String,
    youngest: BlockKind,
    /// Whether everything that can be left out is left out where it does not fit.
    in_part: bool,
    left_out: Vec<Misfit>,
}

impl Rewriter {
    fn value(&mut self, form: &Form, json: &str) -> Result<(), Misfit> {
        match form {
            Form::List(items) => return self.list(items, json),
            Form::Shape(shape) => return self.object(shape, &object(json)?),
            Form::Block(of_type) => return self.block(*of_type, json),
            Form::OneOrList(one) if json.starts_with('[') => return self.list(one, json),
            Form::OneOrList(one) => return self.value(one, json),
            Form::Map(form) => return self.map(form, &object(json)?),
            Form::Typed(types) => return self.typed(types, json),
            Form::Any => {}
            Form::Object if json.starts_with('{') => {}
            Form::Object => return Err(must_be("an object", json)),
            Form::Flag if matches!(json, "true" | "false") => {}
            Form::Flag => return Err(must_be("true or false", json)),
            Form::Count => {
                let count = whole(json).ok_or_else(|| must_be("a whole number from 0", json))?;
                self.out.push_str(&count.to_string());
                return Ok(());
            }
            Form::Whole if is_whole(json) => {}
            Form::Whole => return Err(must_be("a whole number", json)),
            Form::Number if json.parse::<f64>().is_ok() => {}
            Form::Number => return Err(must_be("a number", json)),
            Form::Token if json.starts_with('"') || is_whole(json) => {}
            Form::Token => return Err(must_be("a string or a whole number", json)),
            Form::Fraction => {
                let number = json.parse::<f64>().ok();
                if !number.is_some_and(|number| (0.0..=1.0).contains(&number)) {
                    return Err(must_be("a number from 0 to 1", json));
                }
            }
            Form::Text
            | Form::Base64
            | Form::Uri
            | Form::ExactUri
            | Form::Iri
            | Form::UriTemplate
            | Form::Time
            | Form::Word(_) => text(form, json)?,
        }
        self.out.push_str(json);
        Ok(())
    }

    fn list(&mut self, form: &Form, json: &str) -> Result<(), Misfit> {
        if !json.starts_with('[') {
            return Err(must_be("an array", json));
        }
        let items: Items<'_> = serde_json::from_str(json).map_err(unreadable)?;
        self.out.push('[');
        let (start, before) = (self.out.len(), self.left_out.len());
        for (index, item) in items.0.iter().enumerate() {
            let separator = if self.out.len() > start { "," } else { "" };
            self.part(separator, &format!("[{index}]"), self.in_part, |own| {
                own.value(form, item.get())
            })?;
        }
        // A list of which nothing is left says something else than the one that was written.
        if self.out.len() == start && self.left_out.len() > before {
            return Err(self.left_out.swap_remove(before));
        }
        self.out.push(']');
        Ok(())
    }

    /// Writes what stands at `place`, after `separator`. Where it does not fit and `can_go`, nothing is written, and
    /// the reason is noted. Says whether it was written.
    fn part(
        &mut self,
        separator: &str,
        place: &str,
        can_go: bool,
        write: impl FnOnce(&mut Self) -> Result<(), Misfit>,
    ) -> Result<bool, Misfit> {
        let (end, before) = (self.out.len(), self.left_out.len());
        self.out.push_str(separator);
        let written = write(self).map_err(|misfit| misfit.within(place));
        match written {
            Ok(()) => {
                for misfit in &mut self.left_out[before..] {
                    *misfit = std::mem::take(misfit).within(place);
                }
                Ok(true)
            }
            Err(misfit) if can_go => {
                self.out.truncate(end);
                self.left_out.truncate(before);
                self.left_out.push(misfit);
                Ok(false)
            }
            Err(misfit) => Err(misfit),
        }
    }

    fn block(
        &mut self,
        of_type: fn(&str) -> (BlockKind, Option<&'static Shape>),
        json: &str,
    ) -> Result<(), Misfit> {
        let members = object(json)?;
        let kind: String = match type_of(&members) {
            Some(kind) => {
                serde_json::from_str(kind).map_err(|_| must_be("a string", kind).within("type"))?
            }
            None => return Err(Misfit::new("has no type")),
        };
        let (age, shape) = of_type(&kind);
        self.youngest = self.youngest.max(age);
        match shape {
            Some(shape) => self.object(shape, &members),
            None => {
                self.out.push_str(json);
                Ok(())
            }
        }
    }

    fn typed(&mut self, types: &[(&str, &Shape)], json: &str) -> Result<(), Misfit> {
        let members = object(json)?;
        let names = || {
            let names: Vec<_> = types.iter().map(|(name, _)| *name).collect();
            format!("one of {}", names.join(", "))
        };
        let Some(kind) = type_of(&members) else {
            return Err(Misfit::new(format!("has no type: {}", names())));
        };
        let name: String = serde_json::from_str(kind).unwrap_or_default();
        match types.iter().find(|(known, _)| *known == name) {
            Some((_, shape)) => self.object(shape, &members),
            None => Err(must_be(&names(), kind).within("type")),
        }
    }

    fn map(&mut self, form: &Form, members: &[(String, &RawValue)]) -> Result<(), Misfit> {
        let mut given = HashSet::new();
        self.out.push('{');
        let start = self.out.len();
        for (name, value) in members {
            is_first(name, &mut given)?;
            self.member(start, name, false, |own| own.value(form, value.get()))?;
        }
        self.out.push('}');
        Ok(())
    }

    /// Writes the member `name` of an object that began at `start`, as [`Self::part`] does.
    fn member(
        &mut self,
        start: usize,
        name: &str,
        can_go: bool,
        write: impl FnOnce(&mut Self) -> Result<(), Misfit>,
    ) -> Result<bool, Misfit> {
        let separator = if self.out.len() > start { "," } else { "" };
        self.part(separator, name, can_go, |own| {
            let quoted = serde_json::to_string(name).map_err(unreadable)?;
            own.out.extend([quoted.as_str(), ":"]);
            write(own)
        })
    }

    fn may_leave_out(&self, need: Need) -> bool {
        need == Need::Decorative || (need == Need::Optional && self.in_part)
    }

    fn object(&mut self, shape: &Shape, members: &[(String, &RawValue)]) -> Result<(), Misfit> {
        let mut given = HashSet::new();
        self.out.push('{');
        let start = self.out.len();
        for (name, value) in members {
            let value = value.get();
            let known = shape.members.iter().find(|known| known.name == name);
            if value == "null" && known.is_some() {
                continue;
            }
            is_first(name, &mut given)?;
            let can_go = known.is_some_and(|known| self.may_leave_out(known.need));
            let is_written = self.member(start, name, can_go, |own| match known {
                Some(known) => own.value(&known.form, value),
                None => {
                    own.out.push_str(value);
                    Ok(())
                }
            })?;
            if !is_written {
                given.remove(name.as_str());
            }
        }
        self.out.push('}');
        let mut required = shape
            .members
            .iter()
            .filter(|known| known.need == Need::Required);
        if let Some(missing) = required.find(|known| !given.contains(known.name)) {
            return Err(Misfit::new(format!("has no {}", missing.name)));
        }
        if !shape.any_of.is_empty() && !shape.any_of.iter().any(|name| given.contains(name)) {
            let what = format!("has neither {}", shape.any_of.join(" nor "));
            return Err(Misfit::new(what));
        }
        Ok(())
    }
}

/// Notes a member's name among those `given`. Of two members with one name, clients take either, or refuse the whole
/// message.
fn is_first<'n>(name: &'n str, given: &mut HashSet<&'n str>) -> Result<(), Misfit> {
    if given.insert(name) {
        return Ok(());
    }
    let what = format!("has two members named {}", in_quotes(name));
    Err(Misfit::new(what))
}

fn type_of<'j>(members: &[(String, &'j RawValue)]) -> Option<&'j str> {
    let kind = members.iter().find(|(name, _)| name == "type");
    kind.map(|(_, kind)| kind.get())
}

/// The members of the object `json`, in its order, repeated ones too.
///
/// # Errors
/// When it is no object, or has more than 100 members.
pub fn object(json: &str) -> Result<Vec<(String, &RawValue)>, Misfit> {
    if !json.starts_with('{') {
        return Err(must_be("an object", json));
    }
    serde_json::from_str::<Entries<'_>>(json)
        .map(|entries| entries.0)
        .map_err(unreadable)
}

#[cfg(test)]
mod tests;
