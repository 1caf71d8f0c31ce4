//! Messages of this server, each written as one line.

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::error::RpcError;
use super::id::RequestId;

/// What a response takes beside its result and its id, in bytes: the names of the members that a result always has.
const ENVELOPE: usize = 256;
/// Above this many bytes a line is not kept in a larger buffer than it needs.
const LARGE: usize = 64 << 10;

/// A result response as one line.
pub fn encode_result(id: &RequestId, result: &impl Serialize) -> Bytes {
    encode_large_result(id, result, 0)
}

/// The same for a result of which it is known how long it will be, in bytes. A buffer that has to grow takes three
/// times what it holds while it is copied.
pub fn encode_large_result(id: &RequestId, result: &impl Serialize, size: usize) -> Bytes {
    let response = WireResponse {
        jsonrpc: VERSION,
        id: Some(id.raw()),
        result: Some(result),
        error: None,
    };
    to_line_of(&response, size + id.raw().get().len() + ENVELOPE)
}

/// An error response as one line. Where no id could be read there is none to give: the protocol's
/// schemas know no null.
pub fn encode_error(id: Option<&RequestId>, error: &RpcError) -> Bytes {
    to_line(&WireResponse::<()> {
        jsonrpc: VERSION,
        id: id.map(RequestId::raw),
        result: None,
        error: Some(error),
    })
}

/// A notification as one line.
pub fn encode_notification(method: &str, params: &impl Serialize) -> Bytes {
    to_line(&WireCall {
        jsonrpc: VERSION,
        id: None,
        method,
        params,
    })
}

/// A request of this server as one line.
pub fn encode_request(id: &RequestId, method: &str, params: &impl Serialize) -> Bytes {
    to_line(&WireCall {
        jsonrpc: VERSION,
        id: Some(id.raw()),
        method,
        params,
    })
}

fn to_line(message: &impl Serialize) -> Bytes {
    to_line_of(message, ENVELOPE)
}

fn to_line_of(message: &impl Serialize, size: usize) -> Bytes {
    let mut line = Vec::with_capacity(size);
    serde_json::to_writer(&mut line, message)
        .expect("messages have string keys and no failing serialisers");
    // What plugins wrote is passed on as it is; outside of strings their line breaks are only white
    // space, and inside of strings JSON has none. A message must stand on one line of a stream.
    let mut from = 0;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', &line[from..]) {
        line[from + at] = b' ';
        from += at + 1;
    }
    if line.len() > LARGE && line.capacity() - line.len() > line.len() / 8 {
        // A buffer that grew by doubling is up to twice as long as what it holds.
        line.shrink_to_fit();
    }
    line.into()
}

const VERSION: &str = "2.0";

#[derive(Serialize)]
struct WireResponse<'a, R> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a R>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a RpcError>,
}

#[derive(Serialize)]
struct WireCall<'a, P> {
    jsonrpc: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    method: &'a str,
    params: &'a P,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_stands_on_one_line() {
        let pretty = RawValue::from_string("{\n \"a\": \"x\\n\"\r\n}".to_owned()).unwrap();
        let line = encode_result(&RequestId::number(1), &pretty);
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
        let value: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(value["result"]["a"], "x\n");
    }
}
