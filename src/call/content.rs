//! What a tool's result says, kept once and written when it is sent: the text of a large output would
//! otherwise stand in memory beside the JSON that is made of it.
//!
//! Knows no message: content in, the members `content` and `structuredContent` out.

use std::fmt;
use std::str::Utf8Chunk;

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

pub use crate::contract::shape::BlockKind;

/// What a tool's result says.
#[derive(Debug, Clone)]
pub enum Content {
    /// One block of text: what was printed. Bytes that are no UTF-8 are replaced where it is written.
    Text(LossyText),
    /// One JSON value, given as a block of text and as structured content.
    Json(JsonText),
    /// What the program wrote itself, held against the protocol's types.
    Own {
        /// The array of blocks.
        blocks: Box<RawValue>,
        /// The youngest type among them.
        youngest: BlockKind,
        /// The structured content, if there is any.
        structured: Option<Box<RawValue>>,
    },
}

impl Content {
    /// The structured content, if there is any.
    pub fn structured(&self) -> Option<&RawValue> {
        match self {
            Self::Text(_) => None,
            Self::Json(text) => Some(&text.value),
            Self::Own { structured, .. } => structured.as_deref(),
        }
    }

    /// How much it takes once it is written, without the names of its members, in bytes.
    pub fn written_size(&self) -> usize {
        match self {
            Self::Text(text) => text.escaped,
            Self::Json(text) => text.escaped + text.value.get().len(),
            Self::Own {
                blocks, structured, ..
            } => {
                let structured = structured.as_ref().map_or(0, |value| value.get().len());
                blocks.get().len() + structured
            }
        }
    }

    /// The array of blocks, as it is written.
    pub fn blocks(&self) -> Blocks<'_> {
        Blocks(self)
    }
}

/// The `content` array of a result. Serialising it writes the text straight from where it is kept.
#[derive(Debug)]
pub struct Blocks<'a>(&'a Content);

impl Blocks<'_> {
    /// The array as JSON of its own.
    ///
    /// # Errors
    /// None for content that was read or written by this server.
    pub fn to_raw(&self) -> Result<Box<RawValue>, serde_json::Error> {
        to_raw_value(self)
    }
}

impl Serialize for Blocks<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Content::Text(text) => [Block::of(text)].serialize(serializer),
            // It has no white space around it, so that its text is what was printed.
            Content::Json(text) => [Block::of(text.value.get())].serialize(serializer),
            Content::Own { blocks, .. } => blocks.serialize(serializer),
        }
    }
}

#[derive(Serialize)]
struct Block<T> {
    r#type: &'static str,
    text: T,
}

impl<T> Block<T> {
    fn of(text: T) -> Self {
        Self {
            r#type: "text",
            text,
        }
    }
}

/// Bytes as text: what is no UTF-8 is replaced as they are written.
#[derive(Debug, Clone)]
pub struct LossyText {
    bytes: Vec<u8>,
    escaped: usize,
}

impl LossyText {
    /// The text of `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        let escaped = escaped_size(&bytes);
        Self { bytes, escaped }
    }

    /// The bytes that it takes once it is escaped as JSON.
    pub fn escaped_size(&self) -> usize {
        self.escaped
    }
}

/// A JSON value whose text is given as well.
#[derive(Debug, Clone)]
pub struct JsonText {
    value: Box<RawValue>,
    escaped: usize,
}

impl JsonText {
    /// The text of `value`.
    pub fn new(value: Box<RawValue>) -> Self {
        let escaped = escaped_size(value.get().as_bytes());
        Self { value, escaped }
    }

    /// The bytes that it takes once it is escaped as JSON.
    pub fn escaped_size(&self) -> usize {
        self.escaped
    }
}

impl fmt::Display for LossyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes.utf8_chunks().try_for_each(|chunk| {
            f.write_str(chunk.valid())?;
            f.write_str(replacement(&chunk))
        })
    }
}

impl Serialize for LossyText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(&self.bytes) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.collect_str(self),
        }
    }
}

/// The bytes that a text takes, with what is no UTF-8 replaced.
pub fn replaced_size(bytes: &[u8]) -> usize {
    let size = |chunk: Utf8Chunk<'_>| chunk.valid().len() + replacement(&chunk).len();
    bytes.utf8_chunks().map(size).sum()
}

/// The same once it is escaped as JSON.
fn escaped_size(bytes: &[u8]) -> usize {
    let size = |chunk: Utf8Chunk<'_>| {
        let escaped = chunk.valid().bytes().map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 8 | 12 => 2,
            0..=31 => 6,
            _ => 1,
        });
        escaped.sum::<usize>() + replacement(&chunk).len()
    };
    bytes.utf8_chunks().map(size).sum()
}

fn replacement(chunk: &Utf8Chunk<'_>) -> &'static str {
    if chunk.invalid().is_empty() {
        ""
    } else {
        "\u{fffd}"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sizes_are_those_of_what_is_written() {
        let cases: [&[u8]; 5] = [
            b"plain",
            b"\"\\\n\r\t\x08\x0c\0\x1f",
            "caf\u{e9} \u{1f980}".as_bytes(),
            b"a\xffb\xf0\x9f",
            b"",
        ];
        for bytes in cases {
            let text = LossyText::new(bytes.to_vec());
            let written = serde_json::to_string(&text).expect("a text is JSON");
            assert_eq!(text.escaped_size() + 2, written.len(), "{bytes:?}");
            assert_eq!(replaced_size(bytes), text.to_string().len(), "{bytes:?}");
        }
    }

    #[test]
    fn a_json_value_is_its_own_text() {
        let value = RawValue::from_string(r#"{"a":"1.50"}"#.to_owned()).expect("JSON");
        let content = Content::Json(JsonText::new(value));
        let blocks = content.blocks().to_raw().expect("JSON");
        assert_eq!(
            blocks.get(),
            r#"[{"type":"text","text":"{\"a\":\"1.50\"}"}]"#
        );
        assert_eq!(
            content.structured().map(RawValue::get),
            Some(r#"{"a":"1.50"}"#)
        );
    }
}
