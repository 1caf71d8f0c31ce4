//! A received message, as every transport hands it on: read once, its method parsed once. Knows no
//! session and no handler.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::messages::CancelledParams;
use super::method::Method;
use super::revision::Revision;
use crate::jsonrpc::{self, Body, Fault, Members, Message, RequestId, Response, RpcError};

/// What is read in well under a millisecond, in bytes.
const SHORT: usize = 64 << 10;

/// Names a request's revision in its `_meta`, under 2026-07-28.
/// <https://modelcontextprotocol.io/specification/draft/basic#meta>
pub const VERSION: &str = "io.modelcontextprotocol/protocolVersion";

/// What one body holds.
#[derive(Debug)]
pub enum Inbound {
    /// One message, or why it is none.
    One(Result<Received, Fault>),
    /// An array of messages, each for itself valid or not. Never empty.
    Batch(Vec<Result<Received, Fault>>),
}

/// The largest message that a transport takes in, in bytes.
pub const MAX_MESSAGE: usize = 4 << 20;

/// One message.
#[derive(Debug)]
pub enum Received {
    /// Wants a response.
    Request(Request),
    /// The client no longer wants the request of this id.
    Cancelled(RequestId),
    /// Any other notification: none changes anything here.
    Notification,
    /// Answers a request of this server.
    Response(Response),
}

/// A request, its params read once.
#[derive(Debug)]
pub struct Request {
    /// Echoed in the response.
    pub id: RequestId,
    /// What is asked for.
    pub method: Method,
    /// The members of `params`.
    pub params: Members,
    /// How long the message was, in bytes.
    pub size: usize,
    name: String,
    meta: Option<Members>,
}

impl Inbound {
    /// Whether something will be said to it on the session's stream.
    pub fn wants_an_answer(&self) -> bool {
        let wants = |message: &Result<Received, Fault>| match message {
            Ok(received) => matches!(received, Received::Request(_)),
            Err(_) => true,
        };
        match self {
            // Without an id it is told to whoever posted it.
            Self::One(Err(fault)) => fault.id.is_some(),
            Self::One(message) => wants(message),
            Self::Batch(messages) => messages.iter().any(wants),
        }
    }

    /// Reads a body; a long one off the event loop, which others wait for.
    pub async fn receive(body: Bytes) -> Self {
        if body.len() <= SHORT {
            return Self::read(&body);
        }
        let read = tokio::task::spawn_blocking(move || Self::read(&body)).await;
        read.unwrap_or_else(|_| {
            let error = RpcError::new(jsonrpc::INTERNAL_ERROR, "the message could not be read");
            Self::One(Err(Fault { id: None, error }))
        })
    }

    /// Reads a body.
    pub fn read(body: &[u8]) -> Self {
        match jsonrpc::parse(body) {
            Body::Single(message) => Self::One(message.map(Received::from)),
            Body::Batch(messages) => Self::Batch(
                messages
                    .into_iter()
                    .map(|message| message.map(Received::from))
                    .collect(),
            ),
        }
    }

    /// The request that it is, if it is one alone.
    pub fn request(&self) -> Option<&Request> {
        match self {
            Self::One(Ok(Received::Request(request))) => Some(request),
            _ => None,
        }
    }
}

impl From<Message> for Received {
    fn from(message: Message) -> Self {
        match message {
            Message::Request(request) => Self::Request(Request::new(request)),
            Message::Response(response) => Self::Response(response),
            Message::Notification(notification)
                if notification.method == "notifications/cancelled" =>
            {
                let params = notification.params.read::<CancelledParams>();
                let id = params.map(|params| RequestId::parse(params.request_id));
                match id {
                    Ok(Ok(id)) => Self::Cancelled(id),
                    // Nothing has an id that is none.
                    _ => Self::Notification,
                }
            }
            // `notifications/initialized` changes nothing: a client may list tools before it. What
            // is unknown is passed over.
            Message::Notification(_) => Self::Notification,
        }
    }
}

impl Request {
    fn new(request: jsonrpc::Request) -> Self {
        let meta = request.params.get("_meta");
        let meta = meta.and_then(|meta| Members::parse(meta.get()).ok());
        Self {
            id: request.id,
            method: Method::parse(&request.method),
            params: request.params,
            size: request.size,
            name: request.method,
            meta,
        }
    }

    /// Its method as the client wrote it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The members of its `_meta`, where that is an object.
    pub fn meta(&self) -> Option<&Members> {
        self.meta.as_ref()
    }

    /// Reads its params.
    ///
    /// # Errors
    /// [`INVALID_PARAMS`](jsonrpc::INVALID_PARAMS) when they do not fit the method.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, RpcError> {
        self.params.read().map_err(|error: serde_json::Error| {
            RpcError::invalid_params(format!(
                "invalid params for {}: {}",
                self.method.name(),
                without_position(&error)
            ))
        })
    }

    /// Refuses a `_meta` that is no object.
    ///
    /// # Errors
    /// [`INVALID_PARAMS`](jsonrpc::INVALID_PARAMS).
    pub fn check_meta(&self) -> Result<(), RpcError> {
        match self.params.get("_meta") {
            Some(meta) if self.meta.is_none() && meta.get() != "null" => {
                Err(RpcError::invalid_params("params._meta must be an object"))
            }
            _ => Ok(()),
        }
    }

    /// Names the request in progress notifications, to the letter. A token that is neither a string
    /// nor a number could not be echoed in a valid message, and counts as none.
    /// <https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/progress>
    pub fn progress_token(&self) -> Option<&RawValue> {
        self.meta()?
            .get("progressToken")
            .filter(|token| is_token(token.get()))
    }

    /// The revision that its `_meta` names, known or not.
    pub fn version(&self) -> Option<String> {
        self.meta()?.string(VERSION)
    }

    /// Whether it belongs to a revision without sessions, or to one that is not known.
    pub fn is_stateless(&self) -> bool {
        self.version()
            .is_some_and(|version| !Revision::parse(&version).is_some_and(Revision::has_handshake))
    }
}

/// The position counts from the start of a value that nobody but this server sees.
fn without_position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// The answer to a batch in a revision without batches.
pub fn no_batches() -> Fault {
    Fault {
        id: None,
        error: RpcError::new(
            jsonrpc::INVALID_REQUEST,
            "batches exist in revision 2025-03-26 only; send one message",
        ),
    }
}

/// Whether it is a string or a number, no longer than an id may be: it is sent back with every step of progress.
fn is_token(text: &str) -> bool {
    match text.bytes().next() {
        Some(b'"') => {
            text.len() <= jsonrpc::MAX_ID_BYTES && serde_json::from_str::<String>(text).is_ok()
        }
        Some(b'-' | b'0'..=b'9') => text.len() <= jsonrpc::MAX_ID_BYTES,
        _ => false,
    }
}

/// A request as a transport would hand it on, for tests.
#[cfg(test)]
pub fn request(method: &str, params: &serde_json::Value) -> Request {
    let body = serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    match Inbound::read(body.to_string().as_bytes()) {
        Inbound::One(Ok(Received::Request(request))) => request,
        other => panic!("{other:?} is no request"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn one(body: &str) -> Received {
        match Inbound::read(body.as_bytes()) {
            Inbound::One(Ok(received)) => received,
            other => panic!("{body} was taken as {other:?}"),
        }
    }

    #[test]
    fn a_request_knows_its_method_and_keeps_its_name() {
        let known = request("tools/list", &json!({}));
        assert_eq!(known.method, Method::ListTools);
        let unknown = request("no/such", &json!({}));
        assert_eq!(
            (unknown.method, unknown.name()),
            (Method::Unknown, "no/such")
        );
    }

    #[test]
    fn only_a_cancellation_with_an_id_cancels() {
        let cancelled = |params: &str| {
            one(&format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#
            ))
        };
        let Received::Cancelled(id) = cancelled(r#"{"requestId":18446744073709551617}"#) else {
            panic!("it names a request")
        };
        assert_eq!(id.raw().get(), "18446744073709551617");
        for params in ["{}", r#"{"requestId":null}"#, r#"{"requestId":[1]}"#] {
            assert!(
                matches!(cancelled(params), Received::Notification),
                "{params}"
            );
        }
    }

    #[test]
    fn progress_tokens_are_kept_to_the_letter() {
        for token in ["\"a\\u0062\"", "18446744073709551617", "1.50"] {
            let params = format!(r#"{{"_meta":{{"progressToken":{token}}}}}"#);
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{params}}}"#);
            let Received::Request(request) = one(&body) else {
                panic!("{body} is a request")
            };
            assert_eq!(request.progress_token().unwrap().get(), token);
        }
        let lone = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"progressToken":"\ud800"}}}"#;
        let Received::Request(broken) = one(lone) else {
            panic!("{lone} is a request")
        };
        assert!(broken.progress_token().is_none(), "it is no text");
        for token in [json!({}), json!([1]), json!(true), json!(null)] {
            let request = request("ping", &json!({"_meta": {"progressToken": token}}));
            assert!(request.progress_token().is_none(), "{token}");
        }
    }

    #[test]
    fn a_meta_that_is_no_object_is_refused() {
        for bad in [json!(5), json!("x"), json!([])] {
            assert!(
                request("ping", &json!({"_meta": bad}))
                    .check_meta()
                    .is_err()
            );
        }
        for good in [json!({"_meta": null}), json!({"_meta": {}}), json!({})] {
            assert!(request("ping", &good).check_meta().is_ok());
        }
    }

    #[test]
    fn a_revision_in_the_meta_says_whether_a_request_needs_a_session() {
        let with = |version: &str| request("tools/list", &json!({"_meta": {VERSION: version}}));
        assert!(with("2026-07-28").is_stateless());
        assert!(with("2099-01-01").is_stateless());
        assert!(!with("2025-06-18").is_stateless());
        assert!(!request("tools/list", &json!({})).is_stateless());
    }
}
