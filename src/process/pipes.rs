//! The three pipes of a program: its input, the beginning of its stdout, the end of its stderr.
//!
//! Knows no process: pipes and their bounds.

use std::future::pending;
use std::io;

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

use super::output_budget::OutputShare;

/// Room for one read; grown output is read in larger steps.
const CHUNK: usize = 16 << 10;

/// By how much the room for stdout grows. What is not written to yet takes no memory, but every room that was too small
/// stands beside the next one while it is copied, and for some time afterwards.
const GROWTH: usize = 4;

/// The most that is kept of one line of stderr that is passed on, in bytes.
const MAX_LINE: usize = 8 << 10;

/// The beginning of stdout, up to a limit.
#[derive(Debug)]
pub(super) struct Stdout {
    /// `None` after its end.
    pipe: Option<pipe::Receiver>,
    kept: Vec<u8>,
    limit: usize,
    /// The memory for it.
    share: OutputShare,
}

/// The program printed more than the limit.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OverLimit;

impl Stdout {
    pub(super) fn new(pipe: pipe::Receiver, limit: usize, share: OutputShare) -> Self {
        Self {
            pipe: Some(pipe),
            kept: Vec::new(),
            limit,
            share,
        }
    }

    /// That of a program whose stdout goes elsewhere: at its end from the beginning.
    pub(super) fn absent() -> Self {
        Self {
            pipe: None,
            kept: Vec::new(),
            limit: 0,
            share: OutputShare::default(),
        }
    }

    /// Whether it is not read because there is no memory for it. What it holds still is to be read then.
    pub(super) fn waits_for_memory(&self) -> bool {
        self.is_open() && self.share.waits()
    }

    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// No more is read; a program that prints on gets SIGPIPE.
    pub(super) fn close(&mut self) {
        self.pipe = None;
    }

    /// Reads once. Never ready when closed; safe to drop while it waits.
    pub(super) async fn read(&mut self) -> Result<(), OverLimit> {
        let Some(pipe) = &mut self.pipe else {
            return pending().await;
        };
        // One byte above the limit tells "exactly the limit" from "more".
        let most = self.limit.saturating_add(1);
        let wanted = (self.kept.len() + CHUNK).min(most);
        self.share.grow(wanted, most).await;
        let room = most - self.kept.len();
        if self.kept.capacity() - self.kept.len() < room.min(CHUNK) {
            let larger = (GROWTH * self.kept.capacity()).max(CHUNK);
            self.kept.reserve_exact(room.min(larger - self.kept.len()));
        }
        let allowed = room.min(self.share.room() - self.kept.len());
        let mut kept = (&mut self.kept).limit(allowed);
        if !matches!(pipe.read_buf(&mut kept).await, Ok(1..)) {
            self.close();
        }
        if self.kept.len() > self.limit {
            self.kept.truncate(self.limit);
            self.close();
            return Err(OverLimit);
        }
        Ok(())
    }

    pub(super) fn take(&mut self) -> (Vec<u8>, OutputShare) {
        (
            std::mem::take(&mut self.kept),
            std::mem::take(&mut self.share),
        )
    }
}

/// The end of stderr, and its lines as they come.
#[derive(Debug)]
pub(super) struct Stderr {
    /// `None` after its end.
    pipe: Option<pipe::Receiver>,
    tail: Tail,
    lines: Option<Lines>,
    chunk: Vec<u8>,
}

impl Stderr {
    pub(super) fn new(
        pipe: pipe::Receiver,
        tail: usize,
        lines: Option<mpsc::Sender<String>>,
    ) -> Self {
        Self {
            pipe: Some(pipe),
            tail: Tail::new(tail),
            lines: lines.map(Lines::new),
            chunk: Vec::new(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.pipe.is_some()
    }

    /// No more is read.
    pub(super) fn close(&mut self) {
        self.pipe = None;
        if let Some(mut lines) = self.lines.take() {
            lines.finish();
        }
    }

    /// Reads once. Never ready when closed; safe to drop while it waits.
    pub(super) async fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return pending().await;
        };
        self.chunk.clear();
        self.chunk.reserve(CHUNK);
        let read: io::Result<usize> = pipe.read_buf(&mut (&mut self.chunk).limit(CHUNK)).await;
        if !matches!(read, Ok(1..)) {
            return self.close();
        }
        self.tail.push(&self.chunk);
        if let Some(lines) = &mut self.lines {
            lines.push(&self.chunk);
        }
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        self.tail.take()
    }
}

/// The last bytes of a stream.
#[derive(Debug)]
struct Tail {
    bytes: Vec<u8>,
    limit: usize,
}

impl Tail {
    fn new(limit: usize) -> Self {
        let bytes = Vec::new();
        Self { bytes, limit }
    }

    fn push(&mut self, chunk: &[u8]) {
        let chunk = &chunk[chunk.len().saturating_sub(self.limit)..];
        self.bytes.extend_from_slice(chunk);
        // Moved to the front only when as much again has come: each byte is moved once at most.
        if self.bytes.len() > self.limit.saturating_mul(2) {
            self.cut();
        }
    }

    fn cut(&mut self) {
        let above = self.bytes.len().saturating_sub(self.limit);
        self.bytes.drain(..above);
    }

    fn take(&mut self) -> Vec<u8> {
        self.cut();
        std::mem::take(&mut self.bytes)
    }
}

/// The input of a program.
#[derive(Debug)]
pub(super) struct Stdin {
    /// `None` when all is written or nobody reads.
    pipe: Option<pipe::Sender>,
    unsent: Vec<u8>,
    sent: usize,
}

impl Stdin {
    pub(super) fn new(pipe: Option<pipe::Sender>, bytes: Vec<u8>) -> Self {
        Self {
            pipe,
            unsent: bytes,
            sent: 0,
        }
    }

    /// No more is written.
    pub(super) fn close(&mut self) {
        self.pipe = None;
    }

    /// Writes once, and closes at the end. Never ready when closed; safe to drop while it waits.
    pub(super) async fn feed(&mut self) {
        let Some(pipe) = &mut self.pipe else {
            return pending().await;
        };
        let rest = &self.unsent[self.sent..];
        let written: io::Result<usize> = match rest {
            [] => Ok(0),
            rest => pipe.write(rest).await,
        };
        match written {
            Ok(more @ 1..) => self.sent += more,
            // All is written, or a program that does not read has gone: both are its own affair.
            _ => {
                self.close();
                self.unsent = Vec::new();
            }
        }
    }
}

/// Cuts a stream into lines and passes them on.
#[derive(Debug)]
struct Lines {
    to: mpsc::Sender<String>,
    begun: Vec<u8>,
}

impl Lines {
    fn new(to: mpsc::Sender<String>) -> Self {
        let begun = Vec::new();
        Self { to, begun }
    }

    fn push(&mut self, chunk: &[u8]) {
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let (piece, ends) = match piece.split_last() {
                Some((b'\n', piece)) => (piece, true),
                _ => (piece, false),
            };
            let room = MAX_LINE - self.begun.len();
            self.begun
                .extend_from_slice(&piece[..piece.len().min(room)]);
            if ends {
                self.pass_on();
            }
        }
    }

    fn finish(&mut self) {
        if !self.begun.is_empty() {
            self.pass_on();
        }
    }

    fn pass_on(&mut self) {
        let line = String::from_utf8_lossy(&self.begun);
        // A full channel loses the line: the program must never wait for whoever listens.
        let _ = self.to.try_send(line.trim_end_matches('\r').to_owned());
        self.begun.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn pipe_with(bytes: &[u8]) -> pipe::Receiver {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        writer.write_all(bytes).expect("it fits the pipe");
        pipe::Receiver::from_owned_fd(reader.into()).expect("it is a pipe")
    }

    async fn stdout_of(bytes: &[u8], limit: usize) -> (Result<(), OverLimit>, Vec<u8>) {
        let mut stdout = Stdout::new(pipe_with(bytes), limit, OutputShare::default());
        let mut result = Ok(());
        while stdout.is_open() && result.is_ok() {
            result = stdout.read().await;
        }
        (result, stdout.take().0)
    }

    #[tokio::test]
    async fn exactly_the_limit_is_not_over_it() {
        assert_eq!(stdout_of(b"12345", 5).await, (Ok(()), b"12345".to_vec()));
        assert_eq!(
            stdout_of(b"123456", 5).await,
            (Err(OverLimit), b"12345".to_vec())
        );
        assert_eq!(stdout_of(b"", 0).await, (Ok(()), Vec::new()));
        assert_eq!(stdout_of(b"1", 0).await, (Err(OverLimit), Vec::new()));
    }

    #[test]
    fn a_tail_keeps_the_last_bytes_however_they_came() {
        let all: Vec<u8> = (0..=255).cycle().take(1000).collect();
        for size in [1, 7, 100, 1000] {
            let mut tail = Tail::new(100);
            all.chunks(size).for_each(|chunk| tail.push(chunk));
            assert_eq!(tail.take(), all[900..], "in chunks of {size}");
        }
    }

    #[tokio::test]
    async fn lines_are_bounded_and_need_no_last_newline() {
        let (to, mut lines) = mpsc::channel(10);
        let long = "x".repeat(3 * MAX_LINE);
        let text = format!("one\r\n{long}\n\nla\u{e9}st").into_bytes();
        let mut stderr = Stderr::new(pipe_with(&text), 4, Some(to));
        while stderr.is_open() {
            stderr.read().await;
        }
        let mut received = Vec::new();
        while let Some(line) = lines.recv().await {
            received.push(line);
        }
        let cut = "x".repeat(MAX_LINE);
        assert_eq!(received, ["one", &cut, "", "la\u{e9}st"]);
        assert_eq!(stderr.take(), "\u{e9}st".as_bytes());
    }

    #[tokio::test]
    async fn a_full_channel_loses_lines() {
        let (to, mut lines) = mpsc::channel(1);
        let mut stderr = Stderr::new(pipe_with(b"kept\nlost\n"), 100, Some(to));
        while stderr.is_open() {
            stderr.read().await;
        }
        assert_eq!(lines.recv().await.as_deref(), Some("kept"));
        assert_eq!(lines.recv().await, None);
        assert_eq!(stderr.take(), b"kept\nlost\n");
    }
}
