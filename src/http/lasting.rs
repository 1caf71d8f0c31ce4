//! Event streams that last, written to their connection without hyper: while nothing happens, they hold no buffer.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::http::{Request, Response, Version, header, response};
use bytes::{BufMut, Bytes, BytesMut};
use http_body::Body as _;
use tokio::io::AsyncWrite;

use super::connection::{Answering, Connection, RequestIo};

/// Marks an answer as a stream that lasts for as long as its client stays.
#[derive(Debug, Clone, Copy)]
pub struct Lasting;

/// How many bytes are taken from the body before they are written: enough for a burst of events in one write.
const MAX_QUEUED: usize = 64 << 10;
/// How many pieces go into one write.
const PIECES: usize = 16;
/// Data up to this many bytes is copied, with what surrounds it, into one piece.
const SMALL: usize = 16 << 10;

/// Whether the answer to `request` may be written here: what older clients want, and whoever does not want to be answered
/// again, is left to hyper.
pub fn may_take_over<B>(request: &Request<B>) -> bool {
    let connection = request.headers().get(header::CONNECTION);
    let is_kept =
        |value: &header::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"keep-alive");
    request.version() == Version::HTTP_11 && connection.is_none_or(is_kept)
}

/// An answer that is being written.
pub struct LastingStream {
    /// What is still to be written.
    queue: VecDeque<Bytes>,
    queued: usize,
    /// `None` when all of it has been taken.
    body: Option<Body>,
    _answering: Answering,
}

impl LastingStream {
    /// An answer of which nothing has been written. Its body is sent in chunks.
    pub fn new(response: Response<Body>, answering: Answering) -> Self {
        let (parts, body) = response.into_parts();
        let mut stream = Self {
            queue: VecDeque::new(),
            queued: 0,
            body: Some(body),
            _answering: answering,
        };
        stream.push(head(&parts));
        stream
    }

    /// Writes it to its end. The connection can then be used for the next request.
    ///
    /// # Errors
    /// The client has gone, or the body broke off: the connection has to be closed.
    pub async fn write(mut self, connection: &Arc<Connection>) -> io::Result<()> {
        let mut io = RequestIo(Arc::clone(connection));
        std::future::poll_fn(|cx| self.poll_write(&mut io, cx)).await
    }

    fn poll_write(&mut self, io: &mut RequestIo, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.fill(cx)?;
            if self.queue.is_empty() {
                // What a burst has taken is given back.
                self.queue = VecDeque::new();
                ready!(Pin::new(&mut *io).poll_flush(cx))?;
                return match self.body {
                    None => Poll::Ready(Ok(())),
                    Some(_) => Poll::Pending,
                };
            }
            let mut pieces = [io::IoSlice::new(&[]); PIECES];
            let count = self.queue.len().min(PIECES);
            for (piece, bytes) in pieces.iter_mut().zip(&self.queue) {
                *piece = io::IoSlice::new(bytes);
            }
            let written = ready!(Pin::new(&mut *io).poll_write_vectored(cx, &pieces[..count]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.advance(written);
        }
    }

    /// Takes from the body what is there, within bounds. Its end is noticed while the client reads nothing, too.
    fn fill(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.queued < MAX_QUEUED
            && let Some(body) = &mut self.body
        {
            match Pin::new(body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(Ok(frame))) => {
                    // An empty chunk would end the answer.
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.push_chunk(data);
                    }
                }
                Poll::Ready(Some(Err(fault))) => return Err(io::Error::other(fault)),
                Poll::Ready(None) => {
                    self.body = None;
                    self.push(Bytes::from_static(b"0\r\n\r\n"));
                }
            }
        }
        Ok(())
    }

    fn push_chunk(&mut self, data: Bytes) {
        let size = format!("{:x}\r\n", data.len());
        if data.len() > SMALL {
            self.push(size.into());
            self.push(data);
            self.push(Bytes::from_static(b"\r\n"));
            return;
        }
        let mut chunk = BytesMut::with_capacity(size.len() + data.len() + 2);
        chunk.put_slice(size.as_bytes());
        chunk.put_slice(&data);
        chunk.put_slice(b"\r\n");
        self.push(chunk.freeze());
    }

    fn push(&mut self, bytes: Bytes) {
        self.queued += bytes.len();
        self.queue.push_back(bytes);
    }

    fn advance(&mut self, mut written: usize) {
        self.queued -= written;
        while let Some(first) = self.queue.front_mut() {
            if written < first.len() {
                let _ = first.split_to(written);
                return;
            }
            written -= first.len();
            self.queue.pop_front();
        }
    }
}

fn head(parts: &response::Parts) -> Bytes {
    let mut head = BytesMut::with_capacity(512);
    let _ = write!(head, "HTTP/1.1 {}\r\n", parts.status);
    for (name, value) in &parts.headers {
        head.put_slice(name.as_str().as_bytes());
        head.put_slice(b": ");
        head.put_slice(value.as_bytes());
        head.put_slice(b"\r\n");
    }
    let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT");
    let _ = write!(head, "transfer-encoding: chunked\r\ndate: {date}\r\n\r\n");
    head.freeze()
}
