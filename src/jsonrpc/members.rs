//! The members of a JSON object with the text they were written with. Knows no message.

use std::fmt;

use serde::de::value::MapDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// Room for the names of what is always there, in bytes.
const SLACK: usize = 1 << 10;

/// A value as raw JSON.
pub fn to_raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value)
        .expect("messages have string keys and no failing serialisers")
}

/// The same of a value of which it is known how long it will be, in bytes. A buffer that has to grow takes three times
/// what it holds while it is copied.
pub fn to_large_raw(value: &impl Serialize, size: usize) -> Box<RawValue> {
    let mut text = Vec::with_capacity(size + SLACK);
    serde_json::to_writer(&mut text, value)
        .expect("messages have string keys and no failing serialisers");
    let text = String::from_utf8(text).expect("JSON is written as UTF-8");
    RawValue::from_string(text).expect("it has just been written")
}

/// The members of the object `text`, in its order, repeated ones too.
///
/// # Errors
/// When the text is no object.
pub fn members(text: &str) -> Result<Vec<(String, Box<RawValue>)>, serde_json::Error> {
    Members::parse(text).map(|members| members.0)
}

/// An object that is read once: its members by name, each as it was written, in its order.
#[derive(Debug, Clone, Default)]
pub struct Members(Vec<(String, Box<RawValue>)>);

impl Members {
    /// Reads the object `text`.
    ///
    /// # Errors
    /// When the text is no object.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// The member of that name, if there is one.
    pub fn get(&self, name: &str) -> Option<&RawValue> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| &**value)
    }

    /// The members, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &RawValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), &**value))
    }

    /// The member of that name, if it is a string.
    pub fn string(&self, name: &str) -> Option<String> {
        serde_json::from_str(self.get(name)?.get()).ok()
    }

    /// Sets a member, in place of one with the same name.
    pub fn set(&mut self, name: &str, value: Box<RawValue>) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// Sets a member unless there is one of that name.
    pub fn set_default(&mut self, name: &str, value: &impl Serialize) {
        if self.get(name).is_none() {
            self.0.push((name.to_owned(), to_raw(value)));
        }
    }

    /// Reads the members into `T`, as if the object were parsed.
    ///
    /// # Errors
    /// When they do not fit.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        T::deserialize(MapDeserializer::new(self.iter()))
    }
}

impl From<Vec<(String, Box<RawValue>)>> for Members {
    fn from(members: Vec<(String, Box<RawValue>)>) -> Self {
        Self(members)
    }
}

impl From<Value> for Members {
    /// The members of an object; of any other value none.
    fn from(value: Value) -> Self {
        let Value::Object(members) = value else {
            return Self::default();
        };
        members
            .into_iter()
            .map(|(name, value)| (name, to_raw(&value)))
            .collect::<Vec<_>>()
            .into()
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrder)
    }
}

struct InOrder;

impl<'de> Visitor<'de> for InOrder {
    type Value = Members;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_keeps_its_text_whoever_reads_it() {
        let text = r#"{"b":12345678901234567890123,"a":{"x":1.50}}"#;
        let members = Members::parse(text).unwrap();
        assert_eq!(serde_json::to_string(&members).unwrap(), text);
        #[derive(serde::Deserialize)]
        struct Both<'a> {
            #[serde(borrow)]
            b: &'a RawValue,
            a: serde_json::Map<String, Value>,
            #[serde(default)]
            c: Option<String>,
        }
        let both: Both = members.read().unwrap();
        assert_eq!(both.b.get(), "12345678901234567890123");
        assert_eq!((both.a.len(), both.c), (1, None));
    }

    #[test]
    fn what_does_not_fit_is_said_as_by_a_parser() {
        #[derive(Debug, serde::Deserialize)]
        struct Named {
            #[serde(rename = "name")]
            _name: String,
        }
        for (text, fault) in [
            ("{}", "missing field `name`"),
            (r#"{"name":5}"#, "invalid type"),
        ] {
            let members = Members::parse(text).unwrap();
            let said = members.read::<Named>().unwrap_err().to_string();
            assert!(said.contains(fault), "{said}");
        }
    }

    #[test]
    fn a_member_is_set_in_its_place_and_a_default_only_where_there_is_none() {
        let mut members = Members::parse(r#"{"a":1,"b":2}"#).unwrap();
        members.set("a", to_raw(&3));
        members.set_default("b", &4);
        members.set_default("c", &5);
        assert_eq!(
            serde_json::to_string(&members).unwrap(),
            r#"{"a":3,"b":2,"c":5}"#
        );
    }
}
