//! A case's message in the envelope of its transport.

use crate::case::{Case, Transport};
use crate::client::Message;
use crate::template::Words;

/// The case's message, in the envelope of its transport.
pub fn message(case: &Case, words: &Words) -> Message {
    if let Some(send) = &case.entry.send {
        return Message {
            bytes: send.bytes(words),
            ..Message::default()
        };
    }
    let (method, name, params, id) = match (&case.entry.request, &case.entry.call) {
        (Some(request), None) => {
            let params = request.params.as_ref().map(|params| params.text(words));
            let id = request.id.as_ref().map(|id| id.text(words));
            let name = params.as_deref().and_then(name_in);
            (request.method.clone(), name, params, id)
        }
        (None, Some(call)) => {
            let arguments = call.arguments.as_ref().map(|text| text.text(words));
            let tool = serde_json::Value::from(call.tool.as_str());
            let arguments = arguments.unwrap_or_else(|| "{}".to_owned());
            let params = format!(r#"{{"name":{tool},"arguments":{arguments}}}"#);
            (
                "tools/call".to_owned(),
                Some(call.tool.clone()),
                Some(params),
                None,
            )
        }
        _ => panic!("a case sends one of `send`, `request` and `call`"),
    };
    let id = id.unwrap_or_else(|| "9".to_owned());
    let params = enveloped(case.transport, params.unwrap_or_else(|| "{}".to_owned()));
    let text = serde_json::Value::from(method.as_str());
    Message {
        bytes: format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{text},"params":{params}}}"#)
            .into_bytes(),
        method,
        name,
        id,
    }
}

fn name_in(params: &str) -> Option<String> {
    let params: serde_json::Value = serde_json::from_str(params).ok()?;
    let name = params.get("name").or_else(|| params.get("uri"))?;
    name.as_str().map(str::to_owned)
}

/// Under 2026-07-28 every request says of itself what a handshake says elsewhere.
fn enveloped(transport: Transport, params: String) -> String {
    const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"smcp-tests","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}"#;
    if transport != Transport::Stateless || params.contains("\"_meta\"") {
        return params;
    }
    match params.strip_prefix('{') {
        None => params,
        Some("}") => format!("{{{META}}}"),
        Some(rest) => format!("{{{META},{rest}"),
    }
}
