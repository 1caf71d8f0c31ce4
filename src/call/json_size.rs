//! What a JSON text takes in memory once it is a tree of values, found without building the tree.
//!
//! Knows no tool: text in, bytes out.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// One member of an object, its name aside: the value, its hash, its place in the order.
const MEMBER: usize = 2 * size_of::<Value>() + 48;

/// The bytes that `text` takes as a [`serde_json::Value`], about. Reads it once and keeps nothing.
///
/// # Errors
/// When it is no JSON, or is nested deeper than 128 levels.
pub fn of(text: &str) -> Result<usize, serde_json::Error> {
    let mut bytes = 0;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Counter(&mut bytes).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(bytes)
}

struct Counter<'a>(&'a mut usize);

impl<'de> DeserializeSeed<'de> for Counter<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        *self.0 += size_of::<Value>();
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Counter<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        *self.0 += text.len();
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(Counter(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_key_seed(Counter(&mut *self.0))?.is_some() {
            *self.0 += MEMBER;
            map.next_value_seed(Counter(&mut *self.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_grows_with_the_number_of_values_and_with_the_length_of_texts() {
        let value = size_of::<Value>();
        assert_eq!(of("1").expect("JSON"), value);
        assert_eq!(of("[1, null, true]").expect("JSON"), 4 * value);
        assert_eq!(of("\"ab\"").expect("JSON"), value + 2);
        assert_eq!(of("{\"k\": 1}").expect("JSON"), 3 * value + 1 + MEMBER);
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let deep = "[".repeat(1_000) + &"]".repeat(1_000);
        for text in ["", "{", "[1,]", "NaN", "1e999", "{} {}", deep.as_str()] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
