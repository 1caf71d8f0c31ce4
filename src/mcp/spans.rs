//! The span of a request: its name and what it says, by OpenTelemetry's conventions for this protocol.
//! <https://opentelemetry.io/docs/specs/semconv/gen-ai/mcp>
//!
//! Names and codes alone: no argument, no result, no key, and of a session what the log has of it.

use std::borrow::Cow;

use super::context::Context;
use super::inbound::Request;
use super::method::Method;
use super::principal::Transport;
use crate::telemetry::OK;
use crate::telemetry::trace::{Span, TraceContext};

/// The outcome of a request that nobody waited for any more.
pub const CANCELLED: &str = "cancelled";
/// Failed by a tool's own word, in the words of the conventions.
pub const TOOL_ERROR: &str = "tool_error";

/// How much of a session's id is shown: too little to use it.
const SHOWN_SESSION: usize = 8;

/// The span of a request; where none is recorded, its place in the trace that it is part of.
pub fn span_of(context: &Context, request: &Request) -> Span {
    let method = request.method.name();
    let mut target = None;
    let mut span = context
        .services
        .tracer
        .request(parent(context, request), || {
            target = target_of(context, request);
            match &target {
                Some((_, name)) => format!("{method} {name}").into(),
                None => method.into(),
            }
        });
    if !span.is_recorded() {
        return span;
    }
    span.set("mcp.method.name", method);
    if request.method == Method::CallTool {
        span.set("gen_ai.operation.name", "execute_tool");
    }
    if let Some((attribute, name)) = target {
        span.set(attribute, name);
    }
    span.set(
        "jsonrpc.request.id",
        request.id.raw().get().trim_matches('"').to_owned(),
    );
    span.set("mcp.protocol.version", context.revision.name());
    if !context.session.is_empty() {
        span.set(
            "mcp.session.id",
            crate::text::cut(&context.session, SHOWN_SESSION).to_owned(),
        );
    }
    if context.transport == Transport::Stdio {
        span.set("network.transport", "pipe");
    } else {
        span.set("network.transport", "tcp");
        span.set("network.protocol.name", "http");
    }
    span
}

/// The span that the request says to be below: in its own `_meta` first, for one HTTP request may carry several
/// requests. <https://modelcontextprotocol.io/community/seps/414-request-meta>
fn parent(context: &Context, request: &Request) -> Option<TraceContext> {
    let in_meta = request.meta().and_then(|meta| {
        let state = meta.string("tracestate");
        TraceContext::parse(&meta.string("traceparent")?, state.as_deref())
    });
    in_meta.or_else(|| context.principal.trace.clone())
}

/// The tool or the prompt that is asked for, if there is one of this name: clients could invent names without end.
fn target_of(context: &Context, request: &Request) -> Option<(&'static str, String)> {
    let name = || request.params.string("name");
    let snapshot = context.services.catalog.snapshot();
    match request.method {
        Method::CallTool => {
            let tool = snapshot.resolve(&name()?).ok()?;
            Some(("gen_ai.tool.name", tool.name.clone()))
        }
        Method::GetPrompt => {
            let name = name()?;
            let mut prompts = snapshot.prompts.iter();
            prompts.find(|prompt| prompt.key == name)?;
            Some(("gen_ai.prompt.name", name))
        }
        _ => None,
    }
}

/// Says how a request ended: by its outcome, and by what its answer says of a failure.
pub fn end(span: &mut Span, outcome: &'static str, failure: Option<Cow<'static, str>>) {
    span.set("smcp.outcome", outcome);
    let class = match outcome {
        CANCELLED => None,
        OK | "plugin_error" => failure,
        // More is known than that the tool failed.
        code => failure
            .filter(|class| class != TOOL_ERROR)
            .or(Some(code.into())),
    };
    if let Some(class) = class {
        span.fail(class);
    }
}
