//! The answer to a request: read within bounds, and said in few words.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::stream::Stream;
use crate::text::shown;

/// How much of an answer is read, in bytes.
const MAX_BODY: usize = 1 << 20;
/// How long a request waits that is sent again because the other side has too much to do.
const MIN_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How much of a text from elsewhere is quoted, in characters.
const MAX_SHOWN: usize = 80;

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// From the request to the head.
    pub(super) took: Duration,
    pub(super) body: Incoming,
    /// Until then the body is read.
    pub(super) deadline: Instant,
}

/// A whole answer, or the beginning of a long one.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) took: Duration,
    pub(super) body: Vec<u8>,
}

impl Head {
    /// The answer with its body, as far as that comes in time and is not too long.
    pub(super) async fn whole(mut self) -> Answer {
        let mut body = Vec::new();
        while body.len() < MAX_BODY {
            let Ok(Some(Ok(frame))) = timeout_at(self.deadline, self.body.frame()).await else {
                break;
            };
            if let Ok(data) = frame.into_data() {
                body.extend_from_slice(&data[..data.len().min(MAX_BODY - body.len())]);
            }
        }
        Answer {
            status: self.status,
            headers: self.headers,
            took: self.took,
            body,
        }
    }

    /// The events of the body.
    pub(super) fn stream(self) -> Stream {
        Stream::new(self.body)
    }

    /// Whether it can be a refusal for how many requests there are, as far as a head tells: 503 is what nginx says so with.
    pub(super) fn may_be_limit(&self) -> bool {
        let server = one(&self.headers, "server").unwrap_or_default();
        let is_page = content_type(&self.headers).starts_with("text/html");
        match self.status {
            429 => true,
            503 => is_page && server.to_ascii_lowercase().contains("nginx"),
            _ => false,
        }
    }

    /// How long to wait before it is asked again, where it says that there is too much to do at the moment.
    pub(super) fn busy_for(&self) -> Option<Duration> {
        is_busy(self.status, &self.headers).then(|| {
            let said = one(&self.headers, "retry-after").and_then(|said| said.parse().ok());
            Duration::from_secs(said.unwrap_or_default()).clamp(MIN_PAUSE, MAX_PAUSE)
        })
    }

    /// Whether the body is a stream of events.
    pub(super) fn is_stream(&self) -> bool {
        content_type(&self.headers).starts_with("text/event-stream")
    }
}

/// Whether an answer says no more than that there is too much to do at the moment. A proxy that reaches no server says
/// 503 too, and not when to come again.
fn is_busy(status: u16, headers: &HeaderMap) -> bool {
    match status {
        408 | 429 => true,
        503 => headers.contains_key("retry-after"),
        _ => false,
    }
}

fn content_type(headers: &HeaderMap) -> &str {
    one(headers, "content-type").unwrap_or_default()
}

/// The value of a header, where it stands once and is a text.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let name: HeaderName = name.parse().ok()?;
    headers.get(&name)?.to_str().ok()
}

impl Answer {
    /// The body as JSON; null where it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The message that answers a request: the body, or the first event that is an answer.
    pub(super) fn message(&self) -> Value {
        if !content_type(&self.headers).starts_with("text/event-stream") {
            return self.json();
        }
        let mut events = crate::commands::events::Events::default();
        let events = events.take(&self.body).unwrap_or_default();
        let mut messages = events.iter().filter_map(|event| {
            let message: Value = serde_json::from_slice(event).ok()?;
            message.get("method").is_none().then_some(message)
        });
        messages.next().unwrap_or_default()
    }

    /// The stable code of a refusal of smcp's own, and of nobody else.
    pub(super) fn code(&self) -> Option<String> {
        let code = self.json()["error"].as_str()?.to_owned();
        let known = |letter: char| letter.is_ascii_lowercase() || letter == '_';
        (code.len() < 40 && code.chars().all(known)).then_some(code)
    }

    /// Whether it says no more than that there is too much to do at the moment: nothing else follows from it.
    pub(super) fn is_busy(&self) -> bool {
        is_busy(self.status, &self.headers)
    }

    /// Whether an MCP server has written it.
    pub(super) fn is_json_rpc(&self) -> bool {
        self.message()["jsonrpc"] == "2.0"
    }

    /// What it is, in a few words: status, type, beginning.
    pub(super) fn described(&self) -> String {
        let kind = shown(content_type(&self.headers), 40);
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(4 * MAX_SHOWN)]);
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut words = format!("status {}", self.status);
        if !kind.is_empty() {
            words.push_str(&format!(", {kind}"));
        }
        if !text.is_empty() {
            words.push_str(&format!(": {}", shown(&text, MAX_SHOWN)));
        }
        words
    }
}
