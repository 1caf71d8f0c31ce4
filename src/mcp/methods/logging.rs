//! `logging/setLevel`.
//! <https://modelcontextprotocol.io/specification/2025-11-25/server/utilities/logging>

use serde::Deserialize;

use super::outcome::Outcome;
use crate::jsonrpc::Members;
use crate::mcp::context::Context;
use crate::mcp::inbound::Request;
use crate::mcp::messages::LogLevel;

#[derive(Deserialize)]
struct SetLevelParams {
    level: LogLevel,
}

/// `logging/setLevel`. Without a session there is nothing that could remember it; what it says is
/// checked all the same.
///
/// # Errors
/// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for a level that there is not.
pub fn set_level(context: &Context, request: &Request) -> Outcome {
    let params: SetLevelParams = request.read()?;
    if let Some(state) = &context.state {
        state.set_log_level(params.level);
    }
    Ok(Members::default().into())
}
