//! The envelope of what comes in: a strict parse, ids kept as they came. Knows no method.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::error::{INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, RpcError};
use super::id::{RequestId, kind_of};
use super::line::encode_error;
use super::members::Members;
use super::strict::{self, Flaw};

/// How many messages a batch may hold: each is answered, and an error takes many times the bytes of
/// what it is about.
pub const MAX_BATCH: usize = 1024;

/// A message that was understood.
#[derive(Debug)]
pub enum Message {
    /// Wants a response.
    Request(Request),
    /// Wants none.
    Notification(Notification),
    /// Answers a request of this server.
    Response(Response),
}

/// A method call that is answered.
#[derive(Debug)]
pub struct Request {
    /// Echoed in the response.
    pub id: RequestId,
    /// The method's name.
    pub method: String,
    /// The members of its params; none where it has no params.
    pub params: Members,
    /// How long the message was, in bytes.
    pub size: usize,
}

/// A method call that is not answered.
#[derive(Debug)]
pub struct Notification {
    /// The method's name.
    pub method: String,
    /// The members of its params; none where it has no params.
    pub params: Members,
}

/// A client's answer to a request of this server.
#[derive(Debug)]
pub struct Response {
    /// Which request it answers.
    pub id: RequestId,
    /// The result, or the error object as it came.
    pub outcome: Result<Box<RawValue>, Box<RawValue>>,
}

/// A body: one message, or a batch where the revision has them.
#[derive(Debug)]
pub enum Body {
    /// One message.
    Single(Result<Message, Fault>),
    /// An array of messages, each for itself valid or not. Never empty.
    Batch(Vec<Result<Message, Fault>>),
}

/// A message that is no valid one.
#[derive(Debug)]
pub struct Fault {
    /// The id, where it could be read: then the error can be told to the caller that waits for it.
    pub id: Option<RequestId>,
    /// What is wrong.
    pub error: RpcError,
}

impl Fault {
    fn of(id: Option<RequestId>, code: i64, message: impl Into<String>) -> Self {
        Self {
            id,
            error: RpcError::new(code, message),
        }
    }

    /// The error response, without an id where none could be read.
    pub fn to_bytes(&self) -> Bytes {
        encode_error(self.id.as_ref(), &self.error)
    }
}

/// Parses a body strictly: UTF-8, JSON without repeated members, at most 128 levels deep.
pub fn parse(body: &[u8]) -> Body {
    let checked = std::str::from_utf8(body)
        .map_err(|error| Fault::of(None, PARSE_ERROR, format!("the body is not UTF-8: {error}")))
        .and_then(|text| check(text).map(|()| text));
    let text = match checked {
        Ok(text) => text.trim_ascii(),
        Err(fault) => return Body::Single(Err(fault)),
    };
    if !text.starts_with('[') {
        return Body::Single(parse_message(text));
    }
    let Batch { items, count } =
        serde_json::from_str(text).expect("the text was checked and is an array");
    let why = match count {
        0 => "a batch must hold at least one message".to_owned(),
        1..=MAX_BATCH => {
            return Body::Batch(
                items
                    .into_iter()
                    .map(|item| parse_message(item.get()))
                    .collect(),
            );
        }
        _ => format!("a batch of {count} messages is too long; the limit is {MAX_BATCH}"),
    };
    Body::Single(Err(Fault::of(None, INVALID_REQUEST, why)))
}

/// The messages of an array as they were written, no more of them than a batch may hold.
struct Batch<'a> {
    items: Vec<&'a RawValue>,
    count: usize,
}

impl<'de: 'a, 'a> Deserialize<'de> for Batch<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bounded;
        impl<'de> Visitor<'de> for Bounded {
            type Value = Batch<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Batch<'de>, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX_BATCH
                    && let Some(item) = seq.next_element()?
                {
                    items.push(item);
                }
                let mut count = items.len();
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    count += 1;
                }
                Ok(Batch { items, count })
            }
        }
        deserializer.deserialize_seq(Bounded)
    }
}

/// The members of an envelope, `null` told apart from absent.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    jsonrpc: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    method: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    result: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    error: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

fn parse_message(text: &str) -> Result<Message, Fault> {
    let invalid = |id: Option<RequestId>, why: String| Fault::of(id, INVALID_REQUEST, why);
    if !text.starts_with('{') {
        return Err(invalid(
            None,
            format!("a message must be an object, not {}", kind_of(text)),
        ));
    }
    let envelope: Envelope =
        serde_json::from_str(text).expect("the text was checked and is an object");
    let id = envelope
        .id
        .map(RequestId::parse)
        .transpose()
        .map_err(|why| invalid(None, why.to_string()))?;
    if envelope.jsonrpc.map(RawValue::get) != Some("\"2.0\"") {
        return Err(invalid(id, "jsonrpc must be \"2.0\"".to_owned()));
    }
    match (envelope.method, envelope.result, envelope.error) {
        (Some(method), None, None) => parse_call(id, method, envelope.params, text.len()),
        (None, Some(result), None) => match id {
            Some(id) => Ok(Message::Response(Response {
                id,
                outcome: Ok(result.to_owned()),
            })),
            None => Err(invalid(None, "a response needs an id".to_owned())),
        },
        (None, None, Some(error)) => match id {
            Some(id) => Ok(Message::Response(Response {
                id,
                outcome: Err(error.to_owned()),
            })),
            None => Err(invalid(None, "a response needs an id".to_owned())),
        },
        (None, None, None) => Err(invalid(id, "method is missing".to_owned())),
        _ => Err(invalid(
            id,
            "a message has one of method, result and error".to_owned(),
        )),
    }
}

fn parse_call(
    id: Option<RequestId>,
    method: &RawValue,
    params: Option<&RawValue>,
    size: usize,
) -> Result<Message, Fault> {
    let Ok(method) = serde_json::from_str::<String>(method.get()) else {
        let why = format!("method must be a string, not {}", kind_of(method.get()));
        return Err(Fault::of(id, INVALID_REQUEST, why));
    };
    // Clients write `null` for what is absent; version 3 took it so.
    let params = params.filter(|params| params.get() != "null");
    if let Some(params) = params.filter(|params| !params.get().starts_with('{')) {
        let why = format!("params must be an object, not {}", kind_of(params.get()));
        return match id {
            Some(id) => Err(Fault::of(Some(id), INVALID_PARAMS, why)),
            // Nobody waits for an answer to a notification: it is passed over, as an unknown one is.
            None => Ok(Message::Notification(Notification {
                method,
                params: Members::default(),
            })),
        };
    }
    let params = params
        .map(|params| Members::parse(params.get()).expect("the text was checked and is an object"))
        .unwrap_or_default();
    Ok(match id {
        Some(id) => Message::Request(Request {
            id,
            method,
            params,
            size,
        }),
        None => Message::Notification(Notification { method, params }),
    })
}

fn check(text: &str) -> Result<(), Fault> {
    strict::check(text).map_err(|flaw| {
        let code = match flaw {
            Flaw::NotJson(_) => PARSE_ERROR,
            Flaw::Repeated(_) => INVALID_REQUEST,
        };
        Fault::of(None, code, flaw.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::super::id::MAX_ID_BYTES;
    use super::super::line::encode_result;
    use super::*;

    fn fault_of(body: &[u8]) -> Fault {
        match parse(body) {
            Body::Single(Err(fault)) => fault,
            other => panic!("{} was taken as {other:?}", String::from_utf8_lossy(body)),
        }
    }

    #[test]
    fn a_batch_that_is_too_long_is_refused_as_a_whole() {
        let batch = |messages: usize| format!("[{}1]", "1,".repeat(messages - 1));
        match parse(batch(MAX_BATCH).as_bytes()) {
            Body::Batch(messages) => assert_eq!(messages.len(), MAX_BATCH),
            other @ Body::Single(_) => panic!("{other:?} is no batch"),
        }
        for messages in [MAX_BATCH + 1, 2_000_000] {
            let fault = fault_of(batch(messages).as_bytes());
            assert_eq!(fault.error.code, INVALID_REQUEST);
            let count = messages.to_string();
            assert!(fault.error.message.contains(&count), "{}", fault.error);
        }
    }

    #[test]
    fn what_is_no_json_is_a_parse_error() {
        let deep = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{}{}}}"#,
            "[".repeat(10_000),
            "]".repeat(10_000)
        );
        let bodies: [&[u8]; 10] = [
            b"",
            b"{",
            b"\xff\xfe",
            b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":"\ud800"}}"#,
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":NaN}}"#,
            br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1e400}}"#,
            br#"{"jsonrpc":"2.0","id":1,"method":"ping"} trailing"#,
            b"{'jsonrpc':'2.0'}",
            deep.as_bytes(),
        ];
        for body in bodies {
            let fault = fault_of(body);
            assert_eq!(fault.error.code, PARSE_ERROR, "{fault:?}");
            assert!(fault.id.is_none());
        }
    }

    #[test]
    fn what_is_no_request_is_an_invalid_request() {
        let bodies = [
            r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#,
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":1,"\u0061":2}}"#,
            "[]",
            "3",
            "null",
        ];
        for body in bodies {
            let fault = fault_of(body.as_bytes());
            assert_eq!(fault.error.code, INVALID_REQUEST, "{body}");
            assert!(fault.id.is_none(), "{body}");
        }
    }

    #[test]
    fn a_readable_id_is_kept_with_the_fault() {
        let cases = [
            (
                r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#,
                INVALID_REQUEST,
            ),
            (r#"{"id":7,"method":"ping"}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":7}"#, INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":7,"method":5}"#, INVALID_REQUEST),
            (
                r#"{"jsonrpc":"2.0","id":7,"Method":"ping"}"#,
                INVALID_REQUEST,
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}"#,
                INVALID_PARAMS,
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":5}"#,
                INVALID_PARAMS,
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}"#,
                INVALID_REQUEST,
            ),
        ];
        for (body, code) in cases {
            let fault = fault_of(body.as_bytes());
            assert_eq!(fault.error.code, code, "{body}");
            assert_eq!(
                fault.id.expect("the id is readable").raw().get(),
                "7",
                "{body}"
            );
        }
    }

    #[test]
    fn params_that_are_null_are_absent() {
        for body in [
            r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":null}"#,
            r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#,
        ] {
            let Body::Single(Ok(Message::Request(request))) = parse(body.as_bytes()) else {
                panic!("{body} is a request");
            };
            let none = Members::default();
            assert_eq!(format!("{:?}", request.params), format!("{none:?}"));
        }
    }

    #[test]
    fn ids_are_echoed_to_the_letter() {
        let long = "9".repeat(400);
        for id in [
            long.as_str(),
            "1180591620717411303424",
            "-3",
            r#""\u0061b""#,
            r#""""#,
            "0",
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id": {id} ,"method":"ping"}}"#);
            let Body::Single(Ok(Message::Request(request))) = parse(body.as_bytes()) else {
                panic!("{body} is a request")
            };
            let answer = encode_result(&request.id, &serde_json::json!({}));
            assert_eq!(
                answer,
                format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)
            );
        }
    }

    #[test]
    fn an_id_over_a_kilobyte_is_refused() {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#,
            "x".repeat(MAX_ID_BYTES)
        );
        assert_eq!(fault_of(body.as_bytes()).error.code, INVALID_REQUEST);
    }

    #[test]
    fn a_batch_keeps_good_and_bad_messages_apart() {
        let Body::Batch(items) = parse(br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}, 5]"#) else {
            panic!("an array is a batch")
        };
        assert!(items[0].is_ok() && items[1].is_err());
    }
}
