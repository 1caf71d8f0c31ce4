//! `initialize` and `ping`.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle>

use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::time::timeout_at;

use super::outcome::Outcome;
use crate::jsonrpc::Members;
use crate::mcp::client_state::{self, Handshake};
use crate::mcp::context::{Cancelled, Context, Services};
use crate::mcp::inbound::Request;
use crate::mcp::messages::{ClientDetails, InitializeParams, SERVER_NAME, TASKS_EXTENSION};
use crate::mcp::method::Family;
use crate::mcp::revision::Revision;

/// `initialize`: settles the revision, once a session. Without a session nothing is remembered.
///
/// # Errors
/// [`INVALID_REQUEST`](crate::jsonrpc::INVALID_REQUEST) for a second one,
/// [`INVALID_PARAMS`](crate::jsonrpc::INVALID_PARAMS) for params that do not fit.
pub async fn initialize(context: &Context, request: &Request) -> Outcome {
    let state = context.state.as_deref();
    if state.is_some_and(|state| state.revision().is_some()) {
        return Err(client_state::initialized_already().into());
    }
    let params: InitializeParams = request.read()?;
    let handshake = Handshake {
        revision: Revision::negotiate(&params.protocol_version),
        client: Arc::new(ClientDetails::new(params.client_info, params.capabilities)?),
    };
    // The capabilities depend on what plugins declare, and cannot be corrected later.
    settled(context).await?;
    let services = &context.services;
    let capabilities = capabilities(services, handshake.revision);
    let is_offered = |family: &Family| capabilities.contains_key(family.name());
    let offered = Family::ALL.into_iter().filter(is_offered).collect();
    let result = Members::from(json!({
        "protocolVersion": handshake.revision.name(),
        "capabilities": capabilities,
        "serverInfo": server_info(),
    }));
    if let Some(state) = state {
        let generation = services.catalog.changes().borrow().catalogue;
        state.settle(handshake, offered, generation)?;
    }
    Ok(result.into())
}

/// Waits until all plugins have answered, until the discovery deadline at the latest: clients do not wait long for
/// their first answer.
///
/// # Errors
/// [`Cancelled`] when the request was cancelled meanwhile.
pub async fn settled(context: &Context) -> Result<(), Cancelled> {
    let services = &context.services;
    let complete = timeout_at(services.discovery_deadline, services.catalog.complete());
    context.unless_cancelled(complete).await.map(|_| ())
}

/// Waits until all plugins have answered, no longer than one of them may take once they are asked: many clients list
/// once, and call what was not there then never.
///
/// # Errors
/// [`Cancelled`] when the request was cancelled meanwhile.
pub async fn all_answered(context: &Context) -> Result<(), Cancelled> {
    let services = &context.services;
    let complete = services.catalog.complete_within(services.list_wait);
    context.unless_cancelled(complete).await
}

/// Who this server is.
pub fn server_info() -> Value {
    json!({"name": SERVER_NAME, "version": env!("CARGO_PKG_VERSION")})
}

/// The capabilities that the server declares: only what is there.
pub fn capabilities(services: &Services, revision: Revision) -> Map<String, Value> {
    let mut capabilities = Map::new();
    let mut declare = |name: &str, what: Value| capabilities.insert(name.to_owned(), what);
    declare(Family::Tools.name(), json!({"listChanged": true}));
    declare("logging", json!({}));
    for (family, what) in [
        (Family::Prompts, json!({"listChanged": true})),
        (
            Family::Resources,
            json!({"listChanged": true, "subscribe": true}),
        ),
        (Family::Completions, json!({})),
    ] {
        if serves(services, family) {
            declare(family.name(), what);
        }
    }
    if services.kept.are_on() {
        if revision.has_task_requests() {
            let what = json!({"list": {}, "cancel": {}, "requests": {"tools": {"call": {}}}});
            declare("tasks", what);
        } else if !revision.has_handshake() {
            declare("extensions", json!({TASKS_EXTENSION: {}}));
        }
    }
    capabilities
}

/// Whether there is something of a family; then the capabilities name it.
pub fn serves(services: &Services, family: Family) -> bool {
    let snapshot = services.catalog.snapshot();
    match family {
        Family::Tools => true,
        Family::Prompts => !snapshot.prompts.is_empty(),
        Family::Resources => !snapshot.resources.is_empty() || !snapshot.templates.is_empty(),
        Family::Completions => !snapshot.completions.is_empty(),
    }
}
