//! How a method ends: a result with the name the log has for it, or none. Knows no method.

use crate::call::types::CallError;
use crate::jsonrpc::{Members, RpcError};
use crate::mcp::context::Cancelled;
use crate::mcp::messages;

/// A method's result, or why there is none.
pub type Outcome = Result<Success, Failure>;

/// A result, and what the log calls it.
#[derive(Debug)]
pub struct Success {
    /// The members of the response's `result`.
    pub result: Members,
    /// `ok`, or the code of a failed tool call, whose failure is a result.
    pub code: &'static str,
}

impl From<Members> for Success {
    fn from(result: Members) -> Self {
        Self {
            result,
            code: crate::telemetry::OK,
        }
    }
}

impl From<&CallError> for Success {
    fn from(error: &CallError) -> Self {
        Self {
            result: messages::tool_failure(error),
            code: error.code(),
        }
    }
}

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

impl From<Cancelled> for Failure {
    fn from(Cancelled: Cancelled) -> Self {
        Self::Cancelled
    }
}
