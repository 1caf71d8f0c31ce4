//! Event streams: their head, their events, and what breaks their silence. Knows no route.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use http_body::Frame;
use tokio::time::{Instant, Sleep};

use super::reply;
use crate::mcp::outbox::Outbox;

/// Silence is broken after this long: proxies give up after one to two minutes of it.
pub const SILENCE: Duration = Duration::from_secs(15);

/// The head of every event stream.
pub fn event_stream(events: Body) -> Response {
    let mut response = reply::typed(StatusCode::OK, "text/event-stream", events);
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, no-transform"),
    );
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// One event.
pub fn event(name: &str, data: &[u8]) -> Bytes {
    let mut event = BytesMut::with_capacity(name.len() + data.len() + 16);
    event.put_slice(b"event: ");
    event.put_slice(name.as_bytes());
    event.put_slice(b"\ndata: ");
    event.put_slice(data);
    event.put_slice(b"\n\n");
    event.freeze()
}

/// Breaks the silence of a stream.
#[derive(Debug)]
pub struct KeepAlive(Pin<Box<Sleep>>);

impl Default for KeepAlive {
    fn default() -> Self {
        Self(Box::pin(tokio::time::sleep(SILENCE)))
    }
}

impl KeepAlive {
    /// Something was sent.
    pub fn reset(&mut self) {
        self.0.as_mut().reset(Instant::now() + SILENCE);
    }

    /// A comment line, once nothing was sent for long enough.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        self.0.as_mut().poll(cx).map(|()| {
            self.reset();
            // Registers the timer anew, for nobody else will wake this stream.
            let _ = self.0.as_mut().poll(cx);
            Bytes::from_static(b": keep-alive\n\n")
        })
    }
}

/// The body of a response that tells what an outbox holds, as it comes. What `held` stands for
/// ends with the body, that is when the client goes.
#[derive(Debug)]
pub struct OutboxStream<H> {
    first: Option<Bytes>,
    outbox: Arc<Outbox>,
    keep_alive: KeepAlive,
    _held: H,
}

impl<H> OutboxStream<H> {
    /// Tells `first`, a whole event, before anything else.
    pub fn new(first: Option<Bytes>, outbox: Arc<Outbox>, held: H) -> Self {
        Self {
            first,
            outbox,
            keep_alive: KeepAlive::default(),
            _held: held,
        }
    }
}

impl<H: Unpin> http_body::Body for OutboxStream<H> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Poll::Ready(line) = self.outbox.poll_next(cx) {
            self.keep_alive.reset();
            return Poll::Ready(line.map(|line| Ok(Frame::data(event("message", &line)))));
        }
        self.keep_alive
            .poll(cx)
            .map(|comment| Some(Ok(Frame::data(comment))))
    }
}
