//! The methods, one file a family.

pub mod lifecycle;
pub mod logging;
pub mod relay;
pub mod tools;

use serde_json::value::RawValue;

use super::jsonrpc::RpcError;

/// A method's result, or why there is none.
pub type Outcome = Result<Box<RawValue>, Failure>;

/// Why a method gives no result.
#[derive(Debug)]
pub enum Failure {
    /// Answered with this error.
    Error(RpcError),
    /// The client cancelled it: no answer at all.
    Cancelled,
}

impl From<RpcError> for Failure {
    fn from(error: RpcError) -> Self {
        Self::Error(error)
    }
}
