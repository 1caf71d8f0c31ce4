//! One request, as it is to be sent.

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Ask {
    pub(super) method: Method,
    /// Below the address, or a whole path from the root.
    pub(super) path: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
    /// Whether the key of the site is sent with it.
    pub(super) is_keyed: bool,
    /// Where the key is shown, if not as the site shows it.
    pub(super) key_header: Option<KeyHeader>,
}

impl Ask {
    fn new(method: Method, path: &str) -> Self {
        Self {
            method,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Bytes::new(),
            is_keyed: true,
            key_header: None,
        }
    }

    pub(super) fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn delete(path: &str) -> Self {
        Self::new(Method::DELETE, path)
    }

    pub(super) fn options(path: &str) -> Self {
        Self::new(Method::OPTIONS, path)
    }

    /// A message, as the clients of Streamable HTTP send theirs.
    pub(super) fn post(path: &str, message: &Value) -> Self {
        Self::new(Method::POST, path)
            .with("content-type", "application/json")
            .with("accept", "application/json, text/event-stream")
            .bytes(message.to_string().into())
    }

    pub(super) fn bytes(mut self, body: Bytes) -> Self {
        self.body = body;
        self
    }

    /// With this header, in the place of one that it has already.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn without_key(mut self) -> Self {
        self.is_keyed = false;
        self
    }

    /// With the key in this header.
    pub(super) fn with_key_in(mut self, header: KeyHeader) -> Self {
        self.key_header = Some(header);
        self
    }

    /// The value of a header of its own.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, value) = headers.find(|(known, _)| *known == name)?;
        Some(value)
    }

    /// The request's line, as messages have it.
    pub(super) fn line(&self) -> String {
        let path = self.path.split('?').next().unwrap_or_default();
        format!("{} /{}", self.method, path.trim_start_matches('/'))
    }
}

/// How the key is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyHeader {
    Authorization,
    ApiKey,
}
