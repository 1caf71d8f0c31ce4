//! The protocol's payloads: what requests carry and results look like. Knows no session.

use std::borrow::Cow;

use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use super::revision::Revision;
use crate::call::types::{CallError, ClientCapabilities, ToolResult};
use crate::jsonrpc::{self, RpcError};

/// The name that Letta installations know this server by.
pub const SERVER_NAME: &str = "sanctum-letta-mcp";

/// How grave a log message is: the syslog levels, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Details for debugging.
    Debug,
    /// What a session gets until it asks for something else.
    #[default]
    Info,
    /// Normal but notable.
    Notice,
    /// Something may be wrong.
    Warning,
    /// Something failed.
    Error,
    /// A part failed.
    Critical,
    /// Somebody must act at once.
    Alert,
    /// Nothing works.
    Emergency,
}

impl LogLevel {
    /// The level of that name.
    pub fn parse(name: &str) -> Option<Self> {
        serde_json::from_value(serde_json::Value::String(name.to_owned())).ok()
    }
}

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
    /// The capabilities that a command may require.
    pub fn declared(&self) -> ClientCapabilities {
        let has = |name| {
            self.capabilities
                .get(name)
                .is_some_and(serde_json::Value::is_object)
        };
        ClientCapabilities {
            elicitation: has("elicitation"),
            sampling: has("sampling"),
            roots: has("roots"),
        }
    }

    /// What a plugin sees in `SMCP_CLIENT`.
    pub fn for_plugin(&self, revision: Revision) -> String {
        let member = |name| {
            self.info
                .get(name)
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
        };
        serde_json::json!({
            "name": member("name"),
            "version": member("version"),
            "revision": revision.name(),
            "capabilities": self.capabilities,
        })
        .to_string()
    }
}

/// The params of `tools/call`.
#[derive(Debug, Deserialize)]
pub struct CallParams<'a> {
    /// The tool's name.
    #[serde(borrow)]
    pub name: Cow<'a, str>,
    /// An object; `null` counts as absent.
    #[serde(borrow, default)]
    pub arguments: Option<&'a RawValue>,
    /// What else travels with the request.
    #[serde(borrow, default, rename = "_meta")]
    pub meta: Option<RequestMeta<'a>>,
}

/// The part of a request's `_meta` that sessions of every revision know.
#[derive(Debug, Deserialize)]
pub struct RequestMeta<'a> {
    /// Names the request in progress notifications: a string or an integer.
    #[serde(borrow, default, rename = "progressToken")]
    pub progress_token: Option<&'a RawValue>,
}

/// The params of `notifications/cancelled`.
#[derive(Debug, Deserialize)]
pub struct CancelledParams<'a> {
    /// The request that is to stop.
    #[serde(borrow, rename = "requestId")]
    pub request_id: &'a RawValue,
}

/// Reads a method's params; absent params count as `{}`.
pub fn read<'a, T: Deserialize<'a>>(
    method: &str,
    params: Option<&'a RawValue>,
) -> Result<T, RpcError> {
    serde_json::from_str(params.map_or("{}", RawValue::get)).map_err(|error| {
        RpcError::invalid_params(format!(
            "invalid params for {method}: {}",
            without_position(&error)
        ))
    })
}

/// The position counts from the start of the params, which nobody but this server sees.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// The result of `tools/call` for what a plugin gave.
pub fn tool_result(result: &ToolResult) -> Box<RawValue> {
    jsonrpc::to_raw(&WireResult(result))
}

/// The result of `tools/call` for a call that gave none: a result, not a protocol error, with a
/// code that a program can branch on.
pub fn tool_failure(error: &CallError) -> Box<RawValue> {
    let message = error.to_string();
    jsonrpc::to_raw(&serde_json::json!({
        "content": [{"type": "text", "text": message}],
        "isError": true,
        "structuredContent": {"error": {"code": error.code(), "message": message}},
    }))
}

/// A result that is one text.
pub fn text_result(text: &str, is_error: bool) -> Box<RawValue> {
    jsonrpc::to_raw(
        &serde_json::json!({"content": [{"type": "text", "text": text}], "isError": is_error}),
    )
}

struct WireResult<'a>(&'a ToolResult);

impl Serialize for WireResult<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut result = serializer.serialize_map(None)?;
        result.serialize_entry("content", &self.0.content)?;
        if let Some(structured) = &self.0.structured_content {
            result.serialize_entry("structuredContent", structured)?;
        }
        result.serialize_entry("isError", &self.0.is_error)?;
        for (name, value) in &self.0.other {
            result.serialize_entry(name, value)?;
        }
        result.end()
    }
}
