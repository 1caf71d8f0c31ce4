//! `logging/setLevel`.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::jsonrpc::RpcError;
use crate::mcp::messages::{self, LogLevel};

#[derive(Deserialize)]
struct SetLevelParams {
    level: LogLevel,
}

/// Reads the level that a client wants from now on.
pub fn read_level(params: Option<&RawValue>) -> Result<LogLevel, RpcError> {
    messages::read::<SetLevelParams>("logging/setLevel", params).map(|params| params.level)
}
