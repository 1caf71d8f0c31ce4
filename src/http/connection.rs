//! One client's bytes: slow heads are ended, hang-ups noticed, pipelined requests held back. Knows no route.

use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use super::framing::Framing;
use super::rejection::Rejection;

/// A head must be complete this long after its first byte, the first one of a connection this long
/// after the connection was made.
const HEAD_LIMIT: Duration = Duration::from_secs(10);
/// What is held of the requests that a client sends before it has its answer, in bytes. If it sends
/// more, that is thrown away and the connection ends with the answer.
const MAX_HELD: usize = 16 << 10;
/// A head may be this large without being counted against [`HeadBudget`]: most are smaller.
const FREE_HEAD: usize = 8 << 10;
/// How long, and for how many bytes, a client is listened to after it was rejected. A socket that is
/// closed with bytes unread takes the answer away from its client.
const LINGER: Duration = Duration::from_secs(1);
const MAX_LINGER: usize = 4 << 20;

/// What all unfinished heads together may hold of memory. Nobody needs a key to send half a head.
#[derive(Debug, Clone)]
pub struct HeadBudget(Arc<AtomicUsize>);

impl HeadBudget {
    /// A budget of so many bytes.
    pub fn new(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    fn take(&self, bytes: usize) -> bool {
        let left = |left: usize| left.checked_sub(bytes);
        let taken = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left);
        taken.is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// One client's connection, shared by hyper, which reads requests from it, and by the task that
/// watches it.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// A request is being answered: its handler runs, or its answer is under way.
    answering: AtomicBool,
    /// Nobody reads the present request's body any more.
    body_dropped: AtomicBool,
    /// Part of an answer is written and not flushed.
    mid_answer: AtomicBool,
    input: Mutex<Input>,
    budget: HeadBudget,
}

#[derive(Debug)]
struct Input {
    framing: Framing,
    /// Bytes that came before their turn.
    held: BytesMut,
    /// More came than is held: no further request is read.
    overflown: bool,
    /// The client will send nothing more.
    ended: bool,
    deadline: Option<Pin<Box<Sleep>>>,
    rejected: Option<Rejection>,
    /// What this connection's head has taken of the budget.
    charged: usize,
}

impl Connection {
    /// Watches `stream` from its first byte on.
    pub fn new(stream: TcpStream, budget: HeadBudget) -> Arc<Self> {
        Arc::new(Self {
            stream,
            answering: AtomicBool::new(false),
            body_dropped: AtomicBool::new(false),
            mid_answer: AtomicBool::new(false),
            input: Mutex::new(Input {
                framing: Framing::default(),
                held: BytesMut::new(),
                overflown: false,
                ended: false,
                deadline: Some(Box::pin(tokio::time::sleep(HEAD_LIMIT))),
                rejected: None,
                charged: 0,
            }),
            budget,
        })
    }

    /// The socket.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Says that a request is being answered, and its body read, until the returned values are dropped.
    pub fn answer(self: &Arc<Self>) -> (Answering, Reading) {
        self.answering.store(true, Ordering::Relaxed);
        self.body_dropped.store(false, Ordering::Relaxed);
        (Answering(Arc::clone(self)), Reading(Arc::clone(self)))
    }

    /// Whether somebody else may write the present answer: the whole request was there, and nothing of an answer before
    /// it is still to be written.
    pub fn is_between_writes(&self) -> bool {
        self.input().framing.is_over() && !self.mid_answer.load(Ordering::Relaxed)
    }

    /// Whether the client is still sending the body of a request that nobody reads any more.
    pub fn has_unread_body(&self) -> bool {
        let input = self.input();
        let framing = &input.framing;
        framing.has_begun() && !framing.is_in_head() && !framing.is_over() && !input.ended
    }

    /// Why the connection's last request was rejected, if it was.
    pub fn rejected(&self) -> Option<Rejection> {
        self.input().rejected
    }

    /// Completes when the client goes away while a request of its is being answered. hyper notices
    /// that only as long as nothing else came from the client.
    pub async fn hung_up(&self) {
        std::future::poll_fn(|cx| self.poll_hung_up(cx)).await;
    }

    /// Reads ahead, for the end of the bytes is behind all of them.
    fn poll_hung_up(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.answering.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let mut input = self.input();
        loop {
            if input.held.len() >= MAX_HELD {
                let body_is_wanted =
                    !input.framing.is_over() && !self.body_dropped.load(Ordering::Relaxed);
                if body_is_wanted {
                    // hyper reads on, and finds the end itself.
                    return Poll::Pending;
                }
                input.overflown = true;
            }
            if input.overflown {
                input.held.clear();
            }
            if input.ended || ready!(self.stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(());
            }
            input.held.reserve(MAX_HELD / 4);
            match self.stream.try_read_buf(&mut input.held) {
                Ok(0) => input.ended = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // Most clients send nothing while they are answered.
                    if input.held.is_empty() {
                        input.held = BytesMut::new();
                    }
                }
                Err(_) => return Poll::Ready(()),
            }
        }
    }

    /// Lets the client read what it was told last: closes this side and reads what still comes, for
    /// a moment.
    pub async fn linger(&self) {
        let _ = SockRef::from(&self.stream).shutdown(Shutdown::Write);
        let mut block = vec![0; 16 << 10];
        let mut read = 0;
        let reading = async {
            while read < MAX_LINGER && self.stream.readable().await.is_ok() {
                match self.stream.try_read(&mut block) {
                    Ok(0) => return,
                    Ok(count) => read += count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        let _ = tokio::time::timeout(LINGER, reading).await;
    }

    fn input(&self) -> MutexGuard<'_, Input> {
        self.input.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn poll_read(&self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut input = self.input();
        loop {
            if input.framing.is_over() {
                if self.answering.load(Ordering::Relaxed) {
                    // What comes now is the next request; `hung_up` sees to the connection's end.
                    return Poll::Pending;
                }
                input.framing.next();
            }
            if input.overflown {
                return Poll::Ready(Ok(()));
            }
            let before = buffer.filled().len();
            if !input.held.is_empty() {
                let block = input.held.len().min(buffer.remaining());
                let block = input.held.split_to(block);
                buffer.put_slice(&block);
            } else if input.ended {
                return Poll::Ready(Ok(()));
            } else if !self.read_more(cx, &mut input, buffer)? {
                return self.poll_deadline(cx, &mut input);
            }
            let given = self.keep_to_request(&mut input, buffer, before)?;
            if given || input.ended {
                return Poll::Ready(Ok(()));
            }
            // A flood of empty lines never makes the socket wait.
            if let Poll::Ready(late) = self.poll_deadline(cx, &mut input) {
                return Poll::Ready(late);
            }
        }
    }

    /// Reads from the socket; false when there is nothing yet.
    fn read_more(
        &self,
        cx: &mut Context<'_>,
        input: &mut Input,
        buffer: &mut ReadBuf<'_>,
    ) -> io::Result<bool> {
        loop {
            match self.stream.poll_read_ready(cx) {
                Poll::Pending => return Ok(false),
                Poll::Ready(ready) => ready?,
            }
            match self.stream.try_read_buf(buffer) {
                Ok(count) => {
                    input.ended = count == 0;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Leaves in the buffer what belongs to the present request, holds the rest back, and says
    /// whether anything was left.
    fn keep_to_request(
        &self,
        input: &mut Input,
        buffer: &mut ReadBuf<'_>,
        before: usize,
    ) -> io::Result<bool> {
        let bytes = &buffer.filled()[before..];
        let taken = match input.framing.advance(bytes) {
            Ok(taken) => taken,
            Err(rejection) => return Err(self.reject(input, rejection)),
        };
        let (from, to) = (taken.blank, taken.blank + taken.own);
        if to < bytes.len() {
            let later = std::mem::take(&mut input.held);
            input.held.extend_from_slice(&bytes[to..]);
            input.held.extend_from_slice(&later);
        }
        buffer
            .filled_mut()
            .copy_within(before + from..before + to, before);
        buffer.set_filled(before + taken.own);
        self.follow_head(input)?;
        Ok(taken.own > 0)
    }

    /// Starts and ends the clock of a head, and counts what the head holds of memory.
    fn follow_head(&self, input: &mut Input) -> io::Result<()> {
        if !input.framing.is_in_head() {
            // The first head has a deadline before it has a byte.
            if input.framing.has_begun() {
                input.deadline = None;
            }
            self.budget.give_back(std::mem::take(&mut input.charged));
            return Ok(());
        }
        if input.deadline.is_none() {
            input.deadline = Some(Box::pin(tokio::time::sleep(HEAD_LIMIT)));
        }
        let held = input.framing.head_bytes().saturating_sub(FREE_HEAD);
        let more = held.saturating_sub(input.charged);
        if !self.budget.take(more) {
            return Err(self.reject(input, Rejection::Overloaded));
        }
        input.charged += more;
        Ok(())
    }

    fn poll_deadline(&self, cx: &mut Context<'_>, input: &mut Input) -> Poll<io::Result<()>> {
        let Some(deadline) = &mut input.deadline else {
            return Poll::Pending;
        };
        ready!(deadline.as_mut().poll(cx));
        Poll::Ready(Err(self.reject(input, Rejection::TooSlow)))
    }

    /// Tells the client, and ends the connection with the error.
    fn reject(&self, input: &mut Input, rejection: Rejection) -> io::Error {
        input.rejected = Some(rejection);
        // In the middle of another answer it would be taken for a part of that one.
        if !self.mid_answer.load(Ordering::Relaxed) {
            // The socket's buffer has room for it; if not, the end of the connection says enough.
            let _ = self.stream.try_write(rejection.response().as_bytes());
        }
        io::Error::new(io::ErrorKind::InvalidData, rejection.code())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let charged = self.input().charged;
        self.budget.give_back(charged);
    }
}

/// A request that is being answered; dropped when its answer is written or given up.
#[derive(Debug)]
pub struct Answering(Arc<Connection>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.answering.store(false, Ordering::Relaxed);
    }
}

/// A request whose body is wanted; dropped with it.
#[derive(Debug)]
pub struct Reading(Arc<Connection>);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.body_dropped.store(true, Ordering::Relaxed);
    }
}

/// The connection as hyper reads and writes it: one request at a time.
#[derive(Debug)]
pub struct RequestIo(pub Arc<Connection>);

impl AsyncRead for RequestIo {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buffer)
    }
}

impl AsyncWrite for RequestIo {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let connection = &self.0;
        connection.mid_answer.store(true, Ordering::Relaxed);
        loop {
            ready!(connection.stream.poll_write_ready(cx))?;
            match connection.stream.try_write_vectored(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.mid_answer.store(false, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&self.0.stream).shutdown(Shutdown::Write))
    }
}
