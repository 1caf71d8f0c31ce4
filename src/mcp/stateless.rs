//! Requests of revision 2026-07-28: everything they need travels in them. Knows no HTTP.
//! <https://modelcontextprotocol.io/specification/draft/basic>

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::context::{Asking, Context, Ending};
use super::inbound::{Request, VERSION};
use super::messages::{ClientDetails, LogLevel};
use super::method::Setting;
use super::methods::completed::complete;
use super::methods::{Outcome, Success, lifecycle};
use super::revision::Revision;
use crate::jsonrpc::{Members, RpcError, UNSUPPORTED_REVISION};

const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";

/// What a request says of its client.
#[derive(Debug, Clone)]
pub struct Meta {
    /// The revision that it names, known or not.
    pub version: String,
    client: Arc<ClientDetails>,
    log_level: Option<LogLevel>,
}

/// Reads a request's `_meta`.
///
/// # Errors
/// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for what is missing or of the wrong kind.
pub fn read_meta(request: &Request) -> Result<Meta, RpcError> {
    let missing = |name: &str| RpcError::invalid_params(format!("params._meta must have {name}"));
    let version = request.version().ok_or_else(|| missing(VERSION))?;
    let meta = request.meta().ok_or_else(|| missing(VERSION))?;
    let object = |name: &str| -> Result<Option<Map<String, Value>>, RpcError> {
        let read = |raw: &RawValue| serde_json::from_str(raw.get());
        meta.get(name).map(read).transpose().map_err(|_| {
            RpcError::invalid_params(format!("params._meta: {name} must be an object"))
        })
    };
    let capabilities = object(CAPABILITIES)?.ok_or_else(|| missing(CAPABILITIES))?;
    let info = object(CLIENT_INFO)?.unwrap_or_default();
    let log_level = match meta.get(LOG_LEVEL).filter(|level| level.get() != "null") {
        None => None,
        Some(level) => Some(serde_json::from_str(level.get()).map_err(|_| {
            RpcError::invalid_params(format!("params._meta: {LOG_LEVEL} must be one of debug, info, notice, warning, error, critical, alert, emergency"))
        })?),
    };
    Ok(Meta {
        version,
        client: Arc::new(ClientDetails::new(info, capabilities)?),
        log_level,
    })
}

/// The error for a revision that this server does not speak.
pub fn unsupported(requested: &str) -> RpcError {
    RpcError::new(
        UNSUPPORTED_REVISION,
        format!(
            "this server does not speak revision {}",
            crate::text::in_quotes(requested)
        ),
    )
    .with_data(json!({"supported": supported(), "requested": requested}))
}

fn supported() -> Vec<&'static str> {
    Revision::ALL
        .iter()
        .rev()
        .map(|revision| revision.name())
        .collect()
}

/// `context` for a request of this revision: what it says of its client holds, and no session.
pub fn context(context: Context, meta: Meta) -> Context {
    Context {
        setting: Setting::Stateless,
        revision: Revision::V2026_07_28,
        session: String::new(),
        state: None,
        client: meta.client,
        log_level: meta.log_level,
        asking: Asking::Nobody,
        standing: None,
        // A closed stream is how clients of this revision cancel.
        ending: Ending::Cancels,
        can_come_back: false,
        ..context
    }
}

/// `server/discover`.
///
/// # Errors
/// None but that the request was cancelled.
pub async fn discover(context: &Context) -> Outcome {
    lifecycle::settled(context).await?;
    let capabilities = lifecycle::capabilities(&context.services, context.revision);
    let result = json!({"supportedVersions": supported(), "capabilities": capabilities});
    Ok(Members::from(result).into())
}

/// The outcome of a request under this revision: the questions that its run left open, or the result
/// with what every result has here.
///
/// # Errors
/// Those of `outcome`.
pub fn finished(context: &Context, request: &Request, outcome: Outcome) -> Outcome {
    let required = match &context.asking {
        Asking::RoundTrips(round_trips) => {
            let sealer = &context.services.sealer;
            round_trips.input_required(sealer, &context.principal, request)?
        }
        _ => None,
    };
    let mut success = match required {
        // The run was ended by its own question.
        Some(required) => Success::from(Members::from(required)),
        None => outcome?,
    };
    complete(success.members(), request.method);
    Ok(success)
}
