//! `initialize` and `ping`.

use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::call::types::Listed;
use crate::jsonrpc::{self, RpcError};
use crate::mcp::context::Services;
use crate::mcp::messages::{self, ClientDetails, InitializeParams, SERVER_NAME};
use crate::mcp::revision::Revision;

/// What `initialize` settles.
#[derive(Debug, Clone)]
pub struct Handshake {
    /// The revision that both sides speak from now on.
    pub revision: Revision,
    /// What the client said of itself.
    pub client: ClientDetails,
}

/// Reads the params of `initialize`.
pub fn read_handshake(params: Option<&RawValue>) -> Result<Handshake, RpcError> {
    let params: InitializeParams = messages::read("initialize", params)?;
    let client = ClientDetails {
        info: params.client_info,
        capabilities: params.capabilities,
    };
    Ok(Handshake {
        revision: Revision::negotiate(&params.protocol_version),
        client,
    })
}

/// The result of `initialize`.
pub async fn initialize(services: &Services, revision: Revision) -> Box<RawValue> {
    // The capabilities depend on what plugins declare, and cannot be corrected later.
    settled(services).await;
    jsonrpc::to_raw(&json!({
        "protocolVersion": revision.name(),
        "capabilities": capabilities(services),
        "serverInfo": server_info(),
    }))
}

/// Waits until all plugins have answered, as long as the server's patience lasts.
pub async fn settled(services: &Services) {
    let _ = tokio::time::timeout_at(services.discovery_deadline, services.catalog.complete()).await;
}

/// Who this server is.
pub fn server_info() -> Value {
    json!({"name": SERVER_NAME, "version": env!("CARGO_PKG_VERSION")})
}

/// Names only what is there.
pub fn capabilities(services: &Services) -> Map<String, Value> {
    let snapshot = services.catalog.snapshot();
    let mut capabilities = Map::new();
    let mut declare = |name: &str, what: Value| capabilities.insert(name.to_owned(), what);
    declare("tools", json!({"listChanged": true}));
    declare("logging", json!({}));
    if !snapshot.prompts.is_empty() {
        declare("prompts", json!({"listChanged": true}));
    }
    if !snapshot.resources.is_empty() || !snapshot.templates.is_empty() {
        declare("resources", json!({"listChanged": true, "subscribe": true}));
    }
    if !snapshot.completions.is_empty() {
        declare("completions", json!({}));
    }
    capabilities
}

/// Whether clients were told that this list can change.
pub fn declares(services: &Services, list: Listed) -> bool {
    let family = match list {
        Listed::Tools => "tools",
        Listed::Prompts => "prompts",
        Listed::Resources => "resources",
    };
    capabilities(services).contains_key(family)
}

/// The result of `ping` and of every method that only says that it worked.
pub fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).expect("two braces are JSON")
}
