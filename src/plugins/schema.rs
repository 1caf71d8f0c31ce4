//! Parameters to JSON Schema, and arguments checked against it.
