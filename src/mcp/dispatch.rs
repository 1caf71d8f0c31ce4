//! Method name to handler. Knows no session state: what changes it is the session's own.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use serde_json::value::RawValue;

use super::context::Context;
use super::methods::{Outcome, completion, lifecycle, prompts, resources, tools};
use crate::jsonrpc::{INTERNAL_ERROR, RpcError};

/// Runs a method that leaves the session as it is.
pub async fn dispatch(context: &Context, method: &str, params: Option<&RawValue>) -> Outcome {
    match method {
        "ping" => Ok(lifecycle::empty().into()),
        "tools/list" => tools::list(context, params).await,
        "tools/call" => tools::call(context, params).await,
        "prompts/list" => prompts::list(context, params),
        "prompts/get" => prompts::get(context, params).await,
        "resources/list" => resources::list(context, params),
        "resources/templates/list" => resources::list_templates(context, params),
        "resources/read" => resources::read(context, params).await,
        "completion/complete" => completion::complete(context, params).await,
        _ => Err(RpcError::method_not_found(method).into()),
    }
}

/// Whether a method may take long: then others of the same client must not wait behind it.
pub fn runs_a_program(method: &str) -> bool {
    matches!(
        method,
        "tools/call" | "prompts/get" | "resources/read" | "completion/complete"
    )
}

/// The method's name for metrics: clients could invent others without end.
pub fn label(method: &str) -> &'static str {
    const KNOWN: [&str; 15] = [
        "completion/complete",
        "initialize",
        "logging/setLevel",
        "ping",
        "prompts/get",
        "prompts/list",
        "resources/list",
        "resources/read",
        "resources/subscribe",
        "resources/templates/list",
        "resources/unsubscribe",
        "server/discover",
        "subscriptions/listen",
        "tools/call",
        "tools/list",
    ];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// The answer to new work once the server has begun to stop.
pub fn refused_while_draining() -> RpcError {
    RpcError::new(
        INTERNAL_ERROR,
        "the server is shutting down; connect again in a moment",
    )
}

/// Runs a handler so that a panic in it is one failed request and no more.
pub async fn guarded(handler: impl Future<Output = Outcome>) -> Outcome {
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
    use crate::mcp::methods::Failure;

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
