//! `subscriptions/listen` of revision 2026-07-28: one request that is notified of changes until it ends.
//! <https://modelcontextprotocol.io/specification/draft/basic/utilities/subscriptions>

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::lifecycle;
use super::outcome::{Failure, Outcome};
use crate::call::types::Listed;
use crate::catalog::MAX_URI_BYTES;
use crate::governor::Client;
use crate::jsonrpc::{self, Members, RpcError};
use crate::mcp::changes::Change;
use crate::mcp::client_state::MAX_SUBSCRIPTIONS;
use crate::mcp::context::{Context, Services};
use crate::mcp::inbound::Request;
use crate::mcp::method::Family;

/// Names the subscription in everything that is sent because of it: the request's id, to the letter.
#[derive(Serialize)]
struct SubscriptionMeta<'a> {
    #[serde(rename = "io.modelcontextprotocol/subscriptionId")]
    id: &'a RawValue,
}

/// A notification of a subscription.
#[derive(Serialize)]
struct Notice<'a> {
    #[serde(flatten)]
    params: Map<String, Value>,
    #[serde(rename = "_meta")]
    meta: &'a RawValue,
}

/// `subscriptions/listen`: sends the changes that were asked for, until the client goes or the
/// server stops.
///
/// # Errors
/// [`INVALID_PARAMS`](jsonrpc::INVALID_PARAMS) for params that do not fit, or name too much.
pub async fn listen(context: &Context, request: &Request) -> Outcome {
    let wanted = Wanted::read(request)?;
    // What can be honoured depends on what plugins declare.
    tokio::select! {
        answered = lifecycle::all_answered(context) => answered?,
        () = context.closing.cancelled() => {}
    }
    let wanted = wanted.honoured(&context.services);
    let Some(outbox) = &context.outbox else {
        return Err(Failure::Cancelled);
    };
    let id = request.id.raw();
    let meta = jsonrpc::to_raw(&SubscriptionMeta { id });
    let notice = |params| Notice {
        params,
        meta: &meta,
    };
    // Listens before it says so: what changes from then on is sent.
    let mut changes = context.services.changes.subscribe();
    // The lists of this generation are what the client can read already.
    let known = context.services.catalog.changes().borrow().catalogue;
    let mut params = Map::new();
    params.insert("notifications".to_owned(), wanted.to_value());
    let line =
        jsonrpc::encode_notification("notifications/subscriptions/acknowledged", &notice(params));
    let line = context.account.count(line).into_bytes();
    if context.unless_cancelled(outbox.send(line)).await?.is_err() {
        return Err(Failure::Cancelled);
    }
    let listener = context.governed();
    loop {
        let change = tokio::select! {
            () = context.cancel.cancelled() => return Err(Failure::Cancelled),
            () = context.closing.cancelled() => break,
            change = changes.next() => change,
        };
        let Some(change) = change else { break };
        let is_known = matches!(change, Change::Catalogue(_, since) if since <= known);
        if !is_known && wanted.includes(&change, &listener) {
            let params = change.params();
            // Of one kind of change for one listener only the newest matters.
            let key = format!("{id} {} {params:?}", change.method());
            let line = jsonrpc::encode_notification(change.method(), &notice(params));
            outbox.offer_latest(&key, line);
        }
    }
    Ok(Members::from(vec![("_meta".to_owned(), meta)]).into())
}

/// What a client that listens for changes wants to hear of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Wanted {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
    resource_subscriptions: Vec<String>,
}

impl Wanted {
    /// Reads the params of `subscriptions/listen`.
    ///
    /// # Errors
    /// [`INVALID_PARAMS`](jsonrpc::INVALID_PARAMS) when they do not fit, or name too many resources.
    pub fn read(request: &Request) -> Result<Self, RpcError> {
        #[derive(Deserialize)]
        struct Params {
            notifications: Wanted,
        }
        let wanted = request.read::<Params>()?.notifications;
        let uris = &wanted.resource_subscriptions;
        if uris.len() > MAX_SUBSCRIPTIONS {
            return Err(RpcError::invalid_params(format!(
                "{} resource subscriptions; the limit is {MAX_SUBSCRIPTIONS}",
                uris.len()
            )));
        }
        if let Some(long) = uris.iter().find(|uri| uri.len() > MAX_URI_BYTES) {
            return Err(RpcError::invalid_params(format!(
                "a resource subscription is {} bytes long; the limit is {MAX_URI_BYTES}",
                long.len()
            )));
        }
        Ok(wanted)
    }

    /// The part of it that `services` can honour.
    #[must_use]
    pub fn honoured(self, services: &Services) -> Self {
        let has = |family| lifecycle::serves(services, family);
        Self {
            tools_list_changed: self.tools_list_changed && has(Family::Tools),
            prompts_list_changed: self.prompts_list_changed && has(Family::Prompts),
            resources_list_changed: self.resources_list_changed && has(Family::Resources),
            resource_subscriptions: if has(Family::Resources) {
                self.resource_subscriptions
            } else {
                Vec::new()
            },
        }
    }

    /// Whether a change is one of what `listener` asked for.
    pub fn includes(&self, change: &Change, listener: &Client) -> bool {
        match change {
            Change::Catalogue(Listed::Tools, _) => self.tools_list_changed,
            Change::ToolsOf(client) => self.tools_list_changed && client == listener,
            Change::Catalogue(Listed::Prompts, _) => self.prompts_list_changed,
            Change::Catalogue(Listed::Resources, _) => self.resources_list_changed,
            Change::Resource(uri) => self.resource_subscriptions.contains(uri),
        }
    }

    /// As the client reads it.
    pub fn to_value(&self) -> Value {
        let mut wanted = Map::new();
        for (name, on) in [
            ("toolsListChanged", self.tools_list_changed),
            ("promptsListChanged", self.prompts_list_changed),
            ("resourcesListChanged", self.resources_list_changed),
        ] {
            if on {
                wanted.insert(name.to_owned(), true.into());
            }
        }
        if !self.resource_subscriptions.is_empty() {
            wanted.insert(
                "resourceSubscriptions".to_owned(),
                json!(self.resource_subscriptions),
            );
        }
        wanted.into()
    }
}
