//! Event streams: their head, their events, and what breaks their silence. Knows no route.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use tokio::time::{Instant, Sleep};

use super::reply;

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
