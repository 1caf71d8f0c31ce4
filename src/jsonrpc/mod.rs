//! JSON-RPC 2.0: strict JSON, the envelope, errors. Knows no method.

mod envelope;
pub mod members;
pub mod strict;

pub use envelope::*;
pub use members::{Members, to_raw};
