//! Error objects and their codes.

use serde::Serialize;

use crate::text::quoted;

/// What cannot be parsed as JSON. <https://www.jsonrpc.org/specification#error_object>
pub const PARSE_ERROR: i64 = -32700;
/// JSON that is no valid request.
pub const INVALID_REQUEST: i64 = -32600;
/// A method that this server does not have.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Parameters that do not fit the method.
pub const INVALID_PARAMS: i64 = -32602;
/// A fault of the server itself.
pub const INTERNAL_ERROR: i64 = -32603;

/// Headers and body say different things. Revision 2026-07-28, transports.
pub const HEADER_MISMATCH: i64 = -32020;
/// The command needs a capability that the client did not declare.
pub const MISSING_CAPABILITY: i64 = -32021;
/// The request names a revision that this server does not speak.
pub const UNSUPPORTED_REVISION: i64 = -32022;
/// The client cancelled the request, and a response has to be given all the same. The code of the
/// Language Server Protocol, for MCP names none.
pub const REQUEST_CANCELLED: i64 = -32800;

/// A JSON-RPC error object.
#[derive(Debug, Clone, Serialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// One of the codes of JSON-RPC or of the protocol.
    pub code: i64,
    /// For the person who reads it.
    pub message: String,
    /// For the program that reads it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<serde_json::Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            data: None,
        }
    }

    /// The same with `data`.
    #[must_use]
    pub fn with_data(mut self, data: serde_json::Value) -> Self {
        self.data = Some(data);
        self
    }

    /// [`INVALID_PARAMS`].
    pub fn invalid_params(message: impl Into<String>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// [`METHOD_NOT_FOUND`] for `method`.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(
            METHOD_NOT_FOUND,
            format!("method not found: {}", quoted(method)),
        )
    }
}
