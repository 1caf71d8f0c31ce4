//! JSON-RPC 2.0: strict JSON, the envelope, errors. Knows no method.

mod envelope;
mod error;
mod id;
mod line;
pub mod members;
pub mod strict;

pub use envelope::*;
pub use error::*;
pub use id::{IdKey, InvalidId, MAX_ID_BYTES, RequestId};
pub use line::*;
pub use members::{Members, to_large_raw, to_raw};
