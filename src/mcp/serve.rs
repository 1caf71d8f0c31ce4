//! Serves one request: handshake and family are checked, the method is run, and what it gave is
//! written, once, as the answer. Every transport's requests come through here. Knows no transport.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;

use super::budget::{Counted, NoRoom};
use super::context::{Asking, Context};
use super::inbound::Request;
use super::method::{Method, Setting};
use super::methods::{
    Failure, Outcome, Success, completed, completion, lifecycle, logging, prompts, resources,
    serving, subscriptions, tasks, tools,
};
use super::record::{CANCELLED, Record, code_name};
use super::round_trips::RoundTrips;
use super::spans;
use super::stateless;
use crate::call::types::{CallError, Permit};
use crate::jsonrpc::{self, Fault, INTERNAL_ERROR, Members, RequestId, RpcError};
use crate::telemetry::trace::Span;

/// What a client is answered while the server ends.
pub const DRAINING: &str = "the server is shutting down; connect again in a moment";

/// An answer up to this many bytes is never refused for want of memory.
const ALWAYS_ADMITTED: usize = 4 << 10;

/// An answer with more than this many bytes to be written is written off the event loop.
const LARGE: usize = 256 << 10;

/// What a request is answered with.
#[derive(Debug, Default)]
pub struct Reply {
    /// The response; `None` when it was cancelled and nobody waits for one.
    pub answer: Option<Counted>,
    /// Its JSON-RPC error code, where a transport's status depends on it.
    pub code: Option<i64>,
}

/// Serves a request to its end. There is one line in the audit log, one count and, where there is a trace, one span
/// for it, also when the returned future is dropped.
pub async fn serve(context: &Context, request: &Request) -> Reply {
    let span = spans::span_of(context, request);
    if span.trace().is_none() {
        return serve_as(context, request, span).await;
    }
    let mut context = context.clone();
    context.trace = span.trace().clone();
    Box::pin(serve_as(&context, request, span)).await
}

async fn serve_as(context: &Context, request: &Request, span: Span) -> Reply {
    let mut record = Record::of(context, request).with(span);
    let outcome = if context.services.draining.is_cancelled() {
        Err(refused_while_draining().into())
    } else {
        tokio::select! {
            biased;
            outcome = guarded(perform(context, request)) => outcome,
            // What it runs ends with it.
            () = context.services.overdue.cancelled() => Err(ended_while_draining().into()),
        }
    };
    let nobody_waits = || context.cancel.is_cancelled() && !request.method.cannot_be_cancelled();
    let (name, code, line) = match outcome {
        _ if nobody_waits() => {
            record.end(CANCELLED, 0);
            return Reply::default();
        }
        Err(Failure::Cancelled) => {
            record.end(CANCELLED, 0);
            return Reply::default();
        }
        Ok(success) => {
            record.answered(|| success.has_failed());
            let code = success.code;
            let (line, permit) = written(&request.id, success).await;
            // What a call gave takes memory by its permit until here, and by the budget from here on:
            // nothing is awaited in between.
            drop(permit);
            (code, None, line)
        }
        Err(Failure::Error(error)) => {
            let line = jsonrpc::encode_error(Some(&request.id), &error);
            record.refused(error.code);
            (code_name(&error), Some(error.code), line)
        }
    };
    let (name, answer) = match counted(context, line).await {
        Ok(answer) => (name, answer),
        Err(no_room) => {
            context.services.counters.answer_refused();
            let line = overloaded(context, request, no_room);
            ("overloaded", context.account.count(line))
        }
    };
    // It may have waited for room, and what is cancelled gets no answer.
    if nobody_waits() {
        record.end(CANCELLED, 0);
        return Reply::default();
    }
    record.end(name, answer.len());
    Reply {
        answer: Some(answer),
        code,
    }
}

/// A request that cannot even begin, such as one with an id that is in flight.
#[derive(Debug)]
pub struct NotAdmitted {
    /// The request.
    pub request: Request,
    /// What it would have been served with.
    pub context: Context,
    /// Why it cannot begin.
    pub error: RpcError,
}

impl NotAdmitted {
    /// The error for the client, recorded as the request's end.
    pub fn recorded(self) -> Fault {
        Record::of(&self.context, &self.request).end(code_name(&self.error), 0);
        self.unrecorded()
    }

    /// The same, for a transport that records its refusals itself.
    pub fn unrecorded(self) -> Fault {
        Fault {
            id: Some(self.request.id),
            error: self.error,
        }
    }
}

/// The answer as a line, a large one written off the event loop; with the permit of the call.
async fn written(id: &RequestId, mut success: Success) -> (Bytes, Option<Arc<Permit>>) {
    let permit = success.permit.take();
    let size = success.written_size();
    if size <= LARGE {
        return (jsonrpc::encode_large_result(id, &success, size), permit);
    }
    let (to, kept) = (id.clone(), permit.clone());
    let writing = tokio::task::spawn_blocking(move || {
        // Nobody may wait for it any more, and it takes its memory all the same.
        let _permit = kept;
        jsonrpc::encode_large_result(&to, &success, size)
    });
    let line = writing.await.unwrap_or_else(|_| {
        let error = RpcError::new(INTERNAL_ERROR, "the answer could not be written");
        jsonrpc::encode_error(Some(id), &error)
    });
    (line, permit)
}

async fn counted(context: &Context, line: Bytes) -> Result<Counted, NoRoom> {
    let account = &context.account;
    if line.len() <= ALWAYS_ADMITTED {
        Ok(account.count(line))
    } else if context.in_batch {
        // The others of the batch make no room before this one is done.
        account.try_count(line)
    } else {
        let counted = context.unless_cancelled(account.count_soon(line)).await;
        counted.unwrap_or(Err(NoRoom))
    }
}

fn overloaded(context: &Context, request: &Request, no_room: NoRoom) -> Bytes {
    let why = no_room.to_string();
    if request.method == Method::CallTool {
        let mut failure = tools::failure(context, request, &CallError::Overloaded(why));
        if context.setting == Setting::Stateless {
            completed::complete(&mut failure.result, request.method);
        }
        jsonrpc::encode_result(&request.id, &failure)
    } else {
        jsonrpc::encode_error(Some(&request.id), &RpcError::new(INTERNAL_ERROR, why))
    }
}

async fn perform(context: &Context, request: &Request) -> Outcome {
    let method = request.method;
    // Clients of both eras probe with it, and read this code as "shake hands".
    if method == Method::Discover && !method.exists_in(context.setting) {
        return Err(RpcError::method_not_found(request.name()).into());
    }
    if let Some(state) = &context.state
        && state.revision().is_none()
        && !method.needs_no_handshake()
    {
        return Err(RpcError::invalid_params(format!(
            "{} before initialize: send initialize first, then notifications/initialized",
            crate::text::quoted(request.name())
        ))
        .into());
    }
    if !method.exists_in(context.setting) {
        return Err(RpcError::method_not_found(request.name()).into());
    }
    if method.needs_all_plugins() {
        lifecycle::all_answered(context).await?;
    }
    if let (Some(list), Some(state)) = (method.list(), &context.state) {
        state.reads(list, context.services.catalog.changes().borrow().catalogue);
    }
    serving::require(context, request)?;
    tasks::require(context, request)?;
    request.check_meta()?;
    if context.setting != Setting::Stateless {
        return dispatch(context, request).await;
    }
    let context = &with_round_trips(context, request)?;
    let outcome = dispatch(context, request).await;
    stateless::finished(context, request, outcome)
}

fn with_round_trips(context: &Context, request: &Request) -> Result<Context, RpcError> {
    let mut context = context.clone();
    if request.method.may_ask() {
        let sealer = &context.services.sealer;
        let round_trips = RoundTrips::read(sealer, &context.principal, request)?;
        context.asking = Asking::RoundTrips(Arc::new(round_trips));
    }
    Ok(context)
}

/// Runs the method. What may take long is boxed: a request would else take, from its first byte to its last, the room
/// of the largest of them, a ping too.
async fn dispatch(context: &Context, request: &Request) -> Outcome {
    match request.method {
        Method::Initialize => Box::pin(lifecycle::initialize(context, request)).await,
        Method::Ping => Ok(Members::default().into()),
        Method::SetLevel => logging::set_level(context, request),
        Method::ListTools => tools::list(context, request),
        Method::CallTool => Box::pin(tools::call(context, request)).await,
        Method::ListPrompts => prompts::list(context, request),
        Method::GetPrompt => Box::pin(prompts::get(context, request)).await,
        Method::ListResources => resources::list(context, request),
        Method::ListTemplates => resources::list_templates(context, request),
        Method::ReadResource => Box::pin(resources::read(context, request)).await,
        Method::Subscribe => resources::subscribe(context, request),
        Method::Unsubscribe => resources::unsubscribe(context, request),
        Method::Complete => Box::pin(completion::complete(context, request)).await,
        Method::Discover => Box::pin(stateless::discover(context)).await,
        Method::Listen => Box::pin(subscriptions::listen(context, request)).await,
        Method::GetTask => tasks::get(context, request).await,
        Method::TaskResult => Box::pin(tasks::result(context, request)).await,
        Method::ListTasks => tasks::list(context, request).await,
        Method::CancelTask => tasks::cancel(context, request).await,
        Method::UpdateTask => tasks::update(context, request).await,
        Method::Unknown => Err(RpcError::method_not_found(request.name()).into()),
    }
}

fn refused_while_draining() -> RpcError {
    RpcError::new(INTERNAL_ERROR, DRAINING)
}

fn ended_while_draining() -> RpcError {
    let why = "the server is shutting down, and this was not done in the time that it leaves to what runs; nothing more \
               comes of it: ask again in a moment";
    RpcError::new(INTERNAL_ERROR, why)
}

/// Runs a handler so that a panic in it is one failed request and no more.
async fn guarded(handler: impl Future<Output = Outcome>) -> Outcome {
    AssertUnwindSafe(handler)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            Err(RpcError::new(INTERNAL_ERROR, "internal error; the server's log says more").into())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_a_handler_is_an_internal_error() {
        let outcome = guarded(async { panic!("a fault of the server") }).await;
        let Err(Failure::Error(error)) = outcome else {
            panic!("{outcome:?} is no error")
        };
        assert_eq!(error.code, INTERNAL_ERROR);
        assert!(
            !error.message.contains("a fault of the server"),
            "the inside is not told: {error}"
        );
    }
}
