//! A connection whose request heads are watched: how long they take, and whether they can be read
//! in two ways. Knows no request beyond its head.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A head must be complete this long after its first byte, the first one of a connection this long
/// after the connection was made.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// What the connection and the service that answers on it tell each other.
#[derive(Debug, Default)]
pub struct HeadState {
    /// A head has been read and its request is being answered.
    answering: AtomicBool,
    /// The head that was read last has both a length and a transfer coding.
    ambiguous: AtomicBool,
}

impl HeadState {
    /// Says that a head was read; true when its body has two lengths, which request smuggling uses.
    /// hyper itself would silently prefer the transfer coding.
    pub fn begin_answer(&self) -> bool {
        self.answering.store(true, Ordering::Relaxed);
        self.ambiguous.swap(false, Ordering::Relaxed)
    }

    /// Says that the answer is under way, so that what is read from now on is the next head.
    pub fn end_answer(&self) {
        self.answering.store(false, Ordering::Relaxed);
    }
}

/// A connection that fails when a head takes too long.
#[derive(Debug)]
pub struct WatchedHeads<T> {
    io: T,
    state: Arc<HeadState>,
    deadline: Option<Pin<Box<Sleep>>>,
    head: Vec<u8>,
}

impl<T> WatchedHeads<T> {
    /// Watches `io` from its first byte on.
    pub fn new(io: T, state: Arc<HeadState>) -> Self {
        Self {
            io,
            state,
            deadline: Some(Box::pin(tokio::time::sleep(HEAD_LIMIT))),
            head: Vec::new(),
        }
    }

    fn saw(&mut self, bytes: &[u8]) {
        if self.deadline.is_none() {
            self.deadline = Some(Box::pin(tokio::time::sleep_until(
                Instant::now() + HEAD_LIMIT,
            )));
        }
        self.head.extend_from_slice(bytes);
        if let Some(end) = end_of_head(&self.head) {
            let ambiguous = has_two_lengths(&self.head[..end]);
            self.state.ambiguous.store(ambiguous, Ordering::Relaxed);
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.deadline = None;
        self.head = Vec::new();
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WatchedHeads<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(cx, buffer);
        if self.state.answering.load(Ordering::Relaxed) {
            self.forget();
            return read;
        }
        match read {
            Poll::Ready(Ok(())) => {
                let bytes = &buffer.filled()[before..];
                if !bytes.is_empty() {
                    self.saw(bytes);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => match &mut self.deadline {
                Some(deadline) => deadline
                    .as_mut()
                    .poll(cx)
                    .map(|()| Err(io::ErrorKind::TimedOut.into())),
                None => Poll::Pending,
            },
            failed => failed,
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WatchedHeads<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    let crlf = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    // hyper accepts bare line feeds as well.
    crlf.or_else(|| bytes.windows(2).position(|window| window == b"\n\n"))
}

fn has_two_lengths(head: &[u8]) -> bool {
    let named = |name: &[u8]| {
        head.split(|byte| *byte == b'\n')
            .any(|line| line.len() > name.len() && line[..name.len()].eq_ignore_ascii_case(name))
    };
    named(b"transfer-encoding:") && named(b"content-length:")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_head_with_two_lengths_is_noticed_in_any_case_and_order() {
        for (head, expected) in [
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\nHost: x\r\nCONTENT-LENGTH: 3\r\n\r\n",
                true,
            ),
            (
                "POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 3\n\n",
                true,
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nTransfer-Encoding: chunked\r\n",
                false,
            ),
            (
                "POST / HTTP/1.1\r\nX-Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
                false,
            ),
        ] {
            let (mut client, server) = tokio::io::duplex(1024);
            let state = Arc::new(HeadState::default());
            let mut watched = WatchedHeads::new(server, Arc::clone(&state));
            client.write_all(head.as_bytes()).await.unwrap();
            let mut read = vec![0; head.len()];
            watched.read_exact(&mut read).await.unwrap();
            assert_eq!(state.begin_answer(), expected, "{head}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_head_fails_in_time_and_an_idle_connection_does_not() {
        let (mut client, server) = tokio::io::duplex(1024);
        let state = Arc::new(HeadState::default());
        let mut watched = WatchedHeads::new(server, Arc::clone(&state));
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut buffer = [0; 64];
        let _ = watched.read(&mut buffer).await.unwrap();
        state.begin_answer();
        state.end_answer();
        let idle = tokio::time::timeout(HEAD_LIMIT * 5, watched.read(&mut buffer)).await;
        assert!(idle.is_err(), "an idle connection was ended: {idle:?}");
        client.write_all(b"GET / HT").await.unwrap();
        let _ = watched.read(&mut buffer).await.unwrap();
        let late = watched.read(&mut buffer).await.unwrap_err();
        assert_eq!(late.kind(), io::ErrorKind::TimedOut);
    }
}
