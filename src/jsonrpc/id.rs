//! Request ids: kept to the letter, compared by meaning.

use serde_json::value::RawValue;

/// A request id longer than this is refused instead of echoed, in bytes.
pub const MAX_ID_BYTES: usize = 1024;

/// A request's id: a string or an integer, echoed byte for byte.
#[derive(Debug, Clone)]
pub struct RequestId(Box<RawValue>);

/// What makes two ids the same one: `"a"` equals `"\u0061"`, and never equals `1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum IdKey {
    /// A string's text.
    Text(String),
    /// An integer, as it was written.
    Number(String),
}

/// Why something is no request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    /// It has this many bytes.
    #[error("id is {0} bytes long; the limit is {MAX_ID_BYTES}")]
    TooLong(usize),
    /// A string with a lone surrogate or the like.
    #[error("id is no valid string")]
    BadString,
    /// Neither a string nor an integer, but this.
    #[error("id must be a string or an integer, not {0}")]
    WrongKind(&'static str),
}

impl RequestId {
    /// Reads an id.
    ///
    /// # Errors
    /// What is wrong with it, for the client to read.
    pub fn parse(raw: &RawValue) -> Result<Self, InvalidId> {
        let text = raw.get();
        if text.len() > MAX_ID_BYTES {
            return Err(InvalidId::TooLong(text.len()));
        }
        let is_string = text.starts_with('"');
        let is_integer = text
            .strip_prefix('-')
            .unwrap_or(text)
            .bytes()
            .all(|byte| byte.is_ascii_digit());
        if is_string && serde_json::from_str::<String>(text).is_err() {
            Err(InvalidId::BadString)
        } else if is_string || is_integer {
            Ok(Self(raw.to_owned()))
        } else {
            Err(InvalidId::WrongKind(kind_of(text)))
        }
    }

    /// An id of this server's own requests.
    pub fn number(number: u64) -> Self {
        Self(RawValue::from_string(number.to_string()).expect("digits are JSON"))
    }

    /// The text as it came.
    pub fn raw(&self) -> &RawValue {
        &self.0
    }

    /// What to compare it by.
    pub fn key(&self) -> IdKey {
        let id = self.0.get();
        if !id.starts_with('"') {
            return IdKey::Number(id.to_owned());
        }
        IdKey::Text(serde_json::from_str(id).expect("it was read as a string when it was parsed"))
    }
}

/// What a JSON text is, for messages to people.
pub(super) fn kind_of(json: &str) -> &'static str {
    match json.bytes().next() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ if json.contains(['.', 'e', 'E']) => "a fraction",
        _ => "a number",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_the_same_by_meaning() {
        let key = |text: &str| {
            RequestId::parse(&RawValue::from_string(text.to_owned()).unwrap())
                .unwrap()
                .key()
        };
        assert_eq!(key(r#""a""#), key(r#""\u0061""#));
        assert_ne!(key(r#""1""#), key("1"));
    }
}
