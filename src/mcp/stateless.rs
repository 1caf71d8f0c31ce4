//! Requests of revision 2026-07-28: everything they need travels in them. Knows no HTTP.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use super::context::{Context, Services};
use super::dispatch::{self, guarded};
use super::messages::{ClientDetails, LogLevel};
use super::methods::{Failure, Outcome, Success, lifecycle, subscriptions};
use super::outbox::Outbox;
use super::principal::{Principal, Transport};
use super::record::Record;
use super::revision::Revision;
use super::round_trips::RoundTrips;
use crate::jsonrpc::{self, Request, RpcError, UNSUPPORTED_REVISION};

const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
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

/// The revision that a request's `_meta` names, before anything else of it is looked at.
pub fn named_version(params: Option<&RawValue>) -> Option<String> {
    match members(params)?.get(VERSION)? {
        Value::String(version) => Some(version.clone()),
        _ => None,
    }
}

/// Reads a request's `_meta`.
pub fn read_meta(params: Option<&RawValue>) -> Result<Meta, RpcError> {
    let missing = |name: &str| RpcError::invalid_params(format!("params._meta must have {name}"));
    let meta = members(params).ok_or_else(|| missing(VERSION))?;
    let object = |name: &str| match meta.get(name) {
        Some(Value::Object(members)) => Ok(Some(members.clone())),
        Some(_) => Err(RpcError::invalid_params(format!(
            "params._meta: {name} must be an object"
        ))),
        None => Ok(None),
    };
    let version = meta
        .get(VERSION)
        .and_then(Value::as_str)
        .ok_or_else(|| missing(VERSION))?
        .to_owned();
    let capabilities = object(CAPABILITIES)?.ok_or_else(|| missing(CAPABILITIES))?;
    let info = object(CLIENT_INFO)?.unwrap_or_default();
    let log_level = match meta.get(LOG_LEVEL) {
        None | Some(Value::Null) => None,
        Some(level) => Some(level.as_str().and_then(LogLevel::parse).ok_or_else(|| {
            RpcError::invalid_params(format!("params._meta: {LOG_LEVEL} must be one of debug, info, notice, warning, error, critical, alert, emergency"))
        })?),
    };
    Ok(Meta {
        version,
        client: Arc::new(ClientDetails { info, capabilities }),
        log_level,
    })
}

fn members(params: Option<&RawValue>) -> Option<Map<String, Value>> {
    #[derive(Deserialize)]
    struct Params {
        #[serde(rename = "_meta")]
        meta: Map<String, Value>,
    }
    serde_json::from_str::<Params>(params?.get())
        .ok()
        .map(|params| params.meta)
}

/// The error for a revision that this server does not speak.
pub fn unsupported(requested: &str) -> RpcError {
    RpcError::new(
        UNSUPPORTED_REVISION,
        format!(
            "this server does not speak revision '{}'",
            crate::text::quoted(requested)
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

/// A request that can be run.
#[derive(Debug)]
pub struct Stateless {
    context: Context,
    request: Request,
}

impl Stateless {
    /// Notifications go to `outbox`, until the response. Cancelling the token ends the request.
    pub fn new(
        services: &Arc<Services>,
        transport: Transport,
        principal: Principal,
        request: Request,
        meta: Meta,
        outbox: Arc<Outbox>,
        cancel: CancellationToken,
    ) -> Self {
        let context = Context {
            services: Arc::clone(services),
            transport,
            revision: Revision::V2026_07_28,
            session: String::new(),
            principal,
            client: meta.client,
            log_level: meta.log_level,
            outbox: Some(outbox),
            server_requests: None,
            round_trips: None,
            cancel,
        };
        Self { context, request }
    }

    /// What was asked for.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Runs it. The error code, where it has one, tells the HTTP status.
    pub async fn run(mut self) -> (Option<Bytes>, Option<i64>) {
        let services = Arc::clone(&self.context.services);
        let principal = self.context.principal.clone();
        let record = Record::of(
            &services,
            self.context.transport,
            None,
            &principal,
            &self.request,
        );
        let outcome = if services.draining.is_cancelled() {
            Err(dispatch::refused_while_draining().into())
        } else {
            guarded(perform(&mut self.context, &self.request)).await
        };
        let code = match &outcome {
            Err(Failure::Error(error)) => Some(error.code),
            _ => None,
        };
        (record.end(outcome), code)
    }
}

async fn perform(context: &mut Context, request: &Request) -> Outcome {
    let params = request.params.as_deref();
    let method = request.method.as_str();
    if asks(method) {
        let round_trips =
            RoundTrips::read(&context.services.sealer, &context.principal, method, params)?;
        context.round_trips = Some(Arc::new(round_trips));
    }
    let outcome = match method {
        "server/discover" => Ok(discover(&context.services).await.into()),
        "subscriptions/listen" => subscriptions::listen(context, request).await,
        // What only sessions have does not exist here.
        "initialize"
        | "ping"
        | "logging/setLevel"
        | "resources/subscribe"
        | "resources/unsubscribe" => Err(RpcError::method_not_found(method).into()),
        _ => dispatch::dispatch(context, method, params).await,
    };
    let required = context
        .round_trips
        .as_ref()
        .and_then(|round_trips| round_trips.input_required(&context.services.sealer));
    match (required, outcome) {
        // The run was ended by its own question.
        (Some(required), _) => Ok(finished(Success::from(jsonrpc::to_raw(&required)), method)),
        (None, Ok(success)) => Ok(finished(success, method)),
        (None, failure) => failure,
    }
}

/// The methods whose runs may ask the client.
fn asks(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// The methods whose results say how long they hold.
fn is_cacheable(method: &str) -> bool {
    matches!(
        method,
        "server/discover"
            | "tools/list"
            | "prompts/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
    )
}

async fn discover(services: &Services) -> Box<RawValue> {
    lifecycle::settled(services).await;
    jsonrpc::to_raw(
        &json!({"supportedVersions": supported(), "capabilities": lifecycle::capabilities(services)}),
    )
}

/// Adds what every result of this revision has, to what a plugin wrote.
fn finished(success: Success, method: &str) -> Success {
    let Ok(mut members) =
        serde_json::from_str::<BTreeMap<String, Box<RawValue>>>(success.result.get())
    else {
        return success;
    };
    let asks_for_input = members
        .get("resultType")
        .is_some_and(|kind| kind.get() == "\"input_required\"");
    let mut default = |name: &str, value: Value| {
        members
            .entry(name.to_owned())
            .or_insert_with(|| jsonrpc::to_raw(&value));
    };
    default("resultType", "complete".into());
    if is_cacheable(method) && !asks_for_input {
        // Attachments and plugins may change at any moment, and listeners are told.
        default("ttlMs", 0.into());
        default("cacheScope", "private".into());
    }
    let written = members
        .get("_meta")
        .and_then(|meta| serde_json::from_str(meta.get()).ok());
    let mut meta: Map<String, Value> = written.unwrap_or_default();
    meta.insert(SERVER_INFO.to_owned(), lifecycle::server_info());
    members.insert("_meta".to_owned(), jsonrpc::to_raw(&meta));
    Success {
        result: jsonrpc::to_raw(&members),
        code: success.code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(result: &str, method: &str) -> Value {
        let raw = RawValue::from_string(result.to_owned()).unwrap();
        serde_json::from_str(finished(raw.into(), method).result.get()).unwrap()
    }

    #[test]
    fn results_say_that_they_are_complete_and_who_gave_them() {
        let result = finish(r#"{"content":[],"_meta":{"a":1}}"#, "tools/call");
        assert_eq!(result["resultType"], "complete");
        assert_eq!(result["_meta"]["a"], 1);
        assert_eq!(
            result["_meta"][SERVER_INFO]["name"],
            crate::mcp::messages::SERVER_NAME
        );
        assert!(result.get("ttlMs").is_none());
        assert_eq!(finish("{}", "server/discover")["ttlMs"], 0);
    }

    #[test]
    fn what_a_plugin_says_of_caching_stands() {
        let result = finish(
            r#"{"contents":[],"ttlMs":5000,"cacheScope":"public"}"#,
            "resources/read",
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
            "resources/read",
        );
        assert_eq!(result["resultType"], "input_required");
        assert!(result.get("ttlMs").is_none());
    }
}
