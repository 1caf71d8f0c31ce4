//! The types of arguments. Knows no argument and no command.

use serde_json::Value;

/// The types that an argument may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// A text.
    String,
    /// Any number.
    Number,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list.
    Array,
    /// An object.
    Object,
}

impl ValueType {
    /// Their names in JSON Schema.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("string", Self::String),
        ("number", Self::Number),
        ("integer", Self::Integer),
        ("boolean", Self::Boolean),
        ("array", Self::Array),
        ("object", Self::Object),
    ];

    /// The one type that a schema's `type` names; `None` when it names several or none.
    pub fn of_schema(schema: &Value) -> Option<Self> {
        let word = schema.get("type")?;
        let found = Self::NAMES.iter().find(|(name, _)| word == name);
        found.map(|(_, kind)| *kind)
    }
}
