//! Lines read from a socket, bounded, without ever holding up the runtime.
//!
//! Knows no event: a line is bytes.

use std::io;

use rustix::net::RecvFlags;
use tokio::net::UnixStream;
use tokio::net::unix::OwnedReadHalf;
use tokio::task::coop::consume_budget;
use tokio_util::sync::CancellationToken;

/// The longest line whose text is kept, in bytes.
pub(super) const MAX_LINE: usize = 1 << 20;

/// The lines of a socket, each bounded.
pub(super) struct Lines {
    reader: OwnedReadHalf,
    buffer: Vec<u8>,
    /// How much of the buffer holds no line end.
    searched: usize,
    /// Whether the rest of a line that was too long is still to come.
    is_skipping: bool,
}

/// A line without its end.
pub(super) enum Line {
    /// A line with something on it.
    Whole(Vec<u8>),
    /// A line of white space.
    Blank,
    /// A line longer than [`MAX_LINE`], whose text is not kept.
    TooLong,
}

impl Lines {
    pub(super) fn new(reader: OwnedReadHalf) -> Self {
        Self {
            reader,
            buffer: Vec::new(),
            searched: 0,
            is_skipping: false,
        }
    }

    /// The socket itself.
    pub(super) fn socket(&self) -> &UnixStream {
        self.reader.as_ref()
    }

    /// The next line; `None` at the end, or when the program has ended and nothing is left.
    pub(super) async fn next(&mut self, ended: &CancellationToken) -> Option<Line> {
        loop {
            if let Some(line) = self.take_line() {
                return Some(line);
            }
            if !self.read_more(ended).await {
                return self.last_line();
            }
        }
    }

    fn take_line(&mut self) -> Option<Line> {
        loop {
            let Some(length) = self.buffer[self.searched..]
                .iter()
                .position(|byte| *byte == b'\n')
            else {
                self.searched = self.buffer.len();
                if self.buffer.len() > MAX_LINE {
                    self.buffer.clear();
                    self.searched = 0;
                    if !std::mem::replace(&mut self.is_skipping, true) {
                        return Some(Line::TooLong);
                    }
                }
                return None;
            };
            let end = self.searched + length;
            let mut line: Vec<u8> = self.buffer.drain(..=end).collect();
            self.searched = 0;
            line.pop();
            if std::mem::take(&mut self.is_skipping) {
                continue;
            }
            return Some(if line.len() > MAX_LINE {
                Line::TooLong
            } else if line.trim_ascii().is_empty() {
                Line::Blank
            } else {
                Line::Whole(line)
            });
        }
    }

    /// What stands after the last line end.
    fn last_line(&mut self) -> Option<Line> {
        let rest = std::mem::take(&mut self.buffer);
        self.searched = 0;
        let counts = !std::mem::take(&mut self.is_skipping) && !rest.trim_ascii().is_empty();
        counts.then_some(Line::Whole(rest))
    }

    /// Reads without waiting: somebody who outlives the program may keep the socket open for ever. Asks the
    /// system itself, for the runtime may not have noticed yet what was written last.
    fn read_what_is_there(&mut self) -> bool {
        let mut chunk = [0; 4096];
        let read = rustix::net::recv(self.reader.as_ref(), &mut chunk[..], RecvFlags::DONTWAIT);
        let count = read.map_or(0, |(count, _)| count);
        self.buffer.extend_from_slice(&chunk[..count]);
        count > 0
    }

    async fn read_more(&mut self, ended: &CancellationToken) -> bool {
        loop {
            // Reading without waiting for readiness is nothing that the runtime counts.
            consume_budget().await;
            let mut chunk = [0; 4096];
            match self.reader.try_read(&mut chunk) {
                Ok(0) => return false,
                Ok(count) => {
                    self.buffer.extend_from_slice(&chunk[..count]);
                    return true;
                }
                Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => return false,
            }
            tokio::select! {
                biased;
                ready = self.reader.readable() => if ready.is_err() { return false },
                () = ended.cancelled() => return self.read_what_is_there(),
            }
        }
    }
}
