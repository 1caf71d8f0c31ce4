//! `subscriptions/listen` of revision 2026-07-28: one request that is told of changes until it ends.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::lifecycle;
use super::outcome::{Failure, Outcome};
use crate::call::types::Listed;
use crate::governor::Client;
use crate::jsonrpc::{self, Request, RpcError};
use crate::mcp::changes::Change;
use crate::mcp::context::{Context, Services};
use crate::mcp::messages;

/// Names the subscription in everything that is told because of it.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// `subscriptions/listen`: tells the changes that were asked for, until the client goes or the
/// server stops.
pub async fn listen(context: &Context, request: &Request) -> Outcome {
    let wanted = Wanted::read(request.params.as_deref())?.honoured(&context.services);
    let Some(outbox) = &context.outbox else {
        return Err(Failure::Cancelled);
    };
    let id: Value = serde_json::from_str(request.id.raw().get()).unwrap_or_default();
    let meta = json!({ SUBSCRIPTION: id });
    // Listens before it says so: what changes from then on is told.
    let mut changes = context.services.changes.subscribe();
    let acknowledged = json!({"_meta": meta, "notifications": wanted.to_value()});
    let line =
        jsonrpc::encode_notification("notifications/subscriptions/acknowledged", &acknowledged);
    if outbox.send(line).await.is_err() {
        return Err(Failure::Cancelled);
    }
    let listener = context.governed();
    loop {
        let change = tokio::select! {
            () = context.cancel.cancelled() => return Err(Failure::Cancelled),
            () = context.services.draining.cancelled() => break,
            change = changes.next() => change,
        };
        let Some(change) = change else { break };
        if wanted.includes(&change, &listener) {
            let mut params: Map<String, Value> = change.params();
            params.insert("_meta".to_owned(), meta.clone());
            // Of one kind of change for one listener only the newest matters.
            let key = format!(
                "{} {} {:?}",
                request.id.raw(),
                change.method(),
                change.params()
            );
            outbox.offer_latest(&key, jsonrpc::encode_notification(change.method(), &params));
        }
    }
    Ok(jsonrpc::to_raw(&json!({"_meta": meta})).into())
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
    pub fn read(params: Option<&RawValue>) -> Result<Self, RpcError> {
        #[derive(Deserialize)]
        struct Params {
            notifications: Wanted,
        }
        messages::read::<Params>("subscriptions/listen", params).map(|params| params.notifications)
    }

    /// The part of it that `services` can honour.
    #[must_use]
    pub fn honoured(self, services: &Services) -> Self {
        let capabilities = lifecycle::capabilities(services);
        let has = |family: &str| capabilities.contains_key(family);
        Self {
            tools_list_changed: self.tools_list_changed && has("tools"),
            prompts_list_changed: self.prompts_list_changed && has("prompts"),
            resources_list_changed: self.resources_list_changed && has("resources"),
            resource_subscriptions: if has("resources") {
                self.resource_subscriptions
            } else {
                Vec::new()
            },
        }
    }

    /// Whether a change is one of what `listener` asked for.
    pub fn includes(&self, change: &Change, listener: &Client) -> bool {
        match change {
            Change::List(Listed::Tools) | Change::Catalogue(Listed::Tools, _) => {
                self.tools_list_changed
            }
            Change::ToolsOf(client) => self.tools_list_changed && client == listener,
            Change::List(Listed::Prompts) | Change::Catalogue(Listed::Prompts, _) => {
                self.prompts_list_changed
            }
            Change::List(Listed::Resources) | Change::Catalogue(Listed::Resources, _) => {
                self.resources_list_changed
            }
            Change::Resource(uri) => self.resource_subscriptions.contains(uri),
        }
    }

    /// As it is told to the client.
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
