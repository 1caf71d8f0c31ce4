//! Spans as OTLP has them in JSON: <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>.

use serde_json::{Value as Json, json};

use super::record::{Record, Value};

/// The scope that the server's spans are in.
const SCOPE: &str = "smcp";
/// `SPAN_KIND_INTERNAL` and `SPAN_KIND_SERVER`.
const KINDS: [u8; 2] = [1, 2];
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;
/// Set in the flags of a span whose parent is known to be, or not to be, of another process.
const KNOWS_REMOTE: u32 = 0x100;
/// Set where it is.
const IS_REMOTE: u32 = 0x200;

/// A request that hands over spans of the server with these attributes.
pub(super) fn request(resource: &[(String, String)], spans: &[Record]) -> Vec<u8> {
    let resource: Vec<Json> = resource
        .iter()
        .map(|(name, value)| json!({"key": name, "value": {"stringValue": value}}))
        .collect();
    let spans: Vec<Json> = spans.iter().map(span).collect();
    let request = json!({"resourceSpans": [{
        "resource": {"attributes": resource},
        "scopeSpans": [{
            "scope": {"name": SCOPE, "version": env!("CARGO_PKG_VERSION")},
            "spans": spans,
        }],
    }]});
    request.to_string().into_bytes()
}

fn span(record: &Record) -> Json {
    let context = &record.context;
    let attributes: Vec<Json> = record
        .attributes
        .iter()
        .map(|(name, value)| json!({"key": name, "value": attribute(value)}))
        .collect();
    // 64-bit numbers are strings in this encoding, and ids are hex digits.
    let mut span = json!({
        "traceId": context.trace_id(),
        "spanId": context.span_id(),
        "flags": flags(record),
        "name": record.name,
        "kind": KINDS[usize::from(record.is_server)],
        "startTimeUnixNano": record.start.as_nanos().to_string(),
        "endTimeUnixNano": (record.start + record.took).as_nanos().to_string(),
        "attributes": attributes,
    });
    if let Some(parent) = &record.parent {
        span["parentSpanId"] = parent.span_id().into();
    }
    if let Some(state) = context.tracestate() {
        span["traceState"] = state.into();
    }
    if record.has_failed {
        span["status"] = json!({"code": ERROR});
    }
    span
}

fn flags(record: &Record) -> u32 {
    let is_remote = record.is_server && record.parent.is_some();
    let remote = if is_remote { IS_REMOTE } else { 0 };
    u32::from(record.context.flags()) | KNOWS_REMOTE | remote
}

fn attribute(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!({"stringValue": text}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
    }
}

/// How many spans of a request were refused, by the body of an answer that says it was taken.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let answer: Json = serde_json::from_slice(answer).unwrap_or_default();
    match &answer["partialSuccess"]["rejectedSpans"] {
        Json::String(number) => number.parse().unwrap_or(0),
        number => number.as_u64().unwrap_or(0),
    }
}
