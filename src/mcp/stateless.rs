//! Requests of revision 2026-07-28: everything they need travels in them. Knows no HTTP.
//! <https://modelcontextprotocol.io/specification/draft/basic>

use std::sync::Arc;

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::context::{Asking, Context};
use super::inbound::{Request, VERSION};
use super::messages::{ClientDetails, LogLevel};
use super::method::{Method, Setting};
use super::methods::{Outcome, Success, lifecycle};
use super::revision::Revision;
use crate::jsonrpc::{Members, RpcError, UNSUPPORTED_REVISION, to_raw};

const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

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
    let capabilities = lifecycle::capabilities(&context.services);
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
            round_trips.input_required(sealer, &context.principal, request)
        }
        _ => None,
    };
    let mut success = match required {
        // The run was ended by its own question.
        Some(required) => Success::from(Members::from(required)),
        None => outcome?,
    };
    complete(&mut success.result, request.method);
    Ok(success)
}

/// Adds what every result of this revision has, to what a plugin wrote.
pub fn complete(result: &mut Members, method: Method) {
    result.set_default("resultType", &"complete");
    let asks_for_input = result.string("resultType").as_deref() == Some("input_required");
    if method.is_cacheable() && !asks_for_input {
        // Attachments and plugins may change at any moment, and listeners are notified.
        result.set_default("ttlMs", &0);
        result.set_default("cacheScope", &"private");
    }
    let written = result.get("_meta").map(RawValue::get);
    let written = written.and_then(|meta| Members::parse(meta).ok());
    let mut meta = written.unwrap_or_default();
    meta.set(SERVER_INFO, to_raw(&lifecycle::server_info()));
    result.set("_meta", to_raw(&meta));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(result: &str, method: Method) -> Value {
        let mut members = Members::parse(result).unwrap();
        complete(&mut members, method);
        serde_json::to_value(members).unwrap()
    }

    #[test]
    fn results_say_that_they_are_complete_and_who_gave_them() {
        let result = finish(r#"{"content":[],"_meta":{"a":1}}"#, Method::CallTool);
        assert_eq!(result["resultType"], "complete");
        assert_eq!(result["_meta"]["a"], 1);
        assert_eq!(
            result["_meta"][SERVER_INFO]["name"],
            crate::mcp::messages::SERVER_NAME
        );
        assert!(result.get("ttlMs").is_none());
        assert_eq!(finish("{}", Method::Discover)["ttlMs"], 0);
    }

    #[test]
    fn what_a_plugin_says_of_caching_stands() {
        let result = finish(
            r#"{"contents":[],"ttlMs":5000,"cacheScope":"public"}"#,
            Method::ReadResource,
        );
        assert_eq!(
            (result["ttlMs"].as_u64(), result["cacheScope"].as_str()),
            (Some(5000), Some("public"))
        );
    }

    #[test]
    fn a_question_says_nothing_of_caching() {
        let result = finish(
            r#"{"resultType":"input_required","inputRequests":{}}"#,
            Method::ReadResource,
        );
        assert_eq!(result["resultType"], "input_required");
        assert!(result.get("ttlMs").is_none());
    }
}
