//! One request in the audit log and in the metrics: one line and one count, however it ends. Never a
//! value, never a key.

use std::borrow::Cow;
use std::time::Instant;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::context::Context;
use super::inbound::Request;
use super::method::Method;
use super::spans;
use crate::jsonrpc::{self, RpcError};
use crate::telemetry::trace::Span;
use crate::telemetry::{AuditLine, audit};

pub use super::spans::CANCELLED;

/// One request, from its arrival on. Dropped before it has ended (the client hung up, the task was
/// aborted), it counts as cancelled.
#[derive(Debug)]
pub struct Record<'a> {
    context: &'a Context,
    request: &'a Request,
    arrived: Instant,
    outcome: &'static str,
    bytes_out: usize,
    span: Span,
    /// What the answer says of a failure.
    failure: Option<Cow<'static, str>>,
}

impl<'a> Record<'a> {
    /// Begins with a request's arrival.
    pub fn of(context: &'a Context, request: &'a Request) -> Self {
        Self {
            context,
            request,
            arrived: Instant::now(),
            outcome: CANCELLED,
            bytes_out: 0,
            span: Span::default(),
            failure: None,
        }
    }

    /// The same with a span, which ends with it.
    pub fn with(mut self, span: Span) -> Self {
        self.span = span;
        self
    }

    /// It is answered with this result, which may say that a tool has failed.
    pub fn answered(&mut self, has_failed: impl FnOnce() -> bool) {
        if self.span.is_recorded() && has_failed() {
            self.failure = Some(spans::TOOL_ERROR.into());
        }
    }

    /// It is answered with an error of this code.
    pub fn refused(&mut self, code: i64) {
        if self.span.is_recorded() {
            self.failure = Some(code.to_string().into());
            self.span.set("rpc.response.status_code", code.to_string());
        }
    }

    /// Ends with an outcome, `ok` or a stable code, and the length of its answer.
    pub fn end(mut self, outcome: &'static str, bytes_out: usize) {
        self.outcome = outcome;
        self.bytes_out = bytes_out;
    }

    fn write_line(&self) {
        let (context, request) = (self.context, self.request);
        let key = context.principal.key.map(|key| key.to_string());
        let is_call = request.method == Method::CallTool;
        let tool = is_call.then(|| request.params.string("name")).flatten();
        let line = AuditLine {
            method: request.name(),
            transport: context.transport.name(),
            session: Some(context.session.as_str()).filter(|session| !session.is_empty()),
            agent: context.principal.agent.as_deref(),
            key: key.as_deref(),
            outcome: self.outcome,
            duration: self.arrived.elapsed(),
            bytes_in: request.size as u64,
            bytes_out: self.bytes_out as u64,
            tool: tool.as_deref(),
            argument_names: None,
        };
        let names = is_call.then(|| argument_names(request)).flatten();
        match names {
            Some(names) if tool.is_some() => line.arguments(names.0.iter().map(|name| &**name)),
            _ => line,
        }
        .emit();
    }
}

impl Drop for Record<'_> {
    fn drop(&mut self) {
        let counters = &self.context.services.counters;
        let key = self.context.principal.key_label();
        counters.request(self.request.method.name(), self.outcome, key);
        spans::end(&mut self.span, self.outcome, self.failure.take());
        if tracing::enabled!(target: audit::TARGET, tracing::Level::INFO) {
            self.write_line();
        }
    }
}

/// The names of an object's members, sorted.
struct Names(Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> serde::de::Visitor<'de> for Collect {
            type Value = Names;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(
                self,
                mut map: A,
            ) -> Result<Names, A::Error> {
                let mut names = Vec::new();
                while let Some((name, IgnoredAny)) = map.next_entry()? {
                    names.push(name);
                }
                names.sort_unstable();
                Ok(Names(names))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

fn argument_names(request: &Request) -> Option<Names> {
    let arguments = request.params.get("arguments")?;
    serde_json::from_str(arguments.get()).ok()
}

/// What the log calls an error.
pub fn code_name(error: &RpcError) -> &'static str {
    match error.code {
        jsonrpc::PARSE_ERROR => "parse_error",
        jsonrpc::INVALID_REQUEST => "invalid_request",
        jsonrpc::METHOD_NOT_FOUND => "method_not_found",
        jsonrpc::INVALID_PARAMS => "invalid_params",
        jsonrpc::INTERNAL_ERROR => "internal_error",
        _ => "error",
    }
}
