//! Headers of revision 2026-07-28 that repeat what the body says: `Mcp-Method`, `Mcp-Name`, `Mcp-Param-*`.
//!
//! Proxies route by them, so they must not say anything else than the body does. Knows no session.

use std::cell::LazyCell;

use axum::http::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::jsonrpc::{Fault, HEADER_MISMATCH, RpcError};
use crate::mcp::inbound::Request;

/// What the headers of arguments begin with.
pub const PARAM_PREFIX: &str = "mcp-param-";
/// Marks a parameter whose value travels in a header too.
const MARK: &str = "x-mcp-header";

fn mismatch(why: String) -> RpcError {
    RpcError::new(HEADER_MISMATCH, why)
}

/// What is wrong when a header of the protocol stands there twice: two readers would take two values.
/// `X-Agent-Id` and `Last-Event-ID` say whose request it is and where a stream goes on, so they count.
pub fn repeated(headers: &HeaderMap) -> Option<Fault> {
    let name = headers.keys().find(|name| {
        let known = matches!(name.as_str(), "x-agent-id" | "last-event-id");
        (known || name.as_str().starts_with("mcp-"))
            && headers.get_all(*name).iter().nth(1).is_some()
    })?;
    let why = format!("the header {name} stands there more than once");
    Some(Fault {
        id: None,
        error: mismatch(why),
    })
}

/// The revision that the headers name.
pub fn version(headers: &HeaderMap) -> Option<&str> {
    headers
        .get("mcp-protocol-version")
        .and_then(|version| version.to_str().ok())
        .map(str::trim)
}

/// Checks `Mcp-Method` and, where the method names something, `Mcp-Name`.
///
/// # Errors
///
/// [`HEADER_MISMATCH`]: a header is missing or says something else than the body.
pub fn check_names(headers: &HeaderMap, request: &Request) -> Result<(), RpcError> {
    let method = headers
        .get("mcp-method")
        .and_then(|method| method.to_str().ok())
        .map(str::trim);
    if method != Some(request.name()) {
        return Err(mismatch(
            "the header Mcp-Method must name the method of the body".to_owned(),
        ));
    }
    let Some(member) = request.method.named_by() else {
        return Ok(());
    };
    // Without the member the request is refused for that, with its own error.
    let Some(named) = request.params.string(member) else {
        return Ok(());
    };
    let shown = headers.get("mcp-name").map(|name| decode(name.as_bytes()));
    match shown {
        Some(Some(shown)) if shown == named => Ok(()),
        Some(_) => Err(mismatch(format!(
            "the header Mcp-Name must say the same as params.{member}"
        ))),
        None => Err(mismatch(format!(
            "the header Mcp-Name must repeat params.{member}"
        ))),
    }
}

/// Checks `Mcp-Param-*` of a tool call against its arguments.
///
/// # Errors
///
/// [`HEADER_MISMATCH`]: a header is missing, says something else than its argument, or has none.
pub fn check_params(
    headers: &HeaderMap,
    schema: &Value,
    arguments: Option<&RawValue>,
) -> Result<(), RpcError> {
    // Most tools mark nothing, and then their arguments are not read here.
    let arguments = LazyCell::new(|| {
        let read = arguments.and_then(|arguments| serde_json::from_str(arguments.get()).ok());
        read.unwrap_or(Value::Null)
    });
    marked(schema, &mut Vec::new(), &mut |path, name| {
        let value = path
            .iter()
            .try_fold(&*arguments, |value, member| value.get(*member));
        check_param(headers, name, value.filter(|value| !value.is_null()))
    })
}

/// Visits every marked property, with the path to it and its header's name.
fn marked<'s>(
    schema: &'s Value,
    path: &mut Vec<&'s str>,
    visit: &mut impl FnMut(&[&str], &str) -> Result<(), RpcError>,
) -> Result<(), RpcError> {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    for (member, property) in properties {
        path.push(member);
        if let Some(name) = property.get(MARK).and_then(Value::as_str) {
            visit(path, name)?;
        }
        marked(property, path, visit)?;
        path.pop();
    }
    Ok(())
}

fn check_param(headers: &HeaderMap, name: &str, value: Option<&Value>) -> Result<(), RpcError> {
    let header = headers.get(format!("{PARAM_PREFIX}{}", name.to_ascii_lowercase()));
    match (header, value) {
        (None, None) => Ok(()),
        (Some(_), None) => Err(mismatch(format!(
            "the header Mcp-Param-{name} has no argument that it could repeat"
        ))),
        (None, Some(_)) => Err(mismatch(format!(
            "the header Mcp-Param-{name} must repeat its argument"
        ))),
        (Some(header), Some(value)) => {
            let shown = decode(header.as_bytes()).ok_or_else(|| {
                mismatch(format!(
                    "the header Mcp-Param-{name} is not validly encoded"
                ))
            })?;
            if says(&shown, value) {
                Ok(())
            } else {
                Err(mismatch(format!(
                    "the header Mcp-Param-{name} must say the same as its argument"
                )))
            }
        }
    }
}

fn says(shown: &str, value: &Value) -> bool {
    match value {
        Value::String(text) => shown == text,
        Value::Bool(flag) => shown == if *flag { "true" } else { "false" },
        Value::Number(number) => match (shown.parse::<f64>(), number.as_f64()) {
            (Ok(shown), Some(number)) => shown == number,
            _ => false,
        },
        _ => false,
    }
}

/// A header's text: as it is, or what `=?base64?…?=` holds. `None` when that cannot be decoded.
fn decode(value: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(value).ok()?.trim();
    match text
        .strip_prefix("=?base64?")
        .and_then(|rest| rest.strip_suffix("?="))
    {
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok(),
        None => Some(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn encoded_values_are_decoded_strictly_and_others_taken_as_they_are() {
        for (value, expected) in [
            ("  name  ", Some("name")),
            ("=?base64?SGVsbG8=?=", Some("Hello")),
            ("=?base64?SGVsbG8?=", None),
            ("=?base64?SGVs!!!bG8=?=", None),
            ("SGVsbG8=", Some("SGVsbG8=")),
            ("=?base64?SGVsbG8=", Some("=?base64?SGVsbG8=")),
        ] {
            assert_eq!(decode(value.as_bytes()).as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn marked_arguments_and_their_headers_say_the_same() {
        let schema = json!({"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"},
            "deep": {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "N"}}},
        }});
        let check = |headers: &[(&'static str, &'static str)], arguments: Value| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            let arguments = RawValue::from_string(arguments.to_string()).unwrap();
            check_params(&map, &schema, Some(&arguments)).map_err(|error| error.code)
        };
        assert_eq!(
            check(&[("mcp-param-region", "eu")], json!({"region": "eu"})),
            Ok(())
        );
        assert_eq!(
            check(&[("mcp-param-n", "42.0")], json!({"deep": {"n": 42}})),
            Ok(())
        );
        assert_eq!(check(&[], json!({"region": null})), Ok(()));
        assert_eq!(check(&[], json!({"region": "eu"})), Err(HEADER_MISMATCH));
        assert_eq!(
            check(&[("mcp-param-region", "us")], json!({"region": "eu"})),
            Err(HEADER_MISMATCH)
        );
        assert_eq!(
            check(&[("mcp-param-region", "eu")], json!({})),
            Err(HEADER_MISMATCH)
        );
    }
}
