//! The protocol's payloads: what requests carry and results look like. Knows no session.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::revision::Revision;
pub use crate::call::types::LogLevel;
use crate::call::types::{CallError, ClientCapabilities};
use crate::jsonrpc::{self, Members, RpcError};

/// Where the code of a failure stands in `_meta`.
const ERROR_KEY: &str = "smcp/error";
/// What a client may say of itself, in bytes.
const MAX_CLIENT_DETAILS: usize = 16 << 10;

/// The extension of 2026-07-28 by which clients and servers say that they know tasks.
pub const TASKS_EXTENSION: &str = "io.modelcontextprotocol/tasks";
/// In `_meta`: the task that a message belongs to (2025-11-25).
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// The name that Letta installations know this server by.
pub const SERVER_NAME: &str = "sanctum-letta-mcp";

/// The params of `initialize`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InitializeParams {
    /// The revision that the client would like to speak.
    pub protocol_version: String,
    /// What the client can do.
    #[serde(default)]
    pub capabilities: serde_json::Map<String, serde_json::Value>,
    /// What the client is.
    #[serde(default)]
    pub client_info: serde_json::Map<String, serde_json::Value>,
}

/// What a client said of itself.
#[derive(Debug, Clone, Default)]
pub struct ClientDetails {
    /// `clientInfo`: name, version, perhaps title.
    pub info: serde_json::Map<String, serde_json::Value>,
    /// `capabilities`.
    pub capabilities: serde_json::Map<String, serde_json::Value>,
}

impl ClientDetails {
    /// What a client said of itself, if it is no more than a session may hold.
    ///
    /// # Errors
    /// [`INVALID_PARAMS`](jsonrpc::INVALID_PARAMS) when it is too long.
    pub fn new(
        info: serde_json::Map<String, Value>,
        capabilities: serde_json::Map<String, Value>,
    ) -> Result<Self, RpcError> {
        let length =
            jsonrpc::to_raw(&info).get().len() + jsonrpc::to_raw(&capabilities).get().len();
        if length > MAX_CLIENT_DETAILS {
            return Err(RpcError::invalid_params(format!(
                "clientInfo and capabilities are {length} bytes long; the limit is {MAX_CLIENT_DETAILS}"
            )));
        }
        Ok(Self { info, capabilities })
    }

    /// What the client calls itself.
    pub fn name(&self) -> Option<&str> {
        self.text("name")
    }

    fn text(&self, member: &str) -> Option<&str> {
        self.info.get(member).and_then(Value::as_str)
    }

    /// What the client can be asked under a revision.
    pub fn declared(&self, revision: Revision) -> ClientCapabilities {
        ClientCapabilities::declared(&self.capabilities, revision.sampling_has_parts())
    }

    /// Whether the client says that it knows tasks (2026-07-28).
    pub fn knows_tasks(&self) -> bool {
        let extensions = self.capabilities.get("extensions");
        let tasks = extensions.and_then(|extensions| extensions.get(TASKS_EXTENSION));
        tasks.is_some_and(Value::is_object)
    }

    /// What a plugin sees in `SMCP_CLIENT`.
    pub fn for_plugin(&self, revision: Revision) -> String {
        serde_json::json!({
            "name": self.name().unwrap_or_default(),
            "version": self.text("version").unwrap_or_default(),
            "revision": revision.name(),
            "capabilities": self.capabilities,
        })
        .to_string()
    }
}

/// The params of `notifications/cancelled`.
#[derive(Debug, Deserialize)]
pub struct CancelledParams<'a> {
    /// The request that is to stop.
    #[serde(borrow, rename = "requestId")]
    pub request_id: &'a RawValue,
}

/// What else the result of `tools/call` has.
pub fn tool_result(is_error: bool, other: Vec<(String, Box<RawValue>)>) -> Members {
    let mut members = vec![("isError".to_owned(), jsonrpc::to_raw(&is_error))];
    members.extend(other);
    members.into()
}

/// The result of `tools/call` for a call that gave none: a result, not a protocol error, with a
/// code that a program can branch on. Clients hold structured content against the tool's schema and show their own
/// complaint instead of the failure, so for a tool that `has_schema` the code stands in `_meta`.
pub fn tool_failure(error: &CallError, has_schema: bool) -> Members {
    let message = error.to_string();
    failure(error.code(), &message, &message, has_schema)
}

/// The result of a tool of the server's own that failed: `text` for the model, `code` and `message` for programs.
pub fn own_failure(code: &str, message: &str, text: &str) -> Members {
    failure(code, message, text, false)
}

fn failure(code: &str, message: &str, text: &str, has_schema: bool) -> Members {
    let details = json!({"code": code, "message": message});
    let mut failure = json!({
        "content": [{"type": "text", "text": text}],
        "isError": true,
    });
    if has_schema {
        failure["_meta"] = json!({ERROR_KEY: details});
    } else {
        failure["structuredContent"] = json!({"error": details});
    }
    Members::from(failure)
}

/// A result that is one text.
pub fn text_result(text: &str) -> Members {
    Members::from(json!({"content": [{"type": "text", "text": text}], "isError": false}))
}
