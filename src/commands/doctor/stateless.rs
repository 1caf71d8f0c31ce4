//! A client of the newest revision, which has no sessions.

use serde_json::{Value, json};

use super::ask::Ask;
use super::fault::Fault;
use super::finding::{Checked, Finding};
use super::handshake;
use super::refusal;
use super::site::Site;
use crate::mcp::revision::Revision;
use crate::text::shown;

const PATH: &str = "mcp";

/// The newest revision, which has no sessions: each request names itself in headers.
pub(super) async fn look(site: &Site) -> Checked {
    let mut checked = Checked::default();
    let newest = Revision::V2026_07_28;
    let discover = handshake::stateless("server/discover", json!({}));
    let call = json!({"name": "health", "arguments": {}});
    let call = handshake::stateless("tools/call", call);
    for (message, name) in [(discover, None), (call, Some("health"))] {
        let method = message["method"].as_str().unwrap_or_default().to_owned();
        let mut ask = Ask::post(PATH, &message)
            .with("mcp-protocol-version", newest.name())
            .with("mcp-method", method);
        if let Some(name) = name {
            ask = ask.with("mcp-name", name);
        }
        match site.ask(&ask).await {
            Ok(answer) if answer.status == 200 && answer.is_json_rpc() => {}
            Ok(answer) if refusal::is_put_off(&answer) => {
                checked.add(refusal::of(site, &ask, &answer));
                return checked;
            }
            Ok(answer) => match lost(&answer.message()) {
                Some(finding) => {
                    checked.add(finding);
                    return checked;
                }
                None if answer.is_json_rpc() => {
                    let why = format!("revision {newest}, which this server does not speak");
                    checked.skipped.push(why);
                    return checked;
                }
                None => {
                    checked.add(refusal::of(site, &ask, &answer));
                    return checked;
                }
            },
            Err(why) => {
                checked.add(refusal::no_answer(site, &ask, &why));
                return checked;
            }
        }
    }
    let passed = format!("/mcp: a client of {newest} discovers the server and calls health");
    checked.passed.push(passed);
    checked
}

/// The header that a server of this revision misses.
fn lost(answer: &Value) -> Option<Finding> {
    if answer["error"]["code"] != crate::jsonrpc::HEADER_MISMATCH {
        return None;
    }
    let said = answer["error"]["message"].as_str()?;
    let names = ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name"];
    let name = names.into_iter().find(|name| said.contains(name))?;
    let seen = format!(
        "{name} was sent with POST /mcp, and the server misses it: {}",
        shown(said, 120)
    );
    Some(Finding::new(Fault::LostHeader, name, seen))
}
