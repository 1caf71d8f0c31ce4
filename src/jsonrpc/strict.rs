//! JSON held to more than its grammar: no member twice, no number that nothing can hold, no depth
//! without end. Knows no message but where its id is.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What is wrong with a text.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// It is no JSON.
    #[error("the body is not JSON: {0}")]
    NotJson(serde_json::Error),
    /// An object names a member twice.
    #[error("{0}")]
    Repeated(serde_json::Error),
}

/// Walks the whole text once: raw values are only skipped over later, so that what is wrong inside
/// them (a lone surrogate, 1e400, 10,000 levels, a repeated member) has to be found here.
///
/// # Errors
/// The first flaw.
pub fn check(text: &str) -> Result<(), Flaw> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let walked = Strict::Envelope.deserialize(&mut deserializer);
    walked.and_then(|()| deserializer.end()).map_err(|error| {
        if error.is_data() {
            Flaw::Repeated(error)
        } else {
            Flaw::NotJson(error)
        }
    })
}

/// What a value must not have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strict {
    /// A message, or an array of them. Its id is judged by itself: an integer has no limit but its length.
    Envelope,
    /// The params of a message, which may name another one's id.
    Params,
    /// What the protocol adds to params, a progress token among it.
    Meta,
    /// Anything below.
    Value,
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        // A batch is an array of messages; elsewhere the items are plain values.
        let item = match self {
            Self::Envelope => Self::Envelope,
            _ => Self::Value,
        };
        while items.next_element_seed(item)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = Names::default();
        while let Some(Name(name)) = members.next_key()? {
            if names.contains(&name) {
                let fault = format!("member {} is repeated", crate::text::in_quotes(&name));
                return Err(serde::de::Error::custom(fault));
            }
            match (self, name.as_ref()) {
                (Self::Envelope, "id")
                | (Self::Params, "requestId")
                | (Self::Meta, "progressToken") => {
                    members.next_value::<IgnoredAny>()?;
                }
                (Self::Envelope, "params") => members.next_value_seed(Self::Params)?,
                (Self::Params, "_meta") => members.next_value_seed(Self::Meta)?,
                _ => members.next_value_seed(Self::Value)?,
            }
            names.insert(name);
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// So many names are compared one by one: most objects have no more, and a table costs more than that.
const FEW: usize = 8;

/// The names of an object's members so far.
#[derive(Default)]
struct Names<'a> {
    few: [Option<Cow<'a, str>>; FEW],
    count: usize,
    more: HashSet<Cow<'a, str>>,
}

impl<'a> Names<'a> {
    fn contains(&self, name: &str) -> bool {
        let few = self.few.iter().take(self.count);
        few.flatten().any(|known| known == name) || self.count > FEW && self.more.contains(name)
    }

    fn insert(&mut self, name: Cow<'a, str>) {
        match self.few.get_mut(self.count) {
            Some(place) => *place = Some(name),
            None => drop(self.more.insert(name)),
        }
        self.count += 1;
    }
}
