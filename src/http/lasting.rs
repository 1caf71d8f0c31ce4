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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::http::HeaderValue;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use socket2::SockRef;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::connection::HeadBudget;
    use super::*;

    /// Both ends of a connection that holds little by itself.
    async fn connected() -> (Arc<Connection>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap());
        let (client, accepted) = tokio::join!(client, listener.accept());
        let (client, (server, _)) = (client.unwrap(), accepted.unwrap());
        SockRef::from(&server).set_send_buffer_size(1).unwrap();
        (Connection::new(server, HeadBudget::new(1 << 20)), client)
    }

    fn answer(body: Body, connection: &Arc<Connection>) -> LastingStream {
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert("x-one", HeaderValue::from_static("first"));
        LastingStream::new(response, connection.answer().0)
    }

    /// Takes the chunks apart.
    fn joined(mut chunks: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        loop {
            let end = chunks.windows(2).position(|two| two == b"\r\n").unwrap();
            let size = std::str::from_utf8(&chunks[..end]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            let (data, rest) = chunks[end + 2..].split_at(size);
            let rest = rest.strip_prefix(b"\r\n").expect("a chunk has an end");
            if size == 0 {
                assert_eq!(rest, b"");
                return found;
            }
            found.push(data.to_vec());
            chunks = rest;
        }
    }

    #[tokio::test]
    async fn what_a_body_gives_is_written_whole_in_its_order_whatever_the_socket_takes_at_once() {
        let (connection, mut client) = connected().await;
        let frames: Vec<Vec<u8>> = [1, 0, 40, SMALL, SMALL + 1, 300_000, 0, 7]
            .iter()
            .zip(b'a'..)
            .map(|(size, letter)| vec![letter; *size])
            .chain((0..200).map(|_| b"small".to_vec()))
            .collect();
        let given = frames.clone().into_iter();
        let given = given.map(|frame| Ok::<_, Infallible>(Frame::data(Bytes::from(frame))));
        let body = Body::new(StreamBody::new(futures_util::stream::iter(given)));
        let stream = answer(body, &connection);
        let writing = tokio::spawn(async move {
            let written = stream.write(&connection).await;
            written.map(|()| drop(connection))
        });
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        writing.await.unwrap().unwrap();
        let end = read
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap();
        let head = std::str::from_utf8(&read[..end]).unwrap();
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\nx-one: first\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\ntransfer-encoding: chunked"), "{head}");
        let frames = frames.into_iter().filter(|frame| !frame.is_empty());
        assert!(joined(&read[end + 4..]) == frames.collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_body_that_breaks_off_leaves_the_answer_without_an_end() {
        let (connection, mut client) = connected().await;
        let frames = [
            Ok(Frame::data(Bytes::from_static(b"half"))),
            Err(io::Error::other("the rest was dropped")),
        ];
        let body = Body::new(StreamBody::new(futures_util::stream::iter(frames)));
        let fault = answer(body, &connection).write(&connection).await;
        assert!(fault.is_err());
        drop(connection);
        let mut read = Vec::new();
        client.read_to_end(&mut read).await.unwrap();
        assert!(!read.ends_with(b"0\r\n\r\n"));
    }

    #[tokio::test]
    async fn a_client_that_goes_ends_the_writing() {
        let (connection, mut client) = connected().await;
        let endless = futures_util::stream::repeat_with(|| {
            Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'x'; 1000])))
        });
        let stream = answer(Body::new(StreamBody::new(endless)), &connection);
        let writing = tokio::spawn(async move { stream.write(&connection).await });
        let mut some = [0; 100_000];
        client.read_exact(&mut some).await.unwrap();
        client.shutdown().await.unwrap();
        drop(client);
        assert!(writing.await.unwrap().is_err());
    }

    #[test]
    fn older_clients_and_those_that_want_no_second_answer_are_left_to_hyper() {
        let request = |version: Version, connection: Option<&'static str>| {
            let mut request = Request::new(());
            *request.version_mut() = version;
            if let Some(value) = connection {
                let value = HeaderValue::from_static(value);
                request.headers_mut().insert(header::CONNECTION, value);
            }
            may_take_over(&request)
        };
        assert!(request(Version::HTTP_11, None));
        assert!(request(Version::HTTP_11, Some("Keep-Alive")));
        assert!(!request(Version::HTTP_11, Some("close")));
        assert!(!request(Version::HTTP_11, Some("keep-alive, upgrade")));
        assert!(!request(Version::HTTP_10, Some("keep-alive")));
    }
}
