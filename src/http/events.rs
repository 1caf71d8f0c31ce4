//! Bodies of answers that wait for their client: event streams and long JSON texts, both given out
//! piece by piece, so that progress is known in bytes. Knows no route.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::{BufMut, Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::lasting::Lasting;
use super::reply;
use crate::mcp::outbox::{Outbox, Reader};
use crate::mcp::streams::{Event, StreamReader};

/// Silence is broken after this long where the settings say nothing else: proxies give up after one to two minutes of it.
pub const SILENCE: Duration = Duration::from_secs(15);
/// A text up to this many bytes is copied into one frame; a longer one goes out in pieces.
const SMALL: usize = 16 << 10;

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

/// The head of an event stream that lasts for as long as its client stays.
pub fn lasting_stream(events: Body) -> Response {
    let mut response = event_stream(events);
    response.extensions_mut().insert(Lasting);
    response
}

/// A JSON text that counts for whoever `outbox` belongs to until the client has taken it. What `held`
/// stands for ends with the body.
pub fn json(
    status: StatusCode,
    text: Bytes,
    outbox: &Arc<Outbox>,
    held: impl Send + Unpin + 'static,
) -> Response {
    outbox.takes(text.len());
    if text.len() <= SMALL {
        return reply::json(status, text);
    }
    let mut reader = outbox.attach();
    reader.begin(text);
    let body = JsonBody {
        reader,
        _held: held,
    };
    reply::typed(status, "application/json", Body::new(body))
}

/// The event that names the endpoint of HTTP+SSE.
/// <https://modelcontextprotocol.io/specification/2024-11-05/basic/transports#http-with-sse>
pub fn endpoint(path: &str) -> Bytes {
    format!("event: endpoint\ndata: {path}\n\n").into()
}

/// What an event begins with, before its data, in a buffer with room for `more` bytes.
fn head(event: &Event, more: usize) -> BytesMut {
    let mut head = BytesMut::with_capacity(MAX_HEAD + more);
    match event {
        Event::Greeting { id, retry } => {
            head.put_slice(format!("id: {id}\nretry: {}\ndata: ", retry.as_millis()).as_bytes());
        }
        Event::Message { id, .. } => {
            head.put_slice(b"event: message\n");
            if let Some(id) = id {
                head.put_slice(format!("id: {id}\n").as_bytes());
            }
            head.put_slice(b"data: ");
        }
        Event::Retry(pause) => {
            head.put_slice(format!("retry: {}", pause.as_millis()).as_bytes());
        }
    }
    head
}

/// What an event begins with is hardly longer than this, in bytes.
const MAX_HEAD: usize = 64;

/// What ends an event.
const TAIL: &[u8] = b"\n\n";

/// Breaks the silence of a stream.
#[derive(Debug)]
struct KeepAlive {
    silence: Duration,
    timer: Pin<Box<Sleep>>,
}

impl KeepAlive {
    fn after(silence: Duration) -> Self {
        Self {
            silence,
            timer: Box::pin(tokio::time::sleep(silence)),
        }
    }

    /// Something was sent.
    fn reset(&mut self) {
        self.timer.as_mut().reset(Instant::now() + self.silence);
    }

    /// A comment line, once nothing was sent for long enough.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        self.timer.as_mut().poll(cx).map(|()| {
            self.reset();
            // Registers the timer anew, for nobody else will wake this stream.
            let _ = self.timer.as_mut().poll(cx);
            Bytes::from_static(b": keep-alive\n\n")
        })
    }
}

/// Where the events of a stream come from.
pub trait Source: Unpin {
    /// The next one; `None` when the stream has ended.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>>;

    /// What takes the lines out, for their pieces.
    fn lines(&mut self) -> &mut Reader;
}

impl Source for Reader {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        let line = self.poll_line(cx);
        line.map(|line| line.map(|line| Event::Message { id: None, line }))
    }

    fn lines(&mut self) -> &mut Reader {
        self
    }
}

impl Source for StreamReader {
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        Self::poll_event(self, cx)
    }

    fn lines(&mut self) -> &mut Reader {
        Self::lines(self)
    }
}

/// The body of an event stream. What `held` stands for ends with the body, that is when the client
/// goes.
#[derive(Debug)]
pub struct EventBody<S, H> {
    first: Option<Bytes>,
    source: S,
    /// A long event was begun, whose end is still to be sent.
    within: bool,
    keep_alive: KeepAlive,
    _held: H,
}

impl<S: Source, H: Unpin> EventBody<S, H> {
    /// Sends `first`, a whole event, before anything else, and a comment line after every `silence`.
    pub fn new(first: Option<Bytes>, source: S, silence: Duration, held: H) -> Self {
        Self {
            first,
            source,
            within: false,
            keep_alive: KeepAlive::after(silence),
            _held: held,
        }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if let Some(piece) = self.source.lines().piece() {
            return Poll::Ready(Some(Ok(piece)));
        }
        if std::mem::take(&mut self.within) {
            let end = if self.source.lines().left() > 0 {
                Err(cut())
            } else {
                Ok(Bytes::from_static(TAIL))
            };
            return Poll::Ready(Some(end));
        }
        self.source
            .poll_event(cx)
            .map(|event| event.map(|event| Ok(self.begin(event))))
    }

    fn begin(&mut self, event: Event) -> Bytes {
        let more = match &event {
            Event::Message { line, .. } if line.len() <= SMALL => line.len() + TAIL.len(),
            _ => TAIL.len(),
        };
        let mut head = head(&event, more);
        match event {
            Event::Message { line, .. } if line.len() > SMALL => {
                self.source.lines().begin(line);
                self.within = true;
            }
            Event::Message { line, .. } => {
                head.put_slice(&line);
                head.put_slice(TAIL);
            }
            Event::Greeting { .. } | Event::Retry(_) => head.put_slice(TAIL),
        }
        head.freeze()
    }
}

impl<S: Source, H: Unpin> http_body::Body for EventBody<S, H> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Poll::Ready(bytes) = self.poll_bytes(cx) {
            self.keep_alive.reset();
            return Poll::Ready(bytes.map(|bytes| bytes.map(Frame::data)));
        }
        self.keep_alive
            .poll(cx)
            .map(|comment| Some(Ok(Frame::data(comment))))
    }
}

/// The body of a long JSON text.
#[derive(Debug)]
struct JsonBody<H> {
    reader: Reader,
    _held: H,
}

impl<H: Unpin> http_body::Body for JsonBody<H> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(match self.reader.piece() {
            Some(piece) => Some(Ok(Frame::data(piece))),
            None if self.reader.left() > 0 => Some(Err(cut())),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.reader.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.reader.left() as u64)
    }
}

fn cut() -> io::Error {
    io::Error::other(
        "the answer was dropped: others needed the memory, or the client took none of it",
    )
}

/// Closes an outbox on being dropped: whoever would send to it learns that nobody reads it.
#[derive(Debug)]
pub struct CloseOnDrop(pub Arc<Outbox>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mcp::streams::Streams;
    use http_body_util::BodyExt;

    fn body(outbox: &Arc<Outbox>) -> EventBody<Reader, ()> {
        EventBody::new(None, outbox.attach(), SILENCE, ())
    }

    #[tokio::test]
    async fn short_and_long_lines_are_written_alike() {
        let outbox = Arc::new(Outbox::default());
        let long = "x".repeat(200 << 10);
        outbox.send(Bytes::from_static(b"short")).await.unwrap();
        outbox.send(long.clone().into()).await.unwrap();
        outbox.finish();
        let written = body(&outbox).collect().await.unwrap().to_bytes();
        let wanted = format!("event: message\ndata: short\n\nevent: message\ndata: {long}\n\n");
        assert!(written == wanted.as_bytes(), "{} bytes", written.len());
    }

    #[tokio::test]
    async fn a_long_line_that_is_dropped_within_breaks_the_stream() {
        let outbox = Arc::new(Outbox::default());
        outbox.send(vec![b'x'; 200 << 10].into()).await.unwrap();
        let mut body = body(&outbox);
        for _ in 0..2 {
            body.frame().await.unwrap().unwrap();
        }
        outbox.close();
        assert!(
            body.frame().await.unwrap().is_err(),
            "half an event is none"
        );
    }

    #[tokio::test]
    async fn a_long_line_is_whole_for_a_client_that_is_back_before_its_old_connection_ends() {
        let outbox = Arc::new(Outbox::default());
        let stream = Streams::default().open(Arc::clone(&outbox), true);
        let long = "x".repeat(200 << 10);
        outbox.send(long.clone().into()).await.unwrap();
        outbox.finish();
        let mut old = EventBody::new(None, stream.read(), SILENCE, ());
        // The greeting, the head of the event, its first piece.
        for _ in 0..3 {
            old.frame().await.unwrap().unwrap();
        }
        let mut new = EventBody::new(None, stream.read_from(0), SILENCE, ());
        let head = new.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(old.frame().await.unwrap().is_err(), "half an event is none");
        let rest = new.collect().await.unwrap().to_bytes();
        let wanted = format!("event: message\nid: 1-1\ndata: {long}\n\n");
        assert!([head, rest].concat() == wanted.as_bytes());
    }

    #[tokio::test]
    async fn a_long_json_text_says_its_length_and_breaks_when_it_is_dropped() {
        let outbox = Arc::new(Outbox::default());
        let text = vec![b'x'; 200 << 10];
        let whole = json(StatusCode::OK, text.clone().into(), &outbox, ());
        let size = http_body::Body::size_hint(whole.body()).exact();
        assert_eq!(size, Some(200 << 10));
        let read = whole.into_body().collect().await.unwrap().to_bytes();
        assert!(read == text);
        let broken = json(StatusCode::OK, text.into(), &outbox, ());
        outbox.close();
        assert!(broken.into_body().collect().await.is_err());
    }
}
