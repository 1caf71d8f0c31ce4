//! The messages of a handshake, whichever transport carries them, and what their answers must be.
//! <https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle>

use serde_json::{Value, json};

use super::fault::Fault;
use super::finding::Finding;
use crate::mcp::revision::Revision;
use crate::text::{excerpt, shown};

/// How smcp names itself in every version.
const NAME: &str = "sanctum-letta-mcp";

/// Who has answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) name: String,
    pub(super) version: String,
}

impl Server {
    /// Whether it is smcp of version 4 or later, whose answers to wrong requests are known.
    pub(super) fn is_current(&self) -> bool {
        let major = self.version.split('.').next().unwrap_or_default();
        self.name == NAME && major.parse::<u64>().is_ok_and(|major| major >= 4)
    }

    /// As people know it.
    pub(super) fn shown(&self) -> String {
        match self.name == NAME {
            true => format!("smcp {}", self.version),
            false => format!("{} {}, which is not smcp", self.name, self.version),
        }
    }
}

pub(super) fn initialize(revision: Revision) -> Value {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": revision.name(),
        "capabilities": {},
        "clientInfo": {"name": "smcp-doctor", "version": env!("CARGO_PKG_VERSION")},
    }})
}

pub(super) fn initialized() -> Value {
    json!({"jsonrpc": "2.0", "method": "notifications/initialized"})
}

pub(super) fn list_tools() -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
}

/// A request of the revision without sessions.
pub(super) fn stateless(method: &str, mut params: Value) -> Value {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": Revision::V2026_07_28.name(),
        "io.modelcontextprotocol/clientInfo": {"name": "smcp-doctor", "version": env!("CARGO_PKG_VERSION")},
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

/// Who the answer to `initialize` is from; it must agree to the revision that was asked for.
pub(super) fn server(answer: &Value, revision: Revision, place: &str) -> Result<Server, Finding> {
    let result = &answer["result"];
    let agreed = result["protocolVersion"].as_str();
    let Some(agreed) = agreed.filter(|_| result["serverInfo"].is_object()) else {
        return Err(unexpected(answer, "initialize", place));
    };
    let text = |member: &str| shown(result["serverInfo"][member].as_str().unwrap_or("?"), 60);
    let server = Server {
        name: text("name"),
        version: text("version"),
    };
    if server.is_current() && agreed != revision.name() {
        return Err(Finding::new(
            Fault::Handshake,
            "",
            format!(
                "{place}: a client of {revision} is offered {}",
                shown(agreed, 40)
            ),
        ));
    }
    Ok(server)
}

/// The answer to `tools/list` must be a list.
pub(super) fn tools(answer: &Value, place: &str) -> Result<usize, Finding> {
    match answer["result"]["tools"].as_array() {
        Some(tools) => Ok(tools.len()),
        None => Err(unexpected(answer, "tools/list", place)),
    }
}

fn unexpected(answer: &Value, method: &str, place: &str) -> Finding {
    let seen = format!(
        "{place}: {method} is answered with {}",
        excerpt(answer, 160)
    );
    Finding::new(Fault::Handshake, "", seen)
}
