//! What the audit log and the metrics hear of one request. Never a value, never a key.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::context::Services;
use super::dispatch;
use super::methods::{Failure, Outcome};
use super::principal::{Principal, Transport};
use crate::jsonrpc::{self, Request, RpcError};
use crate::telemetry::AuditLine;

/// One request, from its arrival on.
#[derive(Debug)]
pub struct Record<'a> {
    services: &'a Services,
    transport: Transport,
    session: Option<&'a str>,
    principal: &'a Principal,
    request: &'a Request,
    arrived: Instant,
}

impl<'a> Record<'a> {
    /// Begins with a request's arrival.
    pub fn of(
        services: &'a Services,
        transport: Transport,
        session: Option<&'a str>,
        principal: &'a Principal,
        request: &'a Request,
    ) -> Self {
        Self {
            services,
            transport,
            session,
            principal,
            request,
            arrived: Instant::now(),
        }
    }

    /// Ends with its outcome: counts it, writes its line, and gives the response, if it has one.
    pub fn end(self, outcome: Outcome) -> Option<Bytes> {
        let (code, response) = match outcome {
            Ok(success) => (
                success.code,
                Some(jsonrpc::encode_result(&self.request.id, &success.result)),
            ),
            Err(Failure::Error(error)) => (
                code_name(&error),
                Some(jsonrpc::encode_error(Some(&self.request.id), &error)),
            ),
            Err(Failure::Cancelled) => ("cancelled", None),
        };
        self.tell(code, response.as_ref().map_or(0, Bytes::len));
        response
    }

    fn tell(&self, code: &'static str, bytes_out: usize) {
        self.services
            .counters
            .request(dispatch::label(&self.request.method), code);
        self.services.counters.sent(bytes_out as u64);
        if !tracing::enabled!(target: crate::telemetry::audit::TARGET, tracing::Level::INFO) {
            return;
        }
        let params = self.request.params.as_deref();
        let call = (self.request.method == "tools/call")
            .then(|| params.and_then(names))
            .flatten();
        let key = self.principal.key.map(|key| key.to_string());
        let line = AuditLine {
            method: &self.request.method,
            transport: self.transport.name(),
            session: self.session,
            agent: self.principal.agent.as_deref(),
            key: key.as_deref(),
            outcome: code,
            duration: self.arrived.elapsed(),
            bytes_in: params.map_or(0, |params| params.get().len()) as u64,
            bytes_out: bytes_out as u64,
            tool: call.as_ref().map(|call| call.name.as_str()),
            argument_names: None,
        };
        match &call {
            Some(call) => line
                .arguments(
                    call.arguments
                        .iter()
                        .flat_map(BTreeMap::keys)
                        .map(String::as_str),
                )
                .emit(),
            None => line.emit(),
        }
    }
}

#[derive(Deserialize)]
struct Call<'a> {
    name: String,
    #[serde(borrow, default)]
    arguments: Option<BTreeMap<String, &'a RawValue>>,
}

fn names(params: &RawValue) -> Option<Call<'_>> {
    serde_json::from_str(params.get()).ok()
}

fn code_name(error: &RpcError) -> &'static str {
    match error.code {
        jsonrpc::PARSE_ERROR => "parse_error",
        jsonrpc::INVALID_REQUEST => "invalid_request",
        jsonrpc::METHOD_NOT_FOUND => "method_not_found",
        jsonrpc::INVALID_PARAMS => "invalid_params",
        jsonrpc::INTERNAL_ERROR => "internal_error",
        _ => "error",
    }
}
