//! The forms that JSON objects of the protocol have, and texts held against them.
//!
//! Reads a text and writes it again, for a result may have 16 MiB: no tree of values is built, and what a form does
//! not know goes through as it was written. Knows no type of the protocol.

mod entries;
mod texts;

use std::collections::HashSet;
use std::fmt;

use serde_json::value::RawValue;

pub use entries::MAX_MEMBERS;
use entries::{Entries, Items};
use texts::{is_base64, is_exact_uri, is_time, is_uri, is_uri_template};

use crate::text::{excerpt, in_quotes};

/// How much of a wrong value a message quotes, in characters.
const QUOTED: usize = 60;

/// What the members of an object have to be. Members that it does not name may be anything.
#[derive(Debug)]
pub struct Shape {
    /// The members that it names.
    pub members: &'static [Member],
    /// Of these at least one must be there, if it names any.
    pub any_of: &'static [&'static str],
}

/// One member of a [`Shape`].
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: &'static str,
    /// What it has to be.
    pub form: Form,
    /// Whether it must be there. `null` counts as absent, and is left out where it may be.
    pub required: bool,
}

/// What a value has to be.
#[derive(Debug)]
pub enum Form {
    /// Anything.
    Any,
    /// A text.
    Text,
    /// A text that stands for bytes, as base64 (RFC 4648, section 4): white space and missing padding are accepted,
    /// as clients do.
    Base64,
    /// An address with a scheme that every client can read.
    Uri,
    /// The same, written as RFC 3986 has it.
    ExactUri,
    /// A template of addresses as RFC 6570 has it.
    UriTemplate,
    /// A moment as RFC 3339 writes it, with seconds and an offset.
    Time,
    /// True or false.
    Flag,
    /// A whole number from 0.
    Count,
    /// A number from 0 to 1.
    Share,
    /// An object with any members.
    Object,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list.
    List(&'static Form),
    /// An object of this shape.
    Shape(&'static Shape),
    /// An object whose member `type` says what it is.
    Block(fn(&str) -> (BlockKind, Option<&'static Shape>)),
}

/// How old a type of content block is: clients refuse the whole result for one that their revision does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockKind {
    /// `text`, `image`, `resource`: every revision knows it.
    #[default]
    Basic,
    /// `audio`: from 2025-03-26 on.
    Audio,
    /// `resource_link`: from 2025-06-18 on.
    ResourceLink,
    /// No revision of today knows it.
    Other,
}

/// A text that fits its form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fitting {
    /// The text without members that are `null` and may be absent.
    pub json: String,
    /// The youngest type of content block in it.
    pub youngest: BlockKind,
}

/// Why a text does not fit: where, and what is wrong there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Misfit {
    at: String,
    what: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.as_str() {
            "" => f.write_str(&self.what),
            at => write!(f, "{at} {}", self.what),
        }
    }
}

impl Misfit {
    fn new(what: impl Into<String>) -> Self {
        Self {
            at: String::new(),
            what: what.into(),
        }
    }

    /// Where it is, and what is wrong there.
    pub fn into_parts(self) -> (String, String) {
        (self.at, self.what)
    }

    /// The same, found in the member `name`.
    pub fn within(mut self, name: &str) -> Self {
        let joint = if self.at.is_empty() || self.at.starts_with('[') {
            ""
        } else {
            "."
        };
        self.at = format!("{name}{joint}{}", self.at);
        self
    }
}

impl Form {
    /// Holds a JSON text against the form.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn fitting(&self, json: &str) -> Result<Fitting, Misfit> {
        let mut writing = Writing {
            out: String::with_capacity(json.len()),
            youngest: BlockKind::default(),
        };
        writing.value(self, json.trim())?;
        Ok(Fitting {
            json: writing.out,
            youngest: writing.youngest,
        })
    }
}

struct Writing {
    out: String,
    youngest: BlockKind,
}

impl Writing {
    fn value(&mut self, form: &Form, json: &str) -> Result<(), Misfit> {
        match form {
            Form::List(items) => return self.list(items, json),
            Form::Shape(shape) => return self.object(shape, &object(json)?),
            Form::Block(of_type) => return self.block(*of_type, json),
            Form::Any => {}
            Form::Object if json.starts_with('{') => {}
            Form::Object => return Err(must_be("an object", json)),
            Form::Flag if matches!(json, "true" | "false") => {}
            Form::Flag => return Err(must_be("true or false", json)),
            Form::Count if json.parse::<u64>().is_ok() => {}
            Form::Count => return Err(must_be("a whole number from 0", json)),
            Form::Share => {
                let number = json.parse::<f64>().ok();
                if !number.is_some_and(|number| (0.0..=1.0).contains(&number)) {
                    return Err(must_be("a number from 0 to 1", json));
                }
            }
            Form::Text
            | Form::Base64
            | Form::Uri
            | Form::ExactUri
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
        for (index, item) in items.0.iter().enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            let place = || format!("[{index}]");
            self.value(form, item.get())
                .map_err(|misfit| misfit.within(&place()))?;
        }
        self.out.push(']');
        Ok(())
    }

    fn block(
        &mut self,
        of_type: fn(&str) -> (BlockKind, Option<&'static Shape>),
        json: &str,
    ) -> Result<(), Misfit> {
        let members = object(json)?;
        let Some((_, kind)) = members.iter().find(|(name, _)| name == "type") else {
            return Err(Misfit::new("has no type"));
        };
        let kind: String = serde_json::from_str(kind.get())
            .map_err(|_| must_be("a string", kind.get()).within("type"))?;
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

    fn object(&mut self, shape: &Shape, members: &[(String, &RawValue)]) -> Result<(), Misfit> {
        let mut given = HashSet::new();
        self.out.push('{');
        for (name, value) in members {
            let value = value.get();
            let known = shape.members.iter().find(|known| known.name == name);
            if value == "null" && known.is_some() {
                continue;
            }
            // Of two members with one name, clients take either, or refuse the whole message.
            if !given.insert(name.as_str()) {
                let what = format!("has two members named {}", in_quotes(name));
                return Err(Misfit::new(what));
            }
            if given.len() > 1 {
                self.out.push(',');
            }
            let quoted = serde_json::to_string(name).map_err(unreadable)?;
            self.out.extend([quoted.as_str(), ":"]);
            match known {
                Some(known) => self
                    .value(&known.form, value)
                    .map_err(|misfit| misfit.within(name))?,
                None => self.out.push_str(value),
            }
        }
        self.out.push('}');
        let mut required = shape.members.iter().filter(|known| known.required);
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

fn text(form: &Form, json: &str) -> Result<(), Misfit> {
    if !json.starts_with('"') {
        return Err(must_be("a string", json));
    }
    if matches!(form, Form::Text) {
        return Ok(());
    }
    let decoded: String;
    let text = if json.contains('\\') {
        decoded = serde_json::from_str(json).map_err(unreadable)?;
        &decoded
    } else {
        &json[1..json.len() - 1]
    };
    let (fits, kind) = match form {
        Form::Base64 => (is_base64(text), "base64"),
        Form::Uri => (
            is_uri(text),
            "an address with a scheme, such as notes://all",
        ),
        Form::ExactUri => (
            is_exact_uri(text),
            "an address with a scheme, such as notes://all, as RFC 3986 writes it",
        ),
        Form::UriTemplate => (
            is_uri_template(text),
            "a template of addresses, such as notes://{id}",
        ),
        Form::Time => (is_time(text), "a time such as 2025-01-12T15:00:58Z"),
        Form::Word(words) if words.contains(&text) => (true, ""),
        Form::Word(words) => {
            let words = format!("one of {}", words.join(", "));
            return Err(must_be(&words, json));
        }
        _ => (true, ""),
    };
    if fits {
        Ok(())
    } else {
        Err(must_be(kind, json))
    }
}

/// `must be a string, not 5`.
fn must_be(kind: &str, json: &str) -> Misfit {
    let found = match json.as_bytes().first() {
        Some(b'{') => "an object".to_owned(),
        Some(b'[') => "an array".to_owned(),
        _ => excerpt(&json, QUOTED),
    };
    Misfit::new(format!("must be {kind}, not {found}"))
}

fn unreadable(fault: impl fmt::Display) -> Misfit {
    Misfit::new(format!("cannot be read: {fault}"))
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
mod tests {
    use super::entries::MAX_ITEMS;
    use super::*;

    const THING: Shape = Shape {
        members: &[
            Member {
                name: "name",
                form: Form::Text,
                required: true,
            },
            Member {
                name: "more",
                form: Form::List(&Form::Shape(&INNER)),
                required: false,
            },
        ],
        any_of: &[],
    };
    const INNER: Shape = Shape {
        members: &[
            Member {
                name: "text",
                form: Form::Text,
                required: false,
            },
            Member {
                name: "blob",
                form: Form::Base64,
                required: false,
            },
        ],
        any_of: &["text", "blob"],
    };

    #[test]
    fn what_fits_is_kept_to_the_letter_without_nulls_that_say_nothing() {
        for (given, kept) in [
            (r#"{"name":"a","x":1.50}"#, r#"{"name":"a","x":1.50}"#),
            (
                r#" { "name" : "\u0061" , "more":null, "x":null}"#,
                r#"{"name":"\u0061","x":null}"#,
            ),
            (
                r#"{"name":"a","more":[{"text":null,"blob":"aGk="}]}"#,
                r#"{"name":"a","more":[{"blob":"aGk="}]}"#,
            ),
        ] {
            let fitting = Form::Shape(&THING).fitting(given);
            assert_eq!(fitting.map(|fitting| fitting.json), Ok(kept.to_owned()));
        }
    }

    #[test]
    fn what_does_not_fit_is_said_with_its_place() {
        for (given, said) in [
            ("[]", "must be an object, not an array"),
            ("{}", "has no name"),
            (r#"{"name":null}"#, "has no name"),
            (r#"{"name":5}"#, "name must be a string, not 5"),
            (r#"{"name":"a","name":"b"}"#, "has two members named 'name'"),
            (
                r#"{"name":"a","more":{}}"#,
                "more must be an array, not an object",
            ),
            (
                r#"{"name":"a","more":[{"text":"b"},{}]}"#,
                "more[1] has neither text nor blob",
            ),
            (
                r#"{"name":"a","more":[{"blob":"*"}]}"#,
                r#"more[0].blob must be base64, not "*""#,
            ),
        ] {
            let misfit = Form::Shape(&THING).fitting(given).expect_err("it is wrong");
            assert_eq!(misfit.to_string(), said);
        }
    }

    #[test]
    fn members_and_items_have_a_bound() {
        let members: String = (0..MAX_MEMBERS).map(|n| format!(",\"m{n}\":1")).collect();
        let json = format!("{{\"name\":\"a\"{members}}}");
        let misfit = Form::Shape(&THING)
            .fitting(&json)
            .expect_err("one too many");
        assert!(misfit.to_string().contains("100 members"), "{misfit}");
        let json = format!("[1{}]", ",1".repeat(MAX_ITEMS));
        let misfit = Form::List(&Form::Count).fitting(&json);
        let misfit = misfit.expect_err("one too many").to_string();
        assert!(misfit.contains("100000 items"), "{misfit}");
    }
}
